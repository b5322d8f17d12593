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
* Under ``max_hops``, and where mediators must not be left with interests to pay, the parts are good, and hardly
  ever proven to be the best.
* In a network of more trustlines than ``graph.vicinity.SIZE`` only those around sender and receiver are looked at;
  without fees ``is_proven`` still tells whether that sufficed.
"""

from collections.abc import Collection
from dataclasses import dataclass

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.network import NetworkGraph
from graph.paths import cheapest_transfer, largest_transfer
from graph.splitting import Parts, Splitter, fees_of, value_of
from graph.transfer import MAX_AMOUNT, FeePayer, Transfer
from graph.trustline import User
from graph.vicinity import Vicinity

MOST_PARTS = 16
"""How many parts a payment has at the most."""

DEFAULT_BUDGET = 6_000_000
"""How many ends of trustlines are looked at to split a payment: some seconds at the most."""


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
) -> PartsResult:
    """Return at most ``max_parts`` (1 to 16) transfers that together pay ``value``, or why there are none.

    ``value``, in the smallest unit, is what arrives in all (sender pays) or leaves in all (receiver pays).
    ``limits.max_fees`` counts for the sum of all fees, ``limits.max_hops`` for each part. Among the ways found
    the one with the lowest fees is returned, then the one with the fewest parts. ``budget`` is how many ends of
    trustlines may be looked at in a search for one path, and as many again to split the payment.

    Raises:
        ValueError: if ``max_parts`` is out of range.

    """
    _require_parts(max_parts)
    within = min(value, MAX_AMOUNT)
    single = cheapest_transfer(
        network, sender, receiver, within, at, fee_payer=fee_payer, limits=limits, avoid=avoid, budget=budget
    )
    if value > within and isinstance(single, Found):
        single = NotFound(Reason.CAPACITY)  # of one transfer; parts together may move more than fits into uint64
    is_hopeless = isinstance(single, NotFound) and single.reason not in _PARTS_MAY_HELP
    if max_parts == 1 or is_hopeless or (isinstance(single, Found) and single.transfer.fees == 0):
        return _as_parts(single)
    some = _any_transfer(network, sender, receiver, at, limits.max_hops, avoid, budget)
    if some is None:
        return _as_parts(single)
    splitter = Splitter(
        Vicinity(network, some.path, at, avoid), fee_payer, at, max_parts, limits.max_hops, _splitting(budget)
    )
    tried = list(splitter.ways(value))
    ways: list[Parts] = [(single.transfer,)] if isinstance(single, Found) else []
    ways += [parts for parts in tried if value_of(parts) == value]
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
) -> PartsResult:
    """Return at most ``max_parts`` (1 to 16) transfers that together deliver as much as can be, sender pays.

    ``max_hops`` counts for each part. Of two ways to deliver as much the one with lower fees is returned.

    Raises:
        ValueError: if ``max_parts`` is out of range.

    """
    _require_parts(max_parts)
    single = largest_transfer(network, sender, receiver, at, max_hops=max_hops, avoid=avoid, budget=budget)
    if max_parts == 1 or isinstance(single, NotFound):
        return _as_parts(single)
    vicinity = Vicinity(network, single.transfer.path, at, avoid)
    splitter = Splitter(vicinity, FeePayer.SENDER, at, max_parts, max_hops, _splitting(budget))
    ways: list[Parts] = [(single.transfer,), *splitter.ways(None)]
    best = min(ways, key=lambda parts: (-value_of(parts), _cost(parts)))
    return PartsFound(best, is_proven=splitter.is_most(value_of(best)))


_PARTS_MAY_HELP = {
    Reason.CAPACITY,
    Reason.FEES,
    Reason.HOPS,
    Reason.MEDIATOR_INTERESTS,
    Reason.BUDGET,
}


def _any_transfer(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    max_hops: int | None,
    avoid: Collection[User],
    budget: int | None,
) -> Transfer | None:
    largest = largest_transfer(network, sender, receiver, at, max_hops=max_hops, avoid=avoid, budget=budget)
    return largest.transfer if isinstance(largest, Found) else None


def _as_parts(single: Result) -> PartsResult:
    return single if isinstance(single, NotFound) else PartsFound((single.transfer,), single.is_proven)


def _too_much(single: Result, splitter: Splitter, total: int) -> NotFound:
    """Return why no parts pay the value, with figures for parts and not for the single transfer."""
    assert isinstance(single, NotFound)
    if splitter.is_spent and not splitter.is_most(total):
        return NotFound(Reason.BUDGET)
    if single.reason is not Reason.CAPACITY:
        return NotFound(single.reason)
    return NotFound(Reason.CAPACITY, largest=total if splitter.is_most(total) else None)


def _splitting(budget: int | None) -> int:
    return DEFAULT_BUDGET if budget is None else budget


def _require_parts(max_parts: int) -> None:
    if not 1 <= max_parts <= MOST_PARTS:
        raise ValueError(f"a payment has 1 to {MOST_PARTS} parts, not {max_parts}")


def _cost(parts: Parts) -> tuple[int, int, tuple[tuple[User, ...], ...]]:
    return fees_of(parts), len(parts), tuple(part.path for part in parts)
