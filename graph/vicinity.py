"""The part of a network that matters between two users, copied, so that transfers can be tried out on paper."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import pairwise

from graph.network import NetworkGraph
from graph.transfer import Transfer
from graph.trustline import Pair, Trustline, User, pair_of

SIZE = 5_000
"""How many trustlines a vicinity holds at the most, unless more lie between the users on the path to include."""


class Vicinity:
    """A private copy of the trustlines around a sender and a receiver, on which transfers can be executed.

    It leaves out frozen trustlines and users to avoid. A network of up to ``size`` trustlines is copied whole; of
    a larger one the users whose distances from sender and receiver add up to the least, nearest first.
    """

    def __init__(
        self,
        network: NetworkGraph,
        path: tuple[User, ...],
        avoid: Collection[User] = (),
        size: int = SIZE,
    ) -> None:
        """Copy what lies around ``path``, which runs from the sender to the receiver and is always included."""
        self.sender, self.receiver = path[0], path[-1]
        self._whole = network
        self._avoid = frozenset(avoid) - {self.sender, self.receiver}
        if network.number_of_trustlines <= size:
            lines = self._without_avoided(network.trustlines())
        else:
            lines = self._nearest(path, size)
        self._before: dict[Pair, Trustline] = {}
        unfrozen = (line for line in lines if not line.is_frozen)
        self.network = NetworkGraph(network.rules, unfrozen, use_kernel=network.kernel is not None)

    def execute(self, transfer: Transfer, at: int) -> None:
        """Execute a transfer on the copy at the time ``at``: each trustline with its interest and its amount."""
        for (payer, payee), amount in zip(pairwise(transfer.path), transfer.amounts, strict=True):
            stored = self.network.trustline(payer, payee)
            assert stored is not None
            self._before.setdefault(stored.pair, stored)
            line = stored.at(at)
            change = -amount if payer == line.lower else amount
            self.network.apply(replace(line, balance=line.balance + change, mtime=max(line.mtime, at)))

    def undo(self) -> None:
        """Take all transfers back."""
        for line in self._before.values():
            self.network.apply(line)
        self._before.clear()

    def holds_all_around(self, users: Iterable[User]) -> bool:
        """Whether the copy has every trustline of these users over which a transfer could pass."""
        return all(self._holds_all_of(user) for user in users)

    def _holds_all_of(self, user: User) -> bool:
        for other in self._whole.graph.adj[user]:
            if other in self.network or other in self._avoid or self._whole.graph.degree[other] == 1:
                continue
            line = self._whole.trustline(user, other)
            if line is not None and not line.is_frozen:
                return False
        return True

    def _without_avoided(self, lines: Iterable[Trustline]) -> list[Trustline]:
        return [line for line in lines if self._avoid.isdisjoint(line.pair)]

    def _nearest(self, path: tuple[User, ...], size: int) -> list[Trustline]:
        lines: dict[Pair, Trustline] = {}
        included: set[User] = set()
        for user in [*path, *self._by_distance(20 * size)]:
            if user in included:
                continue
            included.add(user)
            for other in self._whole.graph.adj[user]:
                if other in included:
                    line = self._whole.trustline(user, other)
                    assert line is not None
                    lines[pair_of(user, other)] = line
            if len(lines) >= size:
                break
        return list(lines.values())

    def _by_distance(self, scans: int) -> list[User]:
        """The users reached from both ends by looking at so many trustlines, nearest to the two together first."""
        from_sender, from_receiver = {self.sender: 0}, {self.receiver: 0}
        layers = [(from_sender, [self.sender]), (from_receiver, [self.receiver])]
        while scans > 0 and any(layer for _, layer in layers):
            layers.sort(key=lambda pair: len(pair[1]) or scans)
            distances, layer = layers[0]
            following = []
            for user in layer:
                adjacent = self._whole.graph.adj[user]
                scans -= len(adjacent)
                for other in adjacent:
                    if other not in distances and other not in self._avoid:
                        distances[other] = distances[user] + 1
                        following.append(other)
            layers[0] = (distances, following)
        both = from_sender.keys() & from_receiver.keys()
        return sorted(both, key=lambda user: (from_sender[user] + from_receiver[user], user))
