"""Writing the state that follows from events: trustlines, debts, and whether networks are frozen."""

from collections.abc import Iterable

from psycopg2.extras import execute_values

from graph.trustline import Pair, Trustline
from relay.store.connection import Cursor, Row
from relay.store.rows import TRUSTLINE_COLUMNS, trustline_from

PairKey = tuple[int, Pair]
"""A network's id and two of its users, the lower address first."""

_PAGE = 1000


class StateWriting:
    """The part of a write transaction that keeps the state of networks."""

    _cursor: Cursor

    def trustlines(self, keys: Iterable[PairKey]) -> dict[PairKey, Trustline]:
        """Return the stored state of those trustlines that ever were."""
        rows = execute_values(
            self._cursor,
            f"SELECT {TRUSTLINE_COLUMNS} FROM trustlines "
            "JOIN (VALUES %s) AS wanted (n, l, h) ON network_id = n AND lower = l AND higher = h",
            [(network_id, *pair) for network_id, pair in keys],
            page_size=_PAGE,
            fetch=True,
        )
        found = (trustline_from(row) for row in rows)
        return {(network_id, trustline.pair): trustline for network_id, trustline in found}

    def save_trustlines(self, states: Iterable[tuple[int, Trustline]]) -> None:
        """Store the new state of trustlines, closed ones as zeros."""
        execute_values(
            self._cursor,
            f"INSERT INTO trustlines ({TRUSTLINE_COLUMNS}) VALUES %s "
            "ON CONFLICT (network_id, lower, higher) DO UPDATE SET balance = excluded.balance, "
            "given = excluded.given, received = excluded.received, rate_given = excluded.rate_given, "
            "rate_received = excluded.rate_received, is_frozen = excluded.is_frozen, mtime = excluded.mtime",
            [
                (
                    network_id,
                    line.lower,
                    line.higher,
                    line.balance,
                    line.given,
                    line.received,
                    line.rate_given,
                    line.rate_received,
                    line.is_frozen,
                    line.mtime,
                )
                for network_id, line in states
            ],
            page_size=_PAGE,
        )

    def restore_trustlines(self, keys: Iterable[PairKey]) -> None:
        """Set trustlines back to what the stored events say of them; without any they have never been."""
        wanted = [(network_id, *pair) for network_id, pair in keys]
        rows = execute_values(self._cursor, _STATES_FROM_EVENTS, wanted, page_size=_PAGE, fetch=True)
        states = [(row[0], _state_from(row)) for row in rows]
        found = {(network_id, *line.pair) for network_id, line in states}
        self.save_trustlines(states)
        execute_values(
            self._cursor,
            "DELETE FROM trustlines USING (VALUES %s) AS gone (n, l, h) "
            "WHERE network_id = n AND lower = l AND higher = h",
            [key for key in wanted if key not in found],
            page_size=_PAGE,
        )

    def save_debts(self, debts: Iterable[tuple[PairKey, int]]) -> None:
        """Store new debts, each seen by the user with the lower address: positive where that one is the debtor."""
        execute_values(
            self._cursor,
            "INSERT INTO debts (network_id, lower, higher, debt) VALUES %s "
            "ON CONFLICT (network_id, lower, higher) DO UPDATE SET debt = excluded.debt",
            [(network_id, *pair, debt) for (network_id, pair), debt in debts],
            page_size=_PAGE,
        )

    def restore_debts(self, keys: Iterable[PairKey]) -> None:
        """Set debts back to what the stored events say of them."""
        wanted = [(network_id, *pair) for network_id, pair in keys]
        rows = execute_values(self._cursor, _DEBTS_FROM_EVENTS, wanted, page_size=_PAGE, fetch=True)
        found = {(network_id, (lower, higher)): debt for network_id, lower, higher, debt in rows}
        self.save_debts(found.items())
        execute_values(
            self._cursor,
            "DELETE FROM debts USING (VALUES %s) AS gone (n, l, h) "
            "WHERE network_id = n AND lower = l AND higher = h",
            [(n, low, high) for n, low, high in wanted if (n, (low, high)) not in found],
            page_size=_PAGE,
        )

    def set_network_frozen(self, network_id: int, *, is_frozen: bool, started_frozen: bool | None = None) -> None:
        """Set whether a network is frozen and, if known by now, whether it was before its first event."""
        self._cursor.execute(
            "UPDATE networks SET is_frozen = %s, starts_frozen = coalesce(%s, starts_frozen) WHERE id = %s",
            (is_frozen, started_frozen, network_id),
        )

    def has_freeze_events(self, network_id: int) -> bool:
        """Return whether a NetworkFreeze or NetworkUnfreeze of the network is stored."""
        self._cursor.execute(
            "SELECT EXISTS (SELECT FROM events WHERE network_id = %s "
            "AND type IN ('NetworkFreeze', 'NetworkUnfreeze'))",
            (network_id,),
        )
        row = self._cursor.fetchone()
        return bool(row and row[0])

    def restore_network_frozen(self, network_id: int) -> None:
        """Set whether a network is frozen as the stored events leave it."""
        self._cursor.execute(
            "UPDATE networks SET is_frozen = coalesce((SELECT type = 'NetworkFreeze' FROM events "
            "WHERE network_id = %(id)s AND type IN ('NetworkFreeze', 'NetworkUnfreeze') "
            "ORDER BY block_number DESC, log_index DESC LIMIT 1), starts_frozen) WHERE id = %(id)s",
            {"id": network_id},
        )


