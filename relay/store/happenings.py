"""What happened since a position on the feed: the new events, and which trustlines changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from graph.trustline import Pair
from relay.addresses import Address
from relay.model import Event, EventType, Terms
from relay.store.connection import Cursor, Pool, Row
from relay.store.contract_reading import UserEvent, added_events

NEWS_TYPES = (
    EventType.TRUSTLINE_UPDATE,
    EventType.TRUSTLINE_UPDATE_REQUEST,
    EventType.TRUSTLINE_UPDATE_CANCEL,
    EventType.TRANSFER,
)
"""The events of which users are told."""

STATE_TYPES = (EventType.TRUSTLINE_UPDATE, EventType.BALANCE_UPDATE)
"""The events that change a trustline."""

MOST_EVENTS = 20_000
"""More are no news: who was away for so long looks things up."""


@dataclass(frozen=True, slots=True)
class Happenings:
    """What commits brought, up to a position on the feed.

    ``events`` are of NEWS_TYPES, in the order of the chain, each once; what was added and undone again meanwhile
    is not among them. ``touched`` are the trustlines that changed, also by what was withdrawn. ``head`` is the
    number of the newest block. ``is_too_much`` says that there was more than MOST_EVENTS, which then is left out.
    ``contract_events`` are those of tokens and exchanges.
    """

    position: int
    head: int
    events: list[Event]
    touched: list[tuple[Address, Pair]]
    is_too_much: bool = False
    contract_events: list[UserEvent] = field(default_factory=list)


class HappeningReader:
    """Reads the feed for those who tell users of what happens."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def end(self) -> int:
        """Return the position of the newest commit; raises StoreError."""
        with self._pool.snapshot() as cursor:
            return _end(cursor)

    def since(self, position: int) -> Happenings | None:
        """Return what happened after a position; None if the feed does not reach back so far, or not there yet.

        Raises:
            StoreError: if it cannot be read.

        """
        with self._pool.snapshot() as cursor:
            cursor.execute("SELECT position FROM feed_horizon")
            horizon = cursor.fetchone()
            end = _end(cursor)
            if horizon is None or not horizon[0] <= position <= end:
                return None
            cursor.execute("SELECT block_number FROM cursor")
            head = cursor.fetchone()
            number = 0 if head is None else int(head[0])
            if end == position:
                return Happenings(end, number, [], [])
            added = _added(cursor, position)
            of_contracts = added_events(cursor, position, MOST_EVENTS + 1)
            if max(len(added), len(of_contracts)) > MOST_EVENTS:
                return Happenings(end, number, [], [], is_too_much=True)
            touched = dict.fromkeys(
                [(event.network, _pair(event)) for event in added if event.type in STATE_TYPES]
                + _withdrawn(cursor, position)
            )
            events = [event for event in added if event.type in NEWS_TYPES]
            return Happenings(end, number, events, list(touched), contract_events=of_contracts)


def _pair(event: Event) -> Pair:
    assert event.sender is not None
    assert event.receiver is not None
    return min(event.sender, event.receiver), max(event.sender, event.receiver)


def _end(cursor: Cursor) -> int:
    cursor.execute("SELECT greatest((SELECT max(position) FROM feed), (SELECT position FROM feed_horizon))")
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _added(cursor: Cursor, position: int) -> list[Event]:
    """Return the events of the blocks that were added after a position and still stand.

    A network that became known meanwhile brings its history along, which is no news.
    """
    cursor.execute(
        """
        WITH added AS (SELECT first_block, last_block FROM feed WHERE position > %(position)s AND kind = 'blocks'),
        joined AS (
            SELECT network_id, max(last_block) AS known_to FROM feed
            WHERE position > %(position)s AND kind = 'network' GROUP BY network_id
        )
        SELECT n.address, e.type::text, e.block_number, b.hash, b.timestamp, e.transaction_hash,
               e.transaction_index, e.log_index, e.sender, e.receiver, e.value, e.extra_data,
               e.given, e.received, e.rate_given, e.rate_received, e.is_frozen
        FROM events e JOIN blocks b ON b.number = e.block_number JOIN networks n ON n.id = e.network_id
        LEFT JOIN joined j ON j.network_id = e.network_id
        WHERE n.is_served AND e.type = ANY(%(types)s::event_type[])
          AND e.block_number >= (SELECT min(first_block) FROM added)
          AND EXISTS (SELECT FROM added a WHERE e.block_number BETWEEN a.first_block AND a.last_block)
          AND e.block_number > coalesce(j.known_to, -1)
        ORDER BY e.block_number, e.log_index LIMIT %(limit)s
        """,
        {"position": position, "types": _names((*NEWS_TYPES, EventType.BALANCE_UPDATE)), "limit": MOST_EVENTS + 1},
    )
    return [event_from(row) for row in cursor.fetchall()]


def _withdrawn(cursor: Cursor, position: int) -> list[tuple[Address, Pair]]:
    cursor.execute(
        "SELECT DISTINCT n.address, LEAST(w.sender, w.receiver), GREATEST(w.sender, w.receiver) "
        "FROM withdrawn_events w JOIN networks n ON n.id = w.network_id "
        "WHERE n.is_served AND w.feed_position > %s AND w.type = ANY(%s::event_type[])",
        (position, _names(STATE_TYPES)),
    )
    return [(network, (lower, higher)) for network, lower, higher in cursor.fetchall()]


def _names(types: Sequence[EventType]) -> list[str]:
    return [kind.value for kind in types]


def event_from(row: Row) -> Event:
    """Read an event as the queries here and of the feed's log select it."""
    terms = None if row[12] is None else Terms(*row[12:17])
    network, kind, number, block_hash, time, transaction, index, log_index, sender, receiver, value, data = row[
        :12
    ]
    place = (number, block_hash, time, transaction, index, log_index)
    return Event(network, EventType(kind), *place, sender, receiver, value, terms, data)
