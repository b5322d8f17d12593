"""The composition of what is live: streams, messages and push notifications. Part of the composition root."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from relay.chain.calls import ChainCalls
from relay.chain.owners import owner_of
from relay.clients import Clients
from relay.following import Following
from relay.ground import webhook_secret
from relay.messaging.delivery import Delivery
from relay.messaging.limits import ClientRate
from relay.messaging.mailbox import Also, Mailboxes, Rules
from relay.messaging.upkeep import Upkeep, forgetting
from relay.push.firebase import Firebase
from relay.push.sending import Sender
from relay.push.service import Attempts, PushService
from relay.push.telling import tell_devices
from relay.push.tokens import Devices
from relay.push.webhook import Webhook
from relay.settings import Settings
from relay.settings.live import PushSender
from relay.store.feed_log import FeedLog
from relay.store.guard import Guard
from relay.store.happenings import HappeningReader
from relay.store.messages import MessageListener, MessageStore
from relay.store.operating import OperatingPool
from relay.store.push import PushLock, PushStore
from relay.store.rates import RateStore
from relay.streams.door import EventDoor
from relay.streams.feeder import Feeder
from relay.streams.gate import Gate
from relay.streams.history import History
from relay.streams.hub import Kind
from relay.streams.server import Limits, StreamServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_TOKENS_PER_MINUTE = 60
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Live:
    """What is live in this process: what the API needs of it, and the application in front of the API."""

    messaging: Mailboxes | None
    devices: Devices | None
    front: "Callable[[WSGIApplication], Gate]"


def stream_kinds(settings: Settings) -> tuple[Kind, ...]:
    """Return the kinds of streams that are switched on."""
    if not settings.streams.enable:
        return ()
    return (Kind.EVENTS, Kind.MESSAGES) if settings.messaging.enable else (Kind.EVENTS,)


def build_live(
    settings: Settings,
    following: Following,
    node: ChainCalls,
    chain_id: int,
    clock: Callable[[], int],
    guard: Guard | None = None,
) -> Live:
    """Start what is switched on; ``clock`` tells Unix seconds, ``guard`` is for what writes."""
    url = settings.database.url
    operating = OperatingPool(url, settings.database.pool_size, settings.database.wait_seconds, guard)
    networks = following.networks
    stops: list[Callable[[], None]] = []

    def owner(address: bytes) -> bytes | None:
        return owner_of(node, address)

    devices, also = None, None
    push = settings.push_notification
    if push.enable:
        store, sender = PushStore(operating), _sender(settings, clock)
        attempts = Attempts(push.max_attempts, push.first_wait_seconds)
        # How far was told stands at the primary; a replica may not have come so far.
        service = PushService(
            HappeningReader(following.primary), networks, store, sender, lambda: PushLock(url), attempts
        )
        service.start()
        stops.append(service.stop)
        also = tell_devices
        devices = Devices(
            store,
            sender,
            max_per_user=push.max_devices_per_user,
            max_users_per_device=push.max_users_per_device,
            require_signature=push.require_signature,
            chain_id=chain_id,
            owner_of=owner,
            clock=clock,
            rate=ClientRate(RateStore(operating), "tokens from", _TOKENS_PER_MINUTE, time.monotonic),
        )
    messaging = _mailboxes(settings, operating, chain_id, owner, clock, also)
    if push.enable or settings.messaging.enable:
        retention = settings.messaging.retention_days * _DAY_SECONDS
        upkeep = Upkeep(forgetting(MessageStore(operating), RateStore(operating), retention, clock))
        upkeep.start()
        stops.append(upkeep.stop)
    if not settings.streams.enable:
        return Live(messaging, devices, lambda app: Gate(app, None, (), partial(_stop_all, stops)))
    front = _streams(settings, operating, following, stops)
    return Live(messaging, devices, front)


def _mailboxes(
    settings: Settings,
    operating: OperatingPool,
    chain_id: int,
    owner: Callable[[bytes], bytes | None],
    clock: Callable[[], int],
    also: Also | None,
) -> Mailboxes | None:
    section = settings.messaging
    if not section.enable:
        return None
    rules = Rules(
        max_bytes=section.max_message_bytes,
        per_receiver=section.max_per_receiver,
        per_client=section.max_per_client,
        max_unread=section.max_unread,
        max_stored=section.max_stored,
        require_signature=section.require_signature,
    )
    return Mailboxes(
        operating, rules, chain_id=chain_id, owner_of=owner, clock=clock, ticks=time.monotonic, also=also
    )


def _streams(
    settings: Settings,
    operating: OperatingPool,
    following: Following,
    stops: list[Callable[[], None]],
) -> "Callable[[WSGIApplication], Gate]":
    section, url = settings.streams, settings.database.url
    limits = Limits(
        max_connections=section.max_connections,
        max_connections_per_client=section.max_connections_per_client,
        max_buffered_bytes=section.max_buffered_bytes,
        ping_seconds=section.ping_seconds,
    )
    server = StreamServer(limits)
    networks, log = following.networks, FeedLog(following.pool)
    history = History(log, networks)
    server.serve_history(history)
    feeder = Feeder(log, networks, server.hub, server.advance, following.listen)
    kinds = [Kind.EVENTS]
    ends = [feeder.stop, server.stop, *stops]
    if settings.messaging.enable:
        delivery = Delivery(MessageStore(operating), server.hub, server.publish, lambda: MessageListener(url))
        server.serve_missed(delivery.missed)
        kinds.append(Kind.MESSAGES)
        delivery.start()
        ends.append(delivery.stop)
    server.start()
    feeder.start()
    clients = Clients(settings.client_header, settings.rest.trusted_proxies)
    door = EventDoor(server, history, networks)
    return lambda app: Gate(app, server, kinds, partial(_stop_all, ends), clients=clients, events=door)


def _stop_all(stops: Iterable[Callable[[], None]]) -> None:
    for stop in stops:
        stop()


def _sender(settings: Settings, clock: Callable[[], int]) -> Sender:
    push = settings.push_notification
    if push.sender is PushSender.WEBHOOK:
        assert push.webhook_url is not None, "the settings see to it"
        return Webhook(push.webhook_url, webhook_secret(settings), push.webhook_timeout_seconds, clock)
    return Firebase(push.firebase_credentials_path)