def _state_from(row: Row) -> Trustline:
    """Read a row of _STATES_FROM_EVENTS."""
    _, lower, higher, sender, given, received, rate_given, rate_received, is_frozen = row[:9]
    balance_sender, value, timestamp = row[9:]
    if sender == higher:
        given, received, rate_given, rate_received = received, given, rate_received, rate_given
    balance = 0 if value is None else value if balance_sender == lower else -value
    state = Trustline(
        lower, higher, balance, given, received, rate_given, rate_received, is_frozen, timestamp or 0
    )
    return Trustline(lower, higher) if state.is_closed else state


_OF_THE_PAIR = "e.network_id = w.n AND LEAST(e.sender, e.receiver) = w.l AND GREATEST(e.sender, e.receiver) = w.h"
_LAST = "ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1"

# The terms are those of the last update, the balance that of the last change since the trustline was last closed.
_STATES_FROM_EVENTS = f"""
SELECT w.n, w.l, w.h, t.sender, t.given, t.received, t.rate_given, t.rate_received, t.is_frozen,
       b.sender, b.value, b.timestamp
FROM (VALUES %s) AS w (n, l, h)
JOIN LATERAL (
    SELECT * FROM events e
    WHERE {_OF_THE_PAIR} AND e.type = 'TrustlineUpdate'
      AND EXISTS (SELECT FROM events e WHERE {_OF_THE_PAIR} AND e.type = 'TrustlineUpdate' AND NOT e.closes)
    {_LAST}
) t ON true
LEFT JOIN LATERAL (
    SELECT e.block_number, e.log_index FROM events e WHERE {_OF_THE_PAIR} AND e.closes {_LAST}
) c ON true
LEFT JOIN LATERAL (
    SELECT e.sender, e.value, blocks.timestamp FROM events e JOIN blocks ON blocks.number = e.block_number
    WHERE {_OF_THE_PAIR} AND e.type = 'BalanceUpdate'
      AND (c.block_number IS NULL OR (e.block_number, e.log_index) > (c.block_number, c.log_index))
    {_LAST}
) b ON true
"""

_DEBTS_FROM_EVENTS = f"""
SELECT w.n, w.l, w.h, CASE WHEN d.sender = w.l THEN d.value ELSE -d.value END
FROM (VALUES %s) AS w (n, l, h)
JOIN LATERAL (SELECT e.sender, e.value FROM events e WHERE {_OF_THE_PAIR} AND e.type = 'DebtUpdate' {_LAST}) d
ON true
"""
