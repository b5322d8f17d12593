"""The reference search: the best transfers in a credit network, found in the plainest exact way.

It reads like the rules and is the measure for any faster search. Among several answers the best is the one
with the lowest fees, then the fewest hops, then the path (from the sender) whose users' keys come first.

How it is exact
---------------
A label is a walk that has reached a user. Labels are taken up in the order of their fees, so the first one
to reach the target is the answer, provided no label was dropped that could have led to a better one.

* Where a walk with lower fees can go wherever a dearer one can, the dearer may be dropped. That holds when
  the sender pays (lower fees mean a smaller amount on every hop still to come) and in networks without fees.
* When the receiver pays, a walk with lower fees carries *more*, and may not fit where a dearer one does. That
  matters only if some trustline's capacity lies among the amounts in question. If one does, a label is dropped
  only for another that moves the same amounts over a part of the same users.
* Where mediators must not be left with interests to pay, the same cautious rule applies.

The cautious rule can take exponential time, so a search has a budget. When it is spent, the best
path found with the bold rule is returned if there is one, marked as not proven to be the cheapest; it always
executes.
"""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.fees import forwardable
from graph.network import NetworkGraph
from graph.transfer import (
    MAX_AMOUNT,
    FeePayer,
    RuleBroken,
    Walk,
    Walker,
    replay,
    walker_for,
)
from graph.trustline import User


class Reference:
    """The reference search as one of the engines of `graph.paths`."""

    default_budget = 1_000_000
    """How many ends of trustlines a search looks at before it gives in."""

    def transfer(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        value: int,
        at: int,
        *,
        fee_payer: FeePayer = FeePayer.SENDER,
        limits: Limits = NO_LIMITS,
        avoid: Collection[User] = (),
        budget: int = default_budget,
    ) -> Result:
        """Return the cheapest transfer; where there is none, the reason tells ``BUDGET`` from all others."""
        search = _Search(network, walker_for(fee_payer, network.rules), value, at, limits, budget, avoid)
        return _result(search.between(sender, receiver), search)

    def closing(
        self,
        network: NetworkGraph,
        user: User,
        other: User,
        at: int,
        *,
        limits: Limits = NO_LIMITS,
        avoid: Collection[User] = (),
        budget: int = default_budget,
    ) -> Result:
        """Return the cheapest cycle over a trustline with a balance; else as ``transfer``."""
        view = network.view(user, other, at)
        assert view is not None
        fee_payer = FeePayer.RECEIVER if view.balance > 0 else FeePayer.SENDER
        walker = walker_for(fee_payer, network.rules)
        search = _Search(network, walker, abs(view.balance), at, limits, budget, avoid)
        return _result(search.cycle(user, other), search)

    def completion(
        self,
        network: NetworkGraph,
        begun: tuple[User, ...],
        target: User,
        value: int,
        at: int,
        *,
        fee_payer: FeePayer = FeePayer.SENDER,
        limits: Limits = NO_LIMITS,
        not_next: Collection[User] = (),
        avoid: Collection[User] = (),
        budget: int = default_budget,
    ) -> Result:
        """Return the cheapest transfer that begins, or ends, with the users ``begun``.

        Does the receiver pay, ``begun`` is the beginning of the path and ``target`` the receiver; does the sender,
        it is the end of the path and ``target`` the sender. None of ``not_next`` stands right beside ``begun``,
        none of ``avoid`` mediates beyond it; ``limits`` count for the whole.
        """
        search = _Search(network, walker_for(fee_payer, network.rules), value, at, limits, budget, avoid)
        return _result(search.complete(begun, target, not_next), search)

    def widest(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        at: int,
        *,
        max_hops: int | None = None,
        avoid: Collection[User] = (),
        budget: int = default_budget,
    ) -> int:
        """Return the largest value that capacities and fees let through when the sender pays, 0 if none does."""
        del budget  # a user is taken up once for each number of hops at most: it needs none
        return widest_value(network, sender, receiver, at, max_hops, avoid)

    def largest(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        at: int,
        *,
        avoid: Collection[User] = (),
        budget: int = default_budget,
    ) -> Result:
        """Return the cheapest transfer of what ``widest`` finds, where mediators' interests do not count."""
        value = self.widest(network, sender, receiver, at, avoid=avoid)
        if value == 0:
            return NotFound(Reason.CAPACITY)
        return self.transfer(network, sender, receiver, value, at, avoid=avoid, budget=budget)


