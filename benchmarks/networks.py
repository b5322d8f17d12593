"""Credit networks to measure on: a real one and random ones of any size, and what to ask them.

A network is kept as rows, as the database hands them out, so that building its graph can be measured too.
"""

import csv
import gzip
import math
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graph.network import NetworkGraph, Rules
from graph.trustline import User

Row = tuple[User, User, int, int, int, int, int, bool, int]
"""The fields of a `Trustline`, in its order."""

AT = 1_700_000_000
"""The time of all questions, and of the last change of all balances: interest is a case of its own."""

RIPPLE = Path(__file__).parents[2] / "shared" / "data" / "ripple-credit-lines.csv.gz"
DIVISOR = 100
FROZEN_SHARE = 0.005
UNUSED_SHARE = 0.4
CREDIT_LINES = (10**4, 10**8)


@dataclass(frozen=True, slots=True)
class CreditNetwork:
    """The trustlines of a network, and three values that make sense in it, smallest unit."""

    name: str
    rows: list[Row]
    values: tuple[int, int, int]

    def users(self) -> list[User]:
        """Return all users, in the order of their keys."""
        return sorted({user for row in self.rows for user in row[:2]})

    def build(self) -> NetworkGraph:
        """Return the graph of the network, ready to be searched."""
        return build(self.rows)

    def write(self, path: Path) -> None:
        """Write the rows to a file that `read_rows` and other programs can read."""
        with path.open("w", encoding="ascii") as file:
            for lower, higher, *numbers in self.rows:
                print(lower.hex(), higher.hex(), *map(int, numbers), file=file)


@dataclass(frozen=True, slots=True)
class Question:
    """A transfer to look for."""

    sender: User
    receiver: User
    value: int


def build(rows: Iterable[Row]) -> NetworkGraph:
    """Return the graph of these trustlines."""
    network = NetworkGraph(Rules(DIVISOR))
    network.load(rows)
    return network


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows that `CreditNetwork.write` wrote."""
    with path.open(encoding="ascii") as file:
        for line in file:
            lower, higher, *rest = line.split()
            balance, given, received, rate_given, rate_received, is_frozen, mtime = map(int, rest)
            yield (
                bytes.fromhex(lower),
                bytes.fromhex(higher),
                balance,
                given,
                received,
                rate_given,
                rate_received,
                bool(is_frozen),
                mtime,
            )


def ripple_path() -> Path:
    """Return where the credit lines of Ripple are: RIPPLE_CSV, or beside the checkout."""
    return Path(os.environ.get("RIPPLE_CSV") or RIPPLE)


def ripple(path: Path) -> CreditNetwork:
    """Read the credit lines of Ripple: gzipped CSV, a line as its first user sees it, users as numbers.

    Raises:
        OSError: if the file cannot be read.

    """
    rows = []
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        for record in csv.DictReader(file):
            user, other = (int(record[name]).to_bytes(20, "big") for name in ("user_a", "user_b"))
            given, received = int(record["creditline_given"]), int(record["creditline_received"])
            balance = int(record["balance"])
            if user > other:
                user, other, given, received, balance = other, user, received, given, -balance
            rows.append((user, other, balance, given, received, 0, 0, False, AT))
    return CreditNetwork("Ripple", rows, (10**3, 10**5, 10**7))


def preferential(users: int, per_user: int, seed: int, name: str) -> CreditNetwork:
    """Return a network of preferential attachment: a new user joins ``per_user`` others, the known ones sooner.

    Credit lines are spread evenly on a logarithmic scale, different in both directions; balances anywhere between.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible networks, no secrets
    keys = [rng.randbytes(20) for _ in range(users)]
    ends: list[int] = []
    rows = []
    for new in range(1, users):
        partners: set[int] = set(range(new)) if new <= per_user else set()
        while len(partners) < min(per_user, new):
            partners.add(ends[int(rng.random() * len(ends))])
        for partner in sorted(partners):
            ends += (new, partner)
            rows.append(_random_row(rng, keys[new], keys[partner]))
    return CreditNetwork(name, rows, (100, 10**4, 10**6))


def _random_row(rng: random.Random, user: User, other: User) -> Row:
    lower, higher = (user, other) if user < other else (other, user)
    low, high = map(math.log, CREDIT_LINES)
    given, received = (int(math.exp(low + (high - low) * rng.random())) for _ in range(2))
    balance = 0 if rng.random() < UNUSED_SHARE else int(rng.random() * (given + received)) - received
    return (lower, higher, balance, given, received, 0, 0, rng.random() < FROZEN_SHARE, AT)


def questions(network: CreditNetwork, users: list[User], seed: int) -> Iterator[Question]:
    """Ask, without end, for transfers between random users, the values in turn."""
    rng = random.Random(seed)  # noqa: S311 - reproducible questions, no secrets
    while True:
        for value in network.values:
            sender, receiver = rng.sample(users, 2)
            yield Question(sender, receiver, value)
