"""How the relay runs, in tables beside the chain's state: what the index does, and how far readers are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from relay.addresses import Address
from relay.model import Block
from relay.store.admin import Pause, pauses
from relay.store.connection import Connection, Cursor, Pool, connect, translated_errors
from relay.store.errors import StoreError
from relay.store.guard import Guard
from relay.store.migrate import require_current
from relay.store.rows import FOLLOWED_COLUMNS, CursorPosition, FollowedNetwork, followed_from

WRITER_LOCK = 0x7452_0002
"""Key of the advisory lock that one index process holds while it writes."""

_STALE = "interval '60 seconds'"
_PAUSE_SECONDS = 10.0


class IndexState(StrEnum):
    """What the index does: catch up, follow the head, wait for somebody else, stop for good, stand still."""

    BACKFILLING = "backfilling"
    FOLLOWING = "following"
    WAITING = "waiting"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What the index process ``leader`` (host:pid) is doing.

    ``reason`` is a sentence: what it waits for or why it stopped and what to do, empty otherwise. ``head`` and
    ``final_number`` are as the node last told them, ``node`` is the one in use (without credentials).
    """

    leader: str
    state: IndexState
    reason: str = ""
    head: Block | None = None
    final_number: int | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class ReportedStatus:
    """A status of the index as the database tells it; ``age_seconds`` is how long ago it was reported."""

    leader: str
    state: IndexState
    reason: str
    since: datetime
    head_number: int | None
    head_timestamp: int | None
    final_number: int | None
    node: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How far an API process has followed the feed; ``age_seconds`` is how long ago it said so."""

    process: str
    position: int
    block_number: int | None
    age_seconds: float


@dataclass(frozen=True, slots=True)
class PushStatus:
    """Push notifications that wait, and those that were given up within 30 days.

    ``waiting_seconds`` is how long the oldest has waited, ``last_fault`` why one was given up last.
    """

    waiting: int
    waiting_seconds: float
    given_up: int
    last_fault: str


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """All that the database tells of a relay, as of one moment.

    ``has_writer`` says whether a process holds the lock of the one that writes, ``choices`` are the networks that
    operators added (true) or removed (false) by command; ``rows`` counts tables, large ones by estimate;
    ``push`` is None where no device is registered; ``totals`` is what was counted since the database began,
    ``pauses`` and ``bans`` are what operators decided.
    """

    index: ReportedStatus | None
    position: CursorPosition | None
    feed_position: int
    networks: list[FollowedNetwork]
    followers: list[FollowerStatus]
    choices: dict[Address, bool]
    rows: dict[str, int]
    has_writer: bool
    push: PushStatus | None = None
    totals: dict[str, int] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()
    bans: int = 0


def write_status(cursor: Cursor, status: IndexStatus) -> None:
    """Replace the index's status; ``since`` stays where all else does, and in a stop from process to process."""
    cursor.execute(
        "INSERT INTO index_status AS old "
        "(leader, state, reason, since, head_number, head_timestamp, final_number, node, updated_at) "
        "VALUES (%s, %s, %s, clock_timestamp(), %s, %s, %s, %s, clock_timestamp()) "
        "ON CONFLICT (singleton) DO UPDATE SET "
        "since = CASE WHEN old.state = excluded.state AND (old.state = 'stopped' OR old.leader = excluded.leader "
        "AND old.reason = excluded.reason) THEN old.since ELSE excluded.since END, "
        "leader = excluded.leader, state = excluded.state, reason = excluded.reason, "
        "head_number = coalesce(excluded.head_number, old.head_number), "
        "head_timestamp = coalesce(excluded.head_timestamp, old.head_timestamp), "
        "final_number = coalesce(excluded.final_number, old.final_number), "
        "node = excluded.node, updated_at = excluded.updated_at",
        (
            status.leader,
            status.state.value,
            status.reason,
            None if status.head is None else status.head.number,
            None if status.head is None else status.head.timestamp,
            status.final_number,
            status.node,
        ),
    )


