"""What readers take from the database: the state of networks, what changed since, and lists of events."""

from binascii import unhexlify
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from psycopg2 import sql

from graph.trustline import Pair, Trustline
from graph.trustline import Row as TrustlineRow
from relay.addresses import Address
from relay.model import Event, EventType, Terms
from relay.store.arrays import numbers, octets
from relay.store.connection import Connection, Cursor, Pool, Row, await_notices, connect, translated_errors
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

    ``position`` is where on the feed to go on from; ``block`` is None while nothing has been indexed.
    ``hand_over`` reads the trustlines while the snapshot is open and hands them over, some thousands at a time.
    """

    block: CursorPosition | None
    position: int
    networks: list[StoredNetwork]
    hand_over: Callable[[TakeRows], None]


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


class StateReader:
    """Reads the state of all served networks, at once or by what changed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Hand out the whole state, to be read while this is open.

        Raises:
            SchemaMismatch: if the database is not set up, or by a newer program.
            DatabaseUnreachable, DatabaseBusy: if it cannot be read, also while the trustlines are.

        """
        with self._pool.snapshot() as cursor:
            require_current(cursor)
            networks = _served(cursor)
            yield Snapshot(_position(cursor), _feed_end(cursor), networks, partial(_hand_over, cursor, networks))

    def changes_since(self, position: int, known: Collection[int]) -> Changes | None:
        """Return what changed after a position on the feed, for a reader that knows some networks.

        What changed is told by the events of the blocks that were added since, and by those that were withdrawn.
        None if the feed does not reach back so far, or if it would be more than loading everything anew.

        Raises:
            SchemaMismatch: if the tables are gone.
            DatabaseUnreachable, DatabaseBusy: if they cannot be read.

        """
        with self._pool.snapshot() as cursor:
            cursor.execute("SELECT position FROM feed_horizon")
            row = cursor.fetchone()
            if row is None or row[0] > position:
                return None
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
            networks = _served(cursor)
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
            return Changes(_position(cursor), _feed_end(cursor), networks, trustlines, loaded)


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
    """Waits on a connection of its own for the next commit of the index."""

    def __init__(self, url: str) -> None:
        """Connect and listen; raises DatabaseUnreachable."""
        self._connection: Connection = connect(url)
        self._connection.autocommit = True
        with translated_errors(), self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {FEED_CHANNEL}")

    def wait(self, seconds: float) -> bool:
        """Return whether a commit was announced within ``seconds``.

        Raises:
            DatabaseUnreachable: if the connection broke; announcements may have been missed.

        """
        return bool(await_notices(self._connection, seconds))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted: of a network (None: all served ones), of a user (None: all), of these types.

    With ``other`` only those between the user and that one. ``newest`` bounds how many: the newest; None: all.
    """

    types: Sequence[EventType]
    network: Address | None = None
    user: Address | None = None
    from_block: int = 0
    newest: int | None = None
    other: Address | None = None


