"""The graph of a network: who is in it, what their lines add up to, and what closing or forgetting one does."""

from itertools import combinations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.network import NetworkGraph, Rules, Totals
from graph.trustline import Row, Trustline
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
    assert network.trustline(A, A) is None
    assert network.view(A, A, NOW) is None
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


@pytest.mark.parametrize("use_kernel", [True, False], ids=["kernel", "plain"])
def test_only_an_open_trustline_that_is_not_frozen_lets_pass(network: NetworkGraph, use_kernel: bool) -> None:
    again = NetworkGraph(Rules(), network.trustlines(), use_kernel=use_kernel)
    assert again.lets_pass(A, B)
    assert again.lets_pass(C, A)
    assert not again.lets_pass(D, A)
    assert not again.lets_pass(B, C)
    assert not again.lets_pass(A, b"?")


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


@pytest.mark.parametrize("use_kernel", [True, False], ids=["kernel", "plain"])
@unhurried
@given(before=st.lists(states, max_size=10), loaded=st.lists(states, max_size=20))
def test_loading_rows_is_applying_them_one_by_one(
    use_kernel: bool,
    before: list[Trustline],
    loaded: list[Trustline],
) -> None:
    one_by_one, at_once = (NetworkGraph(Rules(), before, use_kernel=use_kernel) for _ in range(2))
    for line in loaded:
        one_by_one.apply(line)
    at_once.load(line.row for line in loaded)
    assert set(at_once.trustlines()) == set(one_by_one.trustlines())
    assert at_once.users == one_by_one.users
    assert at_once.number_of_trustlines == one_by_one.number_of_trustlines == len(list(at_once.trustlines()))
    assert set(map(frozenset, at_once.graph.edges)) == set(map(frozenset, one_by_one.graph.edges))
    for user in at_once.users:
        assert at_once.totals(user, NOW) == one_by_one.totals(user, NOW)


@pytest.mark.parametrize("use_kernel", [True, False], ids=["kernel", "plain"])
@pytest.mark.parametrize("wrong", [(B, A, 1, 1, 1, 0, 0, False, 0), (C, C, 0, 0, 0, 0, 0, False, 0)])
def test_a_row_that_names_the_wrong_user_first_is_refused(use_kernel: bool, wrong: Row) -> None:
    network = NetworkGraph(Rules(), [Trustline(A, C, given=1)], use_kernel=use_kernel)
    with pytest.raises(ValueError, match="lower user first"):
        network.load([Trustline(A, D, given=2).row, wrong, Trustline(C, D, given=3).row])
    assert network.number_of_trustlines == 2
    assert network.users == [A, C, D]


def test_a_user_is_one_object_in_the_graph_however_many_rows_name_it() -> None:
    network = NetworkGraph(Rules())
    network.load((bytes([1] * 20), bytes([2 + n] * 20), 0, 1, 1, 0, 0, False, 0) for n in range(3))
    network.apply(Trustline(bytes([2] * 20), bytes([4] * 20), given=1))
    named = list(network.graph) + [other for _, other in network.graph.adjacency() for other in other]
    assert len({id(user) for user in named}) == network.number_of_users == 4


def test_the_networkx_graph_is_there_to_be_read_and_copied(network: NetworkGraph) -> None:
    copied = nx.Graph(network.graph)
    copied[A][B]["weight"] = 5
    assert nx.shortest_path(network.graph, B, D) == [B, A, D]
    assert set(network.graph.copy().edges) == set(network.graph.edges)
    assert set(network.graph.subgraph([A, B]).edges) == {(A, B)}
    for write in (
        lambda: network.graph.add_edge(A, B, weight=5),
        lambda: network.graph[A][B].update(weight=5),
        lambda: network.graph[A][B].setdefault("weight", 5),
        lambda: nx.set_edge_attributes(network.graph, 5, "weight"),
    ):
        with pytest.raises(TypeError, match="carry no data"):
            write()


@unhurried
@given(steps=st.lists(states, max_size=20))
def test_what_users_owe_and_are_owed_cancels_out(steps: list[Trustline]) -> None:
    network = NetworkGraph(Rules(), steps)
    assert sum(network.totals(user, NOW).balance for user in network.users) == 0
    given, received = (
        sum(getattr(network.totals(user, NOW), side) for user in network.users) for side in ("given", "received")
    )
    assert given == received
