"""What happens on the chain that the index is measured on: who trusts whom, who pays whom over which path."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from graph.trustline import User

CREDIT = 10**9
"""What everybody trusts a partner with: so much that no transfer of the plan can fail."""

DIVISOR = 100
HOPS = (2, 3, 4)
VALUES = (1, 10_000)
RATES = (0, 0, 100, 200)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens; the same plan makes the same chain.

    ``per_block`` transactions are mined together. Fewer would be dearer for who asks for each block
    with events, as the predecessor does.
    """

    users: int
    trustlines: int
    transfers: int
    per_block: int = 40
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Transaction:
    """A call of a function of the network's contract by a user."""

    sender: User
    function: str
    arguments: tuple[object, ...]


class Story:
    """The transactions of a plan: first every trustline is asked for and agreed to, then there are transfers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._rng = random.Random(plan.seed)  # noqa: S311 - a reproducible chain, no secrets
        self.users = [self._rng.randbytes(20) for _ in range(plan.users)]
        self._partners: dict[User, list[User]] = {user: [] for user in self.users}
        self.pairs = self._pairs()

    def openings(self) -> Iterator[Transaction]:
        """Two transactions for each trustline, by its two users, one after the other."""
        for one, other in self.pairs:
            given, received = self._rng.choice(RATES), self._rng.choice(RATES)
            yield Transaction(one, "updateTrustline", (other, CREDIT, CREDIT, given, received, False))
            yield Transaction(other, "updateTrustline", (one, CREDIT, CREDIT, received, given, False))

    def transfers(self) -> Iterator[Transaction]:
        """Transfers over mediators, along random ways through the network."""
        for _ in range(self.plan.transfers):
            path = self._path(self._rng.choice(HOPS))
            value = self._rng.randint(*VALUES)
            yield Transaction(path[0], "transfer", (value, value, path, b""))

    def _pairs(self) -> list[tuple[User, User]]:
        """Everybody joins somebody who came before, then the well connected sooner than others."""
        pairs: dict[tuple[User, User], None] = {}
        ends = [self.users[0]]
        wanted = [(new, self._rng.choice(self.users[: number + 1])) for number, new in enumerate(self.users[1:])]
        while len(pairs) < self.plan.trustlines:
            one, other = wanted.pop() if wanted else (self._rng.choice(self.users), self._rng.choice(ends))
            if one != other and (other, one) not in pairs and (one, other) not in pairs:
                pairs[one, other] = None
                ends += (one, other)
                self._partners[one].append(other)
                self._partners[other].append(one)
        return list(pairs)

    def _path(self, hops: int) -> list[User]:
        while True:
            path = [self._rng.choice(self.users)]
            while len(path) <= hops:
                ways = [user for user in self._partners[path[-1]] if user not in path]
                if not ways:
                    break
                path.append(self._rng.choice(ways))
            if len(path) > 2:
                return path
