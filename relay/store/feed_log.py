"""What happened after a place on the feed, one after the other: events that were added or withdrawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from graph.trustline import Pair
from relay.addresses import Address
from relay.model import Event, EventType
from relay.store.connection import Cursor, Pool, Row
from relay.store.contract_reading import UserEvent, changed_events
from relay.store.happenings import MOST_EVENTS, NEWS_TYPES, STATE_TYPES, event_from

TAG_BYTES = 4
_NO_TAG = bytes(TAG_BYTES)
_LAST_LOG = 2**31 - 1


class Change(IntEnum):
    """What a commit does with an event; it withdraws first and adds then."""

    WITHDRAWN = 0
    ADDED = 1


class Place(NamedTuple):
    """A place in the order of what happened; places after the same commit can be compared.

    ``turn`` is the commit that last undid blocks before this, as a position on the feed, 0 for none: between turns
    blocks are only added. ``first`` and ``second`` are block and log, negative on what is withdrawn: the last goes
    first.
    """

    turn: int
    change: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A commit: its ``position`` on the feed, the ``block`` it ended at, and the first bytes of its hash.

    ``identity`` tells databases apart, and one before and after it was rebuilt.
    """

    identity: int
    position: int
    block: int
    tag: bytes = _NO_TAG

    def ends_at(self, turn: int = 0) -> Place:
        """Return the place behind everything up to this commit; ``turn`` is the last one up to it."""
        return Place(turn, Change.ADDED, self.block, _LAST_LOG)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far somebody was told: of events up to ``place``, of how things stand up to the commit at ``base``."""

    identity: int
    base: int
    tag: bytes
    place: Place

    @classmethod
    def whole(cls, mark: Mark) -> "Reached":
        """Return that all was told up to a commit."""
        return cls(mark.identity, mark.position, mark.tag, mark.ends_at())

    def at(self, place: Place) -> "Reached":
        """Return the same with events up to another place."""
        return Reached(self.identity, self.base, self.tag, place)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that was added or withdrawn. ``is_passing`` on one that was added and has been withdrawn since."""

    place: Place
    event: Event | UserEvent
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """What happened between two places: ``entries`` in order, the trustlines that changed (``touched``).

    ``end`` is the later place, ``mark`` the commit it stands behind, ``head`` the number of the newest block.
    ``is_too_much`` says that there was more than was asked for, which then is left out.
    """

    mark: Mark
    end: Place
    head: int
    entries: list[Entry] = field(default_factory=list)
    touched: list[tuple[Address, Pair]] = field(default_factory=list)
    is_too_much: bool = False


class NotOnFeed(Exception):
    """The feed does not lead on from a place: it reaches not so far back any more, or never was there."""

    def __init__(self, *, is_foreign: bool) -> None:
        super().__init__("another database, or it was rebuilt" if is_foreign else "too long ago")
        self.is_foreign = is_foreign


class NotYet(Exception):
    """What is read here has not come to a place so far; on a replica it may do so in a moment."""


