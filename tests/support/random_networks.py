"""Small random credit networks of every size and temper, the same for the same seed.

TEST_SEED in the environment changes the seed; the test that uses it prints it.
"""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import combinations

import networkx as nx
import pytest

from graph.network import NetworkGraph, Rules
from graph.trustline import Trustline, User

NOW = 1_700_000_000
YEAR = 31_536_000
LARGEST = 2**64 - 1
DEFAULT_SEED = 20_201_113

DIVISORS = (0, 1, 2, 3, 10, 100, 1000, 65535)
SCALES = (3, 40, 1000, 10**6, 10**18, LARGEST)
RATES = (0, 0, 0, 1, 100, 700, 2000)
AGES = (0, 1, 86_400, YEAR, 50 * YEAR)


def seed() -> int:
    """The seed of this run."""
    return int(os.environ.get("TEST_SEED", DEFAULT_SEED))


def announce(config: pytest.Config, text: str) -> None:
    """Say in the output of the tests, captured or not, what was drawn and by which seed."""
    line = f"{text}; TEST_SEED={seed()}"
    if hasattr(config, "workeroutput"):  # one of several processes, whose output nobody sees
        config.workeroutput.setdefault("drawn", []).append(line)
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    shown = nullcontext() if capture is None else capture.global_and_fixture_disabled()
    with shown:
        sys.stdout.write(f"\n{line}\n")


def random_network(rng: random.Random, *, max_users: int = 5) -> NetworkGraph:
    """Make a dense network of 2 to ``max_users`` users with random addresses.

    Balances bear interest up to ``NOW``; some lie beyond their credit line, as interest can drive them there;
    some trustlines are frozen and some pairs have none.
    """
    prevents = rng.random() < 0.5
    rules = Rules(rng.choice(DIVISORS), prevents)
    scale, frozen_share = rng.choice(SCALES), rng.choice((0, 0, 0.1))
    users = sorted(rng.randbytes(20) for _ in range(rng.randint(2, max_users)))
    network = NetworkGraph(rules)
    for lower, higher in combinations(users, 2):
        if rng.random() < 0.75:
            network.apply(random_trustline(rng, lower, higher, scale, frozen_share))
    return network


def random_trustline(rng: random.Random, lower: User, higher: User, scale: int, frozen_share: float) -> Trustline:
    given, received = random_amount(rng, scale), random_amount(rng, scale)
    rate_given, rate_received = random_rates(rng)
    beyond = rng.choice((0, 0, 0, random_amount(rng, scale)))
    return Trustline(
        lower,
        higher,
        balance=rng.choice((0, rng.randint(max(-received - beyond, -LARGEST), min(given + beyond, LARGEST)))),
        given=given,
        received=received,
        rate_given=rate_given,
        rate_received=rate_received,
        is_frozen=rng.random() < frozen_share,
        mtime=rng.choice((0, *(NOW - age for age in AGES))),
    )


def random_amount(rng: random.Random, scale: int) -> int:
    """An amount up to ``scale``, its ends more often than chance would have it."""
    return rng.choice((0, scale, rng.randint(0, scale), rng.randint(0, scale), rng.randint(0, scale)))


def random_rates(rng: random.Random) -> tuple[int, int]:
    """Rates as the contract lets them be: both users' the same, or not below zero."""
    if rng.random() < 0.3:
        rate = rng.choice((-2000, -1, 2000, rng.randint(-2000, 2000)))
        return rate, rate
    return rng.choice((0, rng.randint(0, 2000))), rng.choice(RATES)


def interesting_value(rng: random.Random, network: NetworkGraph) -> int:
    """A value near what some trustline of the network can move, for there the rules bite."""
    capacities = [line.at(NOW).seen_by(user).left_received for line in network.trustlines() for user in line.pair]
    near = rng.choice(capacities or [0]) + rng.choice((-1, 0, 1))
    within = rng.randint(0, max(capacities, default=0) + 1) if max(capacities, default=0) >= 0 else 0
    return min(max(rng.choice((near, near // 2, near * 9 // 10, within, within)), 0), LARGEST)


def two_users(rng: random.Random, network: NetworkGraph) -> tuple[User, User]:
    """Two different users of the network, which must have two."""
    sender, receiver = rng.sample(network.users, 2)
    return sender, receiver


def simple_paths(network: NetworkGraph, sender: User, receiver: User) -> Iterator[tuple[User, ...]]:
    """Every path over open trustlines that passes no user twice."""
    yield from map(tuple, nx.all_simple_paths(network.graph, sender, receiver))


def simple_cycles(network: NetworkGraph, user: User, other: User) -> Iterator[tuple[User, ...]]:
    """Every way from ``other`` back to ``user`` that passes no user twice and is not their own trustline."""
    yield from (path for path in simple_paths(network, other, user) if len(path) > 2)