class FollowerBoard:
    """Where an API process notes how far it has come, on a small connection of its own."""

    def __init__(self, url: str, process: str, guard: Guard | None = None) -> None:
        """Prepare; nothing is opened yet. ``process`` names this process (host:pid), ``guard`` ends vain waits."""
        self._url = url
        self._process = process
        self._guard = guard
        self._connection: Connection | None = None
        self._not_before = 0.0

    def note(self, position: int, block: CursorPosition | None) -> None:
        """Note the position on the feed and the block, and forget processes that were long silent.

        After a failure nothing is noted for a while: to find out that a server is gone takes seconds.

        Raises:
            StoreError: if the database fails.

        """
        if time.monotonic() < self._not_before:
            return
        try:
            with translated_errors(), self._watched() as connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO followers (process, position, block_number, block_hash, updated_at) "
                    "VALUES (%s, %s, %s, %s, now()) ON CONFLICT (process) DO UPDATE SET "
                    "position = excluded.position, block_number = excluded.block_number, "
                    "block_hash = excluded.block_hash, updated_at = excluded.updated_at",
                    (
                        self._process,
                        position,
                        None if block is None else block.number,
                        None if block is None else block.hash,
                    ),
                )
                cursor.execute(f"DELETE FROM followers WHERE updated_at < now() - {_STALE}")
        except StoreError:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            self._drop_connection()
            raise

    def close(self) -> None:
        """Take this process off the board."""
        if self._connection is not None:
            with suppress(StoreError), translated_errors(), self._connection.cursor() as cursor:
                cursor.execute("DELETE FROM followers WHERE process = %s", (self._process,))
        self._drop_connection()

    @contextmanager
    def _watched(self) -> Iterator[Connection]:
        connection = self._open()
        with nullcontext() if self._guard is None else self._guard.watching(connection):
            yield connection

    def _open(self) -> Connection:
        if self._connection is None:
            guard = self._guard
            self._connection = connect(self._url) if guard is None else guard.open(lambda: connect(self._url))
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit = off")  # what a crash loses is noted again
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class StatusReader:
    """Reads how the relay runs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def status(self) -> RelayStatus:
        """Return everything at once; raises StoreError."""
        with self._pool.snapshot() as cursor:
            require_current(cursor)
            return RelayStatus(
                index=_index_status(cursor),
                position=_position(cursor),
                feed_position=_feed_position(cursor),
                networks=_networks(cursor),
                followers=_followers(cursor),
                choices=choices(cursor),
                rows=_row_counts(cursor),
                has_writer=_has_writer(cursor),
                push=_push(cursor),
                totals=_totals(cursor),
                pauses=tuple(pauses(cursor)),
                bans=_bans(cursor),
            )


def _bans(cursor: Cursor) -> int:
    cursor.execute("SELECT count(*) FROM bans")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _totals(cursor: Cursor) -> dict[str, int]:
    cursor.execute("SELECT name, value FROM totals")
    return dict(cursor.fetchall())


def _push(cursor: Cursor) -> PushStatus | None:
    cursor.execute(
        "SELECT count(*) FILTER (WHERE state = 'waiting'), coalesce(extract(epoch FROM now() - "
        "min(created_at) FILTER (WHERE state = 'waiting'))::float, 0), count(*) FILTER (WHERE state = 'dead'), "
        "coalesce((SELECT fault FROM push_notifications WHERE state = 'dead' ORDER BY changed_at DESC LIMIT 1), "
        "'') FROM push_notifications WHERE state <> 'sent' HAVING count(*) > 0 OR EXISTS (SELECT FROM push_tokens)"
    )
    row = cursor.fetchone()
    return None if row is None else PushStatus(*row)


def _index_status(cursor: Cursor) -> ReportedStatus | None:
    cursor.execute(
        "SELECT leader, state, reason, since, head_number, head_timestamp, final_number, node, "
        "extract(epoch FROM now() - updated_at)::float FROM index_status"
    )
    row = cursor.fetchone()
    return None if row is None else ReportedStatus(row[0], IndexState(row[1]), *row[2:])


def _position(cursor: Cursor) -> CursorPosition | None:
    cursor.execute("SELECT block_number, block_hash, timestamp FROM cursor")
    row = cursor.fetchone()
    return None if row is None else CursorPosition(*row)


def _feed_position(cursor: Cursor) -> int:
    cursor.execute("SELECT greatest((SELECT max(position) FROM feed), (SELECT position FROM feed_horizon))")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _networks(cursor: Cursor) -> list[FollowedNetwork]:
    cursor.execute(f"SELECT {FOLLOWED_COLUMNS} FROM networks ORDER BY id")
    return [followed_from(row) for row in cursor.fetchall()]


def _followers(cursor: Cursor) -> list[FollowerStatus]:
    cursor.execute(
        "SELECT process, position, block_number, extract(epoch FROM now() - updated_at)::float FROM followers "
        f"WHERE updated_at > now() - {_STALE} ORDER BY process"
    )
    return [FollowerStatus(*row) for row in cursor.fetchall()]


def choices(cursor: Cursor) -> dict[Address, bool]:
    """Return the networks that operators added (true) or removed (false) by command, the oldest choice first."""
    cursor.execute("SELECT address, is_wanted FROM network_choices ORDER BY noted_at, address")
    return dict(cursor.fetchall())


def _has_writer(cursor: Cursor) -> bool:
    # Postgres shows a lock's 64-bit key as two halves.
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND "
        "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
        "classid = %s AND objid = %s)",
        (WRITER_LOCK >> 32, WRITER_LOCK & 0xFFFF_FFFF),
    )
    row = cursor.fetchone()
    return bool(row and row[0])


def _row_counts(cursor: Cursor) -> dict[str, int]:
    """Count rows; a table that was never analysed is counted, the others are told by the planner's estimate."""
    cursor.execute(
        "SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        "current_schema()::regnamespace AND relname IN ('events', 'trustlines', 'debts', 'blocks', 'feed') "
        "ORDER BY relname"
    )
    counts = dict(cursor.fetchall())
    for table, estimate in counts.items():
        if estimate < 100_000:
            cursor.execute(f"SELECT count(*) FROM {table}")
            row = cursor.fetchone()
            counts[table] = int(row[0]) if row else 0
    return counts
