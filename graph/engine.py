"""The compiled kernel as an engine of `graph.paths`; what it finds is replayed by the rules before it is given."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.network import NetworkGraph
from graph.transfer import MAX_AMOUNT, FeePayer, replay
from graph.trustline import User

if TYPE_CHECKING:
    from graph._kernel import Network

_FOUND, _SPENT = 0, 2
_NO_HOP_LIMIT = 2**32 - 1


class KernelEngine:
    """Searches the kernel that a network keeps in step with its graph."""

    default_budget = 10_000_000
    """How many ends of trustlines a search looks at, or walks it compares, before it gives in."""

    def __init__(self, deadline: float = 0) -> None:
        """Make an engine whose searches give in at ``deadline``, in seconds of ``time.monotonic``; 0 for never."""
        self._deadline = deadline

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
        near, far = (sender, receiver) if fee_payer is FeePayer.RECEIVER else (receiver, sender)
        return self.completion(
            network, (near,), far, value, at, fee_payer=fee_payer, limits=limits, avoid=avoid, budget=budget
        )

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
        is_owed = view.balance > 0
        return self.completion(
            network,
            (user, other) if is_owed else (other, user),
            user,
            abs(view.balance),
            at,
            fee_payer=FeePayer.RECEIVER if is_owed else FeePayer.SENDER,
            limits=limits,
            avoid=avoid,
            budget=budget,
        )

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
        """Return the cheapest transfer that begins, or ends, with the users ``begun``; see `Reference`."""
        if not 0 <= value <= MAX_AMOUNT or not _has_trustlines(network, target, *begun):
            return NotFound(Reason.CAPACITY)
        outcome, path, is_proven, _ = _kernel(network).cheapest(
            fee_payer is FeePayer.RECEIVER,
            begun,
            target,
            value,
            at,
            max_fees=MAX_AMOUNT if limits.max_fees is None else min(limits.max_fees, MAX_AMOUNT),
            max_hops=_hops(limits.max_hops),
            avoid=tuple(avoid),
            not_next=tuple(not_next),
            budget=budget,
            deadline=self._deadline,
        )
        if outcome == _FOUND:
            assert path is not None
            return Found(replay(network, path, value, fee_payer, at), is_proven)
        return NotFound(Reason.BUDGET if outcome == _SPENT else Reason.CAPACITY)

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
    ) -> int | None:
        """Return the largest value that capacities and fees let through when the sender pays, 0 if none does."""
        if not _has_trustlines(network, sender, receiver):
            return 0
        outcome, value, _ = _kernel(network).widest(
            sender,
            receiver,
            at,
            max_hops=_hops(max_hops),
            avoid=tuple(avoid),
            budget=budget,
            deadline=self._deadline,
        )
        return None if outcome == _SPENT else value

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
        if not _has_trustlines(network, sender, receiver):
            return NotFound(Reason.CAPACITY)
        outcome, value, path, _ = _kernel(network).largest(
            sender, receiver, at, avoid=tuple(avoid), budget=budget, deadline=self._deadline
        )
        if outcome == _FOUND:
            assert path is not None
            return Found(replay(network, path, value, FeePayer.SENDER, at), is_proven=True)
        return NotFound(Reason.BUDGET if outcome == _SPENT else Reason.CAPACITY)


def _kernel(network: NetworkGraph) -> "Network":
    assert network.kernel is not None
    return network.kernel


def _hops(max_hops: int | None) -> int:
    return _NO_HOP_LIMIT if max_hops is None else min(max_hops, _NO_HOP_LIMIT)


def _has_trustlines(network: NetworkGraph, *users: User) -> bool:
    """Whether all of them have open trustlines; the kernel need not know users who have none."""
    return all(user in network and network.graph.adj[user] for user in users)
