"""Lists of the stored events of currency networks, each found by an index."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.addresses import Address
from relay.model import Event, EventType, Terms
from relay.store.connection import Cursor, Pool, Row, execute_prepared
from relay.store.stretch import HEADER_OF_EVENT, Stretch


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted: of a network (None: all served ones), of a user (None: all), of these types.

    With ``other`` only those between the user and that one. ``newest`` bounds how many: the newest; None: all.
    Both blocks are included; without ``to_block`` there is no last one.
    """

    types: Sequence[EventType]
    network: Address | None = None
    user: Address | None = None
    from_block: int = 0
    newest: int | None = None
    other: Address | None = None
    to_block: int | None = None


class EventReader:
    """Lists stored events."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def events(self, wanted: EventFilter) -> list[Event]:
        """Return the matching events in the order of the chain.

        Raises:
            DatabaseUnreachable, DatabaseBusy: if they cannot be read.

        """
        stretch = Stretch(is_forward=False, most=wanted.newest)
        with self._pool.snapshot() as cursor:
            return events_along(cursor, wanted, served_networks(cursor, wanted.network), stretch)[::-1]


def served_networks(cursor: Cursor, wanted: Address | None) -> dict[int, Address]:
    """Return the networks that are served, or the one of them that is wanted, by their ids."""
    cursor.execute(
        "SELECT id, address FROM networks WHERE is_served AND (%(wanted)s::bytea IS NULL OR address = %(wanted)s)",
        {"wanted": wanted},
    )
    return dict(cursor.fetchall())


def events_along(
    cursor: Cursor, wanted: EventFilter, networks: Mapping[int, Address], stretch: Stretch
) -> list[Event]:
    """Return the matching events of some networks along a stretch, in the order of the walk."""
    if not networks:
        return []
    cursor.execute(*events_query(wanted, networks, stretch))
    return [_event_from(row, networks) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class OfNetwork:
    """What is found of a network: how often it was read anew, its events, whether more are expected of a user."""

    readings: int
    events: list[Event]
    has_expected: bool


def events_of_network(cursor: Cursor, wanted: EventFilter, stretch: Stretch) -> OfNetwork | None:
    """Return the matching events of a user in one network, None if that is not served; by a single statement.

    Most of what Postgres needs for this question goes into planning it, so that is done once.
    """
    query, parameters = events_query(wanted, (), stretch, of=_OF_LATERAL)
    fixed = {"types": _types(wanted)}
    varying = {name: value for name, value in parameters.items() if name in _VARYING or name.startswith("edge")}
    varying |= {"network": wanted.network} | ({} if wanted.other is None else {"other": wanted.other})
    execute_prepared(cursor, _OF_NETWORK.format(events=query, order=stretch.order), fixed, varying)
    rows = cursor.fetchall()
    if not rows:
        return None
    address, readings, has_expected = rows[0][:3]
    networks = {row[3]: address for row in rows}
    return OfNetwork(
        readings, [_event_from(row[3:], networks) for row in rows if row[3] is not None], has_expected
    )


_VARYING = ("user", "lowest", "highest", "most")
_OF_NETWORK = """
SELECT n.address, n.readings,
       EXISTS (SELECT FROM expected_events x
               WHERE x.network = n.address AND (x.sender = %(user)s OR x.receiver = %(user)s)),
       e.*
FROM networks n LEFT JOIN LATERAL ({events}) e ON true
WHERE n.is_served AND n.address = %(network)s {order}
"""


def events_query(
    wanted: EventFilter, network_ids: Collection[int], stretch: Stretch, of: str | None = None
) -> tuple[str, dict[str, object]]:
    """Return the query for the events of some networks along a stretch, and its parameters.

    ``of`` says in SQL which networks, where that is not by their ids.
    """
    parameters: dict[str, object] = {
        "types": _types(wanted),
        "networks": _literal(map(str, network_ids)),
        "network": next(iter(network_ids), None),
        "user": wanted.user,
        "other": wanted.other,
        **stretch.parameters(wanted.from_block, wanted.to_block),
    }
    of = of or (_OF_ONE if len(network_ids) == 1 else _OF_SEVERAL)
    matching = (
        f"SELECT * FROM events WHERE {of} AND type = ANY(%(types)s::event_type[]) AND {stretch.condition} {{}} "
        f"{stretch.order} {stretch.limit}"
    )
    if wanted.user is None:
        return f"{_WITH_BLOCKS.format(matching.format(''))} {stretch.order}", parameters
    # Two walks along two indexes; one condition on both columns would have all of the user's events sorted.
    to_other, from_other = ("", "") if wanted.other is None else (_IS_TO_OTHER, _IS_FROM_OTHER)
    sent, received = matching.format(_IS_SENDER + to_other), matching.format(_IS_RECEIVER + from_other)
    both = f"SELECT * FROM (({sent}) UNION ALL ({received})) h {stretch.order} {stretch.limit}"
    return f"{_WITH_BLOCKS.format(both)} {stretch.order}", parameters


# The order of one network's events is that of the table's key.
_OF_ONE, _OF_SEVERAL = "network_id = %(network)s", "network_id = ANY(%(networks)s::integer[])"
_OF_LATERAL = "network_id = n.id"
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
_WITH_BLOCKS = f"""
SELECT e.network_id, e.type::text, e.block_number, b.hash, b.timestamp, e.transaction_hash, e.transaction_index,
       e.log_index, e.sender, e.receiver, e.value, e.extra_data,
       e.given, e.received, e.rate_given, e.rate_received, e.is_frozen
FROM ({{}}) e CROSS JOIN LATERAL {HEADER_OF_EVENT} b
"""


def _types(wanted: EventFilter) -> str:
    return _literal(kind.value for kind in wanted.types)


def _literal(names: Iterable[str]) -> str:
    """Write an array, as one literal: the planner sees through it, and finds the index of rare types."""
    return "{" + ",".join(names) + "}"


_EVENT_TYPES = {kind.value: kind for kind in EventType}


def _event_from(row: Row, networks: Mapping[int, Address]) -> Event:
    terms = None if row[12] is None else Terms(*row[12:17])
    return Event(
        network=networks[row[0]],
        type=_EVENT_TYPES[row[1]],
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