def _result(found: Found | None, search: "_Search") -> Result:
    if found is not None:
        return found
    return NotFound(Reason.BUDGET if search.is_spent else Reason.CAPACITY)


@dataclass(frozen=True, slots=True, order=True)
class _Label:
    """A walk from the near end to ``user``, ordered as answers are."""

    fees: int
    """What is certain so far: no continuation costs less."""
    hops: int
    path: tuple[User, ...]
    """From the sender as far as walked (forwards), or from ``user`` on to the receiver (backwards)."""
    walk: Walk = field(compare=False)


class _Search:
    """One search: a walker, a value, limits and a budget."""

    def __init__(
        self,
        network: NetworkGraph,
        walker: Walker,
        value: int,
        at: int,
        limits: Limits,
        budget: int,
        avoid: Collection[User] = (),
    ) -> None:
        self._network = network
        self._avoid = frozenset(avoid)
        self._walker = walker
        self._value = value
        self._at = at
        self._limits = limits
        self._budget = budget
        self._not_next: frozenset[User] = frozenset()
        self.is_spent = False

    def between(self, sender: User, receiver: User) -> Found | None:
        """Return the best transfer from ``sender`` to ``receiver`` within the limits."""
        near, far = (sender, receiver) if self._walker.forwards else (receiver, sender)
        return self._best(_Label(0, 0, (near,), Walk.start(self._value)), far)

    def complete(self, begun: tuple[User, ...], target: User, not_next: Collection[User]) -> Found | None:
        """Return the best transfer that goes on to ``target`` from a walk begun with these users.

        ``begun`` is in the order of the path: its beginning for a walk forwards, its end for one backwards. The
        user walked to next is none of ``not_next``.
        """
        near, *rest = begun if self._walker.forwards else reversed(begun)
        label: _Label | None = _Label(0, 0, (near,), Walk.start(self._value))
        for user in rest:
            if label is None or self._network.trustline(self._reached(label), user) is None:
                return None
            label = self._extend(label, self._reached(label), user, target)
        self._not_next = frozenset(not_next)
        return None if label is None else self._best(label, target)

    def cycle(self, user: User, other: User) -> Found | None:
        """Return the best cycle of ``user`` whose first hop walked is the trustline with ``other``."""
        start = _Label(0, 0, (user,), Walk.start(self._value))
        first = self._extend(start, user, other, user)
        return None if first is None else self._best(first, user)

    def _best(self, start: _Label, target: User) -> Found | None:
        bold = self._run(start, target, self._limits.max_fees, is_bold=True)
        if not self._is_ambiguous(bold):
            return self._found(bold, is_proven=True)
        max_fees = self._limits.max_fees if bold is None else bold.fees
        cautious = self._run(start, target, max_fees, is_bold=False)
        if cautious is None and not self.is_spent:
            return None
        return self._found(cautious or bold, is_proven=not self.is_spent)

    def _run(self, start: _Label, target: User, max_fees: int | None, *, is_bold: bool) -> _Label | None:
        """Take up labels, cheapest first, until one reaches ``target``."""
        taken: dict[User, list[_Label]] = {}
        queue = [start]
        work = 0
        while queue:
            label = heapq.heappop(queue)
            user = self._reached(label)
            if user == target and label.hops > start.hops:
                return label
            dominates = self._dominates_boldly if is_bold else self._dominates_surely
            known = taken.setdefault(user, [])
            if any(dominates(other, label) for other in known):
                continue
            known.append(label)
            work += len(self._network.graph.adj[user])
            if work > self._budget:
                self.is_spent = True
                return None
            for longer in self._extensions(label, start, target):
                if max_fees is None or longer.fees <= max_fees:
                    heapq.heappush(queue, longer)
        return None

    def _extensions(self, label: _Label, start: _Label, target: User) -> Iterator[_Label]:
        if self._limits.max_hops is not None and label.hops >= self._limits.max_hops:
            return
        for neighbour in self._network.graph.adj[self._reached(label)]:
            if (neighbour in self._avoid and neighbour != target) or (
                label is start and neighbour in self._not_next
            ):
                continue
            # A cycle comes back to where it started, but not over the trustline it started with.
            is_return = neighbour == target and len(label.path) > len(start.path)
            if neighbour not in label.path or is_return:
                longer = self._extend(label, self._reached(label), neighbour, target)
                if longer is not None:
                    yield longer

    def _extend(self, label: _Label, user: User, neighbour: User, target: User) -> _Label | None:
        payer, payee = (user, neighbour) if self._walker.forwards else (neighbour, user)
        hop = self._network.view(payer, payee, self._at)
        assert hop is not None
        try:
            walk = self._walker.step(label.walk, hop)
        except RuleBroken:
            return None
        path = (*label.path, neighbour) if self._walker.forwards else (neighbour, *label.path)
        # At the target the walk ends; anywhere else the mediator's own fee is already certain.
        amount = walk.moved if neighbour == target else walk.onward
        return _Label(abs(amount - self._value), walk.hops, path, walk)

    def _reached(self, label: _Label) -> User:
        return label.path[-1] if self._walker.forwards else label.path[0]

    @staticmethod
    def _dominates_boldly(label: _Label, later: _Label) -> bool:
        """Whether ``label`` ends up better than ``later`` if it can go wherever that one can.

        ``label`` was taken up first, so its fees are no higher; two different fees may still round to the same
        in the end, so fewer hops, or an earlier path with as many, must be kept.
        """
        return (label.hops, label.path) <= (later.hops, later.path)

    def _dominates_surely(self, label: _Label, later: _Label) -> bool:
        return (
            label.hops <= later.hops
            and self._walker.covers(label.walk, later.walk)
            and set(label.path) <= set(later.path)
        )

    def _is_ambiguous(self, bold: _Label | None) -> bool:
        """Whether the bold rule may have missed a better path than ``bold``."""
        rules = self._network.rules
        if rules.prevent_mediator_interests:
            return True
        if not self._walker.forwards or rules.fee_divisor == 0:
            return False
        allowed = self._limits.max_fees if bold is None else bold.fees
        lowest = 0 if allowed is None else self._value - allowed
        return any(lowest <= capacity < self._value for capacity in self._capacities())

    def _capacities(self) -> Iterator[int]:
        for trustline in self._network.trustlines():
            now = trustline.at(self._at)
            if not now.is_frozen:
                yield now.seen_by(now.lower).left_received
                yield now.seen_by(now.higher).left_received

    def _found(self, label: _Label | None, *, is_proven: bool) -> Found | None:
        if label is None:
            return None
        transfer = replay(self._network, label.path, self._value, self._walker.fee_payer, self._at)
        return Found(transfer, is_proven)


def widest_value(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    max_hops: int | None = None,
    avoid: Collection[User] = (),
) -> int:
    """Return the largest value that capacities and fees let through when the sender pays, 0 if none does.

    Walks forwards and keeps, for each user, the largest amount that can leave it; a larger one is never worse.
    """
    queue: list[tuple[int, int, User]] = [(-MAX_AMOUNT, 0, sender)]
    fewest_hops: dict[User, int] = {}
    while queue:
        negative, hops, user = heapq.heappop(queue)
        if user == receiver:
            return -negative
        if fewest_hops.get(user, hops + 1) <= hops or (max_hops is not None and hops >= max_hops):
            continue
        fewest_hops[user] = hops
        for hop in network.views(user, at):
            arriving = min(-negative, hop.left_received)
            if hop.is_frozen or arriving <= 0:
                continue
            if hop.other == receiver:
                heapq.heappush(queue, (-arriving, hops + 1, receiver))
                continue
            if hop.other in avoid:
                continue
            onward = forwardable(arriving, hop.balance, network.rules.fee_divisor)
            if onward > 0:
                heapq.heappush(queue, (-onward, hops + 1, hop.other))
    return 0
