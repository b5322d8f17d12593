"""The graphs of all served networks in this process, and the block they stand at."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from graph.network import NetworkGraph, Rules
from graph.trustline import Row, Trustline
from relay.addresses import Address
from relay.model import NetworkInfo
from relay.store.feed import Commit
from relay.store.reading import Changes, Snapshot
from relay.store.rows import CursorPosition, StoredNetwork
from relay.sync.locking import ReadersWriterLock
from relay.sync.told import Standing


class UnknownNetwork(KeyError):
    """No network of that address is served."""


class Networks:
    """The in-memory state of the served networks.

    It changes as a whole: who holds ``reading`` sees the networks at one block, whatever arrives meanwhile. Any
    number may read at once; what arrives waits for those who read already and goes before those who come later,
    unless one of them takes long: then it lets some pass.
    """

    def __init__(self, standing: Standing | None = None) -> None:
        """Begin with none; ``standing`` is where this process stands beside others of the machine."""
        self.standing = standing or Standing()
        self._lock = ReadersWriterLock()
        self._infos: dict[Address, NetworkInfo] = {}
        self._graphs: dict[int, NetworkGraph] = {}
        self._ids: dict[Address, int] = {}
        self._block: CursorPosition | None = None
        self._commit = Commit(0)
        self._is_loaded = False

    @property
    def is_loaded(self) -> bool:
        """Whether the state has been read from the database at all."""
        return self._is_loaded

    @property
    def block(self) -> CursorPosition | None:
        """The block at which all graphs stand, None before anything was indexed."""
        return self._block

    @property
    def position(self) -> int:
        """How far on the feed the graphs have come."""
        return self._commit.position

    @property
    def commit(self) -> Commit:
        """The commit after which the graphs stand."""
        return self._commit

    def reading(self, network: Address, *, briefly: bool = False) -> AbstractContextManager[NetworkGraph]:
        """Hold a network's graph still while it is read; one cannot be held inside another.

        Who reads ``briefly``, for milliseconds at most, does not wait for an update that waits for a search.
        Entering raises UnknownNetwork if it is not served.
        """
        return _Reading(self._lock.reading(briefly=briefly), lambda: self._graph(network))

    def _graph(self, network: Address) -> NetworkGraph:
        if network not in self._ids:
            raise UnknownNetwork(network)
        return self._graphs[self._ids[network]]

    def info(self, network: Address) -> NetworkInfo:
        """Return what is known of a network; raises UnknownNetwork."""
        # The dictionary is never changed, only replaced: one look at it needs no lock.
        infos = self._infos
        if network not in infos:
            raise UnknownNetwork(network)
        return infos[network]

    def ids(self) -> set[int]:
        """Return the ids of the served networks."""
        return set(self._graphs)

    def addresses(self) -> list[Address]:
        """Return the addresses of the served networks, in the order in which they were added."""
        return list(self._infos)

    def load(self, snapshot: Snapshot) -> int:
        """Replace everything by a snapshot; return how many trustlines were in it."""
        taken = 0

        def take(network_id: int, rows: list[Row]) -> None:
            nonlocal taken
            taken += len(rows)
            graphs[network_id].load(rows)

        graphs = {
            network.id: NetworkGraph(
                Rules(network.info.fee_divisor, network.info.prevent_mediator_interests),
                is_frozen=network.info.is_frozen,
            )
            for network in snapshot.networks
        }
        snapshot.hand_over(take)
        with self._lock.writing():
            # The old ones stay referred to until the lock is let go, for taking large graphs apart takes its time.
            self._graphs, graphs = graphs, self._graphs
            self._take_over(snapshot.networks)
            self._block, self._commit = snapshot.block, Commit(snapshot.position, snapshot.commit_id)
            self._is_loaded = True
            self.standing.note(self.position)
        return taken

    def apply(self, changes: Changes) -> bool:
        """Take over changes; return False, having done nothing, if they lack a network that is served."""
        served = {network.id for network in changes.networks}
        if not served <= self._graphs.keys() | changes.loaded.keys():
            return False
        # Large networks are built before anybody is kept waiting.
        loaded = {
            network.id: _graph_of(network, changes.loaded[network.id])
            for network in changes.networks
            if network.id in changes.loaded
        }
        with self._lock.writing():
            dropped = self._graphs
            self._graphs = {network_id: dropped[network_id] for network_id in served & dropped.keys()} | loaded
            for network_id, pair, trustline in changes.trustlines:
                graph = self._graphs[network_id]
                if trustline is None:
                    graph.forget(pair)
                else:
                    graph.apply(trustline)
            self._take_over(changes.networks)
            self._block, self._commit = changes.block, Commit(changes.position, changes.commit_id)
            self.standing.note(self.position)
        return True

    def _take_over(self, networks: list[StoredNetwork]) -> None:
        self._infos = {network.info.address: network.info for network in networks}
        self._ids = {network.info.address: network.id for network in networks}
        for network in networks:
            self._graphs[network.id].is_frozen = network.info.is_frozen


class _Reading:
    """The time during which a graph is held still."""

    __slots__ = ("_graph", "_held")

    def __init__(self, held: AbstractContextManager[None], graph: Callable[[], NetworkGraph]) -> None:
        self._held, self._graph = held, graph

    def __enter__(self) -> NetworkGraph:
        self._held.__enter__()
        try:
            return self._graph()
        except BaseException:
            self._held.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        self._held.__exit__(None, None, None)


def _graph_of(network: StoredNetwork, trustlines: Iterable[Trustline]) -> NetworkGraph:
    rules = Rules(network.info.fee_divisor, network.info.prevent_mediator_interests)
    return NetworkGraph(rules, trustlines, is_frozen=network.info.is_frozen)
