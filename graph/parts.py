"""Payments in parts: more than any single path can move, or the same for lower fees.

Parts are executed in the order given, each on the trustlines as the ones before left them; what one part adds to a
balance, a later one may use. All at one time ``at``, so interest is applied once, by the first part that touches
a trustline.

What is guaranteed
------------------
* Every part executes in its turn, for exactly its fees, and the parts add up to the value asked for.
* One part is what the search for a single path answers.
* Without fees the parts of ``largest_payment`` add up to the maximum flow, if they may be as many as its
  widest-first decomposition takes. The fewest parts that a flow can be made of are NP-hard to find; several ways
  are tried where they run short, and what the widest of them deliver is the answer. ``is_proven`` says that no
  number of parts delivers more.
* With fees, what is planned is the best total of the linear programme in which fees are not rounded up; no parts
  deliver more. The parts deliver that less their rounding (up to a unit for each of their hops) and less what does
  not fit into so many of them.
* In the kernel that maximum is one of the whole network, whatever its size, and what is split is what its plans
  use. Sixteen parts do for most users: of 40 random pairs in a network of 500,000 trustlines 35 reached the
  maximum flow and the others 98.9 % of it; with fees of 1 % 38 reached 98 % of the bound and the others 97.8 %.
  Whoever has many more trustlines than sixteen needs more parts: users with 70 to 350 of them reached 35 to 73 %.
  So do fees of 10 %: the bound divides what they can save among many narrow ways (68 of 100 pairs reached 98 %).
* Under ``max_hops``, and where mediators must not be left with interests to pay, the parts are good, and hardly
  ever proven to be the best. Then, and without a kernel, only the trustlines around sender and receiver are looked
  at in a network of more than ``graph.vicinity.SIZE``.
* Once the time is over the best parts found so far are returned, and not said to be proven.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.deadline import is_over
from graph.flow import Goal
from graph.network import NetworkGraph
from graph.paths import cheapest_transfer, engine_of, largest_transfer
from graph.plan import Hop, Plan, plan_flow
from graph.splitting import Parts, Splitter, fees_of, value_of
from graph.transfer import MAX_AMOUNT, FeePayer
from graph.trustline import User
from graph.vicinity import SIZE, Vicinity

MOST_PARTS = 16
"""How many parts a payment has at the most."""

SIZE_BESIDE_PLANS = 300
"""A network of up to so many trustlines is copied whole though plans say which of them matter."""

NARROWEST = (8, 4, 2, 1)
"""Plans are also made without hops that can move less than a part's average share, divided by these."""

DEFAULT_BUDGET, KERNEL_BUDGET = 12_000_000, 40_000_000
"""How many ends of trustlines are looked at to split a payment, without a kernel and with one: some seconds."""


@dataclass(frozen=True, slots=True)
class PartsFound:
    """Transfers that execute one after the other.

    ``is_proven`` says whether it is certain that no parts, however many, deliver more (``largest_payment``) or
    cost less (``payment_in_parts``); of a single part, that no other single transfer does.
    """

    parts: Parts
    is_proven: bool = True

    @property
    def value(self) -> int:
        """What the parts deliver together (sender pays), or send together (receiver pays)."""
        return value_of(self.parts)

    @property
    def fees(self) -> int:
        """The fees of all parts."""
        return fees_of(self.parts)


PartsResult = PartsFound | NotFound


def payment_in_parts(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    at: int,
    *,
    max_parts: int,
    fee_payer: FeePayer = FeePayer.SENDER,
    limits: Limits = NO_LIMITS,
    avoid: Collection[User] = (),
    budget: int | None = None,
    deadline: float = 0,
) -> PartsResult:
    """Return at most ``max_parts`` (1 to 16) transfers that together pay ``value``, or why there are none.

    ``value``, in the smallest unit, is what arrives in all (sender pays) or leaves in all (receiver pays).
    ``limits.max_fees`` counts for the sum of all fees, ``limits.max_hops`` for each part. Among the ways found
    the one with the lowest fees is returned, then the one with the fewest parts. ``budget`` is how many ends of
    trustlines may be looked at in a search for one path, and as many again to split the payment. All of it gives
    in at ``deadline``, in seconds of ``time.monotonic``, 0 for never.

    Raises:
        ValueError: if ``max_parts`` is out of range.

    """
    _require_parts(max_parts)
    ask = _Question(network, sender, receiver, at, max_parts, limits.max_hops, avoid, budget, deadline)
    single = ask.cheapest(value, fee_payer, limits)
    is_hopeless = isinstance(single, NotFound) and single.reason not in _PARTS_MAY_HELP
    if max_parts == 1 or is_hopeless or (isinstance(single, Found) and single.transfer.fees == 0):
        return _as_parts(single)
    splitter = ask.splitter(fee_payer, single.transfer.path if isinstance(single, Found) else None)
    if splitter is None:
        return _unsplit(single) if is_over(deadline) else _as_parts(single)
    tried = list(splitter.ways(value))
    ways: list[Parts] = [(single.transfer,)] if isinstance(single, Found) else []
    ways += [parts for parts in tried if parts and value_of(parts) == value]
    if not ways:
        return _too_much(single, splitter, max(map(value_of, tried), default=0))
    best = min(ways, key=_cost)
    if limits.max_fees is not None and fees_of(best) > limits.max_fees:
        return NotFound(Reason.FEES)
    return PartsFound(best, is_proven=fees_of(best) == 0)


