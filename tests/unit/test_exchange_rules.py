"""Prices, crumbs and what is refused at a look; what the contract itself says is tested on a chain."""

from dataclasses import replace
from fractions import Fraction

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.addresses import parse_address
from relay.exchange.checks import Contracts, check
from relay.exchange.errors import Unacceptable
from relay.exchange.rules import (
    NOBODY,
    ask_price,
    bid_price,
    can_be_taken,
    is_rounding_error,
    normal_v,
    order_hash,
    partial_amount,
)
from relay.model import Order
from relay.store.orders import StoredOrder
from tests.support.trading import sign

KEY = Account.from_key("0x" + "11" * 32)
EXCHANGE, NETWORK, ETHER, TOKEN, OTHER = (bytes([letter]) * 20 for letter in (1, 2, 3, 4, 5))
CONTRACTS = Contracts((EXCHANGE,), (ETHER,), (TOKEN,))
NOW = 1_700_000_000
ORDER = Order(
    exchange=EXCHANGE,
    maker=parse_address(KEY.address),
    taker=NOBODY,
    maker_token=TOKEN,
    taker_token=NETWORK,
    fee_recipient=NOBODY,
    maker_amount=10,
    taker_amount=30,
    maker_fee=0,
    taker_fee=0,
    expires_at=NOW + 1,
    salt=7,
)


def refusal(order: Order) -> str | None:
    """Return the field at fault of an order that its maker signs, None if there is no fault."""
    signed = sign(order, KEY)
    try:
        check(signed, order_hash(signed), CONTRACTS, lambda token: token == NETWORK, NOW)
    except Unacceptable as fault:
        return str(fault).partition(": ")[0]
    return None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({}, None),
        ({"maker_token": ETHER, "taker_token": TOKEN}, None),
        ({"taker": OTHER, "fee_recipient": OTHER}, None),
        ({"maker_amount": 2**200}, None),
        ({"taker_amount": 2**32 - 1}, None),
        ({"salt": 2**256 - 1, "expires_at": 2**256 - 1}, None),
        ({"exchange": OTHER}, "exchangeContractAddress"),
        ({"maker_token": OTHER}, "makerTokenAddress"),
        ({"taker_token": OTHER}, "takerTokenAddress"),
        ({"taker_token": TOKEN}, "takerTokenAddress"),
        ({"maker_amount": 0}, "makerTokenAmount"),
        ({"taker_amount": 0}, "takerTokenAmount"),
        ({"taker_amount": 2**32}, "takerTokenAmount"),
        ({"maker_token": NETWORK, "taker_token": TOKEN, "maker_amount": 2**32}, "makerTokenAmount"),
        ({"taker_token": ETHER, "maker_amount": 2**128, "taker_amount": 2**128}, "takerTokenAmount"),
        ({"maker_fee": 1}, "makerFee"),
        ({"taker_fee": 1}, "takerFee"),
        ({"expires_at": NOW}, "expirationUnixTimestampSec"),
        ({"maker": NOBODY}, "maker"),
        ({"taker": ORDER.maker}, "taker"),
        ({"maker": OTHER}, "ecSignature"),
    ],
)
def test_an_order_is_refused_for_the_field_at_fault(changed: dict[str, object], field: str | None) -> None:
    assert refusal(replace(ORDER, **changed)) == field


def test_wallets_that_count_v_from_0_are_understood() -> None:
    assert [normal_v(v) for v in (0, 1, 27, 28, 2, 255)] == [27, 28, 27, 28, 2, 255]


amounts = st.integers(1, 2**256 - 1)


@settings(deadline=None)
@given(amounts, amounts, amounts, amounts)
def test_prices_are_compared_to_the_last_digit(one: int, two: int, three: int, four: int) -> None:
    first, second = (
        replace(ORDER, maker_amount=one, taker_amount=two),
        replace(ORDER, maker_amount=three, taker_amount=four),
    )
    assert (ask_price(first) < ask_price(second)) == (two * three < four * one)
    assert (bid_price(first) > bid_price(second)) == (one * four > three * two)
    assert ask_price(first) * bid_price(first) == Fraction(1)


small = st.integers(1, 2000)


@settings(deadline=None)
@given(small, small, small)
def test_what_is_left_can_be_taken_unless_it_is_crumbs(maker: int, taker: int, left: int) -> None:
    order = replace(ORDER, maker_amount=maker, taker_amount=taker)
    whole = can_be_taken(order, left)
    parts = [part for part in range(1, left + 1) if part * maker % taker == 0]
    assert whole == (bool(parts) or not is_rounding_error(left, taker, maker))
    if whole:
        assert partial_amount(left, taker, maker) > 0
    assert not can_be_taken(order, 0)
    assert not can_be_taken(order, -left)


def test_more_filled_than_there_was_leaves_nothing_and_no_negative_amount() -> None:
    stored = StoredOrder(bytes(32), ORDER, filled_maker=8, filled_taker=24, cancelled_maker=8, cancelled_taker=24)
    assert (stored.available_maker, stored.available_taker) == (0, 0)
