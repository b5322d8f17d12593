"""The part of a network that matters between two users, copied, so that transfers can be tried out on paper."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain, pairwise

from graph.answers import NO_LIMITS, Found
from graph.deadline import is_over
from graph.network import NetworkGraph
from graph.paths import engine_of
from graph.plan import Hop
from graph.transfer import MAX_AMOUNT, FeePayer, Transfer
from graph.trustline import Pair, Trustline, User, pair_of

SIZE = 5_000
"""How many trustlines a vicinity holds at the most, unless more lie between the users on the path to include."""

HUB = 50
"""Who has more trustlines than this is thought to reach everybody anyhow."""

WAYS = 100
"""For how many users around each end a way from or to the other one is looked for."""

WAY_BUDGET = 50_000
"""How many ends of trustlines may be looked at for such a way."""


class Vicinity:
    """A private copy of the trustlines around a sender and a receiver, on which transfers can be executed.

    It leaves out frozen trustlines and users to avoid. A network of up to ``size`` trustlines is copied whole; of
    a larger one the users whose distances from sender and receiver add up to the least, nearest first.
    """

    def __init__(
        self,
        network: NetworkGraph,
        path: tuple[User, ...],
        at: int,
        avoid: Collection[User] = (),
        size: int = SIZE,
        hops: Collection[Hop] | None = None,
        deadline: float = 0,
    ) -> None:
        """Copy what lies around ``path`` at the time ``at``; it runs from sender to receiver and is included.

        ``hops`` are those that are known to matter, if that is known: of a large network nothing else is copied
        then. Searching what lies around gives in at ``deadline``, in seconds of ``time.monotonic``, 0 for never.
        """
        self.sender, self.receiver = path[0], path[-1]
        self._whole = network
        self._at = at
        self._avoid = frozenset(avoid) - {self.sender, self.receiver}
        self._deadline = deadline
        self.is_whole = network.number_of_trustlines <= size
        if self.is_whole:
            lines = self._without_avoided(network.trustlines())
        elif hops is not None:
            lines = self._under(chain(hops, pairwise(path)))
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

    def _without_avoided(self, lines: Iterable[Trustline]) -> list[Trustline]:
        return [line for line in lines if self._avoid.isdisjoint(line.pair)]

    def _under(self, hops: Iterable[Hop]) -> list[Trustline]:
        lines = (self._whole.trustline(*hop) for hop in sorted({pair_of(*hop) for hop in hops}))
        return [line for line in lines if line is not None]

    def _nearest(self, path: tuple[User, ...], size: int) -> list[Trustline]:
        lines: dict[Pair, Trustline] = {}
        included: set[User] = set()
        for user in chain(path, self._by_nearness(20 * size)):
            if user in included:
                continue
            included.add(user)
            for other in self._whole.graph.adj[user]:
                if other in included:
                    line = self._whole.trustline(user, other)
                    assert line is not None
                    lines[line.pair] = line
            if len(lines) >= size or (is_over(self._deadline) and included.issuperset(path)):
                break
        return list(lines.values())

    def _by_nearness(self, scans: int) -> Iterator[User]:
        """The users reached from both ends by looking at so many trustlines, those that matter most first.

        These are the users around both ends, each with a way from or to the other end, for what they can move
        bounds the whole; then all that lie on the shortest ways, and on ever longer ones, hubs first.
        """
        ahead, back = {self.sender: (0, self.sender)}, {self.receiver: (0, self.receiver)}
        front, rear = [self.sender], [self.receiver]
        while scans > 0 and (front or rear):
            if front and (not rear or len(front) <= len(rear)):
                front, looked_at = self._next_layer(front, ahead, is_ahead=True)
            else:
                rear, looked_at = self._next_layer(rear, back, is_ahead=False)
            scans -= looked_at
        yield from self._ways_to_all_around()
        degree = self._whole.graph.degree
        both = ahead.keys() & back.keys()
        yield from sorted(both, key=lambda user: (ahead[user][0] + back[user][0], -degree[user], user))

    def _ways_to_all_around(self) -> Iterator[User]:
        engine = engine_of(self._whole, self._deadline)
        ends = frozenset({self.sender, self.receiver})
        pairs = [(self.sender, user) for user in self._around(self.receiver)]
        pairs += [(user, self.receiver) for user in self._around(self.sender)]
        for sender, receiver in pairs:
            if is_over(self._deadline):
                return
            # The other end is to be avoided: it would be a way through the neighbour that is to be bypassed.
            avoid = self._avoid | (ends - {sender, receiver})
            for value in (self._rooms(sender, receiver) // 4, 1):
                way = engine.transfer(
                    self._whole,
                    sender,
                    receiver,
                    value,
                    self._at,
                    fee_payer=FeePayer.SENDER,
                    limits=NO_LIMITS,
                    avoid=avoid,
                    budget=WAY_BUDGET,
                )
                if isinstance(way, Found):
                    yield from way.transfer.path
                    break

    def _rooms(self, sender: User, receiver: User) -> int:
        """The most that one trustline of the user around an end can move."""
        user = receiver if sender == self.sender else sender
        views = self._whole.views(user, self._at)
        rooms = (view.left_received if sender == self.sender else view.left_given for view in views)
        return min(max(rooms, default=0), MAX_AMOUNT)

    def _around(self, end: User) -> list[User]:
        """The users one hop and two hops from an end, those nearer first; not beyond hubs, and not too many."""
        others = {self.sender, self.receiver} | self._avoid
        found: dict[User, None] = {}
        layer = [end]
        for _ in range(2):
            small = [user for user in layer if user == end or self._whole.graph.degree[user] <= HUB]
            layer = sorted(
                {other for user in small for other in self._whole.graph.adj[user]} - others - found.keys()
            )
            found.update(dict.fromkeys(layer))
        return list(found)[:WAYS]

    def _next_layer(
        self, layer: list[User], reached: dict[User, tuple[int, User]], *, is_ahead: bool
    ) -> tuple[list[User], int]:
        """Go one hop further over trustlines that can pay; return whom that reaches and what was looked at."""
        following = []
        looked_at = 0
        for user in layer:
            if is_over(self._deadline):
                return [], looked_at
            for other in self._whole.graph.adj[user]:
                looked_at += 1
                if other in reached or other in self._avoid:
                    continue
                line = self._whole.trustline(user, other)
                if line is not None and _can_pay(line, payer=user if is_ahead else other):
                    reached[other] = (reached[user][0] + 1, user)
                    following.append(other)
        # The order of a networkx graph is that of its changes; which way was first must not depend on it.
        return sorted(following), looked_at


def _can_pay(line: Trustline, payer: User) -> bool:
    if line.is_frozen:
        return False
    return line.received + line.balance > 0 if payer == line.lower else line.given - line.balance > 0