def largest_payment(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    *,
    max_parts: int,
    max_hops: int | None = None,
    avoid: Collection[User] = (),
    budget: int | None = None,
    deadline: float = 0,
) -> PartsResult:
    """Return at most ``max_parts`` (1 to 16) transfers that together deliver as much as can be, sender pays.

    ``max_hops`` counts for each part. Of two ways to deliver as much the one with lower fees is returned.
    ``budget`` and ``deadline`` are as for ``payment_in_parts``.

    Raises:
        ValueError: if ``max_parts`` is out of range.

    """
    _require_parts(max_parts)
    ask = _Question(network, sender, receiver, at, max_parts, max_hops, avoid, budget, deadline)
    single = ask.largest()
    if max_parts == 1 or (isinstance(single, NotFound) and single.reason is not Reason.BUDGET):
        return _as_parts(single)
    splitter = ask.splitter(FeePayer.SENDER, single.transfer.path if isinstance(single, Found) else None)
    ways: list[Parts] = [(single.transfer,)] if isinstance(single, Found) else []
    ways += [] if splitter is None else [parts for parts in splitter.ways(None) if parts]
    if not ways:
        return _as_parts(single)
    best = min(ways, key=lambda parts: (-value_of(parts), _cost(parts)))
    return PartsFound(best, is_proven=splitter is not None and splitter.is_most(value_of(best)))


_PARTS_MAY_HELP = {
    Reason.CAPACITY,
    Reason.FEES,
    Reason.HOPS,
    Reason.MEDIATOR_INTERESTS,
    Reason.BUDGET,
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What both kinds of payments are asked with."""

    network: NetworkGraph
    sender: User
    receiver: User
    at: int
    max_parts: int
    max_hops: int | None
    avoid: Collection[User]
    budget: int | None
    deadline: float

    def cheapest(self, value: int, fee_payer: FeePayer, limits: Limits) -> Result:
        """Search for a single transfer of a value, of which parts may have more than fits into one."""
        result = cheapest_transfer(
            self.network,
            self.sender,
            self.receiver,
            min(value, MAX_AMOUNT),
            self.at,
            fee_payer=fee_payer,
            limits=limits,
            avoid=self.avoid,
            budget=self.budget,
            engine=engine_of(self.network, self.deadline),
        )
        return NotFound(Reason.CAPACITY) if value > MAX_AMOUNT and isinstance(result, Found) else result

    def largest(self) -> Result:
        """Search for the largest single transfer."""
        return largest_transfer(
            self.network,
            self.sender,
            self.receiver,
            self.at,
            max_hops=self.max_hops,
            avoid=self.avoid,
            budget=self.budget,
            engine=engine_of(self.network, self.deadline),
        )

    def splitter(self, fee_payer: FeePayer, path: tuple[User, ...] | None) -> Splitter | None:
        """Return what splits a payment, given some path if one is known; None if nothing flows, or it is late."""
        most = None if self.network.kernel is None else self._most()
        # A plan knows nothing of hop limits and of what mediators must not be left with.
        is_plain = most is not None and self.max_hops is None and not self.network.rules.prevent_mediator_interests
        if path is None and not is_plain:
            largest = self.largest()
            path = largest.transfer.path if isinstance(largest, Found) else None
        if is_over(self.deadline) or (path is None and (most is None or not most.moves)):
            return None
        hops = None if most is None or not is_plain else [*most.moves, *self._hops_of_wide_ways(most.delivered)]
        ends = (self.sender, self.receiver)
        size = SIZE if hops is None else SIZE_BESIDE_PLANS
        vicinity = Vicinity(self.network, path or ends, self.at, self.avoid, size, hops, self.deadline)
        budget = self._splitting_budget()
        return Splitter(vicinity, fee_payer, self.at, self.max_parts, self.max_hops, budget, self.deadline, most)

    def _hops_of_wide_ways(self, total: int) -> Iterator[Hop]:
        """The hops of plans that do without what is narrow, where ``total`` is the most that can be delivered."""
        yield from self._most(ignores_fees=True).moves
        for share in NARROWEST:
            yield from self._most(narrowest=total // (share * self.max_parts)).moves

    def _splitting_budget(self) -> int:
        if self.budget is not None:
            return self.budget
        return DEFAULT_BUDGET if self.network.kernel is None else KERNEL_BUDGET

    def _most(self, *, ignores_fees: bool = False, narrowest: int = 0) -> Plan:
        return plan_flow(
            self.network,
            self.sender,
            self.receiver,
            self.at,
            Goal(),
            budget=self._splitting_budget(),
            deadline=self.deadline,
            ignores_fees=ignores_fees,
            narrowest=narrowest,
            avoid=self.avoid,
        )


def _as_parts(single: Result) -> PartsResult:
    return single if isinstance(single, NotFound) else PartsFound((single.transfer,), single.is_proven)


def _unsplit(single: Result) -> PartsResult:
    """Return what is known if there was no time to split the payment."""
    if isinstance(single, NotFound):
        return NotFound(Reason.BUDGET)
    return PartsFound((single.transfer,), is_proven=False)


def _too_much(single: Result, splitter: Splitter, total: int) -> NotFound:
    """Return why no parts pay the value, with figures for parts and not for the single transfer."""
    assert isinstance(single, NotFound)
    if splitter.is_spent and not splitter.is_most(total):
        return NotFound(Reason.BUDGET)
    if single.reason is not Reason.CAPACITY:
        return NotFound(single.reason)
    return NotFound(Reason.CAPACITY, largest=total if splitter.is_most(total) else None)


def _require_parts(max_parts: int) -> None:
    if not 1 <= max_parts <= MOST_PARTS:
        raise ValueError(f"a payment has 1 to {MOST_PARTS} parts, not {max_parts}")


def _cost(parts: Parts) -> tuple[int, int, tuple[tuple[User, ...], ...]]:
    return fees_of(parts), len(parts), tuple(part.path for part in parts)
