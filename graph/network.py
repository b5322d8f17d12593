"""The graph of a currency network: users as nodes, trustlines as edges of a networkx graph."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from graph.compiled import kernel_network
from graph.trustline import Pair, Trustline, User, View

if TYPE_CHECKING:
    from graph._kernel import Network

_TRUSTLINE = "trustline"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a currency network contract fixes for all transfers in it.

    ``fee_divisor`` is its ``capacityImbalanceFeeDivisor`` (uint16, 0: no fees),
    ``prevent_mediator_interests`` whether a mediator may be left paying more interest than it earns.
    """

    fee_divisor: int = 0
    prevent_mediator_interests: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the trustlines of a user, in the smallest unit.

    ``balance`` counts what lies on trustlines that are not frozen, ``frozen_balance`` the rest; ``given`` and
    ``received`` count the credit lines of all. ``spendable`` is what is left received on those not frozen.
    """

    balance: int = 0
    frozen_balance: int = 0
    given: int = 0
    received: int = 0
    spendable: int = 0

    @property
    def left_given(self) -> int:
        """The credit lines given, less the balance."""
        return self.given - self.balance

    @property
    def left_received(self) -> int:
        """The credit lines received and the balance."""
        return self.received + self.balance


class NetworkGraph:
    """The trustlines of one currency network.

    The users are those who have, or once had, a trustline: the contract's ``getUsers`` forgets nobody.
    It is not synchronised: whoever updates it while others read must keep them apart. Where the compiled kernel is
    there, ``kernel`` holds the same trustlines in flat arrays, kept in step by the same changes.
    """

    def __init__(
        self,
        rules: Rules,
        trustlines: Iterable[Trustline] = (),
        *,
        is_frozen: bool = False,
        use_kernel: bool = True,
    ) -> None:
        """Build the graph and, if it is installed and wanted, the compiled kernel beside it."""
        self.rules = rules
        make_kernel = kernel_network() if use_kernel else None
        self.kernel: Network | None = None
        if make_kernel is not None:
            self.kernel = make_kernel(rules.fee_divisor, rules.prevent_mediator_interests)
        self.is_frozen = is_frozen
        self._graph: nx.Graph[User] = nx.Graph()
        self._closed: set[Pair] = set()
        self._closed_of: Counter[User] = Counter()
        for trustline in trustlines:
            self.apply(trustline)

    @property
    def graph(self) -> "nx.Graph[User]":
        """The networkx graph itself, to be read only."""
        return self._graph

    def apply(self, trustline: Trustline) -> None:
        """Take over the new state of a trustline: opened, changed or closed."""
        if trustline.is_closed:
            self._drop_edge(trustline.pair)
            self._graph.add_nodes_from(trustline.pair)
            if trustline.pair not in self._closed:
                self._closed.add(trustline.pair)
                self._closed_of.update(trustline.pair)
        else:
            self._forget_closed(trustline.pair)
            self._graph.add_edge(trustline.lower, trustline.higher, **{_TRUSTLINE: trustline})
            if self.kernel is not None:
                self.kernel.put(
                    trustline.lower,
                    trustline.higher,
                    trustline.balance,
                    trustline.given,
                    trustline.received,
                    trustline.rate_given,
                    trustline.rate_received,
                    trustline.is_frozen,
                    trustline.mtime,
                )

    def forget(self, pair: Pair) -> None:
        """Remove a trustline as if it had never been, as a reorg may demand; users left without any go too."""
        self._drop_edge(pair)
        self._forget_closed(pair)
        for user in pair:
            if user in self._graph and not self._graph.adj[user] and not self._closed_of[user]:
                self._graph.remove_node(user)
                del self._closed_of[user]

    def __contains__(self, user: User) -> bool:
        return user in self._graph

    @property
    def users(self) -> list[User]:
        """All users, in the order of their keys."""
        return sorted(self._graph)

    @property
    def number_of_users(self) -> int:
        """How many users there are."""
        return self._graph.number_of_nodes()

    @property
    def number_of_trustlines(self) -> int:
        """How many trustlines are open."""
        return self._graph.number_of_edges()

    def trustlines(self) -> Iterator[Trustline]:
        """All open trustlines, in no particular order."""
        for _, _, data in self._graph.edges(data=True):
            yield data[_TRUSTLINE]

    def trustline(self, user: User, other: User) -> Trustline | None:
        """Return the open trustline between two users, as stored, or None."""
        data: dict[str, Any] | None = self._graph.get_edge_data(user, other)
        return None if data is None else data[_TRUSTLINE]

    def neighbours(self, user: User) -> list[User]:
        """Return the users with whom ``user`` has an open trustline, in the order of their keys."""
        return sorted(self._graph.adj[user]) if user in self._graph else []

    def view(self, user: User, other: User, at: int) -> View | None:
        """Return how ``user`` sees the trustline with ``other`` at the time ``at``, or None."""
        trustline = self.trustline(user, other)
        return None if trustline is None else trustline.at(at).seen_by(user)

    def views(self, user: User, at: int) -> Iterator[View]:
        """How ``user`` sees each open trustline at the time ``at`` (Unix seconds), by the other's key."""
        for other in self.neighbours(user):
            trustline = self.trustline(user, other)
            assert trustline is not None
            yield trustline.at(at).seen_by(user)

    def totals(self, user: User, at: int) -> Totals:
        """Return the sums over a user's trustlines with interest up to ``at``; zeros for an unknown user."""
        views = list(self.views(user, at))
        free = [view for view in views if not view.is_frozen]
        return Totals(
            balance=sum(view.balance for view in free),
            frozen_balance=sum(view.balance for view in views if view.is_frozen),
            given=sum(view.given for view in views),
            received=sum(view.received for view in views),
            spendable=sum(view.left_received for view in free),
        )

    def _drop_edge(self, pair: Pair) -> None:
        if self._graph.has_edge(*pair):
            self._graph.remove_edge(*pair)
            if self.kernel is not None:
                self.kernel.drop(*pair)

    def _forget_closed(self, pair: Pair) -> None:
        if pair in self._closed:
            self._closed.remove(pair)
            self._closed_of.subtract(pair)
