"""Writing what is derived from events, and taking it back."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg2.extras import execute_values

from graph.transfer import FeePayer
from relay.store.arrays import numbers, octets
from relay.store.connection import Cursor
from relay.store.history_rows import (
    Accrual,
    Entry,
    Page,
    TransferRecord,
    interest_entry,
    mediation_entries,
    pages_after,
)
from relay.store.state_writing import PairKey

HISTORY_TABLES = ("interests", "mediations", "transfers")
"""The tables that this module fills."""

_INTERESTS = ("network_id", "lower", "higher")
_MEDIATIONS = ("network_id", "mediator")
_AT_ONCE = 1000

Key = tuple[Any, ...]
"""The values of the columns by which a list is known."""


class HistoryWriting:
    """The part of a write transaction that keeps what is derived from events."""

    _cursor: Cursor

    def add_history(self, accruals: Iterable[Accrual], transfers: Sequence[TransferRecord]) -> None:
        """Store interest and transfers, which follow all those stored."""
        interests: dict[Key, list[Entry]] = {}
        for accrual in accruals:
            entry = (accrual.block_number, accrual.timestamp, interest_entry(accrual))
            interests.setdefault((accrual.network_id, *accrual.pair), []).append(entry)
        mediations: dict[Key, list[Entry]] = {}
        for transfer in transfers:
            if len(transfer.path) > 2:
                for mediator, text in mediation_entries(transfer):
                    entry = (transfer.block_number, transfer.timestamp, text)
                    mediations.setdefault((transfer.network_id, mediator), []).append(entry)
        self._append("interests", _INTERESTS, interests)
        self._append("mediations", _MEDIATIONS, mediations)
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

    def _append(self, table: str, names: Sequence[str], lists: Mapping[Key, Sequence[Entry]]) -> None:
        """Add entries to lists, whose last pages are filled before others begin."""
        if not lists:
            return
        # In the order of the table's key, so that neighbours there are written one after the other.
        keys = sorted(lists)
        ends = self._last_pages(table, names, keys)
        whose, pages, rows = [], [], []
        for place, key in enumerate(keys, start=1):
            for page, entries in pages_after(*ends.get(place, (0, 0)), lists[key]):
                whose.append(key)
                pages.append(page)
                rows.append(_page(entries))
        key_columns = ", ".join(names)
        self._cursor.execute(
            f"INSERT INTO {table} ({key_columns}, page, blocks, times, sizes, entries) "
            f"SELECT {key_columns}, page, blocks::bigint[], times::bigint[], sizes::integer[], entries "
            f"FROM unnest({_types(names)}, %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]) "
            f"AS added ({key_columns}, page, blocks, times, sizes, entries) ON CONFLICT ({key_columns}, page) "
            f"DO UPDATE SET blocks = {table}.blocks || excluded.blocks, times = {table}.times || excluded.times, "
            f"sizes = {table}.sizes || excluded.sizes, entries = {table}.entries || ',' || excluded.entries",
            [*_columns(names, whose), numbers(pages), *map(_literal, zip(*rows, strict=True))],
        )

    def _last_pages(self, table: str, names: Sequence[str], keys: Sequence[Key]) -> dict[int, tuple[int, int]]:
        """Return number and entries of each list's last page, by the list's place among ``keys``, from 1."""
        self._cursor.execute(
            f"SELECT place, page, held "
            f"FROM unnest({_types(names)}) WITH ORDINALITY AS wanted ({', '.join(names)}, place) "
            f"CROSS JOIN LATERAL (SELECT page, cardinality(blocks) AS held FROM {table} t "
            f"WHERE {_same(names, 't', 'wanted')} ORDER BY page DESC LIMIT 1) AS last",
            _columns(names, keys),
        )
        return {place: (page, held) for place, page, held in self._cursor.fetchall()}

    def _add_transfers(self, transfers: Iterable[TransferRecord]) -> None:
        lines = "".join([_copy_line(transfer) for transfer in transfers])
        if lines:
            self._cursor.copy_expert(
                "COPY transfers (network_id, block_number, log_index, first_index, receiver_pays, path, amounts) "
                "FROM STDIN",
                io.BytesIO(lines.encode("ascii")),
            )

    def _cut(self, table: str, names: Sequence[str], number: int, wanted: Sequence[Key]) -> None:
        """Remove the entries above block ``number`` from some lists."""
        if not wanted:
            return
        last_kept = (
            f"SELECT page FROM {table} s WHERE {_same(names, 's', 'wanted')} "
            f"AND s.blocks[cardinality(s.blocks)] <= {number} ORDER BY page DESC LIMIT 1"
        )
        rows = execute_values(
            self._cursor,
            f"DELETE FROM {table} t USING (VALUES %s) AS wanted ({', '.join(names)}) "
            f"WHERE {_same(names, 't', 'wanted')} AND t.page > coalesce(({last_kept}), -1) "
            f"RETURNING t.{', t.'.join(names)}, t.page, t.blocks, t.times, t.sizes, t.entries",
            wanted,
            page_size=_AT_ONCE,
            fetch=True,
        )
        # Of each list one page at most reaches over the block, and all after it are gone.
        kept = {}
        for *key, _, blocks, times, sizes, entries in rows:
            staying = sum(block <= number for block in blocks)
            if staying:
                kept[tuple(key)] = list(Page(blocks, times, sizes, entries).between(0, staying))
        self._append(table, names, kept)


def _columns(names: Iterable[str], keys: Iterable[Key]) -> list[str]:
    """Return literals for the columns of keys."""
    columns = zip(names, zip(*keys, strict=True), strict=True)
    return [numbers(values) if name == "network_id" else octets(values) for name, values in columns]


def _types(names: Iterable[str]) -> str:
    """Return the places of parameters for the columns of keys, with their types."""
    return ", ".join("%s::integer[]" if name == "network_id" else "%s::bytea[]" for name in names)


def _same(names: Iterable[str], one: str, other: str) -> str:
    """Return the SQL condition that rows of two tables speak of the same list."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)


def _copy_line(transfer: TransferRecord) -> str:
    """Write a row of the table ``transfers`` in COPY's text format."""
    path = b"".join(transfer.path).hex()
    receiver_pays = "t" if transfer.fee_payer is FeePayer.RECEIVER else "f"
    return (
        f"{transfer.network_id}\t{transfer.block_number}\t{transfer.log_index}\t{transfer.first_index}\t"
        f"{receiver_pays}\t\\\\x{path}\t{numbers(transfer.amounts)}\n"
    )


def _page(entries: Sequence[Entry]) -> tuple[str, str, str, str]:
    """Return the columns of a page as elements of literals for arrays; most pages get a single entry at a time."""
    if len(entries) == 1:
        ((block, time, text),) = entries
        return f'"{{{block}}}"', f'"{{{time}}}"', f'"{{{len(text)}}}"', _quoted(text)
    blocks, times, texts = zip(*entries, strict=True)
    return tuple(map(_quoted, (numbers(blocks), numbers(times), numbers(map(len, texts)), ",".join(texts))))  # type: ignore[return-value]


def _literal(texts: Iterable[str]) -> str:
    """Return Postgres' literal for an array of texts, which are quoted where they need it."""
    return "{" + ",".join(texts) + "}"


def _quoted(text: str) -> str:
    """Return a text as an element of a literal for an array; ours hold no backslashes."""
    return '"' + text.replace('"', '\\"') + '"'
