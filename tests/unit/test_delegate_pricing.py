"""What the relay offers for its transactions, and what it offers more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.chain.sending import Market
from relay.chain.signing import Fee
from relay.delegate.pricing import PATIENCE, bound, by_node, fixed, raised

GWEI = 10**9
MODERN = Market(base_fee=30 * GWEI, tip=2 * GWEI, gas_price=32 * GWEI)
LEGACY = Market(base_fee=None, tip=None, gas_price=32 * GWEI)


def test_the_nodes_prices_are_followed_with_room_for_a_rising_base_fee() -> None:
    assert by_node().suggest(MODERN) == Fee(62 * GWEI, 2 * GWEI)


def test_a_chain_without_base_fees_gets_legacy_transactions() -> None:
    assert by_node().suggest(LEGACY) == Fee(32 * GWEI, None)
    assert fixed(5).suggest(LEGACY) == Fee(5, None)
    assert bound(1, 9).suggest(LEGACY) == Fee(9, None)


def test_a_fixed_price_is_the_same_whatever_the_market() -> None:
    assert fixed(5).suggest(MODERN) == Fee(5, 5)
    assert fixed(5).replacement(Fee(5, 5), MODERN) is None


@pytest.mark.parametrize(
    ("lowest", "highest", "price"),
    [(1, 50 * GWEI, 50 * GWEI), (70 * GWEI, 90 * GWEI, 70 * GWEI), (1, 10**12, 62 * GWEI)],
)
def test_a_bound_price_keeps_within_its_bounds(lowest: int, highest: int, price: int) -> None:
    assert bound(lowest, highest).suggest(MODERN).max_fee == price


def test_a_tip_is_never_above_the_whole_fee() -> None:
    assert bound(0, GWEI).suggest(MODERN) == Fee(GWEI, GWEI)


def test_a_replacement_stops_at_the_ceiling() -> None:
    fee, offered = by_node().suggest(MODERN), []
    while (higher := by_node().replacement(fee, MODERN)) is not None:
        fee = higher
        offered.append(fee.max_fee)
    assert 10 < len(offered) < 30
    assert offered[-1] <= PATIENCE * 62 * GWEI < raised(offered[-1])
    assert bound(1, 70 * GWEI).replacement(Fee(65 * GWEI, GWEI), MODERN) is None


@given(st.integers(0, 10**18), st.integers(0, 10**18), st.sampled_from([MODERN, LEGACY]))
def test_a_replacement_offers_an_eighth_more_in_every_part(max_fee: int, tip: int, market: Market) -> None:
    old = Fee(max_fee, None if market.base_fee is None else min(tip, max_fee))
    new = by_node().replacement(old, market)
    if new is None:
        return
    assert new.max_fee * 8 >= old.max_fee * 9
    assert new.max_fee >= by_node().suggest(market).max_fee
    if old.tip is not None:
        assert new.tip is not None
        assert new.tip * 8 >= old.tip * 9
        assert new.tip <= new.max_fee
