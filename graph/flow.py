"""The most that can flow through a network that takes a fee for every unit it passes on: a plan, not transfers.

An arc is one direction of a trustline, or a part of it: what works off a debt passes free, what adds to one loses
a ``divisor``-th. So every way costs a whole number of lossy hops, and of what is sent over it arrives
((divisor - 1) / divisor) to the power of that number. The plan is grown over the ways that lose least, with
undoing what is planned among the choices (a lossy hop undone counts -1). As long as it grows so, what it
delivers is the most that can be delivered for what is sent; when no way is left, the most at all. Fees count
as the contract's without their rounding up.

Source: K. Onaga, "Dynamic programming of optimum flows in lossy communication nets" (1966); K. Truemper, "On max
flows with gains and pure min-cost flows" (1977). Ways that lose the same are filled as E. Dinic's algorithm fills
shortest paths, wide ones first.
"""

import heapq
from dataclasses import dataclass

from graph.deadline import is_over

FINENESS = 2**20
"""Into how many pieces a unit is divided where there are fees; without fees all amounts stay whole."""

_NEGLIGIBLE = 2**10
"""How many such pieces an arc may have left and count as full: what rounding leaves behind."""

NARROWING = (16, 256)
"""Arcs that have less left than this part of the widest are not used at first: wide ways make for few ways."""


@dataclass(frozen=True, slots=True)
class Goal:
    """When a plan is large enough: amounts in the smallest unit, None for as much as there is."""

    delivered: int | None = None
    sent: int | None = None


