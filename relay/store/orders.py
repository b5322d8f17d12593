"""The orders of exchanges: kept as they came, and read with what the chain says has become of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from relay.addresses import Address
from relay.model import Order
from relay.store.connection import Cursor, Pool, Row
from relay.store.operations import WritingPool

_LOCK = 0x7452_0041
"""Key of the advisory lock under which orders are counted and added."""

_ORDER_COLUMNS = (
    "exchange, maker, taker, maker_token, taker_token, fee_recipient, maker_amount, taker_amount, maker_fee, "
    "taker_fee, expires_at, salt, v, r, s"
)


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order, its 32-byte ``hash``, and what has become of it by the newest indexed block.

    Filled and cancelled amounts are sums over the exchange's events. ``unfunded_since`` (Unix seconds) is there
    while the maker cannot fill what is left.
    """

    hash: bytes
    order: Order
    filled_maker: int = 0
    filled_taker: int = 0
    cancelled_maker: int = 0
    cancelled_taker: int = 0
    unfunded_since: int | None = None

    @property
    def available_maker(self) -> int:
        """What is left of the amount offered."""
        return max(0, self.order.maker_amount - self.filled_maker - self.cancelled_maker)

    @property
    def available_taker(self) -> int:
        """What is left of the amount asked for."""
        return max(0, self.order.taker_amount - self.filled_taker - self.cancelled_taker)


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders are wanted; None is any. ``token`` is on either side, ``trader`` maker or taker."""

    exchange: Address | None = None
    token: Address | None = None
    maker_token: Address | None = None
    taker_token: Address | None = None
    trader: Address | None = None
    maker: Address | None = None
    taker: Address | None = None
    fee_recipient: Address | None = None


class Added(Enum):
    """What became of an order that was to be added."""

    NEW = auto()
    KNOWN = auto()
    MAKER_HAS_TOO_MANY = auto()
    FULL = auto()


_SELECT = (
    f"SELECT hash, {_ORDER_COLUMNS}, filled_maker, filled_taker, cancelled_maker, cancelled_taker, unfunded_since "
)
_FROM = (
    "FROM orders AS o CROSS JOIN LATERAL (SELECT "
    "coalesce(sum(e.maker_amount) FILTER (WHERE e.type = 'LogFill'), 0) AS filled_maker, "
    "coalesce(sum(e.taker_amount) FILTER (WHERE e.type = 'LogFill'), 0) AS filled_taker, "
    "coalesce(sum(e.maker_amount) FILTER (WHERE e.type = 'LogCancel'), 0) AS cancelled_maker, "
    "coalesce(sum(e.taker_amount) FILTER (WHERE e.type = 'LogCancel'), 0) AS cancelled_taker, "
    "max(e.block_number) AS last_block "
    "FROM exchange_events AS e JOIN contracts AS c ON c.id = e.contract_id "
    "WHERE e.order_hash = o.hash AND c.address = o.exchange) AS done "
)
_IS_OPEN = "o.expires_at > %(now)s AND done.filled_taker + done.cancelled_taker < o.taker_amount "

_CONDITIONS = {
    "exchange": "o.exchange = %(exchange)s",
    "token": "(o.maker_token = %(token)s OR o.taker_token = %(token)s)",
    "maker_token": "o.maker_token = %(maker_token)s",
    "taker_token": "o.taker_token = %(taker_token)s",
    "trader": "(o.maker = %(trader)s OR o.taker = %(trader)s)",
    "maker": "o.maker = %(maker)s",
    "taker": "o.taker = %(taker)s",
    "fee_recipient": "o.fee_recipient = %(fee_recipient)s",
}


class OrderStore:
    """Stores orders; ``now`` is in Unix seconds. Every method raises StoreError if the database fails."""

    def __init__(self, reading: Pool, writing: WritingPool) -> None:
        self._reading = reading
        self._writing = writing

    def find(self, order_hash: bytes) -> StoredOrder | None:
        """Return an order, whatever has become of it, None if there is none (any more)."""
        with self._reading.snapshot() as cursor:
            cursor.execute(f"{_SELECT}{_FROM}WHERE o.hash = %s", (order_hash,))
            row = cursor.fetchone()
            return None if row is None else _order_from(row)

    def open(self, now: int, wanted: OrderFilter) -> list[StoredOrder]:
        """Return the matching orders that are neither expired nor filled or cancelled as a whole, oldest first."""
        given = {name: getattr(wanted, name) for name in _CONDITIONS if getattr(wanted, name) is not None}
        conditions = "".join(f"AND {_CONDITIONS[name]} " for name in given)
        with self._reading.snapshot() as cursor:
            cursor.execute(f"{_SELECT}{_FROM}WHERE {_IS_OPEN}{conditions}ORDER BY o.id", {**given, "now": now})
            return [_order_from(row) for row in cursor.fetchall()]

    def newest(self) -> int:
        """Return a number that grows with every order that is added."""
        with self._reading.snapshot() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM orders")
            return _number(cursor)

    def add(self, order_hash: bytes, order: Order, now: int, *, most: int, most_of_maker: int) -> Added:
        """Keep an order unless it is known, or there would be more than ``most`` open ones, or of its maker.

        Where the book is full, an order that its maker cannot fill, for longest, makes room.
        """
        with self._writing.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute("SELECT 1 FROM orders WHERE hash = %s", (order_hash,))
            if cursor.fetchone() is not None:
                return Added.KNOWN
            counted = "count(*) FROM orders AS o WHERE o.expires_at > %(now)s"
            if _is_reached(cursor, most_of_maker, now, f"{counted} AND o.maker = %(maker)s", order.maker):
                return Added.MAKER_HAS_TOO_MANY
            if _is_reached(cursor, most, now, counted) and not _make_room(cursor, now):
                return Added.FULL
            values = [getattr(order, name) for name in _ORDER_COLUMNS.split(", ")]
            cursor.execute(
                f"INSERT INTO orders (hash, received_at, {_ORDER_COLUMNS}) "
                f"VALUES ({', '.join(['%s'] * (2 + len(values)))})",
                (order_hash, now, *values),
            )
            return Added.NEW

    def note_funding(self, now: int, funded: Iterable[bytes], unfunded: Iterable[bytes]) -> None:
        """Note of some orders, by their hashes, that their makers can fill them, or cannot."""
        with self._writing.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET unfunded_since = NULL WHERE unfunded_since IS NOT NULL AND hash = ANY(%s)",
                (list(funded),),
            )
            cursor.execute(
                "UPDATE orders SET unfunded_since = %s WHERE unfunded_since IS NULL AND hash = ANY(%s)",
                (now, list(unfunded)),
            )

    def forget(self, before: int) -> int:
        """Remove the orders that nobody could take since a time (Unix seconds) or longer; return how many.

        They expired, lost their funds, or were filled or cancelled as a whole in blocks that cannot be replaced.
        """
        with self._writing.transaction() as cursor:
            cursor.execute(
                "DELETE FROM orders WHERE expires_at < %(before)s OR unfunded_since < %(before)s OR id IN ("
                f"SELECT o.id {_FROM}LEFT JOIN blocks AS b ON b.number = done.last_block "
                "WHERE done.filled_taker + done.cancelled_taker >= o.taker_amount "
                "AND done.last_block <= (SELECT final_number FROM cursor) "
                "AND coalesce(b.timestamp, o.received_at) < %(before)s)",
                {"before": before},
            )
            return int(cursor.rowcount)


def _is_reached(cursor: Cursor, most: int, now: int, counted: str, maker: Address | None = None) -> bool:
    """Say whether there are as many open orders already, counting them exactly only where it may matter."""
    parameters = {"now": now, "maker": maker}
    cursor.execute(f"SELECT {counted}", parameters)
    if _number(cursor) < most:
        return False
    whose = "" if maker is None else "AND o.maker = %(maker)s"
    cursor.execute(f"SELECT count(*) {_FROM}WHERE {_IS_OPEN}{whose}", parameters)
    return _number(cursor) >= most


def _make_room(cursor: Cursor, now: int) -> bool:
    cursor.execute(
        f"DELETE FROM orders WHERE id = (SELECT o.id {_FROM}WHERE {_IS_OPEN}AND o.unfunded_since IS NOT NULL "
        "ORDER BY o.unfunded_since, o.id LIMIT 1)",
        {"now": now},
    )
    return bool(cursor.rowcount)


def _number(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _order_from(row: Row) -> StoredOrder:
    order_hash, *values = row
    return StoredOrder(order_hash, Order(*values[:15]), *values[15:])
