"""Connections to Postgres: how they are opened, what they speak, and a pool with a bounded wait."""

import re
import select
import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.pool
from psycopg2.extensions import AsIs

from relay import telemetry
from relay.spans import span
from relay.store.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseRefuses,
    DatabaseUnreachable,
    QueryGivenUp,
    SchemaMismatch,
)
from relay.store.guard import Guard

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor


class _Remembering(Connection):
    """A connection that remembers the statements it has prepared: their names by what they were made of."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.prepared: dict[Hashable, str] = {}


_NUMERIC, _BYTEA = 1700, 17
_CONNECT_TIMEOUT_SECONDS = 3
_VANISHED_MILLISECONDS = 10_000

MOST_PREPARED = 64
"""So many statements are prepared on a connection at most; each takes some kilobytes of memory there."""

_READ_ONLY = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_REFUSALS = (
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.InvalidSchemaName,  # no schema of the search path can be used
    psycopg2.errors.ReadOnlySqlTransaction,
)


# Called for every value that is read.
_from_hex = bytes.fromhex


def _to_int(value: str | bytes | None, _cursor: Cursor) -> int | None:
    return None if value is None else int(value)


def _to_bytes(value: str | bytes | None, cursor: Cursor) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str) and value[:2] == "\\x":
        return _from_hex(value[2:])
    # As older servers write it, or ours with another bytea_output.
    buffer = psycopg2.BINARY(value, cursor)
    return None if buffer is None else bytes(buffer)


_NUMERIC_AS_INT = psycopg2.extensions.new_type((_NUMERIC,), "NUMERIC_AS_INT", _to_int)
_BYTEA_AS_BYTES = psycopg2.extensions.new_type((_BYTEA,), "BYTEA_AS_BYTES", _to_bytes)


def connect(url: str) -> Connection:
    """Open a connection; ``url`` is a libpq URL or empty for libpq's own PG* environment variables.

    ``numeric`` columns arrive as int and ``bytea`` as bytes.

    Raises:
        DatabaseUnreachable: if it cannot be had; the text names the server without the password.

    """
    _require_readable(url)
    with translated_errors():
        connection: Connection = psycopg2.connect(
            url,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            application_name="tl-relay",
            connection_factory=_Remembering,
            # A server that vanished without a word is noticed within about ten seconds.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=_VANISHED_MILLISECONDS,
        )
    psycopg2.extensions.register_type(_NUMERIC_AS_INT, connection)
    psycopg2.extensions.register_type(_BYTEA_AS_BYTES, connection)
    return connection


def _require_readable(url: str) -> None:
    """Raise DatabaseUnreachable where libpq would quote, in its complaint, a piece of an unescaped password."""
    fault = None
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except psycopg2.ProgrammingError as error:
        fault = re.sub(r':?\s*"[^"]*"', "", _one_line(error))
    else:
        if "@" in parts.get("host", ""):
            fault = "an @ in the user or the password must be written as %40"
        elif not re.fullmatch(r"[0-9,]*", parts.get("port", "")):
            fault = "its port is no number (in a password, / must be written as %2F)"
    if fault is not None:
        raise DatabaseUnreachable(f"the database URL ([database] url or DATABASE_URL) cannot be read: {fault}")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn psycopg2's errors that are not a mistake of ours into the store's."""
    try:
        yield
    except psycopg2.errors.DiskFull as error:
        raise DatabaseFull(f"the database has no space left: {_one_line(error)}") from error
    except psycopg2.errors.SerializationFailure as error:
        # What only reads meets this on a replica: "canceling statement due to conflict with recovery".
        raise QueryGivenUp(f"the database gave up a query: {_one_line(error)}") from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise DatabaseUnreachable(f"the database is unreachable: {_one_line(error)}") from error
    except _REFUSALS as error:
        raise DatabaseRefuses(f"the database refuses: {_one_line(error)}") from error
    except psycopg2.errors.UndefinedColumn as error:
        raise SchemaMismatch(f"the database schema is not the one of this program: {_one_line(error)}") from error
    except psycopg2.errors.UndefinedTable as error:
        raise SchemaMismatch(
            "the database has lost its tables: start `tl-relay index`, it makes them and reads the chain anew"
        ) from error
    except psycopg2.DatabaseError as error:
        if type(error) is not psycopg2.DatabaseError:
            raise
        # All that libpq says of an answer that breaks off in the middle.
        raise DatabaseUnreachable(f"the database is unreachable: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def execute_prepared(
    cursor: Cursor, query: str, fixed: Mapping[str, Hashable], varying: Mapping[str, object]
) -> None:
    """Execute a query that is asked again and again, planned once for each connection.

    What is ``fixed`` is planned for as it is, and planned anew where it is another; ``varying`` is not looked at.
    """
    prepared = cursor.connection.prepared  # type: ignore[attr-defined]
    key = (query, *fixed.values())
    name = prepared.get(key)
    if name is None:
        if len(prepared) >= MOST_PREPARED:
            cursor.execute(query, {**fixed, **varying})
            return
        name = f"prepared_{len(prepared)}"
        places = {each: AsIs(f"${number}") for number, each in enumerate(varying, 1)}
        cursor.execute(f"PREPARE {name} AS {query}", {**fixed, **places})
        prepared[key] = name
    cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(varying))})", tuple(varying.values()))