class Flow:
    """A network of arcs and the flow planned on it; nodes are numbers from 0."""

    def __init__(self, nodes: int, divisor: int, budget: int, deadline: float = 0) -> None:
        """``divisor`` is the network's, 0 for no fees; ``budget`` is how many arcs may be looked at.

        The growth gives in at ``deadline``, in seconds of ``time.monotonic``, 0 for never.
        """
        self._divisor = divisor
        self._unit = FINENESS if divisor else 1
        self._empty = _NEGLIGIBLE if divisor else 0
        self._arcs_of: list[list[int]] = [[] for _ in range(nodes)]
        # An arc and its undoing are neighbours: arc ^ 1 is the other one. What is left on an arc is in its tail's
        # amounts.
        self._heads: list[int] = []
        self._left: list[int] = []
        self._costs: list[int] = []
        self._potentials = [0] * nodes
        self.left_budget = budget
        self._deadline = deadline
        self._delivered = 0
        self._sent = 0

    def add_arc(self, tail: int, head: int, capacity: int, *, is_lossy: bool) -> int:
        """Add an arc over which ``capacity`` can leave ``tail``, and return its number."""
        arc = len(self._heads)
        self._heads += [head, tail]
        self._left += [capacity * self._unit, 0]
        self._costs += [1, -1] if is_lossy else [0, 0]
        self._arcs_of[tail].append(arc)
        self._arcs_of[head].append(arc + 1)
        return arc

    @property
    def is_spent(self) -> bool:
        """Whether the budget or the time ended the growth."""
        return self.left_budget <= 0 or is_over(self._deadline)

    @property
    def delivered(self) -> int:
        """What arrives by the plan, in whole units, rounded down."""
        return (self._delivered + self._empty) // self._unit

    def planned(self, arc: int) -> int:
        """Return what leaves the arc's tail over it, in whole units, rounded up."""
        # What the undoing could give back is what arrives; to the tail it is worth what was sent.
        return -(-self._passed(self._left[arc ^ 1], self._costs[arc ^ 1]) // self._unit)

    def grow(self, source: int, sink: int, goal: Goal) -> None:
        """Plan until the goal is met, nothing more can be added or the budget is spent."""
        while not self._is_met(goal) and self._measure(source, sink):
            widest = max(self._left)
            for floor in (*(widest // fraction for fraction in NARROWING), self._empty):
                while not self._is_met(goal) and (levels := self._levels(source, sink, floor)) is not None:
                    self._fill(source, sink, goal, levels, floor)

    def reachable(self, source: int) -> set[int]:
        """Return the nodes to which more could flow: one side of a smallest cut when the plan is full."""
        reached, waiting = {source}, [source]
        while waiting:
            for arc in self._arcs_of[waiting.pop()]:
                if self._left[arc] > self._empty and self._heads[arc] not in reached:
                    reached.add(self._heads[arc])
                    waiting.append(self._heads[arc])
        return reached

    def _is_met(self, goal: Goal) -> bool:
        if self.is_spent:
            return True
        if goal.delivered is not None and self._delivered + self._empty >= goal.delivered * self._unit:
            return True
        return goal.sent is not None and self._sent + self._empty >= goal.sent * self._unit

    def _measure(self, source: int, sink: int) -> bool:
        """Set the potentials so that the arcs of the ways that lose least become tight; False without a way."""
        distances: dict[int, int] = {}
        queue = [(0, source)]
        while queue:
            distance, node = heapq.heappop(queue)
            if node in distances:
                continue
            distances[node] = distance
            if node == sink:
                break
            self.left_budget -= len(self._arcs_of[node])
            for arc in self._arcs_of[node]:
                head = self._heads[arc]
                if self._left[arc] > self._empty and head not in distances:
                    heapq.heappush(queue, (distance + self._reduced(arc, node), head))
        if sink not in distances:
            return False
        farthest = distances[sink]
        for node in range(len(self._potentials)):
            self._potentials[node] += min(distances.get(node, farthest), farthest)
        return True

    def _reduced(self, arc: int, tail: int) -> int:
        return self._costs[arc] + self._potentials[tail] - self._potentials[self._heads[arc]]

    def _levels(self, source: int, sink: int, floor: int) -> dict[int, int] | None:
        """The hops from the source over tight arcs wider than ``floor``; None if the sink cannot be reached."""
        levels, layer = {source: 0}, [source]
        while layer and sink not in levels:
            following = []
            for node in layer:
                self.left_budget -= len(self._arcs_of[node])
                for arc in self._arcs_of[node]:
                    head = self._heads[arc]
                    if head not in levels and self._left[arc] > floor and self._reduced(arc, node) == 0:
                        levels[head] = levels[node] + 1
                        following.append(head)
            layer = following
        return levels if sink in levels else None

    def _fill(self, source: int, sink: int, goal: Goal, levels: dict[int, int], floor: int) -> None:
        """Plan over the shortest of the tight ways until each has an arc that is full, or narrow."""
        tried = dict.fromkeys(levels, 0)
        way: list[int] = []
        node = source
        while not self._is_met(goal):
            if node == sink:
                self._send(way, goal)
                way, node = [], source
                continue
            arcs = self._arcs_of[node]
            while tried[node] < len(arcs) and not self._leads_on(arcs[tried[node]], node, levels, floor):
                tried[node] += 1
            if tried[node] < len(arcs):
                way.append(arcs[tried[node]])
                node = self._heads[way[-1]]
            elif way:
                node = self._heads[way.pop() ^ 1]
                tried[node] += 1
            else:
                return

    def _leads_on(self, arc: int, tail: int, levels: dict[int, int], floor: int) -> bool:
        if self._left[arc] <= floor or levels.get(self._heads[arc]) != levels[tail] + 1:
            return False
        return self._reduced(arc, tail) == 0

    def _send(self, way: list[int], goal: Goal) -> None:
        amount = None if goal.delivered is None else goal.delivered * self._unit - self._delivered
        for arc in reversed(way):
            # What the undoing of the arc passes is what has to be sent for so much to arrive.
            needed = self._left[arc] if amount is None else self._passed(amount, -self._costs[arc])
            amount = min(self._left[arc], needed)
        assert amount is not None
        if goal.sent is not None:
            amount = min(amount, goal.sent * self._unit - self._sent)
        self._sent += amount
        for arc in way:
            self._left[arc] -= amount
            amount = self._passed(amount, self._costs[arc])
            self._left[arc ^ 1] += amount
        self._delivered += amount

    def _passed(self, amount: int, cost: int) -> int:
        if cost > 0:
            return amount * (self._divisor - 1) // self._divisor
        return amount if cost == 0 else amount * self._divisor // (self._divisor - 1)
