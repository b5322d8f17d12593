"""The compiled kernel answers what the reference search answers, with every option, in thousands of networks."""

import random
from collections.abc import Callable

import pytest

from graph.answers import Limits, Result
from graph.engine import KernelEngine
from graph.network import NetworkGraph
from graph.paths import KERNEL, REFERENCE
from graph.search import Reference
from graph.transfer import FeePayer
from graph.trustline import User
from tests.support.random_networks import NOW, announce, interesting_value, random_network, seed, two_users

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


def test_kernel_and_reference_agree_in_twenty_thousand_networks(pytestconfig: pytest.Config) -> None:
    announce(pytestconfig, f"kernel and reference compared in {NETWORKS} random networks")
    rng = random.Random(seed())
    found = 0
    for number in range(NETWORKS):
        network = random_network(rng, max_users=rng.choice((3, 4, 5, 6)))
        if network.number_of_users < 2:
            continue
        for ask in (a_transfer, a_closing, a_completion, a_widest):
            question = ask(rng, network)
            if question is None:
                continue
            expected, answer = question(REFERENCE), question(KERNEL)
            assert answer == expected, f"network {number} of seed {seed()}: {ask.__name__}"
            found += hasattr(expected, "transfer")
    assert found > NETWORKS / 2, "too few of the questions had an answer to say much"


def test_a_change_is_visible_to_the_next_search() -> None:
    rng = random.Random(seed())
    network = random_network(rng, max_users=6)
    while network.number_of_trustlines < 5:
        network = random_network(rng, max_users=6)
    for _ in range(300):
        line = rng.choice(list(network.trustlines()))
        other = random_network(rng, max_users=2)
        for change in other.trustlines():
            network.apply(
                type(line)(
                    line.lower,
                    line.higher,
                    change.balance,
                    change.given,
                    change.received,
                    change.rate_given,
                    change.rate_received,
                    change.is_frozen,
                    change.mtime,
                )
            )
        if network.number_of_trustlines < 3:
            return
        question = a_transfer(rng, network)
        assert question(KERNEL) == question(REFERENCE)
