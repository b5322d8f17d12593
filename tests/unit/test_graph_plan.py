"""Plans of flows: the kernel's deliver what those of the reference do, whatever the order of trustlines."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.flow import Goal
from graph.network import NetworkGraph, Rules
from graph.plan import Plan, plan_flow
from graph.trustline import Trustline
from tests.support.credit_networks import NOW, networks, users

A, B, C, D = b"A", b"B", b"C", b"D"
MUCH = 10**9

goals = st.one_of(
    st.just(Goal()),
    st.builds(Goal, delivered=st.integers(0, 300)),
    st.builds(lambda sent: Goal(sent=sent), st.integers(0, 300)),
)


def line(lower: bytes, higher: bytes, given: int, received: int, balance: int = 0) -> Trustline:
    return Trustline(lower, higher, balance=balance, given=given, received=received, mtime=NOW)


def without_kernel(network: NetworkGraph) -> NetworkGraph:
    return NetworkGraph(network.rules, network.trustlines(), use_kernel=False)


def random_network(seed: int, divisor: int, count: int = 25) -> NetworkGraph:
    rng = random.Random(seed)
    network = NetworkGraph(Rules(divisor))
    for pair in combinations(users(count), 2):
        if rng.random() < 0.25:
            given, received = (int(10 ** rng.uniform(0, 12)) for _ in range(2))
            network.apply(line(*pair, given, received, rng.choice((0, rng.randint(-received, given)))))
    return network


@settings(deadline=None, max_examples=500)
@given(data=st.data())
def test_the_kernel_plans_as_much_as_the_reference(data: st.DataObject) -> None:
    network = data.draw(networks(with_interest=True))
    if not all(user in network and network.neighbours(user) for user in (A, B)):
        return
    goal, ignores_fees = data.draw(goals), data.draw(st.booleans())
    narrowest, avoid = data.draw(st.sampled_from((0, 0, 1, 20))), data.draw(st.frozensets(st.sampled_from((C, D))))

    def planned(on: NetworkGraph) -> Plan:
        return plan_flow(
            on, A, B, NOW, goal, budget=MUCH, ignores_fees=ignores_fees, narrowest=narrowest, avoid=avoid
        )

    ours, reference = planned(network), planned(without_kernel(network))
    assert abs(ours.delivered - reference.delivered) <= (0 if network.rules.fee_divisor == 0 else 1)
    if goal == Goal():
        assert ours.is_full
        assert reference.is_full
    assert all(payer != B and payee != A and amount > 0 for (payer, payee), amount in ours.moves.items())
    assert all(avoid.isdisjoint(hop) for hop in ours.moves)


@pytest.mark.parametrize("divisor", [0, 2, 3, 100, 1000])
def test_the_kernel_plans_as_much_as_the_reference_in_larger_networks(divisor: int) -> None:
    for seed in range(20):
        network = random_network(seed, divisor)
        sender, receiver = network.users[:2]
        for goal in (Goal(), Goal(delivered=10**6), Goal(sent=10**6)):
            ours = plan_flow(network, sender, receiver, NOW, goal, budget=MUCH)
            reference = plan_flow(without_kernel(network), sender, receiver, NOW, goal, budget=MUCH)
            assert abs(ours.delivered - reference.delivered) <= (1 if divisor else 0)


@pytest.mark.parametrize("divisor", [0, 100])
def test_a_plan_is_the_same_whatever_the_order_and_the_past_of_trustlines(divisor: int) -> None:
    for seed in range(10):
        network = random_network(seed, divisor)
        other = NetworkGraph(network.rules)
        for one in reversed(list(network.trustlines())):
            other.apply(line(*one.pair, 1, 1))
        for one in sorted(network.trustlines(), key=lambda one: one.given):
            other.forget(one.pair)
            other.apply(one)
        plans = [plan_flow(either, *network.users[:2], NOW, Goal(), budget=MUCH) for either in (network, other)]
        assert plans[0].moves == plans[1].moves
        assert list(plans[0].moves) == list(plans[1].moves)


@pytest.mark.parametrize("has_kernel", [True, False])
def test_what_comes_in_to_a_mediator_goes_out_but_for_fees(has_kernel: bool) -> None:
    network = random_network(1, 100)
    if not has_kernel:
        network = without_kernel(network)
    sender, receiver = network.users[:2]
    plan = plan_flow(network, sender, receiver, NOW, Goal(), budget=MUCH)
    for user in network.users:
        comes = sum(amount for (_, payee), amount in plan.moves.items() if payee == user)
        goes = sum(amount for (payer, _), amount in plan.moves.items() if payer == user)
        if user not in (sender, receiver):
            assert goes - len(plan.moves) <= comes <= goes * 100 / 99 + len(plan.moves)


@pytest.mark.parametrize("has_kernel", [True, False])
def test_a_plan_ends_with_its_budget_or_its_time_and_says_so(has_kernel: bool) -> None:
    network = random_network(2, 100)
    if not has_kernel:
        network = without_kernel(network)
    for stopped in (
        plan_flow(network, *network.users[:2], NOW, Goal(), budget=200),
        plan_flow(network, *network.users[:2], NOW, Goal(), budget=0),
    ):
        assert stopped.is_spent
        assert not stopped.is_full
    if not has_kernel:
        assert plan_flow(network, *network.users[:2], NOW, Goal(), budget=MUCH, deadline=1e-9).is_spent


def test_amounts_beyond_64_bits_add_up() -> None:
    most = 2**64 - 1
    network = NetworkGraph(
        Rules(), [line(A, x, most, most, most) for x in (C, D)] + [line(B, x, most, most, most) for x in (C, D)]
    )
    plan = plan_flow(network, A, B, NOW, Goal(), budget=MUCH)
    assert plan.delivered == 0
    plan = plan_flow(network, B, C, NOW, Goal(), budget=MUCH)
    assert plan.delivered == 2 * most
