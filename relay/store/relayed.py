"""Users' transactions in Postgres, from when they are passed on until their nonce is used."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.addresses import Address
from relay.store.expected import ExpectedEvent, add_expected
from relay.store.operations import WritingPool


@dataclass(frozen=True, slots=True)
class RelayedTransaction:
    """A user's transaction that is looked after; ``state`` is open, mined, replaced or dropped."""

    hash: bytes
    raw: bytes
    sender: Address
    nonce: int
    received_at: int
    state: str
    is_held: bool
    block_number: int | None
    block_hash: bytes | None
    tries: int
    is_settled: bool


_COLUMNS = "hash, raw, sender, nonce, received_at, state, is_held, block_number, block_hash, tries, is_settled"


class RelayedTransactions:
    """Notes users' transactions; every method raises StoreError."""

    def __init__(self, pool: WritingPool) -> None:
        self._pool = pool

    def remember(
        self,
        transaction: tuple[bytes, bytes, Address, int],
        expected: Sequence[ExpectedEvent],
        now: int,
        *,
        most_of_sender: int,
    ) -> bool:
        """Note a transaction (hash, raw, sender, nonce) that the node has taken; return whether it is new.

        Of one sender no more than ``most_of_sender`` are kept; more are passed on, but not looked after.
        """
        with self._pool.transaction() as cursor:
            cursor.execute(
                "INSERT INTO relayed_transactions (hash, raw, sender, nonce, received_at, is_held, due_at) "
                "SELECT %(hash)s, %(raw)s, %(sender)s, %(nonce)s, %(now)s, true, %(now)s WHERE (SELECT count(*) "
                "FROM relayed_transactions WHERE sender = %(sender)s AND NOT is_settled) < %(most)s "
                "ON CONFLICT (hash) DO UPDATE SET state = 'open', is_held = true, is_settled = false, tries = 0, "
                "raw = excluded.raw, received_at = excluded.received_at, due_at = excluded.due_at "
                "WHERE relayed_transactions.state IN ('dropped', 'replaced') RETURNING xmax = 0",
                {
                    "hash": transaction[0],
                    "raw": transaction[1],
                    "sender": transaction[2],
                    "nonce": transaction[3],
                    "now": now,
                    "most": most_of_sender,
                },
            )
            row = cursor.fetchone()
            is_new = bool(row and row[0])
            if is_new:
                add_expected(cursor, "relayed_hash", transaction[0], expected, now)
            return is_new

    def due(self, now: int, count: int) -> list[RelayedTransaction]:
        """Return those that it is time to look after."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM relayed_transactions WHERE NOT is_settled AND due_at <= %s "
                "ORDER BY due_at, nonce LIMIT %s",
                (now, count),
            )
            return [RelayedTransaction(*row) for row in cursor.fetchall()]

    def find(self, transaction_hash: bytes) -> RelayedTransaction | None:
        """Return one, None if it is not known."""
        with self._pool.transaction() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM relayed_transactions WHERE hash = %s", (transaction_hash,))
            row = cursor.fetchone()
            return None if row is None else RelayedTransaction(*row)

    def waits(self, one: RelayedTransaction, *, is_held: bool, due_at: int) -> None:
        """Note that a transaction is in no block, and when to look again."""
        self._execute(
            "UPDATE relayed_transactions SET state = 'open', block_number = NULL, block_hash = NULL, "
            "is_held = %s, tries = CASE WHEN %s THEN 0 ELSE tries + 1 END, due_at = %s WHERE hash = %s",
            (is_held, is_held, due_at, one.hash),
        )

    def mined(self, one: RelayedTransaction, block_number: int, block_hash: bytes, due_at: int) -> None:
        """Note that a transaction is in a block, and when to see whether it still is."""
        self._execute(
            "UPDATE relayed_transactions SET state = 'mined', is_held = true, block_number = %s, block_hash = %s, "
            "due_at = %s WHERE hash = %s",
            (block_number, block_hash, due_at, one.hash),
        )

    def passed_over(self, one: RelayedTransaction, state: str, due_at: int) -> None:
        """Note that a transaction's nonce was used by another (replaced), or that it is given up (dropped)."""
        self._execute(
            "UPDATE relayed_transactions SET state = %s, is_held = false, is_settled = %s, due_at = %s "
            "WHERE hash = %s",
            (state, state == "dropped", due_at, one.hash),
        )

    def settle(self, one: RelayedTransaction) -> None:
        """Stop looking after a transaction."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "UPDATE relayed_transactions SET is_settled = true, raw = '' WHERE hash = %s", (one.hash,)
            )
            cursor.execute("DELETE FROM expected_events WHERE relayed_hash = %s", (one.hash,))

    def prune(self, before: int) -> None:
        """Forget those that need no more looking after, from before a time."""
        self._execute("DELETE FROM relayed_transactions WHERE is_settled AND received_at < %s", (before,))

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        with self._pool.transaction() as cursor:
            cursor.execute(statement, values)