def await_notices(connection: Connection, seconds: float) -> list[str]:
    """Return the payloads of what was announced on a listening connection, within so many seconds.

    Raises:
        DatabaseUnreachable: if the connection broke; announcements may have been missed.

    """
    with translated_errors():
        if not connection.notifies:
            # Not select(), which fails once a process has more than 1,024 files open, as one with streams has.
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN)
            poll.poll(seconds * 1000)
            connection.poll()
        payloads = [str(notice.payload) for notice in connection.notifies]
        connection.notifies.clear()
    return payloads


class Pool:
    """A fixed number of connections, opened on demand; safe for threads.

    psycopg2's own pool fails at once when it is exhausted, so a bounded wait stands before it. ``kind`` tells
    its figures apart.
    """

    kind = "reading"

    def __init__(self, url: str, size: int = 8, wait_seconds: float = 1.5, guard: Guard | None = None) -> None:
        """Prepare the pool without connecting.

        Arguments:
            url: libpq URL, or empty for the PG* environment variables.
            size: the most connections open at once.
            wait_seconds: how long a caller waits for one.
            guard: ends waits for a database that does not answer; without it they last as long as that takes.

        """
        self._url = url
        self._free = threading.BoundedSemaphore(size)
        self._wait_seconds = wait_seconds
        self._guard = guard
        self._generation = 0 if guard is None else guard.generation
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """Hand out a cursor in a read-only transaction that sees one state of the database throughout.

        Raises:
            DatabaseBusy: if no connection becomes free in time.
            DatabaseUnreachable: if none can be had, or it breaks.

        """
        with self._connection() as connection, translated_errors(), connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def statement(self) -> Iterator[Cursor]:
        """Hand out a cursor for a single statement, which sees one state of the database without a transaction.

        Raises:
            DatabaseBusy, DatabaseUnreachable: as `snapshot` does.

        """
        with self._connection() as connection, translated_errors(), connection.cursor() as cursor:
            connection.autocommit = True
            try:
                yield cursor
            finally:
                if not connection.closed:
                    connection.autocommit = False

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._guard is not None:
            self._guard.require()
        if not self._acquire():
            telemetry.connection_timeouts.labels(self.kind).inc()
            raise DatabaseBusy(f"no database connection became free within {self._wait_seconds:g} s")
        try:
            self._forget_lost()
            connection = self._take()
            with (
                telemetry.connections_of(self.kind).track_inprogress(),
                nullcontext() if self._guard is None else self._guard.watching(connection),
                span("database"),
            ):
                try:
                    yield connection
                finally:
                    self._give_back(connection)
        finally:
            self._free.release()

    def _acquire(self) -> bool:
        if self._free.acquire(blocking=False):
            return True
        with telemetry.connections_waiting.labels(self.kind).track_inprogress():
            return self._free.acquire(timeout=self._wait_seconds)

    def _forget_lost(self) -> None:
        """Close connections that may be dead without knowing it; raises DatabaseUnreachable during an outage."""
        if self._guard is None:
            return
        self._guard.require()
        if self._generation != self._guard.generation:
            self._generation = self._guard.generation
            self.close()

    def _open(self) -> Connection:
        return self._connect() if self._guard is None else self._guard.open(self._connect)

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = self._open()
        with translated_errors():
            # As a default of the session: the driver's own would have to be set anew around every statement.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_READ_ONLY)
            connection.autocommit = False
        return connection

    def _connect(self) -> Connection:
        telemetry.connects.labels(self.kind).inc()
        return connect(self._url)

    def _give_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except psycopg2.Error:
            # The server went away; its other connections have most likely gone with it.
            connection.close()
            self.close()
            return
        with self._lock:
            self._idle.append(connection)


Row = tuple[Any, ...]
"""A row as psycopg2 hands it out."""
