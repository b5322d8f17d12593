"""The one writer of chain state: a connection that holds the writer's lock, and its transactions.

The lock belongs to the very connection that writes. If the connection breaks, the lock and the transaction are
gone together, so a second index process that takes over can never meet a late write of the first.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from psycopg2.extras import execute_values

from graph.trustline import Pair, Trustline
from relay.model import Block, Event, NetworkInfo
from relay.store.connection import Connection, Cursor, connect, translated_errors
from relay.store.errors import StoreError
from relay.store.rows import (
    NETWORK_COLUMNS,
    TRUSTLINE_COLUMNS,
    CursorPosition,
    StoredNetwork,
    network_from,
    trustline_from,
)

_LOCK = 0x7452_0002
"""Key of the advisory lock that one index process holds while it writes."""

FEED_CHANNEL = "tl_relay_feed"
"""The channel on which every commit is announced to those who follow the feed."""

FEED_KEPT = 200_000
"""How many feed entries are kept for readers that were away."""

TrustlineKey = tuple[int, Pair]
"""A network's id and the two users."""

_EVENT_COLUMNS = (
    "block_number, log_index, network_id, type, transaction_hash, transaction_index, sender, receiver, value, "
    "given, received, rate_given, rate_received, is_frozen, closes, extra_data"
)


class Writer:
    """A connection for writing chain state, of which only one in the whole database can hold the lock."""

    def __init__(self, url: str, open_connection: Callable[[str], Connection] = connect) -> None:
        """Connect; raises DatabaseUnreachable. ``open_connection`` makes the connection that writes."""
        self._connection: Connection = open_connection(url)

    def try_lock(self) -> bool:
        """Become the writer if nobody else is; the lock is kept until the connection ends."""
        with translated_errors(), self._connection, self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
            row = cursor.fetchone()
            return bool(row and row[0])

    @contextmanager
    def transaction(self) -> Iterator["WriteTransaction"]:
        """Run a transaction: all of it is kept, or (after any exception) nothing.

        Raises:
            DatabaseUnreachable: if the connection broke; whether it committed must be looked up by the cursor.
            DatabaseFull: if the server has no space left.

        """
        with translated_errors(), self._connection, self._connection.cursor() as cursor:
            yield WriteTransaction(cursor)

    def close(self) -> None:
        """Let go of the lock and the connection."""
        with suppress(StoreError), self.transaction() as transaction:
            # The server ends a closed connection when it gets to it; the lock is to be free at once.
            transaction.unlock()
        self._connection.close()


