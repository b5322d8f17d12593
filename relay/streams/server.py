"""All streams of a process: one thread with an event loop, to which handshaken sockets are handed."""

import asyncio
import logging
import resource
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from relay import telemetry
from relay.streams.connection import READ_BYTES, Connection
from relay.streams.history import History
from relay.streams.hub import Batch, End, Hub, Kind, News
from relay.streams.outflow import Outflow
from relay.streams.resuming import Resumer
from relay.streams.session import Missed, Session
from relay.streams.sse import EventRequest, EventStream

logger = logging.getLogger(__name__)

_FAREWELL_SECONDS = 2.0
_TOO_MUCH_OF_ALL = End("slow_reader", "too much waits for all slow readers together: go on from your cursor")
_OTHER_FILES = 200
"""File descriptors that a process needs beside its streams."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What streams may cost: connections at once, of all and of one client (0: any), and bytes that wait.

    ``max_buffered_bytes`` of notifications wait for a slow reader, ``max_buffered_bytes_of_all`` for all.
    Who is cut off has ``last_word_seconds`` to read why. ``ping_seconds`` lie between pings; a connection that has
    not answered by the next is ended.
    """

    max_connections: int = 20_000
    max_connections_per_client: int = 0
    max_buffered_bytes: int = 262_144
    max_buffered_bytes_of_all: int = 256 * 2**20
    ping_seconds: float = 30.0
    last_word_seconds: float = 5.0

    @property
    def max_subscriptions(self) -> int:
        """So many subscriptions there may be: five for each connection, which needs one."""
        return 5 * self.max_connections


Carrier = Connection | EventStream
"""What carries a stream over a socket."""


class StreamServer:
    """The streams of this process."""

    def __init__(self, limits: Limits) -> None:
        self.hub = Hub(limits.max_subscriptions)
        self._limits = limits
        self._buffer = memoryview(bytearray(READ_BYTES))
        # By client; counted when a connection is let in, which any thread may do.
        self._admitted: Counter[str] = Counter()
        self._number_admitted = 0
        self._lock = threading.Lock()
        self._missed: Missed | None = None
        self._resumer: Resumer | None = None
        self._connections: set[Carrier] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._is_stopping = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop in whose thread the hub and all connections live."""
        return self._loop

    @property
    def number_of_connections(self) -> int:
        """How many connections are open; may be asked from any thread."""
        return len(self._connections)

    def serve_missed(self, missed: Missed) -> None:
        """Let streams of messages ask for what was missed; to be said before the start."""
        self._missed = missed

    def serve_history(self, history: History) -> None:
        """Let streams of events go on from cursors; to be said before the start."""
        self._resumer = Resumer(history, self.hub)

    def start(self) -> None:
        """Begin, with as many file descriptors as the system grants."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._limits.max_connections + _OTHER_FILES
        granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft not in (resource.RLIM_INFINITY,) and soft < granted:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
        self._thread.start()

    def admit(self, client: str) -> bool:
        """Return whether a client may open one more connection, which is then to be handed to ``take``.

        May be called from any thread.
        """
        limits = self._limits
        with self._lock:
            is_full = self._number_admitted >= limits.max_connections
            has_enough = 0 < limits.max_connections_per_client <= self._admitted[client]
            if self._is_stopping or is_full or has_enough:
                return False
            self._admitted[client] += 1
            self._number_admitted += 1
            return True

    def take(self, sock: socket.socket, kind: Kind, handshake: bytes, client: str) -> None:
        """Carry on with a connection of a client who was admitted; ``handshake`` is sent first.

        May be called from any thread.
        """

        def make() -> Carrier:
            connection = Connection(handshake, self._outflow(), self._buffer, partial(self._forget, client))
            connection.carry(Session(kind, self.hub, connection, self._missed, self._resumer))
            return connection

        asyncio.run_coroutine_threadsafe(self._begin(sock, make, client), self._loop)

    def take_events(self, sock: socket.socket, request: EventRequest, client: str) -> None:
        """Answer a request with Server-Sent Events, over the connection of a client who was admitted.

        May be called from any thread, of a server that has a history.
        """
        resumer = self._resumer
        assert resumer is not None

        def make() -> Carrier:
            return EventStream(request, self._outflow(), self.hub, resumer, partial(self._forget, client))

        # Who is gone without a word answers no pings, for there are none: then the system notices.
        with suppress(OSError, AttributeError):
            patience = int(self._limits.ping_seconds * 2_000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        asyncio.run_coroutine_threadsafe(self._begin(sock, make, client), self._loop)

    def publish(self, news: Iterable[News]) -> None:
        """Tell followers what happened, in this order. May be called from any thread."""
        self._loop.call_soon_threadsafe(self.hub.publish, list(news))

    def advance(self, batch: Batch) -> None:
        """Tell followers of events what happened up to a commit. May be called from any thread."""
        self._loop.call_soon_threadsafe(self.hub.advance, batch)

    def stop(self) -> None:
        """Tell everybody that the server stops, and end; returns within some seconds."""
        with self._lock:
            if self._is_stopping:
                return
            self._is_stopping = True
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_FAREWELL_SECONDS * 2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_FAREWELL_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        check = self._loop.create_task(self._keep_checking())
        self._loop.run_forever()
        check.cancel()
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(check)

    def _outflow(self) -> Outflow:
        return Outflow(self._limits.max_buffered_bytes, self._limits.last_word_seconds)

    async def _begin(self, sock: socket.socket, make: Callable[[], Carrier], client: str) -> None:
        connection = make()
        self._connections.add(connection)
        telemetry.stream_connections.inc()
        try:
            sock.setblocking(False)
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            logger.info("a stream ended before it began: %s", error)
            self._forget(client, connection)
            sock.close()

    def _forget(self, client: str, connection: Carrier) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        telemetry.stream_connections.dec()
        with self._lock:
            self._number_admitted -= 1
            self._admitted[client] -= 1
            if not self._admitted[client]:
                del self._admitted[client]

    async def _keep_checking(self) -> None:
        """Ping all connections, a few at a time: thousands at once would hold up what is delivered."""
        portions = 20
        while True:
            connections = list(self._connections)
            size = -(-len(connections) // portions) or 1
            for portion in range(portions):
                await asyncio.sleep(self._limits.ping_seconds / portions)
                self._keep_memory_bounded()
                for connection in connections[portion * size : (portion + 1) * size]:
                    connection.check(self._loop.time(), self._limits.ping_seconds * 0.9)

    def _keep_memory_bounded(self) -> None:
        """Cut off those who leave most unread, where all of them together leave too much."""
        waiting = {connection: size for connection in self._connections if (size := connection.waiting_bytes)}
        excess = sum(waiting.values()) - self._limits.max_buffered_bytes_of_all
        for connection in sorted(waiting, key=waiting.__getitem__, reverse=True):
            if excess <= 0:
                return
            connection.end(_TOO_MUCH_OF_ALL)
            excess -= waiting[connection]

    async def _end(self) -> None:
        if self._resumer is not None:
            self._resumer.stop()
        for connection in list(self._connections):
            connection.go_away()
        deadline = self._loop.time() + _FAREWELL_SECONDS
        while self._connections and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()
