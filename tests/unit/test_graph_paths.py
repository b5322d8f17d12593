"""Both engines find what trying every simple path finds, and nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.answers import Found, Limits, NotFound, Reason, Result
from graph.network import NetworkGraph, Rules
from graph.paths import KERNEL, REFERENCE, Engine, cheapest_closing, cheapest_transfer, largest_transfer
from graph.transfer import FeePayer, replay
from graph.trustline import Trustline
from tests.support.credit_networks import (
    NOW,
    closings_by_brute_force,
    limits,
    networks,
    rank,
    transfers_by_brute_force,
)

A, B, C, D, E, F = b"A", b"B", b"C", b"D", b"E", b"F"
fee_payers = st.sampled_from(FeePayer)
pytestmark = pytest.mark.parametrize("engine", [REFERENCE, KERNEL], ids=["reference", "kernel"])
KINDS: dict[str, dict[str, Any]] = {
    "without interest": {},
    "with interest": {"with_interest": True},
    "preventing mediator interests": {"with_interest": True, "prevent_mediator_interests": True},
}


def line(lower: bytes, higher: bytes, given: int, received: int, balance: int = 0, **more: Any) -> Trustline:
    return Trustline(lower, higher, balance=balance, given=given, received=received, mtime=NOW, **more)


def reason_of(result: Result) -> Reason | None:
    return result.reason if isinstance(result, NotFound) else None


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_the_cheapest_transfer_is_the_best_of_all_simple_paths(
    engine: Engine, kind: str, data: st.DataObject
) -> None:
    network = data.draw(networks(**KINDS[kind]))
    value, allowed, payer = data.draw(st.integers(0, 130)), data.draw(limits), data.draw(fee_payers)
    expected = sorted(transfers_by_brute_force(network, A, B, value, payer, allowed), key=rank)

    result = cheapest_transfer(network, A, B, value, NOW, fee_payer=payer, limits=allowed, engine=engine)

    if expected:
        assert result == Found(expected[0])
    else:
        assert isinstance(result, NotFound)


@pytest.mark.parametrize("kind", ["without interest", "with interest"])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_the_largest_transfer_goes_through_and_nothing_above_it_does(
    engine: Engine, kind: str, data: st.DataObject
) -> None:
    # Capacities are twice as large at most, and a year's interest adds little: 100 is out of reach.
    network = data.draw(networks(largest=40, **KINDS[kind]))
    max_hops = data.draw(st.none() | st.integers(1, 4))
    possible = [
        value
        for value in range(1, 101)
        if any(transfers_by_brute_force(network, A, B, value, FeePayer.SENDER, Limits(max_hops=max_hops)))
    ]

    result = largest_transfer(network, A, B, NOW, max_hops=max_hops, engine=engine)

    if possible:
        assert isinstance(result, Found)
        assert result.transfer.value == possible[-1]
        assert possible == list(range(1, possible[-1] + 1))
    else:
        assert isinstance(result, NotFound)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_preventing_mediator_interests_the_largest_transfer_goes_through_and_one_more_does_not(
    engine: Engine,
    data: st.DataObject,
) -> None:
    network = data.draw(networks(**KINDS["preventing mediator interests"]))

    result = largest_transfer(network, A, B, NOW, engine=engine)

    if isinstance(result, Found):
        value = result.transfer.value
        assert any(transfers_by_brute_force(network, A, B, value, FeePayer.SENDER, Limits()))
        assert not any(transfers_by_brute_force(network, A, B, value + 1, FeePayer.SENDER, Limits()))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_the_cheapest_closing_is_the_best_of_all_cycles(engine: Engine, kind: str, data: st.DataObject) -> None:
    network = data.draw(networks(max_users=5, **KINDS[kind]))
    allowed = data.draw(limits)
    view = network.view(A, B, NOW)
    expected = sorted(closings_by_brute_force(network, A, B, allowed), key=rank)

    result = cheapest_closing(network, A, B, NOW, limits=allowed, engine=engine)

    if expected:
        assert result == Found(expected[0])
        assert view is not None
        path, other_end = expected[0].path, (1 if view.balance > 0 else -2)
        assert (path[0], path[-1], path[other_end]) == (A, A, B)
    else:
        assert isinstance(result, NotFound)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_every_found_transfer_replays_to_the_same_amounts(engine: Engine, data: st.DataObject) -> None:
    network = data.draw(networks(largest=2**64 - 1, divisors=(0, 2, 100, 1000, 65535)))
    payer = data.draw(fee_payers)
    result = cheapest_transfer(
        network, A, B, data.draw(st.integers(0, 2**64 - 1)), NOW, fee_payer=payer, engine=engine
    )
    if isinstance(result, Found):
        found = result.transfer
        assert replay(network, found.path, found.value, payer, NOW) == found


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_under_a_hop_limit_a_dearer_but_shorter_way_out_is_found(engine: Engine, fee_payer: FeePayer) -> None:
    # What C owes A and D owes C is paid back for nothing; A owes D more only for a fee.
    cheap_and_long = [line(A, C, 100, 100, 100), line(C, D, 100, 100, 100)]
    network = NetworkGraph(
        Rules(fee_divisor=10),
        [*cheap_and_long, line(A, D, 100, 100), line(D, E, 100, 100, 100), line(B, E, 100, 100)],
    )

    without = cheapest_transfer(network, A, B, 50, NOW, fee_payer=fee_payer, engine=engine)
    within = cheapest_transfer(
        network, A, B, 50, NOW, fee_payer=fee_payer, limits=Limits(max_hops=3), engine=engine
    )

    assert isinstance(without, Found)
    assert without.transfer.path == (A, C, D, E, B)
    assert isinstance(within, Found)
    assert within.transfer.path == (A, D, E, B)
    assert within.transfer.fees > without.transfer.fees


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_under_a_hop_limit_a_dearer_but_shorter_way_in_is_found(engine: Engine, fee_payer: FeePayer) -> None:
    cheap_and_long = [line(C, D, 100, 100, -100), line(C, F, 100, 100, 100), line(B, F, 100, 100)]
    dear_and_short = [line(D, E, 100, 100), line(B, E, 100, 100)]
    network = NetworkGraph(Rules(fee_divisor=10), [line(A, D, 100, 100), *cheap_and_long, *dear_and_short])

    without = cheapest_transfer(network, A, B, 50, NOW, fee_payer=fee_payer, engine=engine)
    within = cheapest_transfer(
        network, A, B, 50, NOW, fee_payer=fee_payer, limits=Limits(max_hops=3), engine=engine
    )

    assert isinstance(without, Found)
    assert without.transfer.path == (A, D, C, F, B)
    assert isinstance(within, Found)
    assert within.transfer.path == (A, D, E, B)
    assert within.transfer.fees > without.transfer.fees


def test_a_receiver_who_pays_gets_a_dearer_path_where_only_the_smaller_amount_fits(engine: Engine) -> None:
    # Over C nothing is withheld and 100 do not fit the last hop; over D the fee leaves just enough room.
    network = NetworkGraph(
        Rules(fee_divisor=10),
        [
            line(A, C, 100, 100, 100),
            line(C, E, 100, 100, 100),
            line(A, D, 0, 100),
            line(D, E, 100, 100, 100),
            line(B, E, 95, 0),
        ],
    )

    result = cheapest_transfer(network, A, B, 100, NOW, fee_payer=FeePayer.RECEIVER, engine=engine)

    assert isinstance(result, Found)
    assert result.transfer.path == (A, D, E, B)
    assert result.transfer.amounts == (100, 90, 90)


def test_between_equal_paths_the_lower_addresses_win(engine: Engine) -> None:
    network = NetworkGraph(Rules(), [line(A, x, 10, 10) for x in (C, D)] + [line(B, x, 10, 10) for x in (D, C)])
    result = cheapest_transfer(network, A, B, 5, NOW, engine=engine)
    assert isinstance(result, Found)
    assert result.transfer.path == (A, C, B)


CHAIN = [line(A, C, 100, 100), line(B, C, 100, 100)]


@pytest.mark.parametrize(
    ("trustlines", "value", "allowed", "reason"),
    [
        ([line(B, C, 1, 1)], 1, Limits(), Reason.UNKNOWN_SENDER),
        ([line(A, C, 1, 1)], 1, Limits(), Reason.UNKNOWN_RECEIVER),
        ([line(A, C, 1, 1), line(B, D, 1, 1)], 1, Limits(), Reason.NOT_CONNECTED),
        ([CHAIN[0], line(B, C, 9, 9, is_frozen=True)], 1, Limits(), Reason.FROZEN),
        (CHAIN, 101, Limits(), Reason.CAPACITY),
        (CHAIN, 50, Limits(max_fees=5), Reason.FEES),
        (CHAIN, 50, Limits(max_hops=1), Reason.HOPS),
    ],
)
def test_where_there_is_no_path_the_reason_is_named(
    engine: Engine, trustlines: list[Trustline], value: int, allowed: Limits, reason: Reason
) -> None:
    network = NetworkGraph(Rules(fee_divisor=10), trustlines)
    assert reason_of(cheapest_transfer(network, A, B, value, NOW, limits=allowed, engine=engine)) is reason


def test_nobody_pays_themselves_and_nothing_passes_a_frozen_network(engine: Engine) -> None:
    network = NetworkGraph(Rules(), CHAIN)
    assert reason_of(cheapest_transfer(network, A, A, 1, NOW, engine=engine)) is Reason.SAME_USER
    network.is_frozen = True
    assert reason_of(cheapest_transfer(network, A, B, 1, NOW, engine=engine)) is Reason.FROZEN


def test_a_trustline_without_balance_has_nothing_to_close(engine: Engine) -> None:
    network = NetworkGraph(Rules(), CHAIN)
    assert reason_of(cheapest_closing(network, A, C, NOW, engine=engine)) is Reason.NOTHING_TO_CLOSE
    assert reason_of(cheapest_closing(network, A, B, NOW, engine=engine)) is Reason.NOTHING_TO_CLOSE


def test_a_closing_without_a_way_round_says_why(engine: Engine) -> None:
    network = NetworkGraph(Rules(), [line(A, B, 100, 100, 50), line(A, C, 10, 10), line(B, C, 10, 10)])
    assert reason_of(cheapest_closing(network, A, B, NOW, engine=engine)) is Reason.CAPACITY
    network.forget((B, C))
    assert reason_of(cheapest_closing(network, A, B, NOW, engine=engine)) is Reason.NOT_CONNECTED


def test_a_spent_budget_is_said_and_not_taken_for_no_path(engine: Engine) -> None:
    network = NetworkGraph(Rules(), CHAIN)
    assert reason_of(cheapest_transfer(network, A, B, 1, NOW, budget=1, engine=engine)) is Reason.BUDGET
