"""Random credit networks, and answers found in them by trying every simple path."""

from collections.abc import Iterator
from itertools import combinations

import networkx as nx
from hypothesis import settings
from hypothesis import strategies as st

from graph.answers import Limits
from graph.network import NetworkGraph, Rules
from graph.transfer import FeePayer, RuleBroken, Transfer, replay
from graph.trustline import Trustline, User

NOW = 1_700_000_000
YEAR = 31_536_000

unhurried = settings(deadline=None)
"""For properties: a busy machine is no failure."""


def users(count: int) -> list[User]:
    return [bytes([65 + index]) for index in range(count)]


@st.composite
def trustlines(draw: st.DrawFn, lower: User, higher: User, largest: int, *, with_interest: bool) -> Trustline:
    given, received = draw(st.integers(0, largest)), draw(st.integers(0, largest))
    rates = st.sampled_from([0, 0, 100, 700, 2000]) if with_interest else st.just(0)
    return Trustline(
        lower,
        higher,
        balance=draw(st.integers(-received, given)),
        given=given,
        received=received,
        rate_given=draw(rates),
        rate_received=draw(rates),
        is_frozen=draw(st.integers(0, 9)) == 0,
        mtime=NOW - draw(st.sampled_from([0, 1000, YEAR])) if with_interest else NOW,
    )


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    max_users: int = 6,
    largest: int = 120,
    divisors: tuple[int, ...] = (0, 2, 5, 10, 100),
    with_interest: bool = False,
    prevent_mediator_interests: bool = False,
) -> NetworkGraph:
    """Draw a small, rather dense network whose capacities lie close together, so that limits bite."""
    everybody = users(draw(st.integers(2, max_users)))
    rules = Rules(draw(st.sampled_from(divisors)), prevent_mediator_interests)
    network = NetworkGraph(rules)
    for lower, higher in combinations(everybody, 2):
        if draw(st.integers(0, 2)):
            network.apply(draw(trustlines(lower, higher, largest, with_interest=with_interest)))
    return network


limits = st.builds(Limits, max_fees=st.none() | st.integers(0, 12), max_hops=st.none() | st.integers(1, 5))


def transfers_by_brute_force(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    fee_payer: FeePayer,
    allowed: Limits,
) -> Iterator[Transfer]:
    """Every transfer over a simple path that the rules let through."""
    if sender not in network or receiver not in network:
        return
    for path in nx.all_simple_paths(network.graph, sender, receiver):
        if allowed.max_hops is not None and len(path) - 1 > allowed.max_hops:
            continue
        try:
            yield replay(network, path, value, fee_payer, NOW, allowed.max_fees)
        except RuleBroken:
            continue


def closings_by_brute_force(network: NetworkGraph, user: User, other: User, allowed: Limits) -> Iterator[Transfer]:
    """Every cycle that brings the balance between two users to zero."""
    view = network.view(user, other, NOW)
    if view is None or view.balance == 0:
        return
    for path in nx.all_simple_paths(network.graph, other, user):
        if len(path) == 2:
            continue
        cycle = [user, *path] if view.balance > 0 else [*reversed(path), user]
        payer = FeePayer.RECEIVER if view.balance > 0 else FeePayer.SENDER
        if allowed.max_hops is not None and len(cycle) - 1 > allowed.max_hops:
            continue
        try:
            yield replay(network, cycle, abs(view.balance), payer, NOW, allowed.max_fees)
        except RuleBroken:
            continue


def rank(transfer: Transfer) -> tuple[int, int, tuple[User, ...]]:
    """The order in which the project prefers transfers of one value."""
    return (transfer.fees, transfer.hops, transfer.path)
