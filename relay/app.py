"""The composition root: settings in, wired parts out. Nothing else constructs the relay's parts."""

import logging
import socket
import threading
import time
from collections.abc import Callable

from flask import Flask

from relay import __version__
from relay.addresses import Address
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.network import read_network
from relay.chain.node import Node
from relay.chain.relaying import Relaying
from relay.index.indexer import Indexer, Options
from relay.index.service import LONGEST_RETRY_SECONDS, IndexService
from relay.model import NetworkInfo
from relay.settings import GasPriceMethod, RestSettings, Settings
from relay.store.connection import Connection, Pool, connect
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
    settings: Settings,
    networks: tuple[Address, ...],
    node: Node,
    stopping: threading.Event,
    open_connection: Callable[[str], Connection] = connect,
    longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
) -> IndexService:
    """Return the index of some networks, its schema brought up to date; raises StoreError.

    ``open_connection`` makes the connections that write, ``longest_retry_seconds`` bounds the wait between
    attempts.
    """
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
        open_writer=lambda: Writer(settings.database.url, open_connection),
        make_indexer=lambda writer: Indexer(node, writer, networks, read, options),
        poll_seconds=settings.index.poll_seconds,
        stopping=stopping,
        longest_retry_seconds=longest_retry_seconds,
    )


def build_api(settings: Settings, node: Node, chain_id: int) -> Flask:
    """Return the REST API over graphs that follow the database from now on."""
    pool = Pool(settings.database.url, settings.database.pool_size, settings.database.wait_seconds)
    networks = Networks()
    Follower(StateReader(pool), networks, lambda: FeedListener(settings.database.url)).start()
    pricing = settings.relay.gas_price_computation
    is_fixed = pricing.method is GasPriceMethod.FIXED
    services = Services(
        networks=networks,
        events=EventReader(pool),
        node=node,
        relaying=Relaying(node, chain_id) if settings.tx_relay.enable else None,
        estimate_gas=estimate_gas,
        gas_price=(lambda: pricing.gas_price) if is_fixed else node.gas_price,
        clock=now,
        search_until=lambda: time.monotonic() + SEARCH_SECONDS,
        version=__version__,
    )
    return create_app(services, max_body_bytes=settings.rest.max_body_bytes)


def now() -> int:
    """Return the time in Unix seconds; the clock by which trustlines are valued."""
    return int(time.time())