class EventReader:
    """Lists stored events, each list found by an index."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def events(self, wanted: EventFilter) -> list[Event]:
        """Return the matching events in the order of the chain.

        Raises:
            DatabaseUnreachable, DatabaseBusy: if they cannot be read.

        """
        with self._pool.snapshot() as cursor:
            networks = _network_addresses(cursor, wanted.network)
            cursor.execute(*events_query(wanted, networks))
            return [_event_from(row, networks) for row in reversed(cursor.fetchall())]


def events_query(wanted: EventFilter, network_ids: Collection[int]) -> tuple[str, dict[str, object]]:
    """Return the query for events of some networks, the newest first, and its parameters."""
    parameters: dict[str, object] = {
        "types": _literal(kind.value for kind in wanted.types),
        "networks": _literal(map(str, network_ids)),
        "network": next(iter(network_ids), None),
        "user": wanted.user,
        "other": wanted.other,
        "from_block": wanted.from_block,
        "newest": wanted.newest,
    }
    matching = _MATCHING.format(of=_OF_ONE if len(network_ids) == 1 else _OF_SEVERAL, by="{}")
    if wanted.user is None:
        return f"{_WITH_BLOCKS.format(matching.format(''))} {_NEWEST_FIRST}", parameters
    # Two walks down two indexes; one condition on both columns would have all of the user's events sorted.
    to_other, from_other = ("", "") if wanted.other is None else (_IS_TO_OTHER, _IS_FROM_OTHER)
    sent, received = matching.format(_IS_SENDER + to_other), matching.format(_IS_RECEIVER + from_other)
    halves = f"({sent}) UNION ALL ({received})"
    both = f"SELECT * FROM ({halves}) h {_NEWEST_FIRST} LIMIT %(newest)s"
    return f"{_WITH_BLOCKS.format(both)} {_NEWEST_FIRST}", parameters


_NEWEST_FIRST = "ORDER BY block_number DESC, log_index DESC"
# The order of one network's events is that of the table's key.
_OF_ONE, _OF_SEVERAL = "network_id = %(network)s", "network_id = ANY(%(networks)s::integer[])"
# The indexes of users hold the first bytes of an address and the block. The whole address is asked about in words
# that tell the planner nothing: it would think the two conditions independent, expect next to no events, and sort
# all there are.
_IS_SENDER = (
    "AND substring(sender for 7) = substring(%(user)s::bytea for 7) "
    "AND CASE WHEN sender = %(user)s THEN true ELSE false END"
)
_IS_RECEIVER = (
    "AND substring(receiver for 7) = substring(%(user)s::bytea for 7) "
    "AND CASE WHEN receiver = %(user)s AND sender <> receiver THEN true ELSE false END"
)
_IS_TO_OTHER = " AND CASE WHEN receiver = %(other)s AND sender <> receiver THEN true ELSE false END"
_IS_FROM_OTHER = " AND CASE WHEN sender = %(other)s THEN true ELSE false END"
_MATCHING = (
    "SELECT * FROM events WHERE {of} AND type = ANY(%(types)s::event_type[]) "
    f"AND block_number >= %(from_block)s {{by}} {_NEWEST_FIRST} LIMIT %(newest)s"
)
_WITH_BLOCKS = """
SELECT e.network_id, e.type::text, e.block_number, b.hash, b.timestamp, e.transaction_hash, e.transaction_index,
       e.log_index, e.sender, e.receiver, e.value, e.extra_data,
       e.given, e.received, e.rate_given, e.rate_received, e.is_frozen
FROM ({}) e JOIN blocks b ON b.number = e.block_number
"""


def _literal(names: Iterable[str]) -> str:
    """Write an array, as one literal: the planner sees through it, and finds the index of rare types."""
    return "{" + ",".join(names) + "}"


def _network_addresses(cursor: Cursor, wanted: Address | None) -> dict[int, Address]:
    cursor.execute(
        "SELECT id, address FROM networks WHERE is_served AND (%(wanted)s::bytea IS NULL OR address = %(wanted)s)",
        {"wanted": wanted},
    )
    return dict(cursor.fetchall())


def _event_from(row: Row, networks: dict[int, Address]) -> Event:
    terms = None if row[12] is None else Terms(*row[12:17])
    return Event(
        network=networks[row[0]],
        type=EventType(row[1]),
        block_number=row[2],
        block_hash=row[3],
        timestamp=row[4],
        transaction_hash=row[5],
        transaction_index=row[6],
        log_index=row[7],
        sender=row[8],
        receiver=row[9],
        value=row[10],
        terms=terms,
        extra_data=row[11],
    )


def _position(cursor: Cursor) -> CursorPosition | None:
    cursor.execute("SELECT block_number, block_hash, timestamp FROM cursor")
    row = cursor.fetchone()
    return None if row is None else CursorPosition(*row)


def _feed_end(cursor: Cursor) -> int:
    cursor.execute("SELECT greatest((SELECT max(position) FROM feed), (SELECT position FROM feed_horizon))")
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


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
