"""What readers take from the database to build their graphs: the state of networks, and what changed since."""

from binascii import unhexlify
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from psycopg2 import sql

from graph.trustline import Pair, Trustline
from graph.trustline import Row as TrustlineRow
from relay.share import Share
from relay.store.arrays import numbers, octets
from relay.store.connection import Connection, Cursor, Pool, Row, await_notices, connect, translated_errors
from relay.store.errors import CommitsLost, DatabaseBehind
from relay.store.feed import Commit, Standing, newest_commit, standing
from relay.store.migrate import require_current
from relay.store.rows import (
    NETWORK_COLUMNS,
    TRUSTLINE_COLUMNS,
    CursorPosition,
    StoredNetwork,
    network_from,
    trustline_from,
)
from relay.store.writing import FEED_CHANNEL

TakeRows = Callable[[int, list[TrustlineRow]], None]
"""Takes the id of a network and some of its trustlines."""

_ROWS_AT_ONCE = 5_000
_COPIED_COLUMNS = (
    "encode(lower, 'hex'), encode(higher, 'hex'), "
    "balance, given, received, rate_given, rate_received, is_frozen, mtime"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a reader needs to build its graphs, as of one commit.

    ``position`` is where on the feed to go on from, ``commit_id`` tells that commit apart from others at its
    place; ``block`` is None while nothing has been indexed.
    ``hand_over`` reads the trustlines while the snapshot is open and hands them over, some thousands at a time.
    """

    block: CursorPosition | None
    position: int
    networks: list[StoredNetwork]
    hand_over: Callable[[TakeRows], None]
    commit_id: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from an earlier position on the feed, as of one commit.

    ``trustlines`` holds the new state of each changed trustline, None for one that never was (after a reorg).
    ``loaded`` holds, by id, all trustlines of the networks that are to be taken over as a whole.
    """

    block: CursorPosition | None
    position: int
    networks: list[StoredNetwork]
    trustlines: list[tuple[int, Pair, Trustline | None]]
    loaded: dict[int, list[Trustline]] = field(default_factory=dict)
    commit_id: str = ""


class StateReader:
    """Reads the state of all served networks, or of a share of them, at once or by what changed."""

    def __init__(self, pool: Pool, share: Share | None = None) -> None:
        self._pool = pool
        self._share = share

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Hand out the whole state, to be read while this is open.

        Raises:
            SchemaMismatch: if the database is not set up, or by a newer program.
            DatabaseUnreachable, DatabaseBusy: if it cannot be read, also while the trustlines are.

        """
        with self._pool.snapshot() as cursor:
            require_current(cursor)
            networks, end = self._served(cursor), newest_commit(cursor)
            hand_over = partial(_hand_over, cursor, networks)
            yield Snapshot(_position(cursor), end.position, networks, hand_over, end.commit_id)

    def changes_since(self, commit: Commit, known: Collection[int]) -> Changes | None:
        """Return what changed after a commit, for a reader that stands there and knows some networks.

        What changed is told by the events of the blocks that were added since, and by those that were withdrawn.
        None if the feed does not reach back so far, or if it would be more than loading everything anew.

        Raises:
            SchemaMismatch: if the tables are gone.
            DatabaseUnreachable, DatabaseBusy: if they cannot be read.
            DatabaseBehind: if it is a replica that has not come so far.
            CommitsLost: if it lacks that commit for good.

        """
        position = commit.position
        with self._pool.snapshot() as cursor:
            match standing(cursor, commit):
                case Standing.TOO_YOUNG:
                    return None
                case Standing.BEHIND:
                    raise DatabaseBehind(f"the replica has not come to position {position} on the feed yet")
                case Standing.OTHER:
                    block = _position(cursor)
                    lacking = f"the database lacks position {position} on the feed as it was read here"
                    raise CommitsLost(lacking, None if block is None else block.number)
            cursor.execute(
                "SELECT min(least(first_block, undone_after + 1)) FILTER (WHERE kind = 'blocks'), "
                "coalesce(sum(touched), 0), array_agg(network_id) FILTER (WHERE kind = 'network') "
                "FROM feed WHERE position > %s",
                (position,),
            )
            row = cursor.fetchone()
            assert row is not None
            lowest, touched, renewed = row
            if touched > _FEW and touched > _half_of_all(cursor):
                return None
            networks = self._served(cursor)
            served = [network.id for network in networks]
            loaded = {
                network_id: _all_of(cursor, network_id)
                for network_id in served
                if network_id not in known or network_id in (renewed or ())
            }
            followed = [network_id for network_id in served if network_id not in loaded]
            keys = [] if lowest is None else _touched(cursor, position, lowest, followed)
            states = _states(cursor, keys)
            trustlines = [(n, (low, high), states.get((n, low, high))) for n, low, high in keys]
            end = newest_commit(cursor)
            return Changes(_position(cursor), end.position, networks, trustlines, loaded, end.commit_id)

    def _served(self, cursor: Cursor) -> list[StoredNetwork]:
        share = self._share
        return [each for each in _served(cursor) if share is None or share.holds(each.info.address)]


_FEW = 20_000
"""So many changed trustlines are worth no thought whether loading everything would be cheaper."""


def _half_of_all(cursor: Cursor) -> int:
    cursor.execute("SELECT count(*) / 2 FROM trustlines")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _all_of(cursor: Cursor, network_id: int) -> list[Trustline]:
    cursor.execute(f"SELECT {TRUSTLINE_COLUMNS} FROM trustlines WHERE network_id = %s", (network_id,))
    return [trustline_from(row)[1] for row in cursor.fetchall()]


def _touched(cursor: Cursor, position: int, lowest: int, networks: Sequence[int]) -> list[Row]:
    """Return (network id, lower, higher) of the trustlines that changed after a position on the feed."""
    cursor.execute(
        "SELECT network_id, LEAST(sender, receiver), GREATEST(sender, receiver) FROM events "
        # Bounded above as well: the planner knows little of blocks that have just come, and takes them for many.
        "WHERE block_number BETWEEN %(lowest)s AND (SELECT block_number FROM cursor) "
        "AND type IN ('TrustlineUpdate', 'BalanceUpdate') "
        "AND network_id = ANY(%(networks)s) "
        "UNION SELECT network_id, LEAST(sender, receiver), GREATEST(sender, receiver) FROM withdrawn_events "
        "WHERE feed_position > %(position)s AND type IN ('TrustlineUpdate', 'BalanceUpdate') "
        "AND network_id = ANY(%(networks)s)",
        {"lowest": lowest, "position": position, "networks": list(networks)},
    )
    return cursor.fetchall()


class FeedListener:
    """Waits on a connection of its own for the next commit of the index; ``heard_of`` is the newest's position."""

    def __init__(self, url: str) -> None:
        """Connect and listen; raises DatabaseUnreachable."""
        self.heard_of = 0
        self._connection: Connection = connect(url)
        self._connection.autocommit = True
        with translated_errors(), self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {FEED_CHANNEL}")

    def wait(self, seconds: float) -> bool:
        """Return whether a commit was announced within ``seconds``.

        Raises:
            DatabaseUnreachable: if the connection broke; announcements may have been missed.

        """
        told = await_notices(self._connection, seconds)
        self.heard_of = max([self.heard_of, *(int(position) for position in told if position.isdecimal())])
        return bool(told)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _position(cursor: Cursor) -> CursorPosition | None:
    cursor.execute("SELECT block_number, block_hash, timestamp FROM cursor")
    row = cursor.fetchone()
    return None if row is None else CursorPosition(*row)


def _served(cursor: Cursor) -> list[StoredNetwork]:
    cursor.execute(f"SELECT {NETWORK_COLUMNS} FROM networks WHERE is_served ORDER BY id")
    return [network_from(row) for row in cursor.fetchall()]


class _RowSink:
    """Takes what COPY writes, a row at a time, and hands it over some thousands at a time.

    All rows at once would take more room than the graph that is made of them.
    """

    def __init__(self, take: Callable[[list[TrustlineRow]], None]) -> None:
        self._take = take
        self._rows: list[TrustlineRow] = []

    def write(self, line: bytes) -> None:
        """Take one row of ``_COPIED_COLUMNS`` in Postgres' text format."""
        lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime = line.split(b"\t")
        row = (
            unhexlify(lower),
            unhexlify(higher),
            int(balance),
            int(given),
            int(received),
            int(rate_given),
            int(rate_received),
            is_frozen == b"t",
            int(mtime),
        )
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Hand over what is left."""
        rows, self._rows = self._rows, []
        self._take(rows)


def _hand_over(cursor: Cursor, networks: Sequence[StoredNetwork], take: TakeRows) -> None:
    """Read the trustlines by COPY: psycopg2 takes twice as long to make rows of a SELECT."""
    for network in networks:
        sink = _RowSink(partial(take, network.id))
        trustlines = sql.SQL("SELECT {} FROM trustlines WHERE network_id = {}").format(
            sql.SQL(_COPIED_COLUMNS), sql.Literal(network.id)
        )
        cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT").format(trustlines), sink)
        sink.flush()


def _states(cursor: Cursor, keys: Sequence[Row]) -> dict[tuple[int, bytes, bytes], Trustline]:
    if not keys:
        return {}
    cursor.execute(
        f"SELECT {TRUSTLINE_COLUMNS} FROM trustlines "
        "JOIN unnest(%s::integer[], %s::bytea[], %s::bytea[]) AS wanted (n, l, h) "
        "ON network_id = n AND lower = l AND higher = h",
        (numbers(key[0] for key in keys), octets(key[1] for key in keys), octets(key[2] for key in keys)),
    )
    found = (trustline_from(row) for row in cursor.fetchall())
    return {(network_id, line.lower, line.higher): line for network_id, line in found}
