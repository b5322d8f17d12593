"""Writing blocks and events, and taking them back."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2.extras import execute_values

from relay.model import Block, Event
from relay.store.connection import Cursor
from relay.store.history_writing import HistoryWriting
from relay.store.state_writing import PairKey

_EVENT_COLUMNS = (
    "block_number, log_index, network_id, type, transaction_hash, transaction_index, sender, receiver, value, "
    "given, received, rate_given, rate_received, is_frozen, closes, extra_data"
)
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

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a stored block, None if it is not stored (any more)."""
        return self.block_hashes(number, number).get(number)

    def block_hashes(self, first: int, last: int) -> dict[int, bytes]:
        """Return the hashes of the stored blocks from ``first`` to ``last``, by number."""
        self._cursor.execute("SELECT number, hash FROM blocks WHERE number BETWEEN %s AND %s", (first, last))
        return dict(self._cursor.fetchall())

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """Store headers; one that is stored already stays."""
        execute_values(
            self._cursor,
            "INSERT INTO blocks (number, hash, timestamp) VALUES %s ON CONFLICT (number) DO NOTHING",
            [(block.number, block.hash, block.timestamp) for block in blocks],
            page_size=1000,
        )

    def prune_blocks(self, first: int, final: int) -> None:
        """Forget headers from ``first`` on and below block ``final`` that no event refers to."""
        self._cursor.execute(
            "DELETE FROM blocks b WHERE number >= %s AND number < %s "
            "AND NOT EXISTS (SELECT FROM events e WHERE e.block_number = b.number)",
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
        buffer = io.StringIO()
        for network_id, event, closes in events:
            buffer.write(_copy_line(network_id, event, closes))
        if buffer.tell():
            buffer.seek(0)
            self._cursor.copy_expert(f"COPY events ({_EVENT_COLUMNS}) FROM STDIN", buffer)

    def undo_after(self, number: int, feed_position: int | None = None) -> Undone:
        """Take back blocks and events above block ``number``, and set the networks that lag behind back to it.

        With a ``feed_position`` the events that readers have seen are kept there as withdrawn.
        """
        if feed_position is not None:
            self._cursor.execute(
                f"INSERT INTO withdrawn_events (feed_position, {_EVENT_COLUMNS}, block_hash, timestamp) "
                f"SELECT %s, {_of('e')}, b.hash, b.timestamp FROM events e "
                "JOIN blocks b ON b.number = e.block_number JOIN networks n ON n.id = e.network_id "
                "WHERE e.block_number > %s AND n.is_served",
                (feed_position, number),
            )
        undone = self._take_back(number)
        self._cursor.execute("DELETE FROM blocks WHERE number > %s", (number,))
        self._cursor.execute("UPDATE networks SET synced_to = %s WHERE synced_to > %s", (number, number))
        return undone

    def forget_events_of(self, network_id: int) -> None:
        """Take back all that is stored of a network but its own row and the headers its events stand in."""
        for table in ("events", "trustlines", "debts"):
            self._cursor.execute(f"DELETE FROM {table} WHERE network_id = %s", (network_id,))
        self.forget_history_of(network_id)

    def _take_back(self, number: int) -> Undone:
        self._cursor.execute(
            "DELETE FROM events WHERE block_number > %s RETURNING network_id, type::text, sender, receiver",
            (number,),
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
    terms = event.terms
    values: tuple[object, ...] = (
        event.block_number,
        event.log_index,
        network_id,
        event.type.value,
        event.transaction_hash,
        event.transaction_index,
        event.sender,
        event.receiver,
        event.value,
        terms and terms.given,
        terms and terms.received,
        terms and terms.rate_given,
        terms and terms.rate_received,
        None if terms is None else terms.is_frozen,
        closes,
        event.extra_data,
    )
    return "\t".join(map(_copy_value, values)) + "\n"


def _copy_value(value: object) -> str:
    """Write a value in COPY's text format; nothing the relay stores this way holds free text."""
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)
