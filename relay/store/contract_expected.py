"""The events that waiting transactions are expected to leave in tokens and exchanges."""

from collections.abc import Sequence

from psycopg2.extras import execute_values

from relay.contracts import ExchangeEvent, ExchangeEventType, Origin, TokenEvent, TokenEventType
from relay.store.connection import Cursor, Row
from relay.store.contract_reading import ContractFilter, UserEvent

MOST_EVENTS = 200
"""Of one transaction; contracts of anybody's can leave thousands."""

KEPT_SECONDS = 8 * 86_400
"""What has not happened by then is not listed as expected any more."""


def add_expected_of_contracts(
    cursor: Cursor, owner: str, key: object, events: Sequence[UserEvent], now: int
) -> None:
    """Note the events that a transaction is expected to leave in contracts that are served.

    ``owner`` is the column that says whose they are. Forgets what has been expected for too long.
    """
    if not events:
        return
    cursor.execute(
        "SELECT address FROM contracts WHERE is_served AND address = ANY(%s)",
        (list({event.origin.contract for event in events}),),
    )
    served = {row[0] for row in cursor.fetchall()}
    cursor.execute("DELETE FROM expected_contract_events WHERE expected_at < %s", (now - KEPT_SECONDS,))
    execute_values(
        cursor,
        f"INSERT INTO expected_contract_events ({owner}, position, expected_at, contract, type, sender, receiver, "
        "value, order_hash, fee_recipient, maker_token, taker_token, maker_amount, taker_amount, maker_fee, "
        "taker_fee, at_block) VALUES %s",
        [
            (key, position, now, event.origin.contract, event.type.value, *_columns(event))
            for position, event in enumerate(events)
            if event.origin.contract in served
        ][:MOST_EVENTS],
        template=f"({', '.join(['%s'] * 16)}, (SELECT coalesce(max(block_number), 0) FROM cursor))",
    )


def expected_contract_events(cursor: Cursor, wanted: ContractFilter) -> list[UserEvent]:
    """Return the matching expected events, oldest first, whatever their block will be.

    As in `relay.store.expected`: they have the number of the next block, zeros for a hash, and the time at which
    they came to be expected.
    """
    parameters = {
        "kinds": [kind.value for kind in wanted.kinds],
        "contract": wanted.contract,
        "user": wanted.user,
        "types": None if wanted.types is None else list(wanted.types),
    }
    cursor.execute(_NOTED, parameters)
    if not cursor.fetchall():
        return []
    cursor.execute(_EXPECTED, parameters)
    return [_event_from(row) for row in cursor.fetchall()]


_NOTED = """
SELECT FROM expected_contract_events WHERE (%(contract)s::bytea IS NULL OR contract = %(contract)s)
  AND (%(user)s::bytea IS NULL OR sender = %(user)s OR receiver = %(user)s) LIMIT 1
"""
_EXPECTED = """
SELECT e.contract, (SELECT coalesce(max(block_number), 0) + 1 FROM cursor), e.expected_at,
       coalesce(e.relayed_hash, t.mined_hash, a.hash), e.position, e.type, e.sender, e.receiver, e.value,
       e.order_hash, e.fee_recipient, e.maker_token, e.taker_token, e.maker_amount, e.taker_amount, e.maker_fee,
       e.taker_fee
FROM expected_contract_events e
JOIN contracts c ON c.address = e.contract AND c.is_served AND c.kind = ANY(%(kinds)s)
LEFT JOIN relayed_transactions r ON r.hash = e.relayed_hash
LEFT JOIN signed_transactions t ON t.id = e.transaction_id
LEFT JOIN LATERAL (
    SELECT hash FROM signed_attempts WHERE transaction_id = t.id AND raw <> ''
    ORDER BY created_at DESC, max_fee DESC LIMIT 1
) a ON true
WHERE (%(contract)s::bytea IS NULL OR e.contract = %(contract)s)
  AND (%(types)s::text[] IS NULL OR e.type = ANY(%(types)s::text[]))
  AND (%(user)s::bytea IS NULL OR e.sender = %(user)s OR e.receiver = %(user)s)
  AND e.type = ANY(CASE c.kind WHEN 'Exchange' THEN ARRAY['LogFill', 'LogCancel']
                   WHEN 'Token' THEN ARRAY['Transfer', 'Approval']
                   ELSE ARRAY['Transfer', 'Approval', 'Deposit', 'Withdrawal'] END)
  -- What is in a block shows until that block is indexed.
  AND CASE WHEN coalesce(r.block_number, t.block_number) IS NULL
      THEN coalesce(r.state, t.state) = 'open' AND coalesce(r.is_held, t.is_held)
      ELSE coalesce(r.block_number, t.block_number) > (SELECT coalesce(max(block_number), 0) FROM cursor) END
  -- A transaction may be indexed before it is noted here that it is in a block.
  AND NOT EXISTS (
      SELECT FROM token_events x
      WHERE substring(x.sender for 7) = substring(e.sender for 7) AND x.block_number > e.at_block - 100
        AND (x.transaction_hash = e.relayed_hash OR x.transaction_hash IN (
            SELECT hash FROM signed_attempts WHERE transaction_id = e.transaction_id
        ))
  )
  AND NOT EXISTS (
      SELECT FROM exchange_events x
      WHERE x.maker = e.sender AND x.block_number > e.at_block - 100
        AND (x.transaction_hash = e.relayed_hash OR x.transaction_hash IN (
            SELECT hash FROM signed_attempts WHERE transaction_id = e.transaction_id
        ))
  )
ORDER BY e.expected_at, coalesce(t.nonce, r.nonce), e.position
"""


def _columns(event: UserEvent) -> Row:
    match event:
        case TokenEvent():
            return (event.sender, event.receiver, event.value, *[None] * 8)
        case ExchangeEvent():
            tokens = (event.fee_recipient, event.maker_token, event.taker_token)
            amounts = (event.maker_amount, event.taker_amount, event.maker_fee, event.taker_fee)
            return (event.maker, event.taker, None, event.order_hash, *tokens, *amounts)


def _event_from(row: Row) -> UserEvent:
    contract, number, time, transaction_hash, position, kind, sender, receiver, value, order_hash, *rest = row
    origin = Origin(contract, number, bytes(32), time, transaction_hash, 0, position)
    if order_hash is None:
        return TokenEvent(origin, TokenEventType(kind), sender, receiver, value)
    return ExchangeEvent(origin, ExchangeEventType(kind), order_hash, sender, receiver, *rest)
