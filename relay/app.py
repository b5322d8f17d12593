"""The composition root: settings in, wired parts out. Nothing else constructs the relay's parts."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from relay import __version__
from relay.addresses import Address
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.heads import HeadWatcher
from relay.chain.network import find_contract, read_network
from relay.chain.nodes import Nodes, NodeState
from relay.chain.registry import registered_networks
from relay.chain.signing import SigningKey, load_key
from relay.chain.tokens import token_balance
from relay.contracts import ContractKind, WantedContracts
from relay.drawing import Draughtsman, can_draw
from relay.index.display import Display
from relay.index.finality import FinalityRule
from relay.index.indexer import Indexer, Options
from relay.index.service import LONGEST_RETRY_SECONDS, IndexService
from relay.index.verify import Contents, Difference, Verifier
from relay.index.verify_contracts import ContractDifference, ContractVerifier
from relay.index.wanted import WantedNetworks
from relay.live import build_live, push_fault
from relay.model import NetworkInfo
from relay.outgoing import build_outgoing
from relay.settings import GasPriceMethod, RestSettings, Settings, WatchedAddresses, find_addresses
from relay.store.connection import Connection, Pool, connect
from relay.store.contract_expected import ExpectedContractEvents
from relay.store.contract_reading import ContractReader
from relay.store.history_reading import HistoryReader
from relay.store.migrate import migrate, require_current
from relay.store.reading import EventReader, FeedListener, StateReader
from relay.store.status import FollowerBoard, RelayStatus, StatusReader
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks
from relay.trading import build_trading

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

SEARCH_SECONDS = 2.0
"""How long the searches for one answer may take before they give in, where the compiled kernel searches."""


_REPAIR_SECONDS = 24 * 3600
_LOCK_TRIES, _LOCK_SECONDS = 10, 0.5


class Unavailable(Exception):
    """Something the relay needs at its start is not there; the text is one sentence naming it."""


def open_node(settings: Settings) -> Nodes:
    """Return the nodes, having heard from one of them; raises ChainError."""
    node = Nodes(settings.node.urls, settings.node.timeout_seconds, settings.index.finality_depth)
    node.ping()
    return node


def require_schema(settings: Settings) -> None:
    """Raise StoreError unless the database can be reached and has the schema that the API reads."""
    pool = Pool(settings.database.url, size=1)
    with pool.snapshot() as cursor:
        require_current(cursor)
    pool.close()


def require_port(settings: RestSettings) -> None:
    """Raise Unavailable if the API could not listen where it should."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {settings.bind}: {error.strerror} ([rest] port or --port moves it)"
            ) from None


def require_push(settings: Settings) -> None:
    """Raise Unavailable if push notifications are wanted but cannot be sent."""
    fault = push_fault(settings)
    if fault is not None:
        raise Unavailable(fault)


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
        longest_retry_seconds=longest_retry_seconds,
    )


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


def relay_status(settings: Settings) -> RelayStatus:
    """Return how the relay runs, as the database tells; raises StoreError."""
    with closing(Pool(settings.database.url, size=1)) as pool:
        return StatusReader(pool).status()


def node_states(settings: Settings) -> tuple[NodeState, ...]:
    """Return how the nodes are at this moment, which takes up to 3 s; no fault of theirs raises."""
    return Nodes(settings.node.urls, settings.node.timeout_seconds, settings.index.finality_depth).check()


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


def process_name() -> str:
    """Return what names this process in the database: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def load_account(settings: Settings, chain_id: int) -> SigningKey | None:
    """Return the key that the relay sends with, None if it sends nothing of its own; raises KeystoreFault."""
    is_needed = settings.delegate.enable or settings.faucet.enable
    if settings.account is None or not is_needed:
        return None
    return load_key(settings.account.keystore_path, settings.account.keystore_password_path, chain_id)


def build_api(settings: Settings, node: Nodes, chain_id: int, key: SigningKey | None = None) -> "WSGIApplication":
    """Return the API, streams included, over graphs that follow the database from now on.

    ``key`` is `load_account`'s.
    """
    pool = Pool(settings.database.url, settings.database.pool_size, settings.database.wait_seconds)
    networks = Networks()
    board = FollowerBoard(settings.database.url, process_name())
    Follower(StateReader(pool), networks, lambda: FeedListener(settings.database.url), board=board).start()
    outgoing = build_outgoing(settings, node, chain_id, key, pool, now)
    outgoing.start()
    live = build_live(settings, pool, networks, node, chain_id, now)
    trading = build_trading(settings, pool, networks, node, now)
    trading.start()
    pricing = settings.relay.gas_price_computation
    is_fixed = pricing.method is GasPriceMethod.FIXED
    services = Services(
        networks=networks,
        events=EventReader(pool),
        node=node,
        relaying=outgoing.relaying,
        estimate_gas=estimate_gas,
        gas_price=(lambda: pricing.gas_price) if is_fixed else node.gas_price,
        clock=now,
        search_until=lambda: time.monotonic() + SEARCH_SECONDS,
        version=__version__,
        histories=HistoryReader(pool),
        pictures=Draughtsman() if can_draw() else None,
        meta_transactions=outgoing.meta_transactions,
        identities=outgoing.identities,
        faucet=outgoing.faucet,
        deploys_identities=settings.delegate.enable_deploy_identity,
        statuses=outgoing.statuses,
        expected_events=outgoing.expected_events,
        messaging=live.messaging,
        devices=live.devices,
        client_header=settings.messaging.client_header,
        order_book=trading.book,
        contracts=ContractReader(pool),
        expected_contract_events=ExpectedContractEvents(pool) if outgoing.expected_events else None,
        token_balance=lambda token, user: token_balance(node, token, user),
    )
    return live.front(create_app(services, max_body_bytes=settings.rest.max_body_bytes))


def now() -> int:
    """Return the time in Unix seconds; the clock by which trustlines are valued."""
    return int(time.time())
