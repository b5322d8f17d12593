"""The best transfers in a credit network: what everybody outside this package asks for paths.

All answers are exact. Among several the best is the one with the lowest fees, then the fewest hops, then the path
(from the sender) whose users' keys come first. Two engines give the same answers: the compiled kernel over flat
arrays, where it is built, and the reference search in pure Python. A search that spends its budget says so.

Where mediators must not be left with interests to pay, and where the receiver pays and some trustline is tight,
a cheapest path can take exponential time to prove. If the budget does not do for it, the best path found is
returned, marked as not proven; it always executes.
"""

from collections.abc import Collection
from typing import Protocol

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.engine import KernelEngine
from graph.explain import Searches, closing_obstacle, explain, explain_closing, obstacle
from graph.network import NetworkGraph
from graph.search import Reference
from graph.transfer import FeePayer
from graph.trustline import User


class Engine(Searches, Protocol):
    """A way to search; ``default_budget`` counts its own unit of work."""

    @property
    def default_budget(self) -> int:
        """What a search may cost if nothing else is said."""

    def largest(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        at: int,
        *,
        avoid: Collection[User],
        budget: int,
    ) -> Result:
        """Return the cheapest transfer of what ``widest`` finds, where mediators' interests do not count.

        Where there is none, the reason tells ``BUDGET`` from all others.
        """


REFERENCE = Reference()
KERNEL = KernelEngine()

DEFAULT_BUDGET = KERNEL.default_budget
"""How many ends of trustlines a search by the kernel looks at before it gives in."""


def engine_of(network: NetworkGraph, deadline: float = 0) -> Engine:
    """Return the fastest engine there is for a network.

    Its searches give in at ``deadline``, in seconds of ``time.monotonic``, 0 for never; the reference search knows
    no time and only its budget.
    """
    if network.kernel is None:
        return REFERENCE
    return KernelEngine(deadline) if deadline else KERNEL


def cheapest_transfer(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    at: int,
    *,
    fee_payer: FeePayer = FeePayer.SENDER,
    limits: Limits = NO_LIMITS,
    avoid: Collection[User] = (),
    budget: int | None = None,
    engine: Engine | None = None,
) -> Result:
    """Return the cheapest transfer of ``value`` at the time ``at`` (Unix seconds), or why there is none.

    ``value`` is what arrives (sender pays) or leaves (receiver pays), uint64 in the smallest unit. None of
    ``avoid`` mediates. ``budget`` is how many ends of trustlines may be looked at in one search.
    """
    ruled_out = obstacle(network, sender, receiver)
    if ruled_out is not None:
        return ruled_out
    engine = engine or engine_of(network)
    budget = engine.default_budget if budget is None else budget
    result = engine.transfer(
        network, sender, receiver, value, at, fee_payer=fee_payer, limits=limits, avoid=avoid, budget=budget
    )
    if isinstance(result, Found) or result.reason is Reason.BUDGET:
        return result
    return explain(
        network,
        sender,
        receiver,
        value,
        at,
        fee_payer=fee_payer,
        limits=limits,
        avoid=avoid,
        budget=budget,
        search=engine,
    )


def largest_transfer(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    *,
    max_hops: int | None = None,
    avoid: Collection[User] = (),
    budget: int | None = None,
    engine: Engine | None = None,
) -> Result:
    """Return the transfer with the largest value that ``sender`` can pay ``receiver`` now, bearing the fees.

    One unit more finds no path. Where mediators must not be left with interests to pay, a larger value can
    be possible although a smaller one is not; there the answer is a value that goes through while one more
    does not, and the largest of all whenever the largest that capacities allow goes through.
    """
    ruled_out = obstacle(network, sender, receiver)
    if ruled_out is not None:
        return ruled_out
    engine = engine or engine_of(network)
    budget = engine.default_budget if budget is None else budget
    if max_hops is None and not network.rules.prevent_mediator_interests:
        largest = engine.largest(network, sender, receiver, at, avoid=avoid, budget=budget)
        if isinstance(largest, Found) or largest.reason is Reason.BUDGET:
            return largest
        bound: int | None = 0
    else:
        bound = engine.widest(network, sender, receiver, at, max_hops=max_hops, avoid=avoid, budget=budget)
    if bound is None:
        return NotFound(Reason.BUDGET)

    def attempt(value: int) -> Result:
        return cheapest_transfer(
            network,
            sender,
            receiver,
            value,
            at,
            limits=Limits(max_hops=max_hops),
            avoid=avoid,
            budget=budget,
            engine=engine,
        )

    if bound == 0:
        return attempt(1)
    best = attempt(bound)
    if isinstance(best, Found) or not network.rules.prevent_mediator_interests:
        return best
    impossible = bound
    value = bound // 2
    while value and isinstance(best, NotFound):
        best = attempt(value)
        if isinstance(best, NotFound):
            impossible, value = value, value // 2
    while isinstance(best, Found) and impossible - best.transfer.value > 1:
        middle = (impossible + best.transfer.value) // 2
        result = attempt(middle)
        if isinstance(result, Found):
            best = result
        else:
            impossible = middle
    return best


def cheapest_closing(
    network: NetworkGraph,
    user: User,
    other: User,
    at: int,
    *,
    limits: Limits = NO_LIMITS,
    avoid: Collection[User] = (),
    budget: int | None = None,
    engine: Engine | None = None,
) -> Result:
    """Return the cheapest cycle that brings the balance between ``user`` and ``other`` to zero.

    The cycle starts and ends at ``user``. Is ``user`` owed, it leaves over ``other`` and the receiver pays;
    does ``user`` owe, it comes back over ``other`` and the sender pays. All hops count for fees and capacity.
    Source: ``closeTrustlineByTriangularTransfer``.
    """
    ruled_out = closing_obstacle(network, user, other, at)
    if ruled_out is not None:
        return ruled_out
    engine = engine or engine_of(network)
    budget = engine.default_budget if budget is None else budget
    if min(len(network.neighbours(user)), len(network.neighbours(other))) < 2:
        return explain_closing(network, user, other, at, limits=limits, avoid=avoid, budget=budget, search=engine)
    result = engine.closing(network, user, other, at, limits=limits, avoid=avoid, budget=budget)
    if isinstance(result, Found) or result.reason is Reason.BUDGET:
        return result
    return explain_closing(network, user, other, at, limits=limits, avoid=avoid, budget=budget, search=engine)
