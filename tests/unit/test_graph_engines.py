"""The compiled kernel answers what the reference search answers, with every option, in thousands of networks."""

import random
from collections.abc import Callable
from itertools import combinations

import pytest

from graph.answers import Found, Limits, NotFound, Reason, Result
from graph.engine import KernelEngine
from graph.network import NetworkGraph, Rules
from graph.paths import KERNEL, REFERENCE
from graph.search import Reference
from graph.transfer import FeePayer
from graph.trustline import Trustline, User
from tests.support.random_networks import (
    NOW,
    announce,
    interesting_value,
    random_network,
    random_trustline,
    seed,
    two_users,
)

NETWORKS = 20_000
PLENTY = 10**9

Engines = Reference | KernelEngine
Question = Callable[[Engines], Result | int | None]


def random_limits(rng: random.Random, value: int) -> Limits:
    fees = rng.choice((None, None, 0, rng.randint(0, 10), rng.randint(0, value // 5 + 1)))
    return Limits(max_fees=fees, max_hops=rng.choice((None, None, 1, 2, 3, 5)))


def random_users(rng: random.Random, network: NetworkGraph) -> frozenset[User]:
    return (
        frozenset(rng.sample(network.users, rng.choice((0, 0, 1, 2))))
        if network.number_of_users > 2
        else frozenset()
    )


def a_transfer(rng: random.Random, network: NetworkGraph) -> Question:
    sender, receiver = two_users(rng, network)
    value, payer, avoid = interesting_value(rng, network), rng.choice(list(FeePayer)), random_users(rng, network)
    limits = random_limits(rng, value)
    return lambda engine: engine.transfer(
        network, sender, receiver, value, NOW, fee_payer=payer, limits=limits, avoid=avoid, budget=PLENTY
    )


def a_closing(rng: random.Random, network: NetworkGraph) -> Question | None:
    open_lines = [line for line in network.trustlines() if line.at(NOW).balance and not line.is_frozen]
    if not open_lines:
        return None
    user, other = rng.sample(rng.choice(open_lines).pair, 2)
    limits, avoid = random_limits(rng, 100), random_users(rng, network)
    return lambda engine: engine.closing(network, user, other, NOW, limits=limits, avoid=avoid, budget=PLENTY)


def a_completion(rng: random.Random, network: NetworkGraph) -> Question | None:
    target, *begun = rng.sample(network.users, min(network.number_of_users, rng.randint(2, 4)))
    payer, value = rng.choice(list(FeePayer)), interesting_value(rng, network)
    limits, not_next = random_limits(rng, value), random_users(rng, network)
    return lambda engine: engine.completion(
        network,
        tuple(begun),
        target,
        value,
        NOW,
        fee_payer=payer,
        limits=limits,
        not_next=not_next,
        budget=PLENTY,
    )


def a_widest(rng: random.Random, network: NetworkGraph) -> Question:
    sender, receiver = two_users(rng, network)
    hops, avoid = rng.choice((None, 1, 2, 4)), random_users(rng, network)
    return lambda engine: engine.widest(network, sender, receiver, NOW, max_hops=hops, avoid=avoid, budget=PLENTY)


def a_largest(rng: random.Random, network: NetworkGraph) -> Question | None:
    if network.rules.prevent_mediator_interests:
        return None
    sender, receiver = two_users(rng, network)
    avoid = random_users(rng, network)
    return lambda engine: engine.largest(network, sender, receiver, NOW, avoid=avoid, budget=PLENTY)


def test_kernel_and_reference_agree_in_twenty_thousand_networks(pytestconfig: pytest.Config) -> None:
    announce(pytestconfig, f"kernel and reference compared in {NETWORKS} random networks")
    rng = random.Random(seed())
    found = 0
    for number in range(NETWORKS):
        network = random_network(rng, max_users=rng.choice((3, 4, 5, 6)))
        if network.number_of_users < 2:
            continue
        for ask in (a_transfer, a_closing, a_completion, a_widest, a_largest):
            question = ask(rng, network)
            if question is None:
                continue
            expected, answer = question(REFERENCE), question(KERNEL)
            assert answer == expected, f"network {number} of seed {seed()}: {ask.__name__}"
            found += hasattr(expected, "transfer")
    assert found > NETWORKS / 2, "too few of the questions had an answer to say much"


def test_trustlines_that_come_change_and_go_are_seen_by_the_next_search() -> None:
    rng = random.Random(seed())
    users = sorted(rng.randbytes(20) for _ in range(9))
    network = NetworkGraph(Rules(fee_divisor=10))
    found = 0
    for _ in range(3000):
        lower, higher = sorted(rng.sample(users, 2))
        if rng.random() < 0.45:
            network.forget((lower, higher))
        else:
            network.apply(random_trustline(rng, lower, higher, 1000, frozen_share=0.1))
        if network.number_of_users < 2:
            continue
        for ask in (a_transfer, a_widest, a_largest):
            question = ask(rng, network)
            assert question is not None
            expected = question(REFERENCE)
            assert question(KERNEL) == expected
            found += hasattr(expected, "transfer")
    assert found > 500


def a_crowd(rng: random.Random, users: int, partners: int, value: int) -> NetworkGraph:
    """Make a network whose trustlines carry the value, or only what fees leave of it."""
    network = NetworkGraph(Rules(rng.choice((2, 5, 20, 100, 100))))
    keys = sorted(rng.randbytes(20) for _ in range(users))
    for one in keys:
        for other in rng.sample(keys, partners):
            if one == other:
                continue
            lower, higher = sorted((one, other))
            given, received = (
                max(value - rng.choice((0, -value, rng.randint(0, value // 8))), 0) for _ in range(2)
            )
            balance = rng.choice((0, 0, rng.randint(-value, value)))
            network.apply(Trustline(lower, higher, balance, given, received))
    return network


def received(network: NetworkGraph, sender: User, receiver: User, value: int, limits: Limits) -> Question:
    return lambda engine: engine.transfer(
        network, sender, receiver, value, NOW, fee_payer=FeePayer.RECEIVER, limits=limits, budget=PLENTY
    )


def test_they_agree_where_trustlines_are_too_tight_for_the_cheapest_walk() -> None:
    rng = random.Random(seed())
    found = compared = 0
    for number in range(1200):
        value = rng.choice((7, 50, 900, 10**6, 10**12))
        network = a_crowd(rng, rng.randint(4, 8), 3, value)
        sender, receiver = two_users(rng, network)
        transfer = received(network, sender, receiver, value, random_limits(rng, value))
        for question in (transfer, a_closing(rng, network)):
            if question is None:
                continue
            expected = question(REFERENCE)
            assert question(KERNEL) == expected, f"network {number} of seed {seed()}"
            compared += 1
            found += hasattr(expected, "transfer")
    assert found > compared / 4


def test_they_agree_in_larger_networks_where_hops_are_limited() -> None:
    rng = random.Random(seed())
    found = 0
    for number in range(60):
        network = a_crowd(rng, 50, 3, 10**6)
        for _ in range(6):
            sender, receiver = two_users(rng, network)
            value, payer = rng.choice((10, 10**3, 10**6)), rng.choice(list(FeePayer))
            limits = Limits(max_hops=rng.choice((2, 3, 4, 5, 6)))
            expected = REFERENCE.transfer(
                network, sender, receiver, value, NOW, fee_payer=payer, limits=limits, budget=20_000
            )
            if isinstance(expected, NotFound) and expected.reason is Reason.BUDGET:
                continue
            answer = KERNEL.transfer(network, sender, receiver, value, NOW, fee_payer=payer, limits=limits)
            if isinstance(expected, NotFound) or expected.is_proven:
                assert answer == expected, f"network {number} of seed {seed()}"
            found += isinstance(expected, Found)
    assert found > 100


def test_a_walk_goes_round_to_be_small_enough_for_a_tight_trustline() -> None:
    value, divisor, most_fees = 10**6, 100, 50_000
    crowd = [bytes([number]) * 20 for number in range(1, 10)]
    receiver = bytes([99]) * 20
    network = NetworkGraph(Rules(divisor))
    for lower, higher in combinations(crowd, 2):
        network.apply(Trustline(lower, higher, 0, value, value))

    def ask(capacity: int) -> Result:
        network.apply(Trustline(crowd[-1], receiver, 0, 1, capacity))
        return KERNEL.transfer(
            network,
            crowd[0],
            receiver,
            value,
            NOW,
            fee_payer=FeePayer.RECEIVER,
            limits=Limits(max_fees=most_fees),
        )

    small_enough = ask(960_000)
    assert isinstance(small_enough, Found)
    assert small_enough.is_proven
    assert small_enough.transfer.path == (*crowd[:5], crowd[-1], receiver)
    assert ask(value - most_fees - 1) == NotFound(Reason.CAPACITY)
