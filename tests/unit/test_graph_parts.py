"""Payments in parts execute one after the other, and deliver what a flow, or a linear programme, can deliver."""

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from graph.answers import Found, Limits, NotFound, Reason
from graph.flow import Goal
from graph.network import NetworkGraph, Rules
from graph.parts import MOST_PARTS, PartsFound, largest_payment, payment_in_parts
from graph.paths import cheapest_transfer, largest_transfer
from graph.plan import plan_flow
from graph.transfer import MAX_AMOUNT, FeePayer, Transfer, replay
from graph.trustline import Trustline, User
from tests.support.credit_networks import NOW, limits, networks, users

A, B, C, D, E, F = b"A", b"B", b"C", b"D", b"E", b"F"
fee_payers = st.sampled_from(FeePayer)
numbers_of_parts = st.integers(1, MOST_PARTS)


def line(lower: bytes, higher: bytes, given: int, received: int, balance: int = 0, **more: bool) -> Trustline:
    return Trustline(lower, higher, balance=balance, given=given, received=received, mtime=NOW, **more)


def assert_executes(network: NetworkGraph, parts: Sequence[Transfer]) -> None:
    """Replay the parts one after the other on a copy of the network."""
    after = NetworkGraph(network.rules, network.trustlines())
    for part in parts:
        assert part.value > 0
        assert replay(after, part.path, part.value, part.fee_payer, NOW) == part
        for (payer, payee), amount in zip(pairwise(part.path), part.amounts, strict=True):
            stored = after.trustline(payer, payee)
            assert stored is not None
            now = stored.at(NOW)
            paid = amount if payer == now.lower else -amount
            after.apply(replace(now, balance=now.balance - paid, mtime=NOW))


def maximum_flow(network: NetworkGraph, sender: User, receiver: User) -> int:
    capacities: nx.DiGraph[User] = nx.DiGraph()
    capacities.add_nodes_from([sender, receiver])
    for user in network.users:
        for view in network.views(user, NOW):
            if not view.is_frozen:
                capacities.add_edge(user, view.other, capacity=max(view.left_received, 0))
    return int(nx.maximum_flow_value(capacities, sender, receiver))


def linear_bound(network: NetworkGraph, sender: User, receiver: User) -> float:
    """The most that can arrive if fees were not rounded up: a linear programme over the parts of all hops."""
    divisor = network.rules.fee_divisor
    arcs: list[tuple[User, User, int, float]] = []
    for user in network.users:
        for view in network.views(user, NOW):
            room = 0 if view.is_frozen else max(view.left_received, 0)
            free = min(max(view.balance, 0), room)
            kept = 1.0 if view.other == receiver else 1 - 1 / divisor
            if user != receiver and view.other != sender:
                arcs += [(user, view.other, free, 1.0), (user, view.other, room - free, kept)]
    mediators = [user for user in network.users if user not in (sender, receiver)]
    balance = [
        [gain * (head == user) - (tail == user) for tail, head, _, gain in arcs] for user in mediators
    ] or None
    arriving = [-gain * (head == receiver) for _, head, _, gain in arcs]
    if not arcs:
        return 0.0
    solved = linprog(
        arriving,
        A_eq=balance,
        b_eq=None if balance is None else [0] * len(mediators),
        bounds=[(0, room) for _, _, room, _ in arcs],
    )
    assert solved.success
    return -float(solved.fun)


def random_large_network(seed: int, *, count: int, share: float, divisor: int) -> NetworkGraph:
    """Make a random network whose amounts are so large that rounding does not matter."""
    rng = random.Random(seed)
    network = NetworkGraph(Rules(divisor))
    for lower, higher in combinations(users(count), 2):
        if rng.random() < share:
            given, received = rng.randint(0, 10**9), rng.randint(0, 10**9)
            network.apply(line(lower, higher, given, received, rng.randint(-received, given)))
    return network


@settings(deadline=None, max_examples=300)
@given(network=networks(divisors=(0,), with_interest=True))
def test_without_fees_the_parts_deliver_the_maximum_flow(network: NetworkGraph) -> None:
    result = largest_payment(network, A, B, NOW, max_parts=MOST_PARTS)

    if isinstance(result, PartsFound):
        assert_executes(network, result.parts)
        assert result.value == maximum_flow(network, A, B)
        assert result.is_proven
        assert result.fees == 0
    else:
        assert A not in network or B not in network or maximum_flow(network, A, B) == 0


