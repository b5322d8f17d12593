"""The graph of a currency network: users as nodes, trustlines as edges of a networkx graph."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from graph.compiled import kernel_network
from graph.state import PlainState, State
from graph.trustline import Pair, Row, Side, Trustline, User, View, pair_of

if TYPE_CHECKING:
    from graph._kernel import Network

    _Graph = nx.Graph[User]
else:
    _Graph = nx.Graph


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


class _NoData(dict[str, Any]):
    """The data of an edge: none, so that all edges can share one."""

    def update(self, *others: Any, **data: Any) -> None:
        """Take nothing; raises TypeError if there is something to take."""
        if data or any(others):
            raise TypeError("the edges of this graph carry no data")

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("the edges of this graph carry no data")

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Take nothing; raises TypeError."""
        self[key] = default


_NO_DATA = _NoData()


class _Topology(_Graph):
    """Who has a trustline with whom. What the trustlines say lies elsewhere: an edge costs two references."""

    @staticmethod
    def edge_attr_dict_factory() -> dict[str, Any]:
        """Return the data of a new edge."""
        return _NO_DATA


class NetworkGraph:
    """The trustlines of one currency network.

    The users are those who have, or once had, a trustline: the contract's ``getUsers`` forgets nobody.
    It is not synchronised: whoever updates it while others read must keep them apart.

    The networkx graph says who has a trustline with whom. What the trustlines say is kept once, in the flat arrays
    of ``kernel`` where the compiled kernel is there; a `Trustline` or `View` is made when somebody looks at one.
    """

    def __init__(
        self,
        rules: Rules,
        trustlines: Iterable[Trustline] = (),
        *,
        is_frozen: bool = False,
        use_kernel: bool = True,
    ) -> None:
        """Build the graph, in the compiled kernel if that is installed and wanted."""
        self.rules = rules
        make_kernel = kernel_network() if use_kernel else None
        self.kernel: Network | None = None
        if make_kernel is not None:
            self.kernel = make_kernel(rules.fee_divisor, rules.prevent_mediator_interests)
        self.is_frozen = is_frozen
        self._state: State = PlainState() if self.kernel is None else self.kernel
        self._graph: nx.Graph[User] = _Topology()
        self._size: int | None = 0
        # One object for each user, however many rows name it.
        self._keys: dict[User, User] = {}
        self._closed: set[Pair] = set()
        self._closed_of: Counter[User] = Counter()
        self.load(line.row for line in trustlines)

    @property
    def graph(self) -> "nx.Graph[User]":
        """The networkx graph itself, to be read only; its edges carry no data."""
        return self._graph

    def load(self, rows: Iterable[Row]) -> None:
        """Take over many trustlines, one after the other, as ``apply`` does; rows are not kept.

        Raises:
            ValueError: if a row does not name its lower user first; the rows before it have been taken over.

        """
        self._size = None
        self._graph.add_edges_from(self._put_all(rows))

    def apply(self, trustline: Trustline) -> None:
        """Take over the new state of a trustline: opened, changed or closed."""
        if trustline.is_closed:
            self._close(trustline.pair)
            return
        pair = self._known(trustline.pair)
        row: Row = (*pair, *trustline.row[2:])
        self._state.put(*row)
        self._forget_closed(pair)
        if not self._graph.has_edge(*pair):
            self._graph.add_edge(*pair)
            self._size = None if self._size is None else self._size + 1

    def forget(self, pair: Pair) -> None:
        """Remove a trustline as if it had never been, as a reorg may demand; users left without any go too."""
        self._drop_edge(pair)
        self._forget_closed(pair)
        for user in pair:
            if user in self._graph and not self._graph.adj[user] and not self._closed_of[user]:
                self._graph.remove_node(user)
                del self._closed_of[user]
                self._keys.pop(user, None)

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
        if self._size is None:
            self._size = self._graph.number_of_edges()  # it asks every user
        return self._size

    def trustlines(self) -> Iterator[Trustline]:
        """All open trustlines, in no particular order."""
        for user in self._graph:
            for other, side in self._state.around(user):
                if user < other:
                    yield _stored((user, other), side)

    def trustline(self, user: User, other: User) -> Trustline | None:
        """Return the open trustline between two users, as stored, or None."""
        if user == other:
            return None
        pair = pair_of(user, other)
        side = self._state.get(*pair)
        return None if side is None else _stored(pair, side)

    def lets_pass(self, user: User, other: User) -> bool:
        """Whether two users have an open trustline that is not frozen."""
        side = self._state.get(user, other)
        return side is not None and not side[5]

    def neighbours(self, user: User) -> list[User]:
        """Return the users with whom ``user`` has an open trustline, in the order of their keys."""
        return sorted(self._graph.adj[user]) if user in self._graph else []

    def view(self, user: User, other: User, at: int) -> View | None:
        """Return how ``user`` sees the trustline with ``other`` at the time ``at``, or None."""
        side = self._state.get(user, other)
        return None if side is None else View.of_side(user, other, side, at)

    def views(self, user: User, at: int) -> Iterator[View]:
        """How ``user`` sees each open trustline at the time ``at`` (Unix seconds), by the other's key."""
        return map(View._make, sorted(self._state.views(user, at)))

    def totals(self, user: User, at: int) -> Totals:
        """Return the sums over a user's trustlines with interest up to ``at``; zeros for an unknown user."""
        balances = [0, 0]
        given = received = free_received = 0
        for _, _, balance, line_given, line_received, _, _, is_frozen in self._state.views(user, at):
            balances[is_frozen] += balance
            given += line_given
            received += line_received
            if not is_frozen:
                free_received += line_received
        free, frozen = balances
        return Totals(free, frozen, given, received, spendable=free_received + free)

    def _put_all(self, rows: Iterable[Row]) -> Iterator[Pair]:
        """Take over the state of rows; what comes back are the edges that are still to be added to the graph."""
        put, keys = self._state.put, self._keys
        for lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime in rows:
            if not (balance or given or received or rate_given or rate_received):
                self._close(Trustline(lower, higher).pair)
                continue
            pair = (keys.setdefault(lower, lower), keys.setdefault(higher, higher))
            put(*pair, balance, given, received, rate_given, rate_received, is_frozen, mtime)
            self._forget_closed(pair)
            yield pair

    def _known(self, pair: Pair) -> Pair:
        lower, higher = pair
        return self._keys.setdefault(lower, lower), self._keys.setdefault(higher, higher)

    def _close(self, pair: Pair) -> None:
        pair = self._known(pair)
        self._drop_edge(pair)
        self._graph.add_nodes_from(pair)
        if pair not in self._closed:
            self._closed.add(pair)
            self._closed_of.update(pair)

    def _drop_edge(self, pair: Pair) -> None:
        if self._graph.has_edge(*pair):
            self._graph.remove_edge(*pair)
            self._size = None if self._size is None else self._size - 1
            self._state.drop(*pair)

    def _forget_closed(self, pair: Pair) -> None:
        if pair in self._closed:
            self._closed.remove(pair)
            self._closed_of.subtract(pair)


def _stored(pair: Pair, side: Side) -> Trustline:
    row: Row = (*pair, *side)
    return Trustline(*row)
