"""The composition root: settings in, wired parts out. Nothing else constructs the relay's parts."""

import logging
import socket
import threading
import time

from flask import Flask

from relay import __version__
from relay.addresses import Address
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.network import read_network
from relay.chain.node import Node
from relay.chain.signing import SigningKey, load_key
from relay.index.indexer import Indexer, Options
from relay.index.service import IndexService
from relay.model import NetworkInfo
from relay.outgoing import build_outgoing
from relay.settings import GasPriceMethod, RestSettings, Settings
from relay.store.connection import Pool
from relay.store.migrate import migrate, require_current
from relay.store.reading import EventReader, FeedListener, StateReader
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

SEARCH_SECONDS = 2.0
"""How long the searches for one answer may take before they give in, where the compiled kernel searches."""


class Unavailable(Exception):
    """Something the relay needs at its start is not there; the text is one sentence naming it."""


def open_node(settings: Settings) -> Node:
    """Return the node, having heard from it; raises ChainError."""
    node = Node(settings.node.urls[0], timeout=settings.node.timeout_seconds)
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


def forget_chain(settings: Settings) -> None:
    """Erase what the database holds of the chain, so that the next index reads it anew.

    Raises:
        Unavailable: if an index process is writing at this moment.
        StoreError: if the database fails.

    """
    migrate(settings.database.url)
    writer = Writer(settings.database.url)
    try:
        if not writer.try_lock():
            raise Unavailable("another index process writes to this database: end it before a rebuild")
        with writer.transaction() as transaction:
            transaction.erase()
    finally:
        writer.close()
    logger.info("forgot what was stored of the chain")


def build_index(
    settings: Settings, networks: tuple[Address, ...], node: Node, stopping: threading.Event
) -> IndexService:
    """Return the index of some networks, its schema brought up to date; raises StoreError."""
    for name in migrate(settings.database.url):
        logger.info("brought the database schema up to date: %s", name)
    options = Options(
        batch_blocks=settings.index.batch_blocks,
        finality_depth=settings.index.finality_depth,
        first_block=settings.index.first_block,
    )

    def read(address: Address, first_block: int | None) -> NetworkInfo:
        return read_network(node, address, first_block)

    return IndexService(
        open_writer=lambda: Writer(settings.database.url),
        make_indexer=lambda writer: Indexer(node, writer, networks, read, options),
        poll_seconds=settings.index.poll_seconds,
        stopping=stopping,
    )


def load_account(settings: Settings, chain_id: int) -> SigningKey | None:
    """Return the key that the relay sends with, None if it sends nothing of its own; raises KeystoreFault."""
    is_needed = settings.delegate.enable or settings.faucet.enable
    if settings.account is None or not is_needed:
        return None
    return load_key(settings.account.keystore_path, settings.account.keystore_password_path, chain_id)


def build_api(settings: Settings, node: Node, chain_id: int, key: SigningKey | None = None) -> Flask:
    """Return the REST API over graphs that follow the database from now on; ``key`` is `load_account`'s."""
    pool = Pool(settings.database.url, settings.database.pool_size, settings.database.wait_seconds)
    networks = Networks()
    Follower(StateReader(pool), networks, lambda: FeedListener(settings.database.url)).start()
    outgoing = build_outgoing(settings, node, chain_id, key, pool, now)
    outgoing.start()
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
        meta_transactions=outgoing.meta_transactions,
        identities=outgoing.identities,
        faucet=outgoing.faucet,
        deploys_identities=settings.delegate.enable_deploy_identity,
        statuses=outgoing.statuses,
        expected_events=outgoing.expected_events,
    )
    return create_app(services, max_body_bytes=settings.rest.max_body_bytes)


def now() -> int:
    """Return the time in Unix seconds; the clock by which trustlines are valued."""
    return int(time.time())
