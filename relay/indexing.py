"""The part of the composition root that wires the index, and what operators do to what it has written."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from relay.addresses import Address
from relay.admin.orders import Heeder, Orders
from relay.chain.heads import HeadWatcher
from relay.chain.network import find_contract, read_network
from relay.chain.nodes import Nodes
from relay.chain.registry import registered_networks
from relay.contracts import ContractKind, WantedContracts
from relay.ground import Unavailable, process_name
from relay.index.display import Display
from relay.index.finality import FinalityRule
from relay.index.indexer import Indexer, Options
from relay.index.service import LONGEST_RETRY_SECONDS, IndexService
from relay.index.verify import Contents, Difference, Verifier
from relay.index.verify_contracts import ContractDifference, ContractVerifier
from relay.index.wanted import WantedNetworks
from relay.model import NetworkInfo
from relay.reporting.starting import start_reporting
from relay.settings import (
    Settings,
    WatchedAddresses,
    find_addresses,
)
from relay.store.admin import AdminStore, Part
from relay.store.connection import Connection, Pool, connect
from relay.store.contract_reading import ContractReader
from relay.store.migrate import migrate, require_current
from relay.store.operating import OperatingPool
from relay.store.reading import StateReader
from relay.store.writing import Writer

logger = logging.getLogger(__name__)

_REPAIR_SECONDS = 24 * 3600
_LOCK_TRIES, _LOCK_SECONDS = 10, 0.5


def forget_chain(settings: Settings) -> None:
    """Erase what the database holds of the chain, so that the next index reads it anew.

    Raises:
        Unavailable: if an index process is writing at this moment.
        StoreError: if the database fails.

    """
    migrate(settings.database.url)
    writer = Writer(settings.database.url)
    try:
        # An index that has stopped looks again now and then, and lets go of the lock at once.
        for _ in range(_LOCK_TRIES):
            if writer.try_lock():
                break
            time.sleep(_LOCK_SECONDS)
        else:
            raise Unavailable("another index process writes to this database: end it before a rebuild")
        with writer.transaction(is_long=True) as transaction:
            transaction.erase()
    finally:
        writer.close()
    logger.info("forgot what was stored of the chain")


def build_index(
    settings: Settings,
    networks: tuple[Address, ...],
    node: Nodes,
    stopping: threading.Event,
    open_connection: Callable[[str], Connection] = connect,
    longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
    display: Display | None = None,
) -> IndexService:
    """Return the index of some networks, its schema brought up to date; raises StoreError.

    ``networks`` are those that the settings name at the moment; what changes there while the index runs is
    followed. ``open_connection`` makes the connections that write, ``longest_retry_seconds`` bounds the wait
    between attempts, ``display`` shows how it gets on (in the log, if there is none).
    """
    start_reporting(settings, "index")
    for name in migrate(settings.database.url):
        logger.info("brought the database schema up to date: %s", name)
    addresses = WatchedAddresses(settings, networks)
    wanted = WantedNetworks(addresses, _registered(settings, node))

    def contracts() -> WantedContracts:
        return _wanted_contracts(settings, addresses.contracts())

    return IndexService(
        open_writer=lambda: Writer(settings.database.url, open_connection),
        make_indexer=lambda writer: _indexer(settings, node, writer, wanted(), contracts()),
        poll_seconds=settings.index.poll_seconds,
        stopping=stopping,
        find_networks=wanted,
        find_contracts=contracts,
        wait=HeadWatcher(settings.node.heads_url, stopping).start().wait,
        process=process_name(),
        node_in_use=lambda: node.url,
        display=display,
        is_paused=_pauses(settings, node),
        longest_retry_seconds=longest_retry_seconds,
    )


def _pauses(settings: Settings, node: Nodes) -> Callable[[], bool]:
    """Heed from now on what operators decide; return what tells whether the index is to stand still."""
    orders = Orders()
    Heeder(AdminStore(OperatingPool(settings.database.url, size=1)), orders, node.reconnect).start()
    return lambda: orders.is_paused(Part.INDEX)


def _registered(settings: Settings, node: Nodes) -> Callable[[], list[Address]] | None:
    registry = settings.relay.registry
    return None if registry is None else lambda: registered_networks(node, registry)


def _wanted_contracts(settings: Settings, named: Mapping[Address, ContractKind]) -> WantedContracts:
    """Return the named contracts of what is switched on, and identities where meta-transactions are executed."""
    wanted: dict[Address | None, ContractKind] = {
        address: kind
        for address, kind in named.items()
        if kind is not ContractKind.EXCHANGE or settings.exchange.enable
    }
    if settings.delegate.enable:
        wanted[None] = ContractKind.IDENTITY
    return wanted


def _indexer(
    settings: Settings, node: Nodes, writer: Writer, networks: Sequence[Address], contracts: WantedContracts
) -> Indexer:
    options = Options(
        batch_blocks=settings.index.batch_blocks,
        finality_depth=settings.index.finality_depth,
        first_block=settings.index.first_block,
        finality=FinalityRule(settings.index.finality),
        shorter_chain_seconds=settings.index.shorter_chain_seconds,
    )

    def read(address: Address, first_block: int | None) -> NetworkInfo:
        return read_network(node, address, first_block)

    def find(address: Address) -> int | None:
        return find_contract(node, address, settings.index.first_block)

    return Indexer(node, writer, networks, read, options, contracts=contracts, find_contract=find)


def choose_network(settings: Settings, address: Address, *, is_wanted: bool) -> None:
    """Note that a network is to be served, or no longer; a running index follows suit; raises StoreError."""
    migrate(settings.database.url)
    writer = Writer(settings.database.url)
    try:
        with writer.transaction() as transaction:
            transaction.choose(address, is_wanted=is_wanted)
    finally:
        writer.close()


def require_network(node: Nodes, address: Address) -> None:
    """Raise NotANetwork unless there is a currency network at an address."""
    read_network(node, address, first_block=0)


def stored_contents(settings: Settings) -> Contents:
    """Return all that a verification compares, as of one commit; raises StoreError."""
    with closing(Pool(settings.database.url, size=1)) as pool:
        with pool.snapshot() as cursor:
            require_current(cursor)
        with StateReader(pool).snapshot() as snapshot:
            return Contents.of(snapshot)


def compare(node: Nodes, contents: Contents, progress: Callable[[int], None]) -> Iterator[Difference]:
    """Yield what differs from the chain; ``progress`` hears how many more were compared; raises ChainError."""
    return Verifier(node, progress).differences(contents)


def compare_contracts(settings: Settings, node: Nodes, contents: Contents) -> Iterator[Difference]:
    """Yield which events of tokens, exchanges and identities differ from the chain's logs.

    Raises:
        ChainError, StoreError, IndexFault: if node or database fail, or change meanwhile.

    """
    with closing(Pool(settings.database.url, size=1)) as pool:
        yield from ContractVerifier(node, ContractReader(pool)).differences(contents.block)


def repair(settings: Settings, node: Nodes, differences: Sequence[Difference]) -> None:
    """Have the events of what differs read anew: by the index that is running, or here where none is.

    Raises:
        Unavailable: if the index that is running does not get to it in time.
        StoreError, ChainError, IndexFault: if it is done here and fails.

    """
    writer = Writer(settings.database.url)
    try:
        with writer.transaction() as transaction:
            broken = {kind: set[int]() for kind in (Difference, ContractDifference)}
            for difference in differences:
                broken[type(difference)].add(difference.network_id)
            transaction.set_repair_wanted(broken[Difference], wanted=True)
            transaction.set_contract_repair_wanted(broken[ContractDifference], wanted=True)
        for _ in range(_REPAIR_SECONDS):
            if writer.try_lock():
                addresses = find_addresses(settings)
                contracts = _wanted_contracts(settings, addresses.contracts)
                _indexer(settings, node, writer, addresses.networks, contracts).repair()
                return
            with writer.transaction() as transaction:
                waiting = [network.repair_wanted for network in transaction.networks()]
                waiting += [contract.repair_wanted for contract in transaction.contracts()]
                if not any(waiting):
                    return
            time.sleep(1)
    finally:
        writer.close()
    raise Unavailable("the index that is running has not repaired it yet: look at its log and `tl-relay status`")
