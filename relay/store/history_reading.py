"""Lists derived from events: interest, mediation fees, transfers, debts."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from graph.transfer import FeePayer
from relay.addresses import Address
from relay.store.connection import Cursor, Pool, Row
from relay.store.history_rows import Page, fees_of, interests_seen

END_OF_TIME = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """A time span in Unix seconds, both ends included."""

    start: int = 0
    end: int = END_OF_TIME

    def cut(self, page: Page) -> str:
        """Return the texts of a page's entries within it."""
        first = sum(time < self.start for time in page.times)
        end = sum(time <= self.end for time in page.times)
        return page.between(first, end).entries if first < end else ""


@dataclass(frozen=True, slots=True)
class StoredTransfer:
    """A transfer as it was executed.

    ``value`` is what it was called with: what was received where the sender paid the fees, else what was sent.
    ``amounts`` is what moved on each hop of ``path``; all in the smallest unit.
    """

    network: Address
    path: tuple[Address, ...]
    value: int
    fee_payer: FeePayer
    amounts: tuple[int, ...]
    extra_data: bytes

    @property
    def fees(self) -> tuple[int, ...]:
        """What each mediator kept, in the order of the path."""
        return fees_of(self.amounts)


@dataclass(frozen=True, slots=True)
class StoredDebt:
    """What ``other`` owes a user beside their trustline; negative where the user owes."""

    network: Address
    other: Address
    value: int


class HistoryReader:
    """Reads what the index has derived; every method raises StoreError if the database cannot be read."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def interests(
        self, network: Address, user: Address, other: Address | None, window: Window
    ) -> list[tuple[Address, list[bytes]]]:
        """Return the interest that a user gained (or, negative, paid) within a time span, by the other's address.

        With each ``other`` come JSON objects ``{value, interestRate, timestamp}`` in the order of the chain, in
        pieces of text within which they are separated by commas. Whoever has none is left out.
        """
        found: dict[Address, list[bytes]] = {}
        with self._pool.snapshot() as cursor:
            for is_lower, mine, theirs in ((True, "lower", "higher"), (False, "higher", "lower")):
                query = f"SELECT {theirs}, {_PAGE_WITHIN} FROM interests WHERE {_OF_NETWORK} AND {_TOUCHES}"
                query += f" AND {mine} = %(user)s"
                if other is not None:
                    query += f" AND {theirs} = %(other)s"
                rows = _pages(cursor, f"{query} ORDER BY 1, page", window, network=network, user=user, other=other)
                for neighbour, pages in groupby(rows, key=itemgetter(0)):
                    seen = [interests_seen(text, by_lower=is_lower) for _, text in pages if text]
                    if seen:
                        found[neighbour] = seen
        return sorted(found.items())

    def mediation_fees(self, network: Address, user: Address, window: Window) -> list[bytes]:
        """Return what a user earned as a mediator within a time span.

        These are JSON objects ``{value, from, to, transactionHash, timestamp}`` in the order of the chain, in
        pieces of text within which they are separated by commas.
        """
        query = f"SELECT mediator, {_PAGE_WITHIN} FROM mediations WHERE {_OF_NETWORK} AND {_TOUCHES}"
        query += " AND mediator = %(user)s"
        with self._pool.snapshot() as cursor:
            rows = _pages(cursor, f"{query} ORDER BY page", window, network=network, user=user)
        return [text.encode("ascii") for _, text in rows if text]

    def transferred(self, network: Address, sender: Address, receiver: Address, window: Window) -> int:
        """Return the sum of the values of all transfers from one user to another within a time span."""
        with self._pool.snapshot() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(e.value), 0) FROM events e JOIN blocks b ON b.number = e.block_number "
                "WHERE e.type = 'Transfer' AND substring(e.sender for 7) = substring(%(sender)s for 7) "
                "AND substring(e.receiver for 7) = substring(%(receiver)s for 7) AND e.sender = %(sender)s "
                f"AND e.receiver = %(receiver)s AND e.{_OF_NETWORK} AND b.timestamp BETWEEN %(start)s AND %(end)s",
                {
                    "network": network,
                    "sender": sender,
                    "receiver": receiver,
                    "start": window.start,
                    "end": window.end,
                },
            )
            (total,) = cursor.fetchone() or (0,)
            return int(total)

    def transfers_of(self, transaction_hash: bytes) -> list[StoredTransfer]:
        """Return the transfers of a transaction in the order in which they were executed."""
        with self._pool.snapshot() as cursor:
            cursor.execute(
                f"{_TRANSFERS} WHERE substring(e.transaction_hash for 8) = substring(%(hash)s for 8) "
                "AND e.transaction_hash = %(hash)s AND e.type = 'Transfer' AND n.is_served "
                "ORDER BY e.block_number, e.log_index",
                {"hash": transaction_hash},
            )
            return [_transfer_from(row) for row in cursor.fetchall()]

    def transfer_at(self, block_hash: bytes, log_index: int) -> StoredTransfer | None:
        """Return the transfer that an event, named by its block and log index, is part of; None if of none.

        Raises:
            KeyError: if no such event is known.

        """
        place = {"hash": block_hash, "index": log_index}
        with self._pool.snapshot() as cursor:
            cursor.execute(
                "SELECT e.network_id, e.block_number FROM blocks b JOIN networks n ON n.is_served "
                "JOIN events e ON e.network_id = n.id AND e.block_number = b.number AND e.log_index = %(index)s "
                "WHERE substring(b.hash for 8) = substring(%(hash)s for 8) AND b.hash = %(hash)s",
                place,
            )
            event = cursor.fetchone()
            if event is None:
                raise KeyError(block_hash, log_index)
            cursor.execute(
                f"{_TRANSFERS} WHERE t.network_id = %s AND t.block_number = %s AND %s BETWEEN t.first_index "
                "AND t.log_index AND e.type = 'Transfer'",
                (*event, log_index),
            )
            row = cursor.fetchone()
            return None if row is None else _transfer_from(row)

    def debts(self, user: Address) -> list[StoredDebt]:
        """Return all that is owed to a user or by it, network by network, by the other's address."""
        with self._pool.snapshot() as cursor:
            cursor.execute(
                "SELECT n.id, n.address, d.higher AS other, -d.debt FROM networks n "
                "JOIN debts d ON d.network_id = n.id WHERE n.is_served AND d.lower = %(user)s AND d.debt <> 0 "
                "UNION ALL SELECT n.id, n.address, d.lower, d.debt FROM debts d "
                "JOIN networks n ON n.id = d.network_id WHERE n.is_served AND d.higher = %(user)s AND d.debt <> 0 "
                "ORDER BY 1, 3",
                {"user": user},
            )
            return [StoredDebt(network, other, value) for _, network, other, value in cursor.fetchall()]