@pytest.mark.parametrize(("count", "share"), [(8, 0.6), (15, 0.3), (40, 0.15)])
def test_without_fees_the_parts_deliver_the_maximum_flow_of_larger_networks(count: int, share: float) -> None:
    for seed in range(12):
        network = random_large_network(seed, count=count, share=share, divisor=0)
        result = largest_payment(network, A, B, NOW, max_parts=MOST_PARTS)
        if isinstance(result, PartsFound):
            assert_executes(network, result.parts)
        delivered = result.value if isinstance(result, PartsFound) else 0
        assert delivered == maximum_flow(network, A, B)


@pytest.mark.parametrize("divisor", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize(("count", "share"), [(6, 0.8), (10, 0.5), (15, 0.3)])
def test_with_fees_the_parts_deliver_what_the_linear_programme_allows(
    divisor: int, count: int, share: float
) -> None:
    deliverable = 0
    for seed in range(12):
        network = random_large_network(seed, count=count, share=share, divisor=divisor)
        result = largest_payment(network, A, B, NOW, max_parts=MOST_PARTS)
        delivered = result.value if isinstance(result, PartsFound) else 0
        if isinstance(result, PartsFound):
            assert_executes(network, result.parts)
        bound = linear_bound(network, A, B)
        deliverable += bound > 0
        assert 0.98 * bound <= delivered <= bound * (1 + 1e-9)
    assert deliverable > 6


@settings(deadline=None, max_examples=300)
@given(network=networks(with_interest=True), max_parts=numbers_of_parts, max_hops=st.none() | st.integers(1, 4))
def test_the_largest_payment_executes_within_its_limits_and_is_no_smaller_than_one_transfer(
    network: NetworkGraph, max_parts: int, max_hops: int | None
) -> None:
    single = largest_transfer(network, A, B, NOW, max_hops=max_hops)
    result = largest_payment(network, A, B, NOW, max_parts=max_parts, max_hops=max_hops)

    assert isinstance(result, PartsFound) == isinstance(single, Found)
    if isinstance(result, PartsFound) and isinstance(single, Found):
        assert_executes(network, result.parts)
        assert len(result.parts) <= max_parts
        assert max_hops is None or all(part.hops <= max_hops for part in result.parts)
        assert result.value >= single.transfer.value


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_payment_in_parts_pays_the_value_and_keeps_to_its_limits(data: st.DataObject) -> None:
    network = data.draw(networks(with_interest=True))
    value, allowed, payer = data.draw(st.integers(1, 300)), data.draw(limits), data.draw(fee_payers)
    max_parts = data.draw(numbers_of_parts)
    single = cheapest_transfer(network, A, B, value, NOW, fee_payer=payer, limits=allowed)

    result = payment_in_parts(network, A, B, value, NOW, max_parts=max_parts, fee_payer=payer, limits=allowed)

    if isinstance(result, PartsFound):
        assert_executes(network, result.parts)
        assert result.value == value
        assert len(result.parts) <= max_parts
        assert {part.fee_payer for part in result.parts} == {payer}
        assert allowed.max_fees is None or result.fees <= allowed.max_fees
        assert allowed.max_hops is None or all(part.hops <= allowed.max_hops for part in result.parts)
    if isinstance(single, Found):
        assert isinstance(result, PartsFound)
        assert result.fees <= single.transfer.fees


@settings(deadline=None, max_examples=200)
@given(network=networks(with_interest=True), data=st.data())
def test_whatever_is_no_more_than_the_largest_payment_can_be_paid(
    network: NetworkGraph, data: st.DataObject
) -> None:
    max_parts = data.draw(numbers_of_parts)
    largest = largest_payment(network, A, B, NOW, max_parts=max_parts)
    if isinstance(largest, PartsFound):
        value = data.draw(st.integers(1, largest.value))
        assert isinstance(payment_in_parts(network, A, B, value, NOW, max_parts=max_parts), PartsFound)


@settings(deadline=None, max_examples=200)
@given(network=networks(divisors=(0,)), payer=fee_payers)
def test_what_is_more_than_the_maximum_flow_is_refused_with_the_largest_value(
    network: NetworkGraph, payer: FeePayer
) -> None:
    largest = largest_payment(network, A, B, NOW, max_parts=MOST_PARTS)
    if isinstance(largest, PartsFound):
        more = payment_in_parts(network, A, B, largest.value + 1, NOW, max_parts=MOST_PARTS, fee_payer=payer)
        assert more == NotFound(Reason.CAPACITY, largest=largest.value)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_one_part_is_the_answer_of_the_search_for_one_path(data: st.DataObject) -> None:
    network = data.draw(networks(with_interest=True))
    value, allowed, payer = data.draw(st.integers(0, 130)), data.draw(limits), data.draw(fee_payers)
    single = cheapest_transfer(network, A, B, value, NOW, fee_payer=payer, limits=allowed)
    largest = largest_transfer(network, A, B, NOW)

    payment = payment_in_parts(network, A, B, value, NOW, max_parts=1, fee_payer=payer, limits=allowed)
    most = largest_payment(network, A, B, NOW, max_parts=1)

    for answer, expected in ((payment, single), (most, largest)):
        assert answer == (PartsFound((expected.transfer,)) if isinstance(expected, Found) else expected)


@settings(deadline=None, max_examples=100)
@given(network=networks(with_interest=True, prevent_mediator_interests=True), value=st.integers(1, 200))
def test_no_mediator_is_left_with_interests_to_pay(network: NetworkGraph, value: int) -> None:
    for result in (
        largest_payment(network, A, B, NOW, max_parts=4),
        payment_in_parts(network, A, B, value, NOW, max_parts=4),
        payment_in_parts(network, A, B, value, NOW, max_parts=4, fee_payer=FeePayer.RECEIVER),
    ):
        if isinstance(result, PartsFound):
            assert_executes(network, result.parts)


@settings(deadline=None, max_examples=100)
@given(network=networks(with_interest=True), avoid=st.frozensets(st.sampled_from([C, D, E])))
def test_users_to_avoid_are_passed_by_no_part_and_the_network_stays_as_it_is(
    network: NetworkGraph, avoid: Collection[User]
) -> None:
    before = {stored.pair: stored for stored in network.trustlines()}
    result = largest_payment(network, A, B, NOW, max_parts=8, avoid=avoid)
    assert {stored.pair: stored for stored in network.trustlines()} == before
    if isinstance(result, PartsFound):
        assert all(set(avoid).isdisjoint(part.path) for part in result.parts)
        again = payment_in_parts(network, A, B, result.value, NOW, max_parts=8, avoid=avoid)
        assert isinstance(again, PartsFound)
        assert all(set(avoid).isdisjoint(part.path) for part in again.parts)


def test_a_later_part_uses_what_an_earlier_one_has_freed() -> None:
    # The widest path takes the bridge from C to D; the second part has to come back over it.
    network = NetworkGraph(
        Rules(),
        [line(A, C, 0, 10), line(C, D, 0, 9), line(B, D, 10, 0), line(A, D, 0, 8), line(B, C, 8, 0)],
    )
    result = largest_payment(network, A, B, NOW, max_parts=3)
    assert isinstance(result, PartsFound)
    assert result.value == 18
    assert_executes(network, result.parts)


def test_with_too_few_parts_the_widest_ones_are_paid() -> None:
    ways = [line(A, x, 0, room) for x, room in ((C, 10), (D, 30), (E, 20))]
    network = NetworkGraph(Rules(), [*ways, *(line(B, x, 100, 0) for x in (C, D, E))])
    result = largest_payment(network, A, B, NOW, max_parts=2)
    assert isinstance(result, PartsFound)
    assert [part.value for part in result.parts] == [30, 20]
    assert not result.is_proven


@pytest.mark.parametrize("payer", FeePayer)
def test_a_payment_that_one_path_could_make_is_split_where_that_is_cheaper(payer: FeePayer) -> None:
    # What C and D owe A is paid back for nothing, more than that for a fee.
    network = NetworkGraph(
        Rules(fee_divisor=10),
        [line(A, C, 60, 100, 60), line(B, C, 200, 0), line(A, D, 60, 100, 60), line(B, D, 200, 0)],
    )
    alone = cheapest_transfer(network, A, B, 100, NOW, fee_payer=payer)
    assert isinstance(alone, Found)
    assert alone.transfer.fees > 0

    result = payment_in_parts(network, A, B, 100, NOW, max_parts=2, fee_payer=payer)

    assert isinstance(result, PartsFound)
    assert (result.value, result.fees, len(result.parts)) == (100, 0, 2)
    assert result.is_proven


def test_the_fees_of_all_parts_count_together() -> None:
    network = NetworkGraph(
        Rules(fee_divisor=10), [line(A, x, 0, 100) for x in (C, D)] + [line(B, x, 100, 0) for x in (C, D)]
    )
    result = payment_in_parts(network, A, B, 120, NOW, max_parts=2)
    assert isinstance(result, PartsFound)
    enough = Limits(max_fees=result.fees)
    assert payment_in_parts(network, A, B, 120, NOW, max_parts=2, limits=enough) == result
    short = Limits(max_fees=result.fees - 1)
    assert payment_in_parts(network, A, B, 120, NOW, max_parts=2, limits=short) == NotFound(Reason.FEES)


def test_parts_pay_more_than_one_transfer_can_hold() -> None:
    network = NetworkGraph(
        Rules(), [line(A, x, 0, MAX_AMOUNT) for x in (C, D)] + [line(B, x, MAX_AMOUNT, 0) for x in (C, D)]
    )
    result = payment_in_parts(network, A, B, 2 * MAX_AMOUNT, NOW, max_parts=2)
    assert isinstance(result, PartsFound)
    assert [part.value for part in result.parts] == [MAX_AMOUNT, MAX_AMOUNT]


@pytest.mark.parametrize("has_kernel", [True, False])
def test_when_the_time_is_over_the_best_found_so_far_is_answered_and_said_not_to_be_proven(
    has_kernel: bool,
) -> None:
    lines = [line(A, x, 0, room) for x, room in ((C, 10), (D, 30), (E, 20))] + [
        line(B, x, 100, 0) for x in (C, D, E)
    ]
    network = NetworkGraph(Rules(), lines, use_kernel=has_kernel)

    hurried = largest_payment(network, A, B, NOW, max_parts=3, deadline=1e-9)
    largest = largest_payment(network, A, B, NOW, max_parts=3)

    assert isinstance(hurried, PartsFound)
    assert isinstance(largest, PartsFound)
    assert (hurried.value, hurried.is_proven) == (30, False)
    assert (largest.value, largest.is_proven) == (60, True)
    assert payment_in_parts(network, A, B, 60, NOW, max_parts=3, deadline=1e-9) == NotFound(Reason.BUDGET)


@settings(deadline=None, max_examples=60)
@given(network=networks(with_interest=True), value=st.integers(1, 300), payer=fee_payers)
def test_parts_are_found_without_a_kernel_too(network: NetworkGraph, value: int, payer: FeePayer) -> None:
    bare = NetworkGraph(network.rules, network.trustlines(), use_kernel=False)
    for max_parts in (2, 16):
        found = largest_payment(bare, A, B, NOW, max_parts=max_parts)
        if isinstance(found, PartsFound):
            assert_executes(network, found.parts)
            if max_parts == MOST_PARTS and network.rules.fee_divisor == 0:
                assert found.value == maximum_flow(network, A, B)
        paid = payment_in_parts(bare, A, B, value, NOW, max_parts=max_parts, fee_payer=payer)
        if isinstance(paid, PartsFound):
            assert_executes(network, paid.parts)
            assert paid.value == value


def grown_network(divisor: int, users_count: int = 600) -> NetworkGraph:
    """Make a network of more trustlines than are copied whole, of users who trust four that came before them."""
    rng = random.Random(divisor)
    keys = [index.to_bytes(2, "big") for index in range(users_count)]
    network = NetworkGraph(Rules(divisor))
    for joined in range(4, users_count):
        for other in rng.sample(keys[:joined], 4):
            given, received = (int(10 ** rng.uniform(4, 8)) for _ in range(2))
            balance = rng.choice((0, rng.randint(-received, given)))
            network.apply(line(other, keys[joined], given, received, balance))
    return network


@pytest.mark.parametrize(("divisor", "share"), [(0, 1.0), (100, 0.98)])
def test_in_larger_networks_too_the_parts_deliver_what_a_flow_through_the_whole_allows(
    divisor: int, share: float
) -> None:
    network = grown_network(divisor)
    rng = random.Random(3)
    reached = 0
    for _ in range(12):
        sender, receiver = rng.sample(network.users, 2)
        most = plan_flow(network, sender, receiver, NOW, Goal(), budget=10**8)
        result = largest_payment(network, sender, receiver, NOW, max_parts=MOST_PARTS)
        assert isinstance(result, PartsFound)
        assert_executes(network, result.parts)
        assert result.value <= most.delivered + 1
        # What needs more than sixteen parts cannot be reached.
        assert result.value >= share * most.delivered or len(result.parts) == MOST_PARTS
        assert result.is_proven == (divisor == 0 and result.value == most.delivered)
        reached += result.value >= share * most.delivered
    assert reached >= 9


@pytest.mark.parametrize("max_parts", [0, 17])
def test_a_number_of_parts_out_of_range_is_refused(max_parts: int) -> None:
    with pytest.raises(ValueError, match="1 to 16"):
        largest_payment(NetworkGraph(Rules()), A, B, NOW, max_parts=max_parts)
    with pytest.raises(ValueError, match="1 to 16"):
        payment_in_parts(NetworkGraph(Rules()), A, B, 1, NOW, max_parts=max_parts)


def test_the_same_question_has_the_same_answer_in_whatever_order_trustlines_came() -> None:
    network = random_large_network(3, count=15, share=0.4, divisor=100)
    turned = NetworkGraph(network.rules, reversed(list(network.trustlines())))
    for max_parts in (2, 5, 16):
        answers = [largest_payment(either, A, B, NOW, max_parts=max_parts) for either in (network, turned)]
        assert answers[0] == answers[1]
