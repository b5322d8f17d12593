"""The composition root: settings in, wired parts out. Nothing else constructs the relay's parts."""

import logging
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from relay import __version__
from relay.api.admission import Admission
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.limits import Limits, Rate
from relay.api.services import Services
from relay.chain.nodes import Nodes
from relay.chain.signing import SigningKey, load_key
from relay.chain.tokens import token_balance
from relay.clients import Clients
from relay.drawing import Draughtsman, can_draw
from relay.following import build_following, only_networks
from relay.ground import (
    nodes_of,
    now,
    open_node,
    operators_token,
    process_name,
    require_push,
    require_reporting,
)
from relay.guarding import admission_limits, build_operating, request_threads
from relay.live import build_live, stream_kinds
from relay.observing import observed
from relay.outgoing import build_outgoing
from relay.reporting.starting import start_reporting
from relay.serving.generation import Plan
from relay.settings import (
    GasPriceMethod,
    LimitsSettings,
    Settings,
)
from relay.store.connection import Pool
from relay.store.contract_reading import ContractReader
from relay.store.errors import SchemaMismatch
from relay.store.guard import Guard
from relay.store.history_reading import HistoryReader
from relay.store.migrate import require_current
from relay.store.pages import EventPages
from relay.streams.gate import Gate
from relay.sync.networks import Networks
from relay.sync.told import Standing
from relay.trading import build_trading

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

SEARCH_SECONDS = 2.0
"""How long the searches for one answer may take before they give in, where the compiled kernel searches."""


_SCHEMA_TRIES, _SCHEMA_SECONDS = 10, 0.5


def require_schema(settings: Settings) -> None:
    """Raise StoreError unless the database can be reached and has the schema that the API reads."""
    with closing(Pool(settings.database.read_url or settings.database.url, size=1)) as pool:
        for tries_left in reversed(range(_SCHEMA_TRIES if settings.database.read_url else 1)):
            try:
                with pool.snapshot() as cursor:
                    require_current(cursor)
                return
            except SchemaMismatch:
                # What was changed on the primary a moment ago may still be on its way to the replica.
                if not tries_left:
                    raise
                time.sleep(_SCHEMA_SECONDS)


def load_account(settings: Settings, chain_id: int) -> SigningKey | None:
    """Return the key that the relay sends with, None if it sends nothing of its own; raises KeystoreFault."""
    is_needed = settings.delegate.enable or settings.faucet.enable
    if settings.account is None or not is_needed:
        return None
    return load_key(settings.account.keystore_path, settings.account.keystore_password_path, chain_id)


class Api:
    """The API of a process, streams included, as a WSGI application."""

    def __init__(self, front: Gate, networks: Networks) -> None:
        self._front = front
        self._networks = networks

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        return self._front(environ, start_response)

    def stop(self) -> None:
        """End streams and what sends by itself; returns within some seconds."""
        self._front.stop()

    @property
    def is_ready(self) -> bool:
        """Whether the networks are loaded."""
        return self._networks.is_loaded


def plan_api(settings: Settings) -> Plan:
    """Return what the processes serve, having checked what can be checked before they start.

    Raises:
        ChainError, StoreError, KeystoreFault: if node or database fail, or the key cannot be had.
        Unavailable, TokenFault: if what is configured cannot be done.

    """
    require_push(settings)
    require_reporting(settings)
    operators_token(settings)
    require_schema(settings)
    chain_id = open_node(settings).chain_id()
    key = load_account(settings, chain_id)

    def make_api(standing: Standing) -> Api:
        # Every process has connections of its own.
        return build_api(settings, nodes_of(settings), chain_id, key, standing)

    # Beside those of cheap calls there are threads for all expensive ones that are answered or wait.
    rest = replace(settings.rest, threads=request_threads(settings))
    return Plan(rest, make_api, settings.database.url)


def build_api(
    settings: Settings,
    node: Nodes,
    chain_id: int,
    key: SigningKey | None = None,
    standing: Standing | None = None,
) -> Api:
    """Return the API, streams included, over graphs that follow the database from now on.

    ``key`` is `load_account`'s, ``standing`` is where this process stands beside others of this machine.
    """
    start_reporting(settings, "api")
    guard = Guard(settings.database.url)
    following = build_following(settings, process_name(), guard, standing)
    following.start()
    networks, pool = following.networks, following.pool
    operating = build_operating(settings, node, guard)
    outgoing = build_outgoing(settings, node, chain_id, key, pool, now, guard, operating.require_welcome)
    outgoing.start()
    if following.share is not None:
        # What tells of all networks needs a process that holds them.
        settings = only_networks(settings)
    live = build_live(settings, following, node, chain_id, now, guard)
    trading = build_trading(settings, following.primary, networks, node, now, guard=guard)
    trading.start()
    clients = Clients(settings.client_header, settings.rest.trusted_proxies)
    pricing = settings.relay.gas_price_computation
    is_fixed = pricing.method is GasPriceMethod.FIXED
    services = Services(
        networks=networks,
        events=EventPages(pool, lists_expected=outgoing.lists_expected),
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
        messaging=live.messaging,
        devices=live.devices,
        clients=clients,
        order_book=trading.book,
        contracts=ContractReader(pool),
        limits=_limits(settings.limits),
        max_events=settings.rest.max_events,
        share=following.share,
        token_balance=lambda token, user: token_balance(node, token, user),
        streams=stream_kinds(settings),
        admission=Admission(admission_limits(settings)),
        orders=operating.orders,
        operators=operating.operators,
        administration=operating.administration,
    )
    rest = settings.rest
    app = create_app(services, max_body_bytes=rest.max_body_bytes, cors_origins=rest.cors_origins)
    return Api(live.front(observed(settings, app, networks, node.states, clients)), networks)


def _limits(section: LimitsSettings) -> Limits:
    per_minute = {
        Rate.READING: section.reading_per_minute,
        Rate.LISTS: section.lists_per_minute,
        Rate.SEARCHES: section.searches_per_minute,
        Rate.SENDING: section.sending_per_minute,
    }
    return Limits(per_minute, section.burst_seconds)