class WriteTransaction:
    """What can be done to chain state within one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def unlock(self) -> None:
        """Stop being the writer."""
        self._cursor.execute("SELECT pg_advisory_unlock_all()")

    def chain_noted(self, chain_id: int, genesis_hash: bytes) -> tuple[int, bytes]:
        """Note the chain if the database is new; return the id and genesis hash noted when it was."""
        self._cursor.execute(
            "INSERT INTO chain (chain_id, genesis_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (chain_id, genesis_hash),
        )
        self._cursor.execute("SELECT chain_id, genesis_hash FROM chain")
        row = self._cursor.fetchone()
        assert row is not None
        return row[0], row[1]

    def erase(self) -> None:
        """Forget everything that came from the chain; who follows the feed will load anew."""
        # Not TRUNCATE: readers with an older snapshot would see the tables empty.
        for table in ("chain", "cursor", "networks", "blocks", "events", "trustlines"):
            self._cursor.execute(f"DELETE FROM {table}")
        self._cursor.execute(
            "UPDATE feed_horizon SET position = (SELECT coalesce(max(position), 0) FROM feed)"
            " WHERE EXISTS (SELECT FROM feed)"
        )
        self._cursor.execute("DELETE FROM feed")

    def position(self) -> CursorPosition | None:
        """Return the block after which the database is the chain's state, None in a new database."""
        self._cursor.execute("SELECT block_number, block_hash, timestamp FROM cursor")
        row = self._cursor.fetchone()
        return None if row is None else CursorPosition(*row)

    def set_position(self, block: Block) -> None:
        """Move the cursor and wake those who follow the feed; the last thing done in a transaction."""
        self._cursor.execute(
            "INSERT INTO cursor (block_number, block_hash, timestamp) VALUES (%s, %s, %s) "
            "ON CONFLICT (singleton) DO UPDATE SET block_number = excluded.block_number, "
            "block_hash = excluded.block_hash, timestamp = excluded.timestamp",
            (block.number, block.hash, block.timestamp),
        )
        self._cursor.execute(f"NOTIFY {FEED_CHANNEL}")

    def networks(self) -> list[StoredNetwork]:
        """Return all networks the database knows, served or not."""
        self._cursor.execute(f"SELECT {NETWORK_COLUMNS} FROM networks ORDER BY id")
        return [network_from(row) for row in self._cursor.fetchall()]

    def add_network(self, info: NetworkInfo) -> StoredNetwork:
        """Add a network; ``info.is_frozen`` counts as its state before its first event."""
        self._cursor.execute(
            "INSERT INTO networks (address, name, symbol, decimals, fee_divisor, default_interest_rate, "
            "custom_interests, prevent_mediator_interests, first_block, starts_frozen, is_frozen, is_proxied) "
            f"VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {NETWORK_COLUMNS}",
            (
                info.address,
                info.name,
                info.symbol,
                info.decimals,
                info.fee_divisor,
                info.default_interest_rate,
                info.custom_interests,
                info.prevent_mediator_interests,
                info.first_block,
                info.is_frozen,
                info.is_frozen,
                info.is_proxied,
            ),
        )
        row = self._cursor.fetchone()
        assert row is not None
        return network_from(row)

    def serve_only(self, network_ids: Sequence[int]) -> None:
        """Serve these networks and keep the data of the others unseen."""
        self._cursor.execute("UPDATE networks SET is_served = (id = ANY(%s))", (list(network_ids),))

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a stored block, None if it is not stored (any more)."""
        self._cursor.execute("SELECT hash FROM blocks WHERE number = %s", (number,))
        row = self._cursor.fetchone()
        return None if row is None else bytes(row[0])

    def block_numbers(self, first: int) -> list[int]:
        """Return the numbers of the stored blocks from ``first`` on, newest first."""
        self._cursor.execute("SELECT number FROM blocks WHERE number >= %s ORDER BY number DESC", (first,))
        return [row[0] for row in self._cursor.fetchall()]

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """Store headers; one that is stored already must be the same."""
        execute_values(
            self._cursor,
            "INSERT INTO blocks (number, hash, timestamp) VALUES %s ON CONFLICT (number) DO NOTHING",
            [(block.number, block.hash, block.timestamp) for block in blocks],
        )

    def prune_blocks(self, final: int) -> None:
        """Forget headers up to block ``final`` that no event refers to."""
        self._cursor.execute(
            "DELETE FROM blocks b WHERE number <= %s "
            "AND NOT EXISTS (SELECT FROM events e WHERE e.block_number = b.number)",
            (final,),
        )

    def add_events(self, events: Iterable[tuple[int, Event, bool | None]]) -> None:
        """Store events as (network id, event, whether it closes its trustline), by COPY."""
        buffer = io.StringIO()
        for network_id, event, closes in events:
            buffer.write(_copy_line(network_id, event, closes))
        buffer.seek(0)
        self._cursor.copy_expert(f"COPY events ({_EVENT_COLUMNS}) FROM STDIN", buffer)

    def trustlines(self, keys: Iterable[TrustlineKey]) -> dict[TrustlineKey, Trustline]:
        """Return the stored state of those trustlines that ever were."""
        rows = execute_values(
            self._cursor,
            f"SELECT {TRUSTLINE_COLUMNS} FROM trustlines "
            "JOIN (VALUES %s) AS wanted (n, l, h) ON network_id = n AND lower = l AND higher = h",
            [(network_id, *pair) for network_id, pair in keys],
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
        )

    def delete_trustlines(self, keys: Iterable[TrustlineKey]) -> None:
        """Remove trustlines as if they had never been."""
        execute_values(
            self._cursor,
            "DELETE FROM trustlines USING (VALUES %s) AS gone (n, l, h) "
            "WHERE network_id = n AND lower = l AND higher = h",
            [(network_id, *pair) for network_id, pair in keys],
        )

    def undo_after(self, number: int) -> tuple[list[TrustlineKey], list[int]]:
        """Remove blocks and events above block ``number``.

        Returns the trustlines and the networks whose state the removed events had touched.
        """
        self._cursor.execute(
            "DELETE FROM events WHERE block_number > %s RETURNING network_id, type::text, sender, receiver",
            (number,),
        )
        keys: set[TrustlineKey] = set()
        networks: set[int] = set()
        for network_id, kind, sender, receiver in self._cursor.fetchall():
            if kind in ("TrustlineUpdate", "BalanceUpdate"):
                keys.add((network_id, (min(sender, receiver), max(sender, receiver))))
            elif kind in ("NetworkFreeze", "NetworkUnfreeze"):
                networks.add(network_id)
        self._cursor.execute("DELETE FROM blocks WHERE number > %s", (number,))
        return sorted(keys), sorted(networks)

    def state_from_events(self, key: TrustlineKey) -> Trustline | None:
        """Return a trustline as the stored events leave it, None if it never was."""
        network_id, (lower, higher) = key
        self._cursor.execute(_STATE_FROM_EVENTS, {"network": network_id, "lower": lower, "higher": higher})
        row = self._cursor.fetchone()
        if row is None:
            return None
        sender, given, received, rate_given, rate_received, is_frozen, balance_sender, value, timestamp = row
        if sender == higher:
            given, received, rate_given, rate_received = received, given, rate_received, rate_given
        balance = 0 if value is None else value if balance_sender == lower else -value
        state = Trustline(
            lower, higher, balance, given, received, rate_given, rate_received, is_frozen, timestamp or 0
        )
        return Trustline(lower, higher) if state.is_closed else state

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

    def announce(self, block: Block, trustlines: Iterable[TrustlineKey], networks: Iterable[int]) -> None:
        """Put changed trustlines and networks on the feed, and forget what is too old for it."""
        entries: list[tuple[int, bytes | None, bytes | None, int, bytes]] = [
            (network_id, *pair, block.number, block.hash) for network_id, pair in trustlines
        ]
        entries += [(network_id, None, None, block.number, block.hash) for network_id in networks]
        if not entries:
            return
        execute_values(
            self._cursor,
            "INSERT INTO feed (network_id, lower, higher, block_number, block_hash) VALUES %s",
            entries,
        )
        self._cursor.execute(
            "WITH gone AS (DELETE FROM feed WHERE position <= (SELECT max(position) FROM feed) - %s "
            "RETURNING position) UPDATE feed_horizon SET position = (SELECT max(position) FROM gone) "
            "WHERE EXISTS (SELECT FROM gone)",
            (FEED_KEPT,),
        )


_STATE_FROM_EVENTS = """
SELECT t.sender, t.given, t.received, t.rate_given, t.rate_received, t.is_frozen, b.sender, b.value, b.timestamp
FROM (
    SELECT * FROM events
    WHERE network_id = %(network)s AND LEAST(sender, receiver) = %(lower)s
      AND GREATEST(sender, receiver) = %(higher)s AND type = 'TrustlineUpdate'
      AND EXISTS (
          SELECT FROM events
          WHERE network_id = %(network)s AND LEAST(sender, receiver) = %(lower)s
            AND GREATEST(sender, receiver) = %(higher)s AND type = 'TrustlineUpdate' AND NOT closes
      )
    ORDER BY block_number DESC, log_index DESC LIMIT 1
) t
LEFT JOIN LATERAL (
    SELECT block_number, log_index FROM events
    WHERE network_id = %(network)s AND LEAST(sender, receiver) = %(lower)s
      AND GREATEST(sender, receiver) = %(higher)s AND closes
    ORDER BY block_number DESC, log_index DESC LIMIT 1
) c ON true
LEFT JOIN LATERAL (
    SELECT e.sender, e.value, blocks.timestamp FROM events e JOIN blocks ON blocks.number = e.block_number
    WHERE e.network_id = %(network)s AND LEAST(e.sender, e.receiver) = %(lower)s
      AND GREATEST(e.sender, e.receiver) = %(higher)s AND e.type = 'BalanceUpdate'
      AND (c.block_number IS NULL OR (e.block_number, e.log_index) > (c.block_number, c.log_index))
    ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1
) b ON true
"""


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
