"""Why a search found nothing, and what would have been possible instead.

The searches themselves are handed in, so that this holds for any of them. To find the reason each of them may cost
as much as the search that found nothing, to find the largest value much less; a figure that one of them would have
to give up on is left out.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.network import NetworkGraph
from graph.transfer import FeePayer
from graph.trustline import User

_WORK_PER_TRUSTLINE = 4
_LEAST_WORK = 100_000
"""What a search for the largest value may cost: enough to look at all there is, not to try all combinations."""


class Searches(Protocol):
    """The searches of an engine without any explanation.

    Where they find nothing, the reason tells ``BUDGET`` from all others, and nothing more.
    """

    def transfer(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        value: int,
        at: int,
        *,
        fee_payer: FeePayer,
        limits: Limits,
        avoid: Collection[User],
        budget: int,
    ) -> Result:
        """Return the cheapest transfer of ``value``."""

    def closing(
        self,
        network: NetworkGraph,
        user: User,
        other: User,
        at: int,
        *,
        limits: Limits,
        avoid: Collection[User],
        budget: int,
    ) -> Result:
        """Return the cheapest cycle that settles a trustline."""

    def widest(
        self,
        network: NetworkGraph,
        sender: User,
        receiver: User,
        at: int,
        *,
        max_hops: int | None,
        avoid: Collection[User],
        budget: int,
    ) -> int | None:
        """Return the largest value that capacities and fees let through when the sender pays, 0 if none does.

        Mediators' interests do not count here. None if the budget is spent.
        """


class _Spent(Exception):
    """A search was given up, so that something remains unknown."""


def obstacle(network: NetworkGraph, sender: User, receiver: User) -> NotFound | None:
    """Return what rules out every transfer between two users before any search, None if nothing does."""
    if sender not in network:
        return NotFound(Reason.UNKNOWN_SENDER)
    if receiver not in network:
        return NotFound(Reason.UNKNOWN_RECEIVER)
    if sender == receiver:
        return NotFound(Reason.SAME_USER)
    return NotFound(Reason.FROZEN) if network.is_frozen else None


def explain(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    value: int,
    at: int,
    *,
    fee_payer: FeePayer,
    limits: Limits,
    avoid: Collection[User],
    budget: int,
    search: Searches,
) -> NotFound:
    """Return why there is no transfer of ``value`` from ``sender`` to ``receiver`` at the time ``at``.

    To be called once a search with the same arguments has found none. The reason is the first of these:

    * one of the users is unknown, both are the same, the network is frozen;
    * no chain of trustlines joins them past those to ``avoid`` (not connected), or none without a frozen one;
    * without the limit of fees there is a transfer (fees); without that of hops (hops); without both (fees, and
      the figures of both);
    * mediators would be left with interests to pay, though capacities suffice;
    * capacity.

    ``BUDGET`` stands where a search that would have to tell was given up. Where mediators must not be left with
    interests to pay, a larger value can be possible although a smaller one is not: then the figure for capacity
    is a value that goes through while one more does not, as it is for ``largest_transfer``. There, if the receiver
    pays, capacity is also the reason for values of which only a wasteful path could carry more than what the
    receiver can get.
    """
    ruled_out = obstacle(network, sender, receiver)
    if ruled_out is not None:
        return ruled_out
    question = _Question(network, sender, receiver, value, at, fee_payer, limits, frozenset(avoid), budget, search)
    return question.explain()


def explain_closing(
    network: NetworkGraph,
    user: User,
    other: User,
    at: int,
    *,
    limits: Limits,
    avoid: Collection[User],
    budget: int,
    search: Searches,
) -> NotFound:
    """Return why the trustline of ``user`` with ``other`` cannot be settled over others at the time ``at``.

    The reasons and their figures are those of ``explain``, with two differences: there may be nothing to close,
    and ``CAPACITY`` has no figure, as the value is given, and includes that mediators would lose interest.
    """
    ruled_out = closing_obstacle(network, user, other, at)
    if ruled_out is not None:
        return ruled_out

    def within(allowed: Limits) -> Found | None:
        return _certain(search.closing(network, user, other, at, limits=allowed, avoid=avoid, budget=budget))

    limit = _explain_limits(limits, within)
    if limit is not None and limit.reason is not Reason.BUDGET:
        return limit
    return _gap(network, user, other, avoid, except_directly=True) or limit or NotFound(Reason.CAPACITY)


def closing_obstacle(network: NetworkGraph, user: User, other: User, at: int) -> NotFound | None:
    """Return what rules out to settle a trustline before any search, None if nothing does."""
    ruled_out = obstacle(network, user, other)
    if ruled_out is not None and ruled_out.reason is not Reason.FROZEN:
        return ruled_out
    view = network.view(user, other, at)
    if view is None or view.balance == 0:
        return NotFound(Reason.NOTHING_TO_CLOSE)
    return NotFound(Reason.FROZEN) if view.is_frozen or network.is_frozen else None


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, to be asked again with something changed."""

    network: NetworkGraph
    sender: User
    receiver: User
    value: int
    at: int
    fee_payer: FeePayer
    limits: Limits
    avoid: frozenset[User]
    budget: int
    search: Searches

    def within(self, allowed: Limits) -> Found | None:
        """Return the best transfer within other limits; raises _Spent."""
        return replace(self, limits=allowed).best()

    def best(self) -> Found | None:
        """Return the best transfer; raises _Spent."""
        return _certain(
            self.search.transfer(
                self.network,
                self.sender,
                self.receiver,
                self.value,
                self.at,
                fee_payer=self.fee_payer,
                limits=self.limits,
                avoid=self.avoid,
                budget=self.budget,
            )
        )

    def widest(self, max_hops: int | None) -> int:
        """Return the largest value that arrives if only capacities, fees and hops count; raises _Spent."""
        value = self.search.widest(
            self.network,
            self.sender,
            self.receiver,
            self.at,
            max_hops=max_hops,
            avoid=self.avoid,
            budget=self.budget,
        )
        if value is None:
            raise _Spent
        return value

    def explain(self) -> NotFound:
        """Return what is wrong between two users who both exist."""
        limit = _explain_limits(self.limits, self.within)
        if limit is not None and limit.reason is not Reason.BUDGET:
            return limit
        try:
            arriving = self.widest(None)
        except _Spent:
            arriving = None
        # Where anything can arrive there is no gap; to look for one takes longer than all the rest.
        gap = None if arriving else _gap(self.network, self.sender, self.receiver, self.avoid)
        if gap is not None:
            return gap
        # Moving nothing leaves no mediator with interest: where even that fails, a trustline is overdrawn.
        is_too_much = arriving is not None and (self.value > arriving or not self.value)
        if arriving is None or (limit is not None and not (is_too_much and self.fee_payer is FeePayer.SENDER)):
            return NotFound(Reason.BUDGET)
        if self.network.rules.prevent_mediator_interests and not is_too_much:
            return NotFound(Reason.MEDIATOR_INTERESTS)
        try:
            return NotFound(Reason.CAPACITY, largest=self._largest(arriving))
        except _Spent:
            return NotFound(Reason.CAPACITY)

    def _largest(self, arriving: int) -> int:
        """Return the largest value below the one asked for that goes through within the same limits.

        ``arriving`` is the largest that arrives where only capacities and fees count.
        """
        if self.limits.max_hops is not None:
            arriving = self.widest(self.limits.max_hops)
        work = max(_LEAST_WORK, _WORK_PER_TRUSTLINE * self.network.number_of_trustlines)
        modest = replace(self, budget=min(self.budget, work))

        def goes(value: int) -> bool:
            return replace(modest, value=value).best() is not None

        if self.fee_payer is FeePayer.RECEIVER:
            # Where to begin is what a sender who pays would send for what can arrive. More can be possible, if so
            # much is withheld from it that it fits all the same.
            same = replace(modest, value=arriving, fee_payer=FeePayer.SENDER).best() if arriving else None
            leaving = arriving if same is None else same.transfer.amounts[0]
            return _largest(leaving, min(self._can_leave(), self.value - 1), goes)
        if self.limits.max_fees is None and not self.network.rules.prevent_mediator_interests:
            return arriving
        return _largest(arriving, arriving, goes)

    def _can_leave(self) -> int:
        views = self.network.views(self.sender, self.at)
        return max((view.left_received for view in views if not view.is_frozen), default=0)


