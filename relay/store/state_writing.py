"""Writing the state that follows from events: trustlines, debts, and whether networks are frozen."""

from collections.abc import Iterable, Sequence

from graph.trustline import Pair, Trustline
from relay.store.arrays import flags, numbers, octets
from relay.store.connection import Cursor, Row
from relay.store.rows import TRUSTLINE_COLUMNS, trustline_from

PairKey = tuple[int, Pair]
"""A network's id and two of its users, the lower address first."""

KnownTrustlines = dict[PairKey, Trustline | None]
"""States that need not be read again while nobody else writes; None for one that never was."""

_WANTED = "unnest(%s::integer[], %s::bytea[], %s::bytea[]) AS wanted (n, l, h)"
_IS_WANTED = "network_id = n AND lower = l AND higher = h"


class StateWriting:
    """The part of a write transaction that keeps the state of networks.

    ``_known`` is right as long as the transaction is: who ends it without a commit must empty it.
    """

    _cursor: Cursor
    _known: KnownTrustlines

    def trustlines(self, keys: Iterable[PairKey]) -> dict[PairKey, Trustline]:
        """Return the stored state of those trustlines that ever were."""
        states: dict[PairKey, Trustline] = {}
        missing: list[PairKey] = []
        for key in keys:
            if key not in self._known:
                missing.append(key)
            elif (state := self._known[key]) is not None:
                states[key] = state
        if missing:
            self._cursor.execute(
                f"SELECT {TRUSTLINE_COLUMNS} FROM trustlines JOIN {_WANTED} ON {_IS_WANTED}", _columns(missing)
            )
            self._known.update(dict.fromkeys(missing))
            for row in self._cursor.fetchall():
                network_id, line = trustline_from(row)
                self._known[network_id, line.pair] = states[network_id, line.pair] = line
        return states

    def save_trustlines(self, states: Iterable[tuple[int, Trustline]]) -> None:
        """Store the new state of trustlines, closed ones as zeros."""
        # In the order of the table's key, so that neighbours in its index are written one after the other.
        some = sorted(states, key=lambda state: (state[0], state[1].lower, state[1].higher))
        if not some:
            return
        lines = [line for _, line in some]
        self._cursor.execute(
            f"INSERT INTO trustlines ({TRUSTLINE_COLUMNS}) SELECT * FROM unnest(%s::integer[], %s::bytea[], "
            "%s::bytea[], %s::numeric[], %s::numeric[], %s::numeric[], %s::smallint[], %s::smallint[], "
            "%s::boolean[], %s::bigint[]) "
            "ON CONFLICT (network_id, lower, higher) DO UPDATE SET balance = excluded.balance, "
            "given = excluded.given, received = excluded.received, rate_given = excluded.rate_given, "
            "rate_received = excluded.rate_received, is_frozen = excluded.is_frozen, mtime = excluded.mtime",
            (
                *_columns([(network_id, line.pair) for network_id, line in some]),
                numbers([line.balance for line in lines]),
                numbers([line.given for line in lines]),
                numbers([line.received for line in lines]),
                numbers([line.rate_given for line in lines]),
                numbers([line.rate_received for line in lines]),
                flags([line.is_frozen for line in lines]),
                numbers([line.mtime for line in lines]),
            ),
        )
        self._known.update({(network_id, line.pair): line for network_id, line in some})

    def restore_trustlines(self, keys: Iterable[PairKey]) -> None:
        """Set trustlines back to what the stored events say of them; without any they have never been."""
        wanted = list(keys)
        if not wanted:
            return
        self._known.clear()
        self._cursor.execute(_STATES_FROM_EVENTS, _columns(wanted))
        states = [(row[0], _state_from(row)) for row in self._cursor.fetchall()]
        found = {(network_id, line.pair) for network_id, line in states}
        self.save_trustlines(states)
        self._delete("trustlines", [key for key in wanted if key not in found])

    def save_debts(self, debts: Iterable[tuple[PairKey, int]]) -> None:
        """Store new debts, each seen by the user with the lower address: positive where that one is the debtor."""
        some = sorted(debts)
        if some:
            self._cursor.execute(
                "INSERT INTO debts (network_id, lower, higher, debt) "
                "SELECT * FROM unnest(%s::integer[], %s::bytea[], %s::bytea[], %s::numeric[]) "
                "ON CONFLICT (network_id, lower, higher) DO UPDATE SET debt = excluded.debt",
                (*_columns([key for key, _ in some]), numbers(debt for _, debt in some)),
            )

    def restore_debts(self, keys: Iterable[PairKey]) -> None:
        """Set debts back to what the stored events say of them."""
        wanted = list(keys)
        if not wanted:
            return
        self._cursor.execute(_DEBTS_FROM_EVENTS, _columns(wanted))
        found = {(row[0], (row[1], row[2])): row[3] for row in self._cursor.fetchall()}
        self.save_debts(found.items())
        self._delete("debts", [key for key in wanted if key not in found])

    def _delete(self, table: str, keys: Sequence[PairKey]) -> None:
        if keys:
            self._cursor.execute(f"DELETE FROM {table} USING {_WANTED} WHERE {_IS_WANTED}", _columns(keys))

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


def _columns(keys: Sequence[PairKey]) -> tuple[str, str, str]:
    """Return keys as the three columns of _WANTED."""
    return (
        numbers([network_id for network_id, _ in keys]),
        octets([pair[0] for _, pair in keys]),
        octets([pair[1] for _, pair in keys]),
    )


# The indexes know a piece of each address only.
_OF_THE_PAIR = (
    "substring(LEAST(e.sender, e.receiver) for 7) = substring(w.l for 7) "
    "AND substring(GREATEST(e.sender, e.receiver) for 7) = substring(w.h for 7) "
    "AND e.network_id = w.n AND LEAST(e.sender, e.receiver) = w.l AND GREATEST(e.sender, e.receiver) = w.h"
)
_LAST = "ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1"
_OF_WANTED = "FROM unnest(%s::integer[], %s::bytea[], %s::bytea[]) AS w (n, l, h)"

# The terms are those of the last update, the balance that of the last change since the trustline was last closed.
_STATES_FROM_EVENTS = f"""
SELECT w.n, w.l, w.h, t.sender, t.given, t.received, t.rate_given, t.rate_received, t.is_frozen,
       b.sender, b.value, b.timestamp
{_OF_WANTED}
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
{_OF_WANTED}
JOIN LATERAL (SELECT e.sender, e.value FROM events e WHERE {_OF_THE_PAIR} AND e.type = 'DebtUpdate' {_LAST}) d
ON true
"""
