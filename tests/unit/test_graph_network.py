"""The graph of a network: who is in it, what their lines add up to, and what closing or forgetting one does."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.network import NetworkGraph, Rules, Totals
from graph.trustline import Trustline
from tests.support.credit_networks import unhurried

A, B, C, D = b"A", b"B", b"C", b"D"
NOW = 1_700_000_000
YEAR = 31_536_000

PAIRS = list(combinations((A, B, C, D), 2))
amounts = st.integers(0, 100)
states = st.builds(
    lambda pair, *terms: Trustline(pair[0], pair[1], *terms),
    st.sampled_from(PAIRS),
    st.integers(-5, 5),
    st.integers(0, 2),
    st.integers(0, 2),
)


@pytest.fixture
def network() -> NetworkGraph:
    return NetworkGraph(
        Rules(),
        [
            Trustline(A, B, balance=30, given=100, received=50, mtime=NOW),
            Trustline(A, C, balance=-20, given=10, received=40, mtime=NOW),
            Trustline(A, D, balance=7, given=1000, received=2000, is_frozen=True, mtime=NOW),
        ],
    )


def test_users_and_neighbours_come_in_the_order_of_their_keys(network: NetworkGraph) -> None:
    assert network.users == [A, B, C, D]
    assert network.neighbours(A) == [B, C, D]
    assert network.neighbours(D) == [A]
    assert network.neighbours(b"?") == []
    assert (network.number_of_users, network.number_of_trustlines) == (4, 3)


def test_a_trustline_is_found_from_both_ends(network: NetworkGraph) -> None:
    assert network.trustline(B, A) == network.trustline(A, B)
    here, there = network.view(A, B, NOW), network.view(B, A, NOW)
    assert here is not None
    assert there is not None
    assert (here.balance, there.balance) == (30, -30)
    assert network.view(B, C, NOW) is None
    assert network.view(A, b"?", NOW) is None


def test_totals_count_every_credit_line_and_tell_frozen_balances_apart(network: NetworkGraph) -> None:
    totals = network.totals(A, NOW)
    assert totals == Totals(balance=10, frozen_balance=7, given=1110, received=2090, spendable=100)
    assert (totals.left_given, totals.left_received) == (1100, 2100)
    assert network.totals(D, NOW) == Totals(frozen_balance=-7, given=2000, received=1000)
    assert network.totals(b"?", NOW) == Totals()


def test_totals_include_interest_up_to_the_time_asked_for() -> None:
    network = NetworkGraph(Rules(), [Trustline(A, B, balance=1_000_000, rate_given=1000, mtime=NOW)])
    assert network.totals(A, NOW + YEAR).balance == 1_105_170
    assert network.totals(B, NOW + YEAR).balance == -1_105_170
    assert network.totals(A, NOW).balance == 1_000_000


def test_a_closed_trustline_is_gone_but_its_users_stay(network: NetworkGraph) -> None:
    network.apply(Trustline(A, B))
    assert network.trustline(A, B) is None
    assert network.number_of_trustlines == 2
    assert B in network
    assert network.neighbours(B) == []
    assert network.totals(B, NOW) == Totals()


def test_a_closed_trustline_can_be_opened_again(network: NetworkGraph) -> None:
    network.apply(Trustline(A, B))
    reopened = Trustline(A, B, given=5)
    network.apply(reopened)
    assert network.trustline(A, B) == reopened
    network.forget((A, B))
    assert B not in network


def test_users_whose_only_trustline_was_closed_at_the_start_are_known_all_the_same() -> None:
    network = NetworkGraph(Rules(), [Trustline(A, B)])
    assert network.users == [A, B]
    assert network.number_of_trustlines == 0


def test_a_forgotten_trustline_takes_users_with_it_who_have_no_other(network: NetworkGraph) -> None:
    network.forget((A, B))
    assert network.users == [A, C, D]
    assert network.number_of_trustlines == 2


def test_forgetting_one_of_two_closed_trustlines_keeps_the_user_they_share() -> None:
    network = NetworkGraph(Rules(), [Trustline(A, B), Trustline(B, C)])
    network.forget((A, B))
    assert network.users == [B, C]
    network.forget((B, C))
    assert network.users == []


def test_forgetting_what_never_was_changes_nothing(network: NetworkGraph) -> None:
    network.forget((B, C))
    network.forget((b"X", b"Y"))
    assert network.users == [A, B, C, D]
    assert network.number_of_trustlines == 3


@unhurried
@given(steps=st.lists(states | st.sampled_from(PAIRS), max_size=30))
def test_after_any_changes_the_graph_is_the_one_made_of_the_last_states(
    steps: list[Trustline | tuple[bytes, bytes]],
) -> None:
    network, last = NetworkGraph(Rules()), dict[tuple[bytes, bytes], Trustline]()
    for step in steps:
        if isinstance(step, Trustline):
            network.apply(step)
            last[step.pair] = step
        else:
            network.forget(step)
            last.pop(step, None)

    fresh = NetworkGraph(Rules(), last.values())
    assert network.users == fresh.users == sorted({user for pair in last for user in pair})
    for pair in PAIRS:
        state = last.get(pair)
        expected = None if state is None or state.is_closed else state
        assert network.trustline(*pair) == fresh.trustline(*pair) == expected
    for user in network.users:
        assert network.neighbours(user) == fresh.neighbours(user)


@unhurried
@given(steps=st.lists(states, max_size=20))
def test_what_users_owe_and_are_owed_cancels_out(steps: list[Trustline]) -> None:
    network = NetworkGraph(Rules(), steps)
    assert sum(network.totals(user, NOW).balance for user in network.users) == 0
    given, received = (
        sum(getattr(network.totals(user, NOW), side) for user in network.users) for side in ("given", "received")
    )
    assert given == received