def _certain(result: Result) -> Found | None:
    """Return what was found, None if there surely is nothing; raises _Spent if that is unknown."""
    if isinstance(result, NotFound):
        if result.reason is Reason.BUDGET:
            raise _Spent
        return None
    return result


def _largest(likely: int, highest: int, goes: Callable[[int], bool]) -> int:
    """Return the largest value up to ``highest`` that goes, 0 if none does, given that all below one that goes do.

    It is looked for from ``likely`` on, as it is near.
    """
    low, high = 0, highest + 1
    value, step = max(likely, 1), 1
    while low < value < high:
        if goes(value):
            low, value, step = value, value + step, step * 2
        else:
            high = value
    while high - low > 1:
        middle = (low + high) // 2
        if goes(middle):
            low = middle
        else:
            high = middle
    return low


def _explain_limits(limits: Limits, within: Callable[[Limits], Found | None]) -> NotFound | None:
    """Return which limit is in the way, None if none is."""
    fees, hops = limits.max_fees, limits.max_hops
    try:
        if fees is not None and (found := within(Limits(max_hops=hops))):
            return NotFound(Reason.FEES, cheapest_fees=_proven_fees(found))
        if hops is not None and (found := within(Limits(max_fees=fees))):
            return NotFound(Reason.HOPS, fewest_hops=_fewest(hops, found, fees, within))
        if fees is not None and hops is not None and (found := within(NO_LIMITS)):
            fewest = _fewest(hops, found, None, within)
            return NotFound(Reason.FEES, cheapest_fees=_proven_fees(found), fewest_hops=fewest)
    except _Spent:
        return NotFound(Reason.BUDGET)
    return None


