"""Where some users have very many trustlines the kernel passes over most of them; its answers are the same."""

import random

from graph.answers import Found, Limits, Reason, Result
from graph.engine import KernelEngine
from graph.network import NetworkGraph, Rules
from graph.paths import KERNEL, REFERENCE
from graph.search import Reference
from graph.transfer import FeePayer
from graph.trustline import Trustline, User
from tests.support.random_networks import DIVISORS, NOW, SCALES, interesting_value, random_trustline, seed

NETWORKS, QUESTIONS = 100, 12
REFERENCE_BUDGET, KERNEL_BUDGET = 3000, 1_000_000


def network_with_hubs(rng: random.Random) -> NetworkGraph:
    """Make a network in which a few users have up to a hundred trustlines, and of which some come and go."""
    users = sorted(rng.randbytes(20) for _ in range(rng.choice((20, 60, 120))))
    hubs = rng.sample(users, rng.randint(1, 3))
    network = NetworkGraph(Rules(rng.choice((*DIVISORS, 100, 100))))
    scale, frozen_share = rng.choice(SCALES), rng.choice((0, 0.05))
    for _ in range(rng.choice((1, 2, 3)) * len(users)):
        one, other = rng.choice((rng.choice(hubs), rng.choice(users))), rng.choice(users)
        if one != other:
            network.apply(random_trustline(rng, min(one, other), max(one, other), scale, frozen_share))
        if rng.random() < 0.1:
            lines = list(network.trustlines())
            if lines:
                network.forget(rng.choice(lines).pair)
    return network


def a_walk(rng: random.Random, network: NetworkGraph) -> tuple[tuple[User, ...], User, FeePayer]:
    """Choose what has been walked and where to: a transfer, or the rest of a cycle."""
    one, other = rng.sample(network.users, 2)
    payer = rng.choice((FeePayer.SENDER, FeePayer.SENDER, FeePayer.RECEIVER))
    if rng.random() < 0.7 or not network.number_of_trustlines:
        return (one,), other, payer
    begun = tuple(rng.sample(rng.choice(list(network.trustlines())).pair, 2))
    return begun, begun[payer is FeePayer.SENDER], payer


def is_certain(result: Result) -> bool:
    return result.is_proven if isinstance(result, Found) else result.reason is not Reason.BUDGET


def ask(rng: random.Random, network: NetworkGraph) -> tuple[Result, Result]:
    """Return what the reference and the kernel answer to a question at random."""
    begun, target, payer = a_walk(rng, network)
    value = interesting_value(rng, network)
    limits = Limits(max_fees=rng.choice((None, None, 0, rng.randint(0, value // 20 + 5))))
    not_next, avoid = (rng.sample(network.users, rng.choice((0, 0, 2))) for _ in range(2))

    def answer(engine: Reference | KernelEngine, budget: int) -> Result:
        return engine.completion(
            network,
            begun,
            target,
            value,
            NOW,
            fee_payer=payer,
            limits=limits,
            not_next=not_next,
            avoid=avoid,
            budget=budget,
        )

    return answer(REFERENCE, REFERENCE_BUDGET), answer(KERNEL, KERNEL_BUDGET)


def test_kernel_and_reference_agree_where_users_have_many_trustlines() -> None:
    rng = random.Random(seed())
    found = 0
    for number in range(NETWORKS):
        network = network_with_hubs(rng)
        for _ in range(QUESTIONS if network.number_of_users > 2 else 0):
            expected, result = ask(rng, network)
            if is_certain(expected) and is_certain(result):
                assert result == expected, f"network {number} of seed {seed()}"
                found += isinstance(result, Found)
    assert found > NETWORKS, "too few of the questions had an answer to say much"


def test_a_walk_that_passes_a_user_twice_hides_no_path() -> None:
    # The fees of a round trip leave so little that it passes where the value cannot; it is no path all the same.
    lines = [b"CH55", b"FH25", b"EH11", b"DG55", b"AB22", b"AD20", b"BH02", b"EF11", b"GH22"]
    network = NetworkGraph(Rules(fee_divisor=10))
    for line in lines:
        lower, higher, given, received = (line[i : i + 1] for i in range(4))
        network.apply(Trustline(lower, higher, given=int(given), received=int(received)))
    limits = Limits(max_fees=5)
    results = [
        engine.completion(
            network, (b"C",), b"B", 2, NOW, fee_payer=FeePayer.RECEIVER, limits=limits, budget=KERNEL_BUDGET
        )
        for engine in (REFERENCE, KERNEL)
    ]
    assert isinstance(results[0], Found)
    assert results[0].transfer.path == (b"C", b"H", b"G", b"D", b"A", b"B")
    assert results[1] == results[0]
