"""What is said where there is no transfer is true, and its figures are those that trying everything gives."""

from collections.abc import Collection
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.explain import explain, explain_closing
from graph.network import NetworkGraph, Rules
from graph.transfer import FeePayer, Transfer
from graph.trustline import Trustline, User
from tests.support.credit_networks import (
    NOW,
    closings_by_brute_force,
    limits,
    networks,
    rank,
    transfers_by_brute_force,
)

A, B, C, D, E = b"A", b"B", b"C", b"D", b"E"
LARGEST = 24
"""Of credit lines; no value above twice as much, and the interest on it, can leave anybody over one trustline."""
BEYOND = 60
fee_payers = st.sampled_from(FeePayer)
avoids = st.sets(st.sampled_from((C, D, E)), max_size=1)


class BruteForce:
    """Searches that try everything, and count what they are asked; some may have no budget for it."""

    def __init__(self, gives_up: Collection[str] = ()) -> None:
        self.gives_up = gives_up
        self.asked = 0

    def _best(self, name: str, found: Collection[Transfer]) -> Result:
        self.asked += 1
        if name in self.gives_up:
            return NotFound(Reason.BUDGET)
        return Found(min(found, key=rank)) if found else NotFound(Reason.CAPACITY)

    def transfer(
        self, network: NetworkGraph, sender: User, receiver: User, value: int, at: int, **options: Any
    ) -> Result:
        assert at == NOW
        del options["budget"]
        return self._best("transfer", all_transfers(network, sender, receiver, value, **options))

    def closing(self, network: NetworkGraph, user: User, other: User, at: int, **options: Any) -> Result:
        assert at == NOW
        return self._best("closing", all_closings(network, user, other, options["limits"], options["avoid"]))

    def widest(self, network: NetworkGraph, sender: User, receiver: User, at: int, **options: Any) -> int | None:
        if "widest" in self.gives_up:
            return None
        indifferent = NetworkGraph(Rules(network.rules.fee_divisor), network.trustlines())
        allowed, avoid = Limits(max_hops=options["max_hops"]), options["avoid"]
        return largest(indifferent, sender, receiver, FeePayer.SENDER, allowed, avoid)


def all_transfers(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    fee_payer: FeePayer,
    limits: Limits = NO_LIMITS,
    avoid: Collection[User] = (),
) -> list[Transfer]:
    found = transfers_by_brute_force(network, sender, receiver, value, fee_payer, limits)
    return [transfer for transfer in found if not set(transfer.path[1:-1]) & set(avoid)]


def all_closings(
    network: NetworkGraph, user: User, other: User, allowed: Limits, avoid: Collection[User]
) -> list[Transfer]:
    found = closings_by_brute_force(network, user, other, allowed)
    return [transfer for transfer in found if not set(transfer.path[1:-1]) - {other} & set(avoid)]


def largest(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    fee_payer: FeePayer,
    allowed: Limits,
    avoid: Collection[User] = (),
) -> int:
    values = range(1, BEYOND + 1)
    going = [v for v in values if all_transfers(network, sender, receiver, v, fee_payer, allowed, avoid)]
    return max(going, default=0)


def ask(
    network: NetworkGraph, value: int, search: BruteForce | None = None, sender: User = A, **options: Any
) -> NotFound:
    usual: dict[str, Any] = {"fee_payer": FeePayer.SENDER, "limits": NO_LIMITS, "avoid": (), "budget": 1000}
    return explain(network, sender, B, value, NOW, search=search or BruteForce(), **{**usual, **options})


def ask_closing(network: NetworkGraph, search: BruteForce | None = None, **options: Any) -> NotFound:
    usual: dict[str, Any] = {"limits": NO_LIMITS, "avoid": (), "budget": 1000}
    return explain_closing(network, A, B, NOW, search=search or BruteForce(), **{**usual, **options})


def joined(network: NetworkGraph, avoid: Collection[User], *, over_frozen: bool) -> bool:
    graph = nx.Graph(network.graph)
    graph.remove_nodes_from(set(avoid))
    if not over_frozen:
        graph.remove_edges_from([line.pair for line in network.trustlines() if line.is_frozen])
    return nx.has_path(graph, A, B)


