"""Ways to split a payment, tried out on a copy of the network: by a planned flow, or the widest path each time."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import pairwise

from graph.answers import Found, Limits, NotFound
from graph.deadline import is_over
from graph.fees import fee, forwardable, imbalance
from graph.flow import Goal
from graph.paths import cheapest_transfer, engine_of, largest_transfer
from graph.plan import Hop, Plan, plan_flow
from graph.transfer import MAX_AMOUNT, FeePayer, RuleBroken, Transfer, replay
from graph.trustline import User
from graph.vicinity import Vicinity

_Way = tuple[User, ...]
_Room = Callable[[User, User], int]
"""How much a hop from one user to another may move."""

Parts = tuple[Transfer, ...]
_Attempt = Callable[[list[Transfer]], None]

SHARES_OF_AVERAGE = ((2, 1), (4, 1), (3, 1), (1, 1), (3, 2), (6, 1), (8, 1), (2, 3), (1, 2))
"""The cheapest path is sought for these shares of what is missing for each part that may still be made."""

GOOD_ENOUGH = 1000
"""With fees no further attempt is made once less than this share of the bound is missing."""

SEARCH_BUDGET = 20_000
"""How many ends of trustlines the search for a single part may look at, in each of its attempts."""

SHARES = 4 + len(SHARES_OF_AVERAGE)
"""Into how many shares a budget is divided: one for each way to split a payment."""


class Splitter:
    """Parts tried out on a copy of the network, in several ways."""

    def __init__(
        self,
        vicinity: Vicinity,
        fee_payer: FeePayer,
        at: int,
        max_parts: int,
        max_hops: int | None,
        budget: int,
        deadline: float = 0,
        most: Plan | None = None,
    ) -> None:
        """``most`` is the largest plan of all, if it is known already; searches give in at ``deadline``."""
        self._vicinity = vicinity
        self._network = vicinity.network
        self._fee_payer = fee_payer
        self._at = at
        self._max_parts = max_parts
        self._max_hops = max_hops
        self._share = self._work = budget // SHARES
        self._deadline = deadline
        self._engine = engine_of(vicinity.network, deadline)
        self.is_spent = False
        self._bound = 0
        self._is_bound_sure = False
        if most is not None:
            self._learn(most)

    def ways(self, value: int | None) -> Iterator[Parts]:
        """Lists of parts that pay up to ``value``, or as much as they can if it is None."""
        if value is not None:
            # No more flow than is paid, and therefore the lowest fees; it may take more parts than a larger flow.
            exact = self._tried(partial(self._planned, value=value, is_exact=True))
            yield exact
        # The plan that loses least fills many narrow ways; one that ignores fees takes fewer and wider ones.
        attempts: list[_Attempt] = [
            partial(self._widest, value=value),
            partial(self._planned, value=value),
            partial(self._planned, value=value, ignores_fees=True),
            *(partial(self._cheap, value=value, share=share) for share in SHARES_OF_AVERAGE),
        ]
        for attempt in attempts:
            parts = self._tried(attempt)
            yield parts
            does = self._suffices(value_of(parts)) if value is None else value_of(exact) >= value
            if does or self._is_late():
                return

    def _is_late(self) -> bool:
        late = is_over(self._deadline)
        self.is_spent = self.is_spent or late
        return late

    def _suffices(self, total: int) -> bool:
        """Whether so much is as good as all that can be delivered."""
        if not self._bound:
            return False
        short = self._bound - total
        return short <= 0 or (self._network.rules.fee_divisor != 0 and short * GOOD_ENOUGH <= self._bound)

    def _cheap(self, parts: list[Transfer], value: int | None, share: tuple[int, int]) -> None:
        """Take the cheapest path for a share of what is missing, and send as much over it as it can carry."""
        total = self._bound if value is None else value
        while len(parts) < self._max_parts and value_of(parts) < total and not self._is_late():
            missing = total - value_of(parts)
            amount = min(max(missing * share[0] // (share[1] * (self._max_parts - len(parts))), 1), MAX_AMOUNT)
            path = self._cheapest_path(amount)
            if path is None or not self._take(parts, path, None if value is None else missing, self._room):
                return

    def _cheapest_path(self, amount: int) -> _Way | None:
        """Return the cheapest path for an amount; where none can carry it, for half of it, or half of that."""
        while amount and self._work > 0:
            self._work -= SEARCH_BUDGET
            found = self._engine.transfer(
                self._network,
                self._vicinity.sender,
                self._vicinity.receiver,
                amount,
                self._at,
                fee_payer=self._fee_payer,
                limits=Limits(max_hops=self._max_hops),
                avoid=(),
                budget=SEARCH_BUDGET,
            )
            if isinstance(found, Found):
                return found.transfer.path
            amount //= 2
        return None

    def _tried(self, way: _Attempt) -> Parts:
        """Return the parts that a way makes; each has its share of the budget, so that none starves another."""
        self._work = self._share
        parts: list[Transfer] = []
        way(parts)
        self._vicinity.undo()
        self.is_spent = self.is_spent or self._work <= 0
        return tuple(parts)

    def is_most(self, value: int) -> bool:
        """Whether it is certain that no parts deliver more than ``value``."""
        return self._is_bound_sure and value >= self._bound

    def _widest(self, parts: list[Transfer], value: int | None) -> None:
        """Take the widest path, again and again; without fees that finds its way to the maximum flow."""
        while len(parts) < self._max_parts and (value is None or value_of(parts) < value):
            transfer = self._widest_transfer(None if value is None else value - value_of(parts))
            if transfer is None:
                return
            self._execute(parts, transfer)

    def _widest_transfer(self, missing: int | None) -> Transfer | None:
        """Return the largest transfer, or the cheapest of what is missing if that is less."""
        if self._work <= 0:
            return None
        self._work -= SEARCH_BUDGET
        ends = self._vicinity.sender, self._vicinity.receiver
        if self._is_late() or not self._engine.widest(
            self._network, *ends, self._at, max_hops=self._max_hops, avoid=(), budget=SEARCH_BUDGET
        ):
            return None
        largest = largest_transfer(
            self._network, *ends, self._at, max_hops=self._max_hops, budget=SEARCH_BUDGET, engine=self._engine
        )
        if isinstance(largest, NotFound):
            return None
        found = largest.transfer
        is_sender = self._fee_payer is FeePayer.SENDER
        amount = found.value if is_sender else self._passing(found.path, self._room)
        if is_sender and (missing is None or missing >= amount):
            return found
        cheapest = cheapest_transfer(
            self._network,
            *ends,
            amount if missing is None else min(missing, amount),
            self._at,
            fee_payer=self._fee_payer,
            limits=Limits(max_hops=self._max_hops),
            budget=SEARCH_BUDGET,
            engine=self._engine,
        )
        return cheapest.transfer if isinstance(cheapest, Found) else None

    def _planned(
        self,
        parts: list[Transfer],
        value: int | None,
        *,
        is_exact: bool = False,
        ignores_fees: bool = False,
    ) -> None:
        """Plan a flow, of the value or as large as can be, and take its paths; plan anew for what is missing."""
        while len(parts) < self._max_parts and (value is None or value_of(parts) < value):
            missing = value - value_of(parts) if is_exact and value is not None else None
            plan = self._plan(missing, ignores_fees=ignores_fees)
            taken = len(parts)
            self._take_plan(parts, dict(plan.moves), value)
            if len(parts) == taken:
                break
        self._widest(parts, value)

    def _take_plan(self, parts: list[Transfer], plan: dict[Hop, int], value: int | None) -> None:
        def room(payer: User, payee: User) -> int:
            return min(plan.get((payer, payee), 0), self._room(payer, payee))

        onward: dict[User, list[User]] = defaultdict(list)
        for payer, payee in plan:
            onward[payer].append(payee)
        while len(parts) < self._max_parts and (value is None or value_of(parts) < value):
            path = None if self._is_late() else self._widest_path(onward, room)
            if path is None:
                return
            missing = None if value is None else value - value_of(parts)
            if self._take(parts, path, missing, room):
                for hop, amount in zip(pairwise(path), parts[-1].amounts, strict=True):
                    plan[hop] = max(plan[hop] - amount, 0)
            else:
                del plan[min(pairwise(path), key=lambda hop: room(*hop))]

    def _plan(self, value: int | None, *, ignores_fees: bool) -> Plan:
        """Plan the best flow."""
        plan = plan_flow(
            self._network,
            self._vicinity.sender,
            self._vicinity.receiver,
            self._at,
            Goal(delivered=value) if self._fee_payer is FeePayer.SENDER else Goal(sent=value),
            budget=self._work,
            deadline=self._deadline,
            ignores_fees=ignores_fees,
        )
        self._work -= plan.work
        self.is_spent = self.is_spent or plan.is_spent
        if not self._bound and self._vicinity.is_whole and (value is None or plan.is_full):
            self._learn(plan)
        return plan

    def _learn(self, most: Plan) -> None:
        """Take over what no parts can exceed; where there are fees, what rounding them leaves is not certain."""
        self._bound = most.delivered
        self._is_bound_sure = most.is_full and self._network.rules.fee_divisor == 0

    def _room(self, payer: User, payee: User) -> int:
        view = self._network.view(payer, payee, self._at)
        return 0 if view is None else min(max(view.left_received, 0), MAX_AMOUNT)

    def _widest_path(self, onward: dict[User, list[User]], room: _Room) -> _Way | None:
        """Return the path over which most arrives, each hop moving at most its ``room``; then the shortest."""
        sender, receiver = self._vicinity.sender, self._vicinity.receiver
        queue: list[tuple[int, int, _Way]] = [(-MAX_AMOUNT, 0, (sender,))]
        fewest: dict[User, int] = {}
        while queue:
            negative, hops, path = heapq.heappop(queue)
            user = path[-1]
            if user == receiver:
                return path
            if fewest.get(user, hops + 1) <= hops or (self._max_hops is not None and hops >= self._max_hops):
                continue
            fewest[user] = hops
            self._work -= len(onward[user])
            if self._work <= 0:
                return None
            for other in onward[user]:
                if fewest.get(other, hops + 2) <= hops + 1:
                    continue
                amount = min(-negative, room(user, other))
                if other != receiver and amount:
                    view = self._network.view(user, other, self._at)
                    assert view is not None
                    amount = forwardable(amount, view.balance, self._network.rules.fee_divisor)
                if amount:
                    heapq.heappush(queue, (-amount, hops + 1, (*path, other)))
        return None

    def _take(self, parts: list[Transfer], path: _Way, missing: int | None, room: _Room) -> bool:
        """Execute the largest transfer over a path, up to what is missing; False if the contract refuses it."""
        amount = self._passing(path, room)
        if missing is not None:
            amount = min(amount, missing)
        try:
            transfer = replay(self._network, path, amount, self._fee_payer, self._at)
        except RuleBroken:
            return False
        return amount > 0 and self._execute(parts, transfer)

    def _execute(self, parts: list[Transfer], transfer: Transfer) -> bool:
        self._vicinity.execute(transfer, self._at)
        parts.append(transfer)
        return True

    def _passing(self, path: _Way, room: _Room) -> int:
        """Return the largest value that can be transferred over ``path``, each hop moving at most its ``room``."""
        divisor = self._network.rules.fee_divisor
        hops = [(room(*hop), self._network.view(*hop, self._at)) for hop in pairwise(path)]
        if self._fee_payer is FeePayer.SENDER:
            amount = MAX_AMOUNT
            for number, (width, view) in enumerate(hops):
                assert view is not None
                amount = min(amount, width)
                if number < len(hops) - 1:
                    amount = forwardable(amount, view.balance, divisor)
            return amount

        def fits(amount: int) -> bool:
            for width, view in hops:
                if view is None or amount > width:
                    return False
                amount -= fee(imbalance(amount, view.balance), divisor)
            return True

        low, high = 0, min(hops[0][0], MAX_AMOUNT)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low


def value_of(parts: Collection[Transfer]) -> int:
    """Return what the parts deliver together (sender pays), or send together (receiver pays)."""
    return sum(part.value for part in parts)


def fees_of(parts: Collection[Transfer]) -> int:
    """Return the fees of all parts."""
    return sum(part.fees for part in parts)
