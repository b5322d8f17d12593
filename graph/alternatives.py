"""The cheapest ways to make a transfer, one after the other.

Source: J. Y. Yen, "Finding the k shortest loopless paths in a network" (1971), in E. L. Lawler's form (1972): all
paths but those already given are parted into sets that have no path in common, each of which is known by how its
paths begin and by who must not come next. The best of each set is found by one search; the best of those is given
next, and its set, without it, parted further. A path begins where the contract begins to walk: at the receiver if
the sender pays, for there the amount is known, and at the sender if the receiver pays.
"""

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason
from graph.deadline import is_over
from graph.engine import KernelEngine
from graph.network import NetworkGraph
from graph.paths import REFERENCE, cheapest_transfer
from graph.search import Reference
from graph.transfer import FeePayer, Transfer
from graph.trustline import User

MOST_ALTERNATIVES = 10
"""How many alternatives can be asked for."""

Completing = KernelEngine | Reference
"""The engines that can search from a walk begun on."""

Rank = tuple[int, int, tuple[User, ...]]


@dataclass(frozen=True, slots=True)
class AlternativesFound:
    """Different transfers of one value, the best first.

    ``is_proven`` says whether it is certain that no transfer is missing between them, or after them if there are
    fewer than asked for.
    """

    transfers: tuple[Transfer, ...]
    is_proven: bool = True


AlternativesResult = AlternativesFound | NotFound


def cheapest_alternatives(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    at: int,
    count: int,
    *,
    fee_payer: FeePayer = FeePayer.SENDER,
    limits: Limits = NO_LIMITS,
    avoid: Collection[User] = (),
    budget: int | None = None,
    deadline: float = 0,
    engine: Completing | None = None,
) -> AlternativesResult:
    """Return the ``count`` (1 to 10) cheapest transfers of ``value`` over paths that pass no user twice.

    They are ordered by fees, then hops, then path; there may be fewer of them. Each would execute now, instead of
    the others and not after them. The arguments are those of `graph.paths.cheapest_transfer`; where there is none,
    so is the reason. ``budget`` counts for each search, of which there is one for every user on each path;
    ``deadline``, in seconds of ``time.monotonic``, 0 for never, for all of them: what is found by then is given.

    Raises:
        ValueError: if ``count`` is out of range.

    """
    if not 1 <= count <= MOST_ALTERNATIVES:
        raise ValueError(f"between 1 and {MOST_ALTERNATIVES} alternatives can be asked for, not {count}")
    chosen: Completing = engine or (REFERENCE if network.kernel is None else KernelEngine(deadline))
    best = cheapest_transfer(
        network,
        sender,
        receiver,
        value,
        at,
        fee_payer=fee_payer,
        limits=limits,
        avoid=avoid,
        budget=budget,
        engine=chosen,
    )
    if isinstance(best, NotFound):
        return best
    return _Alternatives(network, best, at, limits, avoid, budget, chosen).take(count, deadline)


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """The best transfer of a set: of all with its first ``begun`` users and none of ``not_next`` after them."""

    rank: Rank
    transfer: Transfer = field(compare=False)
    begun: int = field(compare=False)
    not_next: frozenset[User] = field(compare=False)


class _Alternatives:
    """One run of the algorithm, from the best transfer on."""

    def __init__(
        self,
        network: NetworkGraph,
        best: Found,
        at: int,
        limits: Limits,
        avoid: Collection[User],
        budget: int | None,
        engine: Completing,
    ) -> None:
        self._network = network
        self._at = at
        self._limits = limits
        self._avoid = avoid
        self._budget = engine.default_budget if budget is None else budget
        self._engine = engine
        self._is_proven = best.is_proven
        self._candidates = [_Candidate(_rank(best.transfer), best.transfer, 1, frozenset())]

    def take(self, count: int, deadline: float) -> AlternativesFound:
        """Give the best ``count`` transfers; only those known already once the time is over."""
        given: list[Transfer] = []
        while self._candidates and len(given) < count:
            candidate = heapq.heappop(self._candidates)
            given.append(candidate.transfer)
            if len(given) < count:
                self._part(candidate, count - len(given), deadline)
        return AlternativesFound(tuple(given), self._is_proven)

    def _part(self, candidate: _Candidate, wanted: int, deadline: float) -> None:
        """Part the set of a candidate, without the candidate, and search each part for its best."""
        path = candidate.transfer.path
        if candidate.transfer.fee_payer is FeePayer.SENDER:
            path = path[::-1]
        for begun in range(candidate.begun, len(path)):
            if is_over(deadline):
                self._is_proven = False
                return
            not_next = frozenset(path[begun : begun + 1])
            if begun == candidate.begun:
                not_next |= candidate.not_next
            self._search(candidate.transfer, path, begun, not_next, wanted)

    def _search(
        self, transfer: Transfer, walked: tuple[User, ...], begun: int, not_next: frozenset[User], wanted: int
    ) -> None:
        first = walked[:begun] if transfer.fee_payer is FeePayer.RECEIVER else walked[:begun][::-1]
        result = self._engine.completion(
            self._network,
            first,
            walked[-1],
            transfer.value,
            self._at,
            fee_payer=transfer.fee_payer,
            limits=self._worthwhile(wanted),
            not_next=not_next,
            avoid=self._avoid,
            budget=self._budget,
        )
        if isinstance(result, Found):
            self._is_proven = self._is_proven and result.is_proven
            new = _Candidate(_rank(result.transfer), result.transfer, begun, not_next)
            heapq.heappush(self._candidates, new)
        elif result.reason is Reason.BUDGET:
            self._is_proven = False

    def _worthwhile(self, wanted: int) -> Limits:
        """The limits, and no dearer than the last of those that would be given if no further one were found."""
        if len(self._candidates) < wanted:
            return self._limits
        last = heapq.nsmallest(wanted, self._candidates)[-1].transfer.fees
        allowed = self._limits.max_fees
        return replace(self._limits, max_fees=last if allowed is None else min(last, allowed))


def _rank(transfer: Transfer) -> Rank:
    return transfer.fees, transfer.hops, transfer.path