def _proven_fees(found: Found) -> int | None:
    return found.transfer.fees if found.is_proven else None


def _fewest(
    too_few: int, found: Found, max_fees: int | None, within: Callable[[Limits], Found | None]
) -> int | None:
    """Return the fewest hops within which there is a transfer, ``found`` being one; None if that stays unknown."""
    enough = found.transfer.hops
    try:
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            shorter = within(Limits(max_fees, middle))
            if shorter is None:
                too_few = middle
            else:
                enough = shorter.transfer.hops
    except _Spent:
        return None
    return enough


def _gap(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    avoid: Collection[User],
    *,
    except_directly: bool = False,
) -> NotFound | None:
    """Return what keeps two users apart whatever is to move, None if a chain of open trustlines joins them.

    ``except_directly`` leaves their own trustline out of account.
    """

    def is_joined(*, over_frozen: bool) -> bool:
        def passes(user: User, other: User) -> bool:
            if except_directly and {user, other} == {sender, receiver}:
                return False
            return over_frozen or network.lets_pass(user, other)

        return _is_joined(network, sender, receiver, avoid, passes)

    if is_joined(over_frozen=False):
        return None
    return NotFound(Reason.FROZEN if is_joined(over_frozen=True) else Reason.NOT_CONNECTED)


def _is_joined(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    avoid: Collection[User],
    passes: Callable[[User, User], bool],
) -> bool:
    """Return whether a chain of trustlines that pass leads from one user to the other past those to avoid."""
    adjacent = network.graph.adj
    near, far = {sender}, {receiver}
    reached, reached_from_afar = {sender}, {receiver}
    # The smaller front goes on, so that a small island is found to be one at once.
    while near and far:
        if len(near) > len(far):
            near, far, reached, reached_from_afar = far, near, reached_from_afar, reached
        onward = set()
        for user in near:
            for other in adjacent[user]:
                if other in reached or not passes(user, other):
                    continue
                if other in reached_from_afar:
                    return True
                if other not in avoid:
                    reached.add(other)
                    onward.add(other)
        near = onward
    return False