@pytest.mark.parametrize("prevents", [False, True])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_the_reason_and_its_figures_are_those_that_trying_everything_gives(
    prevents: bool, data: st.DataObject
) -> None:
    network = data.draw(
        networks(max_users=5, largest=LARGEST, with_interest=prevents, prevent_mediator_interests=prevents)
    )
    payer, allowed, avoid = data.draw(fee_payers), data.draw(limits), data.draw(avoids)
    value = data.draw(st.integers(0, BEYOND))

    def found(limits: Limits) -> list[Transfer]:
        return all_transfers(network, A, B, value, payer, limits, avoid)

    if found(allowed):
        return
    answer = ask(network, value, fee_payer=payer, limits=allowed, avoid=avoid)

    within_hops, within_fees = found(Limits(max_hops=allowed.max_hops)), found(Limits(max_fees=allowed.max_fees))
    if A not in network or B not in network:
        assert answer == NotFound(Reason.UNKNOWN_SENDER if A not in network else Reason.UNKNOWN_RECEIVER)
    elif not joined(network, avoid, over_frozen=True):
        assert answer == NotFound(Reason.NOT_CONNECTED)
    elif not joined(network, avoid, over_frozen=False):
        assert answer == NotFound(Reason.FROZEN)
    elif within_hops:
        cheapest = min(transfer.fees for transfer in within_hops)
        assert answer == NotFound(Reason.FEES, cheapest_fees=cheapest)
    elif within_fees:
        fewest = min(transfer.hops for transfer in within_fees)
        assert answer == NotFound(Reason.HOPS, fewest_hops=fewest)
    elif possible := found(NO_LIMITS):
        cheapest, fewest = (min(transfer.fees for transfer in possible), min(t.hops for t in possible))
        assert answer == NotFound(Reason.FEES, cheapest_fees=cheapest, fewest_hops=fewest)
    elif not prevents:
        assert answer == NotFound(Reason.CAPACITY, largest=largest(network, A, B, payer, allowed, avoid))
    else:
        check_where_interests_matter(network, answer, value, payer, allowed, avoid)


def check_where_interests_matter(
    network: NetworkGraph,
    answer: NotFound,
    value: int,
    payer: FeePayer,
    allowed: Limits,
    avoid: Collection[User],
) -> None:
    """What goes through has gaps there: below what goes something may not."""
    indifferent = NetworkGraph(Rules(network.rules.fee_divisor), network.trustlines())
    if all_transfers(indifferent, A, B, value, payer, avoid=avoid):
        is_wasteful = payer is FeePayer.RECEIVER and answer.reason is Reason.CAPACITY
        assert answer == NotFound(Reason.MEDIATOR_INTERESTS) or is_wasteful
        return
    assert answer.reason is Reason.CAPACITY
    assert answer.largest is not None
    assert not answer.largest or all_transfers(network, A, B, answer.largest, payer, allowed, avoid)
    assert not all_transfers(network, A, B, answer.largest + 1, payer, allowed, avoid)


@settings(deadline=None, max_examples=150)
@given(networks(max_users=5, largest=LARGEST), limits, avoids)
def test_a_closing_that_fails_is_explained_by_trying_every_cycle(
    network: NetworkGraph, allowed: Limits, avoid: set[User]
) -> None:
    def found(limits: Limits) -> list[Transfer]:
        return all_closings(network, A, B, limits, avoid)

    view = network.view(A, B, NOW)
    if found(allowed) or view is None:
        return
    answer = ask_closing(network, limits=allowed, avoid=avoid)

    around = NetworkGraph(network.rules, [line for line in network.trustlines() if line.pair != (A, B)])
    around.graph.add_nodes_from((A, B))
    within_hops, within_fees = found(Limits(max_hops=allowed.max_hops)), found(Limits(max_fees=allowed.max_fees))
    if view.balance == 0:
        assert answer == NotFound(Reason.NOTHING_TO_CLOSE)
    elif view.is_frozen:
        assert answer == NotFound(Reason.FROZEN)
    elif not joined(around, avoid, over_frozen=True):
        assert answer == NotFound(Reason.NOT_CONNECTED)
    elif not joined(around, avoid, over_frozen=False):
        assert answer == NotFound(Reason.FROZEN)
    elif within_hops:
        assert answer == NotFound(Reason.FEES, cheapest_fees=min(t.fees for t in within_hops))
    elif within_fees:
        assert answer == NotFound(Reason.HOPS, fewest_hops=min(t.hops for t in within_fees))
    elif possible := found(NO_LIMITS):
        cheapest, fewest = min(t.fees for t in possible), min(t.hops for t in possible)
        assert answer == NotFound(Reason.FEES, cheapest_fees=cheapest, fewest_hops=fewest)
    else:
        assert answer == NotFound(Reason.CAPACITY)


def line(lower: User, higher: User, given: int, received: int, balance: int = 0, **more: Any) -> Trustline:
    return Trustline(lower, higher, balance=balance, given=given, received=received, mtime=NOW, **more)


CHAIN = [line(A, C, 0, 40), line(B, C, 30, 0)]
LONG_WAY = [line(A, D, 0, 20, 20), line(D, E, 20, 20, 20), line(B, E, 20, 20)]
"""For nothing, over three hops, where the chain takes two and costs something."""


def test_the_largest_value_is_named_whatever_is_asked_for() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), CHAIN)
    assert ask(network, 2**64 - 1) == NotFound(Reason.CAPACITY, largest=30)
    # Of 34 sent 4 are withheld.
    receiver_pays = ask(network, 2**64 - 1, fee_payer=FeePayer.RECEIVER)
    assert receiver_pays == NotFound(Reason.CAPACITY, largest=34)


