"""The alternatives are the best of all simple paths, in order and without a gap."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.alternatives import MOST_ALTERNATIVES, AlternativesFound, Completing, cheapest_alternatives
from graph.answers import Limits, NotFound, Reason
from graph.network import NetworkGraph, Rules
from graph.paths import KERNEL, REFERENCE, cheapest_transfer
from graph.transfer import FeePayer
from graph.trustline import Trustline, User
from tests.support.credit_networks import NOW, limits, networks, rank, transfers_by_brute_force

A, B, C, D, E, F = b"A", b"B", b"C", b"D", b"E", b"F"
KINDS: dict[str, dict[str, Any]] = {
    "without interest": {"max_users": 7},
    "with interest": {"with_interest": True},
    "preventing mediator interests": {
        "max_users": 5,
        "with_interest": True,
        "prevent_mediator_interests": True,
    },
}
ENGINES: dict[str, Completing] = {"kernel": KERNEL, "reference": REFERENCE}


def line(lower: bytes, higher: bytes, given: int, received: int, balance: int = 0) -> Trustline:
    return Trustline(lower, higher, balance=balance, given=given, received=received, mtime=NOW)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_the_alternatives_are_the_first_of_all_simple_paths_in_their_order(
    kind: str, fee_payer: FeePayer, engine: Completing, data: st.DataObject
) -> None:
    network = data.draw(networks(**KINDS[kind]))
    value, allowed = data.draw(st.integers(0, 130)), data.draw(st.just(Limits()) | limits)
    avoid = data.draw(st.frozensets(st.sampled_from([C, D, E]), max_size=1))
    count = data.draw(st.integers(1, MOST_ALTERNATIVES))
    possible = [
        transfer
        for transfer in transfers_by_brute_force(network, A, B, value, fee_payer, allowed)
        if avoid.isdisjoint(transfer.path)
    ]

    result = cheapest_alternatives(
        network, A, B, value, NOW, count, fee_payer=fee_payer, limits=allowed, avoid=avoid, engine=engine
    )

    if possible:
        assert result == AlternativesFound(tuple(sorted(possible, key=rank)[:count]))
    else:
        assert isinstance(result, NotFound)


def ring(*mediators: User) -> list[Trustline]:
    return [line(A, user, 100, 100) for user in mediators] + [line(B, user, 100, 100) for user in mediators]


def test_equal_alternatives_come_in_the_order_of_their_addresses_and_end_when_there_are_no_more() -> None:
    network = NetworkGraph(Rules(), ring(D, C, E))
    result = cheapest_alternatives(network, A, B, 10, NOW, 5)
    assert isinstance(result, AlternativesFound)
    assert [transfer.path for transfer in result.transfers] == [(A, user, B) for user in (C, D, E)]


def test_where_there_is_no_transfer_the_reason_is_that_of_the_search() -> None:
    network = NetworkGraph(Rules(), ring(C))
    expected = cheapest_transfer(network, A, B, 101, NOW)
    assert cheapest_alternatives(network, A, B, 101, NOW, 3) == expected
    assert isinstance(expected, NotFound)
    assert expected.reason is Reason.CAPACITY


def test_what_a_spent_budget_leaves_out_is_not_called_proven() -> None:
    network = NetworkGraph(Rules(), [line(A, B, 100, 100), *ring(C, D, E, F)])
    budgets = range(1, 40)
    results = [cheapest_alternatives(network, A, B, 10, NOW, 5, budget=n, engine=REFERENCE) for n in budgets]
    complete = cheapest_alternatives(network, A, B, 10, NOW, 5)
    for result in results:
        if isinstance(result, AlternativesFound):
            assert result == complete or not result.is_proven
    assert any(isinstance(result, AlternativesFound) and not result.is_proven for result in results)


def test_what_is_left_out_for_lack_of_time_is_not_called_proven() -> None:
    network = NetworkGraph(Rules(), ring(C, D))
    hurried = cheapest_alternatives(network, A, B, 5, NOW, 2, deadline=1e-9)
    assert isinstance(hurried, AlternativesFound)
    assert (len(hurried.transfers), hurried.is_proven) == (1, False)


@pytest.mark.parametrize("count", [0, 11])
def test_a_number_of_alternatives_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 10"):
        cheapest_alternatives(NetworkGraph(Rules()), A, B, 1, NOW, count)
