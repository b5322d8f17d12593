"""Our rules of orders beside those of the contract, which is asked on a chain."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.exceptions import Web3Exception

from relay.addresses import parse_address, to_checksum
from relay.chain.exchange import authorized, takeable, unavailable
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import HOURS, deploy_network, transact
from relay.exchange.rules import (
    NOBODY,
    can_be_taken,
    is_rounding_error,
    is_signed_by_maker,
    order_hash,
    partial_amount,
    signer_of,
)
from relay.model import Order
from tests.support.trading import ETHER, Market, address_of, deploy_market, for_contract, sign

GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = Account.from_key("0x" + "17" * 32)

addresses = st.binary(min_size=20, max_size=20)
words = st.integers(0, 2**256 - 1)
amounts = st.integers(1, 2**100) | st.integers(1, 5000)
SHARED_CHAIN = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def market(chain: Anvil, web3: Web3) -> Market:
    return deploy_market(chain, web3)


@pytest.fixture(scope="module")
def node(chain: Anvil) -> Node:
    return Node(chain.url)


def ask(market: Market, function: str, *arguments: Any) -> Any:
    return market.exchange.functions[function](*arguments).call()


@SHARED_CHAIN
@given(st.tuples(*[addresses] * 5), st.tuples(*[words] * 6))
def test_an_order_has_the_hash_that_the_contract_gives_it(
    market: Market, parties: tuple[bytes, ...], numbers: tuple[int, ...]
) -> None:
    order = Order(address_of(market.exchange), *parties, *numbers)
    assert order_hash(order) == ask(market, "getOrderHash", *for_contract(order))


@SHARED_CHAIN
@given(
    st.binary(min_size=32, max_size=32),
    st.sampled_from([0, 1, 27, 28, 29, 255]),
    st.sampled_from(
        ["as signed", "the other s", "r broken", "s broken", "r 0", "s 0", "r too large", "s too large"]
    ),
)
def test_a_signature_counts_if_it_does_for_the_contract(
    market: Market, digest: bytes, v: int, change: str
) -> None:
    signed = sign_digest(digest)
    r, s = signed.r, signed.s
    match change:
        case "the other s":
            s = GROUP_ORDER - s
        case "r broken":
            r ^= 1
        case "s broken":
            s ^= 1
        case "r 0":
            r = 0
        case "s 0":
            s = 0
        case "r too large":
            r = GROUP_ORDER
        case "s too large":
            s = 2**256 - 1
    halves = r.to_bytes(32, "big"), s.to_bytes(32, "big")
    ours = signer_of(digest, v, *halves)
    assert ask(market, "isValidSignature", KEY.address, digest, v, *halves) == (ours == parse_address(KEY.address))
    # The contract takes a signature that is none for one of the zero address.
    assert ask(market, "isValidSignature", to_checksum(NOBODY), digest, v, *halves) == (ours is None)


def test_both_values_of_s_count(market: Market) -> None:
    digest = bytes(range(32))
    signed = sign_digest(digest)
    for v, s in ((signed.v, signed.s), (55 - signed.v, GROUP_ORDER - signed.s)):
        halves = signed.r.to_bytes(32, "big"), s.to_bytes(32, "big")
        assert signer_of(digest, v, *halves) == parse_address(KEY.address)
        assert ask(market, "isValidSignature", KEY.address, digest, v, *halves)


@SHARED_CHAIN
@given(amounts, amounts, amounts)
@example(1, 3, 1)
@example(1, 999, 1000)
@example(1, 998, 999)
@example(999, 1000, 999)
@example(2, 1001, 1000)
def test_parts_are_rounded_as_in_the_contract(
    market: Market, numerator: int, denominator: int, target: int
) -> None:
    question = numerator, denominator, target
    assert partial_amount(*question) == ask(market, "getPartialAmount", *question)
    assert is_rounding_error(*question) == ask(market, "isRoundingError", *question)


def test_what_cannot_be_multiplied_the_contract_cannot_fill(market: Market) -> None:
    with pytest.raises(Web3Exception):
        ask(market, "getPartialAmount", 2**128, 2**128, 2**128)
    assert ask(market, "getPartialAmount", 2**127, 2**127, 2**128) == 2**128


def test_the_contract_fills_and_cancels_what_we_think_is_left(market: Market, node: Node) -> None:
    maker, taker = market.trader(), market.trader()
    market.befriend(maker, taker, market.beer, 10_000, 10_000)
    market.befriend(maker, taker, market.cash, 10_000, 10_000)
    order = market.order(maker, market.beer, market.cash, maker_amount=30, taker_amount=100)
    digest, paths = order_hash(order), ([maker.address, taker.address], [taker.address, maker.address])
    market.fill(order, taker, 40, *paths)
    assert unavailable(node, order.exchange, digest) == ask(market, "filled", digest) == 40
    market.cancel(order, 50)
    assert ask(market, "cancelled", digest) == 50
    assert unavailable(node, order.exchange, digest) == 90
    market.fill(order, taker, 1, *paths)
    assert ask(market, "filled", digest) == 40, "1 of 100 is 0.3 of 30: the contract rounds no part so much"
    assert not can_be_taken(order, 1)
    assert can_be_taken(order, 10)
    market.fill(order, taker, 1000, *paths)
    assert unavailable(node, order.exchange, digest) == 100
    assert not can_be_taken(order, 0)


@SHARED_CHAIN
@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_what_can_be_taken_as_a_whole_or_in_exact_steps_is_not_given_up(
    market: Market, maker: int, taker: int, data: st.DataObject
) -> None:
    left = data.draw(st.integers(1, taker))
    order = Order(*[NOBODY] * 6, maker, taker, 0, 0, 0, 0)
    if not ask(market, "isRoundingError", left, taker, maker):
        assert can_be_taken(order, left)
    exact = [part for part in range(1, left + 1) if part * maker % taker == 0]
    if exact:
        assert can_be_taken(order, left)
        assert not ask(market, "isRoundingError", exact[0], taker, maker)


def test_in_a_network_the_contract_moves_the_last_32_bits_only(market: Market) -> None:
    maker, taker = market.trader(), market.trader()
    market.befriend(maker, taker, market.beer, 2**40, 2**40)
    market.befriend(maker, taker, market.cash, 2**40, 2**40)
    order = market.order(maker, market.beer, market.cash, maker_amount=2**32 + 5, taker_amount=2**32 + 5)
    market.fill(order, taker, 2**32 + 5, [maker.address, taker.address], [taker.address, maker.address])
    balance = market.beer.functions.balance(taker.address, maker.address).call()
    assert balance == 5, "which is why orders of so much are refused"


def test_an_identity_cannot_have_signed_an_order(market: Market) -> None:
    owner, identity = market.trader(), bytes([7]) * 20
    order = replace(market.order(owner, market.beer, market.cash), maker=identity)
    signed = sign(order, owner)
    assert not is_signed_by_maker(signed, order_hash(signed))
    signature = (to_checksum(identity), order_hash(signed), signed.v, signed.r, signed.s)
    assert not ask(market, "isValidSignature", *signature)


def test_an_exchange_takes_no_more_of_a_token_than_there_is_and_is_allowed(market: Market, node: Node) -> None:
    poor, careful, generous = (market.trader() for _ in range(3))
    market.provide(careful, 70, 30)
    market.provide(generous, 70, 2**256 - 1)
    makers = [parse_address(maker.address) for maker in (poor, careful, generous)]
    token, exchange = address_of(market.token), address_of(market.exchange)
    assert takeable(node, token, exchange, makers, is_wrapped_ether=False) == [0, 30, 70]


def test_an_authorized_exchange_takes_all_the_wrapped_ether_there_is(market: Market, node: Node) -> None:
    careful, trusting = market.trader(), market.trader()
    for maker in (careful, trusting):
        deposit = market.unw_eth.functions.deposit().build_transaction(
            {"from": maker.address, "value": ETHER, "gas": 200_000}
        )
        market.w3.eth.wait_for_transaction_receipt(market.w3.eth.send_transaction(deposit), poll_latency=0.01)
        assert market.unw_eth.functions.balanceOf(maker.address).call() == ETHER
    transact(market.w3, market.unw_eth.functions.approve(market.exchange.address, 9), careful.address)
    makers = [parse_address(maker.address) for maker in (careful, trusting)]
    token, exchange = address_of(market.unw_eth), address_of(market.exchange)
    assert takeable(node, token, exchange, makers, is_wrapped_ether=True) == [9, 0]
    transact(market.w3, market.unw_eth.functions.addAuthorizedAddress(market.exchange.address), trusting.address)
    assert takeable(node, token, exchange, makers, is_wrapped_ether=True) == [ETHER, ETHER], (
        "as the contract is, anybody authorizes for everybody"
    )


def test_a_network_lets_only_those_move_credit_whom_it_or_the_maker_authorized(market: Market, node: Node) -> None:
    closed = deploy_network(market.w3, HOURS, "CurrencyNetwork")
    one, other = market.trader(), market.trader()
    makers = [parse_address(maker.address) for maker in (one, other)]
    exchange = address_of(market.exchange)
    assert authorized(node, address_of(market.beer), exchange, makers) == [True, True]
    assert authorized(node, address_of(closed), exchange, makers) == [False, False]
    transact(market.w3, closed.functions.addAuthorizedAddress(market.exchange.address), one.address)
    assert authorized(node, address_of(closed), exchange, makers) == [True, False]


def sign_digest(digest: bytes) -> Any:
    prefixed = Web3.keccak(b"\x19Ethereum Signed Message:\n32" + digest)
    return KEY.unsafe_sign_hash(prefixed)