def test_the_largest_value_keeps_to_the_limits_asked_with() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), [*CHAIN, *LONG_WAY])
    assert ask(network, 50, limits=Limits(max_fees=1)) == NotFound(Reason.CAPACITY, largest=20)
    assert ask(network, 50, limits=Limits(max_fees=1, max_hops=2)) == NotFound(Reason.CAPACITY, largest=9)
    assert ask(network, 50, limits=Limits(max_hops=1)) == NotFound(Reason.CAPACITY, largest=0)


def test_both_limits_in_the_way_are_both_named() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), CHAIN)
    assert ask(network, 20, limits=Limits(max_fees=1)) == NotFound(Reason.FEES, cheapest_fees=3)
    assert ask(network, 20, limits=Limits(max_hops=1)) == NotFound(Reason.HOPS, fewest_hops=2)
    both = NotFound(Reason.FEES, cheapest_fees=3, fewest_hops=2)
    assert ask(network, 20, limits=Limits(max_fees=1, max_hops=1)) == both


def test_the_fewest_hops_are_those_within_the_fees_allowed() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), [*CHAIN, *LONG_WAY])
    assert ask(network, 20, limits=Limits(max_fees=0, max_hops=1)).fewest_hops == 3
    assert ask(network, 20, limits=Limits(max_fees=3, max_hops=1)).fewest_hops == 2


@pytest.mark.parametrize("prevents", [False, True])
def test_where_not_even_nothing_goes_through_the_trustline_is_overdrawn(prevents: bool) -> None:
    # A owes 5 and may owe 3: the contract then refuses a transfer of nothing too, whatever mediators would earn.
    network = NetworkGraph(Rules(prevent_mediator_interests=prevents), [Trustline(A, B, balance=-5, received=3)])
    assert ask(network, 0) == NotFound(Reason.CAPACITY, largest=0)


def test_users_to_avoid_can_keep_two_apart() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), CHAIN)
    assert ask(network, 5, avoid={C}) == NotFound(Reason.NOT_CONNECTED)
    assert ask(network, 50, avoid={A, B}) == NotFound(Reason.CAPACITY, largest=30)


def test_the_same_user_and_a_frozen_network_are_said_without_a_search() -> None:
    network = NetworkGraph(Rules(), [*CHAIN, line(A, B, 1, 1, 1)])
    search = BruteForce()
    assert ask(network, 1, search, sender=B) == NotFound(Reason.SAME_USER)
    network.is_frozen = True
    assert ask(network, 1, search) == NotFound(Reason.FROZEN)
    assert ask_closing(network, search) == NotFound(Reason.FROZEN)
    assert search.asked == 0


def test_what_a_spent_budget_leaves_unknown_is_not_made_up() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), CHAIN)
    spent = BruteForce(gives_up={"transfer", "closing"})
    # Capacities alone tell that this is too much, and what is not, unless fees are limited.
    assert ask(network, 50, spent) == NotFound(Reason.CAPACITY, largest=30)
    assert ask(network, 50, spent, limits=Limits(max_fees=1)) == NotFound(Reason.CAPACITY)
    assert ask(network, 20, spent, limits=Limits(max_fees=1)) == NotFound(Reason.BUDGET)
    assert ask(network, 50, BruteForce(gives_up={"widest"})) == NotFound(Reason.BUDGET)
    triangle = NetworkGraph(Rules(), [line(A, B, 9, 9, 5), *CHAIN])
    assert ask_closing(triangle, spent, limits=Limits(max_hops=2)) == NotFound(Reason.BUDGET)


class ShortOfBudget(BruteForce):
    """Finds what has no limit of hops, and gives up on anything else."""

    def _best(self, name: str, found: Collection[Transfer]) -> Result:
        result = super()._best(name, found)
        self.gives_up = {"transfer"}
        return Found(result.transfer, is_proven=False) if isinstance(result, Found) else result


def test_a_figure_that_is_not_proven_is_left_out() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), [*CHAIN, *LONG_WAY])
    assert ask(network, 20, ShortOfBudget(), limits=Limits(max_hops=1)) == NotFound(Reason.HOPS)
    network = NetworkGraph(Rules(fee_divisor=10), CHAIN)
    assert ask(network, 20, ShortOfBudget(), limits=Limits(max_fees=1)) == NotFound(Reason.FEES)


def test_the_largest_value_takes_few_searches_even_among_large_amounts() -> None:
    huge = 2**63
    network = NetworkGraph(Rules(fee_divisor=100), [line(A, C, 0, huge), line(B, C, huge, 0)])
    for options in ({"fee_payer": FeePayer.RECEIVER}, {"limits": Limits(max_fees=10**6)}):
        search = CountingWide(huge)
        assert ask(network, 2**64 - 1, search, **options).largest
        assert search.asked <= 70


class CountingWide(BruteForce):
    """Knows the largest value that arrives, which is too large to try for."""

    def __init__(self, sendable: int) -> None:
        super().__init__()
        self._arriving = sendable - (sendable - 1) // 100 - 1

    def widest(self, *_: Any, **__: Any) -> int | None:
        return self._arriving
