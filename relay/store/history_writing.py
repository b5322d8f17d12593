"""Writing what is derived from events, and taking it back."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from psycopg2.extras import execute_values

from graph.transfer import FeePayer
from relay.store.connection import Cursor
from relay.store.history_rows import (
    PAGE_BLOCKS,
    Accrual,
    Page,
    TransferRecord,
    interest_entry,
    mediation_entries,
)
from relay.store.state_writing import PairKey

HISTORY_TABLES = ("interests", "mediations", "transfers")
"""The tables that this module fills."""

_INTERESTS = "network_id, lower, higher, page"
_MEDIATIONS = "network_id, mediator, page"
_AT_ONCE = 1000

Key = tuple[Any, ...]
"""The values of the columns by which a page is known."""


Entry = tuple[int, int, str]
"""An entry of a list: its block's number and timestamp, and its text."""


class HistoryWriting:
    """The part of a write transaction that keeps what is derived from events."""

    _cursor: Cursor

    def add_history(self, accruals: Iterable[Accrual], transfers: Sequence[TransferRecord]) -> None:
        """Store interest and transfers, which follow all those stored."""
        interests: dict[Key, list[Entry]] = {}
        for accrual in accruals:
            key: Key = (accrual.network_id, *accrual.pair, accrual.block_number // PAGE_BLOCKS)
            entry = (accrual.block_number, accrual.timestamp, interest_entry(accrual))
            interests.setdefault(key, []).append(entry)
        mediations: dict[Key, list[Entry]] = {}
        for transfer in transfers:
            if len(transfer.path) > 2:
                page = transfer.block_number // PAGE_BLOCKS
                for mediator, text in mediation_entries(transfer):
                    entry = (transfer.block_number, transfer.timestamp, text)
                    mediations.setdefault((transfer.network_id, mediator, page), []).append(entry)
        self._add_pages("interests", _INTERESTS, interests)
        self._add_pages("mediations", _MEDIATIONS, mediations)
        self._add_transfers(transfers)

    def undo_history(self, number: int, pairs: Sequence[PairKey]) -> None:
        """Take back what blocks above ``number`` told of the trustlines they touched, and their transfers."""
        self._cut("interests", _INTERESTS, number, [(network_id, *pair) for network_id, pair in pairs])
        mediators = {(network_id, user) for network_id, pair in pairs for user in pair}
        self._cut("mediations", _MEDIATIONS, number, sorted(mediators))
        self._cursor.execute(
            "DELETE FROM transfers t USING networks n WHERE t.network_id = n.id AND t.block_number > %s", (number,)
        )

    def forget_history_of(self, network_id: int) -> None:
        """Take back all that is derived from a network's events."""
        for table in HISTORY_TABLES:
            self._cursor.execute(f"DELETE FROM {table} WHERE network_id = %s", (network_id,))

    def _add_pages(self, table: str, key: str, pages: Mapping[Key, Sequence[Entry]]) -> None:
        if not pages:
            return
        # In the order of the table's key, so that neighbours there are written one after the other.
        keys = sorted(pages)
        names = key.split(", ")
        columns = [
            _literal(map(_KEY_TEXTS[name], column))
            for name, column in zip(names, zip(*keys, strict=True), strict=True)
        ]
        rows = [_page(pages[each]) for each in keys]
        columns += [_literal(column) for column in zip(*rows, strict=True)]
        types = ", ".join(f"%s::{_KEY_TYPES[name]}[]" for name in names)
        self._cursor.execute(
            f"INSERT INTO {table} ({key}, blocks, times, sizes, entries) "
            f"SELECT {key}, blocks::bigint[], times::bigint[], sizes::integer[], entries "
            f"FROM unnest({types}, %s::text[], %s::text[], %s::text[], %s::text[]) "
            f"AS added ({key}, blocks, times, sizes, entries) ON CONFLICT ({key}) "
            f"DO UPDATE SET blocks = {table}.blocks || excluded.blocks, times = {table}.times || excluded.times, "
            f"sizes = {table}.sizes || excluded.sizes, entries = {table}.entries || ',' || excluded.entries",
            columns,
        )

    def _add_transfers(self, transfers: Iterable[TransferRecord]) -> None:
        lines = "".join([_copy_line(transfer) for transfer in transfers])
        if lines:
            self._cursor.copy_expert(
                "COPY transfers (network_id, block_number, log_index, first_index, receiver_pays, path, amounts) "
                "FROM STDIN",
                io.BytesIO(lines.encode("ascii")),
            )

    def _cut(self, table: str, key: str, number: int, wanted: Sequence[Key]) -> None:
        """Remove the entries above block ``number`` from some lists, each given by its key without the page."""
        if not wanted:
            return
        names = key.split(", ")[:-1]
        matches = " AND ".join(f"t.{name} = gone.{name}" for name in names)
        rows = execute_values(
            self._cursor,
            f"DELETE FROM {table} t USING (VALUES %s) AS gone ({', '.join(names)}) "
            f"WHERE {matches} AND t.page >= {number // PAGE_BLOCKS} "
            f"AND t.blocks[cardinality(t.blocks)] > {number} "
            f"RETURNING t.{', t.'.join(names)}, t.page, t.blocks, t.times, t.sizes, t.entries",
            wanted,
            page_size=_AT_ONCE,
            fetch=True,
        )
        kept = {}
        for *values, blocks, times, sizes, entries in rows:
            staying = sum(block <= number for block in blocks)
            if staying:
                kept[tuple(values)] = list(Page(blocks, times, sizes, entries).between(0, staying))
        self._add_pages(table, key, kept)


_KEY_TYPES = {"network_id": "integer", "lower": "bytea", "higher": "bytea", "mediator": "bytea", "page": "bigint"}
_KEY_TEXTS: dict[str, Callable[[Any], str]] = {
    name: str if kind != "bytea" else lambda value: f'"\\\\x{value.hex()}"' for name, kind in _KEY_TYPES.items()
}


def _copy_line(transfer: TransferRecord) -> str:
    """Write a row of the table ``transfers`` in COPY's text format."""
    path = b"".join(transfer.path).hex()
    receiver_pays = "t" if transfer.fee_payer is FeePayer.RECEIVER else "f"
    return (
        f"{transfer.network_id}\t{transfer.block_number}\t{transfer.log_index}\t{transfer.first_index}\t"
        f"{receiver_pays}\t\\\\x{path}\t{_array(transfer.amounts)}\n"
    )


def _array(values: Iterable[int]) -> str:
    """Return Postgres' literal for an array of numbers: one parameter for many, and quick to read there."""
    return "{" + ",".join(map(str, values)) + "}"


def _page(entries: Sequence[Entry]) -> tuple[str, str, str, str]:
    """Return the columns of a page as elements of literals for arrays; most pages get a single entry at a time."""
    if len(entries) == 1:
        ((block, time, text),) = entries
        return f'"{{{block}}}"', f'"{{{time}}}"', f'"{{{len(text)}}}"', _quoted(text)
    blocks, times, texts = zip(*entries, strict=True)
    return tuple(map(_quoted, (_array(blocks), _array(times), _array(map(len, texts)), ",".join(texts))))  # type: ignore[return-value]


def _literal(texts: Iterable[str]) -> str:
    """Return Postgres' literal for an array of texts, which are quoted where they need it."""
    return "{" + ",".join(texts) + "}"


def _quoted(text: str) -> str:
    """Return a text as an element of a literal for an array; ours hold no backslashes."""
    return '"' + text.replace('"', '\\"') + '"'
