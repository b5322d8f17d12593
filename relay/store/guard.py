"""Noticing that a database does not answer, so that nobody waits long for it in vain.

A server that ended closes its connections. One that hangs, or a network that swallows everything, lets its clients
wait for as long as they like. A query may also take long because it has much to do; what tells the two apart is a
look: another connection asks for nothing, and either hears an answer or not.
"""

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg2
import psycopg2.extensions

from relay.store.errors import DatabaseUnreachable, StoreError

Connection = psycopg2.extensions.connection

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 0.1
_SECONDS_A_HOST = 3.0
"""How long libpq tries a host before it goes on to the next (`relay.store.connection.connect`)."""
_SILENT = "the database is unreachable: it does not answer"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: after which a wait makes us look, within which a look must be answered, between looks in vain."""

    look_after: float = 0.4
    answer_within: float = 1.2
    look_again_after: float = 0.3


class _Wait:
    """Something under way on a connection.

    Its socket is held by a number of our own: libpq closes its own when it likes, and that may then be another's.
    """

    def __init__(self, connection: Connection, since: float) -> None:
        try:
            self._descriptor = os.dup(connection.fileno())
        except (psycopg2.Error, OSError) as error:
            raise DatabaseUnreachable(f"the database is unreachable: {error}") from error
        self.since = since

    def cut(self) -> None:
        """Shut the socket down: who waits for an answer hears that there will be none."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        os.close(self._descriptor)


class Guard:
    """Watches over the connections to one database that answers to users are made with. Safe for threads."""

    def __init__(
        self, url: str, patience: Patience | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._patience = patience or Patience()
        self._clock = clock
        servers = servers_of(url)
        self._more_hosts = len(servers) - 1
        self._look = _Look(servers, clock)
        self._lock = threading.Lock()
        self._waits: set[_Wait] = set()
        self._is_gone = False
        self._generation = 0
        self._answered_at = clock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def generation(self) -> int:
        """How often the database was lost: connections from before may be dead without knowing it."""
        return self._generation

    def require(self) -> None:
        """Raise DatabaseUnreachable while it is known that there will be no answer."""
        if self._is_gone:
            raise DatabaseUnreachable(_SILENT)

    def open(self, connect: Callable[[], Connection]) -> Connection:
        """Return what ``connect`` returns; raises DatabaseUnreachable if that takes too long."""
        self.require()
        self._start()
        opening = _Opening(connect)
        # Where the URL names several hosts, the first of them may be one that swallows everything.
        others = self._more_hosts * _SECONDS_A_HOST
        connection = opening.result(self._patience.look_after + self._patience.answer_within + others)
        if connection is None:
            self._lose()
            raise DatabaseUnreachable(_SILENT)
        return connection

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """Cut a connection, within the block, if the database does not answer; who uses it gets an error."""
        wait = _Wait(connection, self._clock())
        with self._lock:
            self._waits.add(wait)
        try:
            yield
        finally:
            with self._lock:
                self._waits.discard(wait)
                wait.close()

    def close(self) -> None:
        """Watch no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._look.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database guard", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self._patience.look_again_after if self._is_gone else _EVERY_SECONDS):
            if not self._is_look_due():
                continue
            began = self._clock()
            if self._look.is_answered(self._patience.answer_within):
                self._answered_at = began
                if self._is_gone:
                    logger.info("the database answers again")
                    self._is_gone = False
            else:
                self._lose()

    def _is_look_due(self) -> bool:
        if self._is_gone:
            return True
        now, longest = self._clock(), self._patience.look_after
        with self._lock:
            is_waited = any(now - wait.since >= longest for wait in self._waits)
        return is_waited and now - self._answered_at >= longest

    def _lose(self) -> None:
        """Note that there is no answer, and end all waits for one."""
        with self._lock:
            if not self._is_gone:
                logger.warning("the database does not answer; whoever needs it is refused until it does")
                self._is_gone = True
                self._generation += 1
            for wait in self._waits:
                wait.cut()


def servers_of(url: str) -> list[str]:
    """Return a URL for each of the servers that one names; libpq goes through them in this order."""
    try:
        given = psycopg2.extensions.parse_dsn(url)
    except psycopg2.ProgrammingError:
        return [url]  # who connects says what is wrong with it
    place = "hostaddr" if "hostaddr" in given else "host"
    hosts, ports = given.get(place, "").split(","), given.get("port", "").split(",")
    if len(hosts) == 1:
        return [url]
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [
        psycopg2.extensions.make_dsn(**(given | {place: host, "port": port}))
        for host, port in zip(hosts, ports, strict=False)
    ]


class _Opening:
    """A connection being opened in a thread of its own, which nobody has to wait for."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._done = threading.Event()
        self._connection: Connection | None = None
        self._fault: StoreError | None = None
        threading.Thread(target=self._run, name="opening a database connection", daemon=True).start()

    def result(self, seconds: float) -> Connection | None:
        """Return the connection, None if it is not there in time; raises what opening it raised."""
        self._done.wait(seconds)
        with self._lock:
            self._is_abandoned = True
        if self._fault is not None:
            raise self._fault
        return self._connection

    def _run(self) -> None:
        try:
            connection = self._connect()
        except StoreError as fault:
            self._fault = fault
        else:
            with self._lock:
                if not self._is_abandoned:
                    self._connection = connection
            if self._connection is None:
                connection.close()
        self._done.set()


class _Look:
    """A connection that is asked for nothing but an answer; it can be waited for with a deadline."""

    def __init__(self, servers: Sequence[str], clock: Callable[[], float]) -> None:
        self._servers = servers
        self._clock = clock
        self._connection: Connection | None = None

    def is_answered(self, seconds: float) -> bool:
        """Return whether the database answers in time, on the connection there is or on a new one.

        Of several servers each has so much time: what one of them swallows says nothing of the others.
        """
        first, *others = self._servers
        until = self._clock() + seconds
        if self._connection is not None and self._try(first, until):
            return True
        return self._try(first, until) or any(self._try(server, self._clock() + seconds) for server in others)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _try(self, server: str, until: float) -> bool:
        try:
            if self._connection is None:
                self._connection = psycopg2.connect(server, application_name="tl-relay guard", async_=True)
                self._finish(self._connection, until)
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                self._finish(self._connection, until)
        except (psycopg2.Error, TimeoutError, OSError):
            self.close()
            return False
        return True

    def _finish(self, connection: Connection, until: float) -> None:
        """Wait for what is under way on the connection; raises TimeoutError."""
        while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
            left = until - self._clock()
            # Not select(), which fails once a process has more than 1,024 files open.
            poll = select.poll()
            is_reading = state == psycopg2.extensions.POLL_READ
            poll.register(connection.fileno(), select.POLLIN if is_reading else select.POLLOUT)
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