class FeedLog:
    """Reads the feed in its order; every method raises StoreError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def mark(self) -> Mark:
        """Return the newest commit."""
        with self._pool.snapshot() as cursor:
            return _newest(cursor)

    def require(self, reached: Reached) -> None:
        """Raise NotOnFeed or NotYet unless what happened after a place can be told."""
        with self._pool.snapshot() as cursor:
            _base_block(cursor, reached, _newest(cursor))

    def since(
        self, reached: Reached, until: Mark | None = None, user: Address | None = None, most: int = MOST_EVENTS
    ) -> Log:
        """Return what happened after a place up to a commit (None: the newest), to one user or to all.

        Raises:
            NotOnFeed: if that cannot be told.
            NotYet: if the place lies behind the commit, or behind the newest.

        """
        with self._pool.snapshot() as cursor:
            newest = _newest(cursor)
            until = until or newest
            base_block = _base_block(cursor, reached, newest)
            turns = _turns(cursor, reached.base)
            end = until.ends_at(max([turn.position for turn in turns if turn.is_in(until.position)], default=0))
            if reached.base > until.position or reached.place > end:
                raise NotYet
            floor = min([base_block, *(turn.undone_after for turn in turns if turn.undone_after is not None)])
            found = _found(cursor, _Range(reached.base, floor, newest.block), user, most + 1)
            if len(found) > most:
                return Log(until, end, newest.block, is_too_much=True)
            entries = sorted(_entries(found, turns), key=lambda entry: entry.place)
            told = [entry for entry in entries if reached.place < entry.place <= end]
            # How things stand is told later than events, so also by what was told of them.
            begin = Place(0, Change.ADDED, base_block, _LAST_LOG)
            touched = dict.fromkeys(
                (entry.event.network, _pair(entry.event))
                for entry in entries
                if begin < entry.place <= end
                and isinstance(entry.event, Event)
                and entry.event.type in STATE_TYPES
            )
            news = [
                entry for entry in told if not isinstance(entry.event, Event) or entry.event.type in NEWS_TYPES
            ]
            return Log(until, end, newest.block, news, list(touched))


@dataclass(frozen=True, slots=True)
class _Turn:
    """A commit that undid the blocks above a number, or with which a network joined."""

    position: int
    undone_after: int | None
    network: int | None
    known_to: int

    def is_in(self, position: int) -> bool:
        return self.undone_after is not None and self.position <= position


class _Found(NamedTuple):
    """An event, the id of its network (if it is of one), and the commit that withdrew it (if one did)."""

    event: Event | UserEvent
    network: int | None
    withdrawn_at: int | None


def _entries(found: Iterable[_Found], turns: Sequence[_Turn]) -> Iterable[Entry]:
    """Yield when these were added, and withdrawn, as far as it was after the place that the turns are after."""
    undoing = [(turn.position, turn.undone_after) for turn in turns if turn.undone_after is not None]
    for event, network, withdrawn_at in found:
        block, log = _where(event)
        # Who undid all up to below the block was there before the event.
        before = [at for at, after in undoing if after < block and (withdrawn_at is None or at < withdrawn_at)]
        turn = max(before, default=0)
        if not any(
            joined.network == network and joined.known_to >= block and turn < joined.position
            for joined in turns
            if joined.network is not None
        ):
            yield Entry(Place(turn, Change.ADDED, block, log), event, withdrawn_at is not None)
        if withdrawn_at is not None:
            yield Entry(Place(withdrawn_at, Change.WITHDRAWN, -block, -log), event)


def _where(event: Event | UserEvent) -> tuple[int, int]:
    where = event if isinstance(event, Event) else event.origin
    return where.block_number, where.log_index


def _pair(event: Event) -> Pair:
    assert event.sender is not None
    assert event.receiver is not None
    return min(event.sender, event.receiver), max(event.sender, event.receiver)


def _newest(cursor: Cursor) -> Mark:
    cursor.execute(
        "SELECT identity, position, (SELECT block_number FROM cursor), "
        "(SELECT max(position) FROM feed) FROM feed_horizon"
    )
    row = cursor.fetchone()
    assert row is not None
    identity, horizon, block, newest = row
    if newest is None or newest < horizon:
        return Mark(identity, horizon, block or 0)
    cursor.execute("SELECT last_block, last_hash FROM feed WHERE position = %s", (newest,))
    row = cursor.fetchone()
    assert row is not None
    return Mark(identity, newest, row[0], row[1][:TAG_BYTES])


def _base_block(cursor: Cursor, reached: Reached, newest: Mark) -> int:
    """Return the block at which the commit of a place ended; raises NotOnFeed or NotYet."""
    if reached.identity != newest.identity:
        raise NotOnFeed(is_foreign=True)
    if reached.base > newest.position:
        raise NotYet
    cursor.execute("SELECT last_block, last_hash FROM feed WHERE position = %s", (reached.base,))
    row = cursor.fetchone()
    if row is not None:
        if row[1][:TAG_BYTES] != reached.tag:
            # A server that took over had not got all that the one before it had committed.
            raise NotOnFeed(is_foreign=True)
        return int(row[0])
    cursor.execute(
        "SELECT position, (SELECT min(least(first_block, undone_after + 1)) FROM feed) FROM feed_horizon"
    )
    row = cursor.fetchone()
    assert row is not None
    if reached.base != row[0] or reached.tag != _NO_TAG:
        raise NotOnFeed(is_foreign=reached.base > row[0])
    return reached.place.first if row[1] is None else int(row[1]) - 1


def _turns(cursor: Cursor, base: int) -> list[_Turn]:
    cursor.execute(
        "SELECT position, undone_after, CASE WHEN is_joining THEN network_id END, last_block FROM feed "
        "WHERE position > %s AND (undone_after IS NOT NULL OR kind = 'network') ORDER BY position",
        (base,),
    )
    return [_Turn(*row) for row in cursor.fetchall()]


_COLUMNS = (
    "n.address, e.type::text, e.block_number, {hash}, {timestamp}, e.transaction_hash, e.transaction_index, "
    "e.log_index, e.sender, e.receiver, e.value, e.extra_data, "
    "e.given, e.received, e.rate_given, e.rate_received, e.is_frozen"
)
# Bounded above as well: the planner knows little of blocks that have just come, and takes them for many.
_NEW = "block_number > %(floor)s AND block_number <= %(top)s AND type = ANY(%(types)s::event_type[])"
# The indexes hold the first bytes of an address; the whole is asked for in words that tell the planner nothing.
_OF_USER = (
    "(SELECT * FROM events WHERE substring(sender for 7) = substring(%(user)s::bytea for 7) "
    f"AND CASE WHEN sender = %(user)s THEN true ELSE false END AND {_NEW} UNION ALL "
    "SELECT * FROM events WHERE substring(receiver for 7) = substring(%(user)s::bytea for 7) "
    f"AND CASE WHEN receiver = %(user)s AND sender <> receiver THEN true ELSE false END AND {_NEW})"
)
# One network after the other, so that the index, which begins with the network, is entered where it is wanted.
_OF_ALL = (
    "(SELECT e.* FROM networks n, "
    f"LATERAL (SELECT * FROM events WHERE network_id = n.id AND {_NEW} OFFSET 0) e WHERE n.is_served)"
)
_STANDING = (
    f"SELECT n.id, NULL::bigint, {_COLUMNS.format(hash='b.hash', timestamp='b.timestamp')} FROM {{source}} e "
    "JOIN blocks b ON b.number = e.block_number JOIN networks n ON n.id = e.network_id "
    "WHERE n.is_served ORDER BY e.block_number, e.log_index LIMIT %(limit)s"
)
_WITHDRAWN = (
    f"SELECT n.id, e.feed_position, {_COLUMNS.format(hash='e.block_hash', timestamp='e.timestamp')} "
    "FROM withdrawn_events e JOIN networks n ON n.id = e.network_id WHERE n.is_served "
    "AND e.feed_position > %(base)s AND e.type = ANY(%(types)s::event_type[]) "
    "AND (%(user)s::bytea IS NULL OR %(user)s IN (e.sender, e.receiver)) LIMIT %(limit)s"
)
_TYPES = [kind.value for kind in (*NEWS_TYPES, EventType.BALANCE_UPDATE)]


class _Range(NamedTuple):
    """Events above block ``floor`` up to ``top``, and those withdrawn after commit ``base``."""

    base: int
    floor: int
    top: int


def _found(cursor: Cursor, wanted: _Range, user: Address | None, limit: int) -> list[_Found]:
    """Return the events of a range, about so many at most."""
    parameters = {**wanted._asdict(), "user": user, "types": _TYPES, "limit": limit}
    rows: list[Row] = []
    for query in (_STANDING.format(source=_OF_ALL if user is None else _OF_USER), _WITHDRAWN):
        cursor.execute(query, parameters)
        rows += cursor.fetchall()
    found = [_Found(event_from(row[2:]), row[0], row[1]) for row in rows]
    others = changed_events(cursor, *wanted, user, limit)
    return found + [_Found(event, None, withdrawn_at) for event, withdrawn_at in others]
