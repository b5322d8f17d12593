"""The events that waiting transactions are expected to leave."""

from collections.abc import Sequence
from typing import Literal

from psycopg2.extras import execute_values

from relay.model import Event, EventType, Terms
from relay.store.connection import Cursor, Row
from relay.store.contract_expected import add_expected_of_contracts
from relay.store.contract_reading import UserEvent
from relay.store.event_reading import EventFilter

Owner = Literal["relayed_hash", "transaction_id"]
"""The column that says whose events they are: a user's transaction or one of the relay's own."""


MOST_EVENTS = 200
"""Of one transaction: a transfer by fifty mediators leaves half as many."""

ExpectedEvent = Event | UserEvent
"""An event of a network, or of a token or exchange."""


def add_expected(cursor: Cursor, owner: Owner, key: object, expected: Sequence[ExpectedEvent], now: int) -> None:
    """Note the events that a transaction is expected to leave in contracts that are served, up to a number."""
    of_others = [event for event in expected if not isinstance(event, Event)]
    add_expected_of_contracts(cursor, owner, key, of_others, now)
    of_networks = [event for event in expected if isinstance(event, Event)]
    # Contracts of anybody's can leave thousands, and hundreds of transactions of theirs may wait.
    networks = list({event.network for event in of_networks})
    cursor.execute("SELECT address FROM networks WHERE is_served AND address = ANY(%s)", (networks,))
    served = {row[0] for row in cursor.fetchall()}
    events = [event for event in of_networks if event.network in served][:MOST_EVENTS]
    execute_values(
        cursor,
        f"INSERT INTO expected_events ({owner}, position, expected_at, network, type, sender, receiver, value, "
        "given, received, rate_given, rate_received, is_frozen, extra_data, at_block) VALUES %s",
        [(key, position, now, *_columns(event)) for position, event in enumerate(events)],
        template=f"({', '.join(['%s'] * 14)}, (SELECT coalesce(max(block_number), 0) FROM cursor))",
    )


def expected_events(cursor: Cursor, wanted: EventFilter) -> list[Event]:
    """Return the expected events of served networks, oldest first, whatever their block will be.

    They are those of transactions that the node holds and no indexed block has. They are in no block:
    ``block_number`` is the one after the last indexed one, ``block_hash`` zeros, ``timestamp`` when they came to
    be expected, ``log_index`` their place among those of their transaction.
    """
    parameters = {
        "types": [kind.value for kind in wanted.types],
        "network": wanted.network,
        "user": wanted.user,
        "other": wanted.other,
    }
    # Most often there are none, and to say so takes a thirtieth of planning what follows.
    cursor.execute(_NOTED, parameters)
    if not cursor.fetchall():
        return []
    cursor.execute(_EXPECTED, parameters)
    return [_event_from(row) for row in cursor.fetchall()]


_NOTED = """
SELECT FROM expected_events WHERE (%(network)s::bytea IS NULL OR network = %(network)s)
  AND (%(user)s::bytea IS NULL OR sender = %(user)s OR receiver = %(user)s) LIMIT 1
"""
_EXPECTED = """
SELECT e.network, e.type::text, (SELECT coalesce(max(block_number), 0) + 1 FROM cursor), e.expected_at,
       coalesce(e.relayed_hash, t.mined_hash, a.hash), e.position, e.sender, e.receiver, e.value, e.extra_data,
       e.given, e.received, e.rate_given, e.rate_received, e.is_frozen
FROM expected_events e
JOIN networks n ON n.address = e.network AND n.is_served
LEFT JOIN relayed_transactions r ON r.hash = e.relayed_hash
LEFT JOIN signed_transactions t ON t.id = e.transaction_id
LEFT JOIN LATERAL (
    SELECT hash FROM signed_attempts WHERE transaction_id = t.id AND raw <> ''
    ORDER BY created_at DESC, max_fee DESC LIMIT 1
) a ON true
WHERE e.type = ANY(%(types)s::event_type[])
  AND (%(network)s::bytea IS NULL OR e.network = %(network)s)
  AND (%(user)s::bytea IS NULL OR e.sender = %(user)s OR e.receiver = %(user)s)
  AND (%(other)s::bytea IS NULL
       OR %(other)s::bytea <> %(user)s::bytea AND (e.sender = %(other)s OR e.receiver = %(other)s))
  -- What is in a block shows until that block is indexed.
  AND CASE WHEN coalesce(r.block_number, t.block_number) IS NULL
      THEN coalesce(r.state, t.state) = 'open' AND coalesce(r.is_held, t.is_held)
      ELSE coalesce(r.block_number, t.block_number) > (SELECT coalesce(max(block_number), 0) FROM cursor) END
  -- A transaction may be indexed before it is noted here that it is in a block.
  AND NOT EXISTS (
      SELECT FROM events x
      WHERE substring(x.sender for 7) = substring(e.sender for 7) AND x.block_number > e.at_block - 100
        AND (x.transaction_hash = e.relayed_hash OR x.transaction_hash IN (
            SELECT hash FROM signed_attempts WHERE transaction_id = e.transaction_id
        ))
  )
ORDER BY e.expected_at, coalesce(t.nonce, r.nonce), e.position
"""


def _columns(event: Event) -> Row:
    terms = event.terms
    return (
        event.network,
        event.type.value,
        event.sender,
        event.receiver,
        event.value,
        terms and terms.given,
        terms and terms.received,
        terms and terms.rate_given,
        terms and terms.rate_received,
        None if terms is None else terms.is_frozen,
        event.extra_data,
    )


def _event_from(row: Row) -> Event:
    return Event(
        network=row[0],
        type=EventType(row[1]),
        block_number=row[2],
        block_hash=bytes(32),
        timestamp=row[3],
        transaction_hash=row[4],
        transaction_index=0,
        log_index=row[5],
        sender=row[6],
        receiver=row[7],
        value=row[8],
        extra_data=row[9],
        terms=None if row[10] is None else Terms(*row[10:15]),
    )