_OF_NETWORK = "network_id = (SELECT id FROM networks WHERE address = %(network)s AND is_served)"
_TOUCHES = "(%(is_whole)s OR (times[1] <= %(end)s AND times[cardinality(times)] >= %(start)s))"

# A page that reaches beyond the time span comes with what it takes to cut it.
_PAGE_WITHIN = (
    "entries, CASE WHEN %(is_whole)s OR (times[1] >= %(start)s AND times[cardinality(times)] <= %(end)s) "
    "THEN NULL ELSE times END, CASE WHEN %(is_whole)s THEN NULL ELSE sizes END"
)

_TRANSFERS = """
SELECT n.address, t.path, e.value, t.receiver_pays, t.amounts, e.extra_data
FROM events e JOIN networks n ON n.id = e.network_id
JOIN transfers t ON t.network_id = e.network_id AND t.block_number = e.block_number AND t.log_index = e.log_index
"""


def _pages(cursor: Cursor, query: str, window: Window, **parameters: object) -> Iterable[tuple[Address, str]]:
    """Return, page by page, whose it is and the texts of its entries within a time span."""
    span = {"start": window.start, "end": window.end, "is_whole": window == Window()}
    cursor.execute(query, {**parameters, **span})
    return [
        (whose, entries if times is None else window.cut(Page([], times, sizes, entries)))
        for whose, entries, times, sizes in cursor.fetchall()
    ]


def _transfer_from(row: Row) -> StoredTransfer:
    network, path, value, receiver_pays, amounts, extra_data = row
    return StoredTransfer(
        network=network,
        path=_split(path),
        value=value,
        fee_payer=FeePayer.RECEIVER if receiver_pays else FeePayer.SENDER,
        amounts=tuple(int(amount) for amount in amounts),
        extra_data=extra_data or b"",
    )


def _split(path: bytes) -> tuple[Address, ...]:
    return tuple(path[start : start + 20] for start in range(0, len(path), 20))
