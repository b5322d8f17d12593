"""Writing blocks and events, and taking them back."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from relay.model import Block, Event
from relay.store.arrays import numbers, octets
from relay.store.connection import Cursor
from relay.store.contract_writing import IS_IN_CONTRACT_EVENT
from relay.store.history_writing import HistoryWriting
from relay.store.state_writing import KnownTrustlines, PairKey

_EVENT_COLUMNS = (
    "block_number, log_index, network_id, type, transaction_hash, transaction_index, sender, receiver, value, "
    "given, received, rate_given, rate_received, is_frozen, closes, extra_data"
)
NULL = "\\N"
"""How COPY's text format writes that there is no value."""

_NO_TERMS = "\t".join([NULL] * 5)
_COPY_BYTES = 1 << 18
_TRUSTLINE_KINDS = ("TrustlineUpdate", "BalanceUpdate")
_FREEZE_KINDS = ("NetworkFreeze", "NetworkUnfreeze")


@dataclass(frozen=True, slots=True)
class Undone:
    """What the events that were taken back had touched, each without repetitions and in order."""

    trustlines: list[PairKey]
    debts: list[PairKey]
    networks: list[int]


class EventWriting(HistoryWriting):
    """The part of a write transaction that keeps blocks and events."""

    _cursor: Cursor
    _known: KnownTrustlines

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a stored block, None if it is not stored (any more)."""
        return self.block_hashes(number, number).get(number)

    def block_hashes(self, first: int, last: int) -> dict[int, bytes]:
        """Return the hashes of the stored blocks from ``first`` to ``last``, by number."""
        self._cursor.execute("SELECT number, hash FROM blocks WHERE number BETWEEN %s AND %s", (first, last))
        return dict(self._cursor.fetchall())

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """Store headers; one that is stored already stays."""
        some = list(blocks)
        if some:
            self._cursor.execute(
                "INSERT INTO blocks (number, hash, timestamp) "
                "SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[]) ON CONFLICT (number) DO NOTHING",
                (
                    numbers(block.number for block in some),
                    octets(block.hash for block in some),
                    numbers(block.timestamp for block in some),
                ),
            )

    def prune_blocks(self, first: int, final: int) -> None:
        """Forget headers from ``first`` on and below block ``final`` that no event refers to."""
        if first >= final:
            return
        # Events are found by network and block. A condition that cannot be made a join keeps the planner from
        # reading them all.
        self._cursor.execute(
            "DELETE FROM blocks b WHERE number >= %s AND number < %s AND NOT EXISTS (SELECT FROM networks n WHERE "
            "(SELECT e.log_index FROM events e WHERE e.network_id = n.id AND e.block_number = b.number LIMIT 1) "
            f"IS NOT NULL) AND NOT ({IS_IN_CONTRACT_EVENT})",
            (first, final),
        )

    def newest_block_up_to(self, number: int) -> tuple[int, bytes] | None:
        """Return number and hash of the newest stored block that is not above ``number``."""
        self._cursor.execute(
            "SELECT number, hash FROM blocks WHERE number <= %s ORDER BY number DESC LIMIT 1", (number,)
        )
        row = self._cursor.fetchone()
        return None if row is None else (row[0], row[1])

    def add_events(self, events: Iterable[tuple[int, Event, bool | None]]) -> None:
        """Store events as (network id, event, whether it closes its trustline), by COPY."""
        lines = "".join([_copy_line(network_id, event, closes) for network_id, event, closes in events])
        if lines:
            self._cursor.copy_expert(
                f"COPY events ({_EVENT_COLUMNS}) FROM STDIN", io.BytesIO(lines.encode("ascii")), _COPY_BYTES
            )

    def undo_after(self, number: int, feed_position: int | None = None) -> Undone:
        """Take back blocks and events above block ``number``, and set the networks that lag behind back to it.

        With a ``feed_position`` the events that readers have seen are kept there as withdrawn.
        """
        last = self._newest_block_number()
        if feed_position is not None:
            self._cursor.execute(
                f"INSERT INTO withdrawn_events (feed_position, {_EVENT_COLUMNS}, block_hash, timestamp) "
                f"SELECT %s, {_of('e')}, b.hash, b.timestamp FROM events e "
                "JOIN blocks b ON b.number = e.block_number JOIN networks n ON n.id = e.network_id "
                "WHERE e.block_number BETWEEN %s AND %s AND n.is_served",
                (feed_position, number + 1, last),
            )
        self._known.clear()
        undone = self._take_back(number + 1, last)
        self._cursor.execute("DELETE FROM blocks WHERE number BETWEEN %s AND %s", (number + 1, last))
        self._cursor.execute("UPDATE networks SET synced_to = %s WHERE synced_to > %s", (number, number))
        return undone

    def forget_events_of(self, network_id: int) -> None:
        """Take back all that is stored of a network but its own row and the headers its events stand in."""
        self._known.clear()
        for table in ("events", "trustlines", "debts"):
            self._cursor.execute(f"DELETE FROM {table} WHERE network_id = %s", (network_id,))
        self.forget_history_of(network_id)
        self._cursor.execute("UPDATE networks SET readings = readings + 1 WHERE id = %s", (network_id,))

    def _newest_block_number(self) -> int:
        """Return the highest number of a stored block.

        Ranges of blocks are bounded on both sides, for the planner knows little of those that have just come and
        takes "all above" for many.
        """
        self._cursor.execute("SELECT coalesce(max(number), 0) FROM blocks")
        row = self._cursor.fetchone()
        assert row is not None
        return int(row[0])

    def _take_back(self, first: int, last: int) -> Undone:
        self._cursor.execute(
            "DELETE FROM events e USING networks n WHERE e.network_id = n.id AND e.block_number BETWEEN %s AND %s "
            "RETURNING e.network_id, e.type::text, e.sender, e.receiver",
            (first, last),
        )
        trustlines: set[PairKey] = set()
        debts: set[PairKey] = set()
        networks: set[int] = set()
        for network_id, kind, sender, receiver in self._cursor.fetchall():
            if kind in _TRUSTLINE_KINDS:
                trustlines.add((network_id, (min(sender, receiver), max(sender, receiver))))
            elif kind == "DebtUpdate" and sender != receiver:
                debts.add((network_id, (min(sender, receiver), max(sender, receiver))))
            elif kind in _FREEZE_KINDS:
                networks.add(network_id)
        return Undone(sorted(trustlines), sorted(debts), sorted(networks))


def _of(table: str) -> str:
    return ", ".join(f"{table}.{column}" for column in _EVENT_COLUMNS.split(", "))


def _copy_line(network_id: int, event: Event, closes: bool | None) -> str:
    """Write a row of _EVENT_COLUMNS in COPY's text format; nothing that is stored this way holds free text."""
    terms = event.terms
    told = (
        _NO_TERMS
        if terms is None
        else f"{terms.given}\t{terms.received}\t{terms.rate_given}\t{terms.rate_received}\t{terms.is_frozen:d}"
    )
    return (
        f"{event.block_number}\t{event.log_index}\t{network_id}\t{event.type}\t"
        f"\\\\x{event.transaction_hash.hex()}\t{event.transaction_index}\t"
        f"{_copied(event.sender)}\t{_copied(event.receiver)}\t{NULL if event.value is None else event.value}\t"
        f"{told}\t{NULL if closes is None else int(closes)}\t{_copied(event.extra_data)}\n"
    )


def _copied(value: bytes | None) -> str:
    return NULL if value is None else "\\\\x" + value.hex()
