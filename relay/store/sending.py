"""The relay's own transactions in Postgres: nonces, attempts, outcomes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg2

from relay.addresses import Address
from relay.store.connection import Cursor
from relay.store.operations import WritingPool
from relay.store.sending_writing import COLUMNS, SendingTransaction
from relay.store.sent import META, Attempt, Repeated, SentTransaction

_WITHOUT_DATA = COLUMNS.replace("t.data", "''::bytea")


class Sendings:
    """All of this for one signer on one chain."""

    def __init__(
        self, pool: WritingPool, address: Address, chain_id: int, genesis_hash: bytes, nonce: int
    ) -> None:
        """Find the signer's row or begin it at ``nonce``; raises StoreError."""
        self._pool = pool
        with pool.transaction() as cursor:
            cursor.execute(
                "INSERT INTO signers (address, chain_id, genesis_hash, next_nonce, used_nonce) "
                "VALUES (%(a)s, %(c)s, %(g)s, %(n)s, %(n)s) ON CONFLICT (address, chain_id, genesis_hash) "
                "DO UPDATE SET next_nonce = greatest(signers.next_nonce, excluded.next_nonce) RETURNING id",
                {"a": address, "c": chain_id, "g": genesis_hash, "n": nonce},
            )
            row = cursor.fetchone()
            assert row is not None
            self.id = int(row[0])
            # What was sent on a chain that is gone must not keep the same from being sent on this one.
            cursor.execute(
                "UPDATE signed_transactions SET state = 'withdrawn', is_held = false WHERE state <> 'withdrawn' "
                "AND signer_id IN (SELECT id FROM signers WHERE chain_id <> %s OR genesis_hash <> %s)",
                (chain_id, genesis_hash),
            )

    @contextmanager
    def writing(self) -> Iterator["SendingTransaction"]:
        """Hand out one transaction; raises StoreError, and Repeated for a meta-transaction that is known."""
        try:
            with self._pool.transaction() as cursor:
                yield SendingTransaction(cursor, self.id)
        except psycopg2.errors.UniqueViolation as error:
            raise Repeated from error

    def past(self, used: int) -> list[tuple[SentTransaction, list[bytes]]]:
        """Return what is still watched below a nonce, in the order of nonces, with the hashes of its attempts.

        Their ``data`` is left out: nobody needs it, and there may be much of it.
        """
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_WITHOUT_DATA} FROM signed_transactions t WHERE signer_id = %s AND state = 'open' "
                "AND nonce < %s ORDER BY nonce",
                (self.id, used),
            )
            found = [SentTransaction(*row) for row in cursor.fetchall()]
            cursor.execute(
                "SELECT transaction_id, hash FROM signed_attempts WHERE transaction_id = ANY(%s) AND raw <> ''",
                ([one.id for one in found],),
            )
            hashes: dict[int, list[bytes]] = {}
            for transaction_id, attempt_hash in cursor.fetchall():
                hashes.setdefault(transaction_id, []).append(attempt_hash)
            return [(one, hashes.get(one.id, [])) for one in found]

    def undone(self, used: int) -> list[SentTransaction]:
        """Return what is noted to be in a block though its nonce is not used; ``data`` is left out."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_WITHOUT_DATA} FROM signed_transactions t WHERE signer_id = %s AND state = 'open' "
                "AND nonce >= %s AND block_hash IS NOT NULL ORDER BY nonce",
                (self.id, used),
            )
            return [SentTransaction(*row) for row in cursor.fetchall()]

    def waiting(self, used: int, count: int) -> list[tuple[SentTransaction, list[Attempt]]]:
        """Return the first of those whose nonces are not used, each with its attempts, the first one first."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {COLUMNS} FROM signed_transactions t WHERE signer_id = %s AND state = 'open' "
                "AND nonce >= %s ORDER BY nonce LIMIT %s",
                (self.id, used, count),
            )
            found = [SentTransaction(*row) for row in cursor.fetchall()]
            attempts = _attempts(cursor, [one.id for one in found])
            return [(one, attempts.get(one.id, [])) for one in found]

    def attempts_at(self, nonce: int) -> list[tuple[int, Attempt]]:
        """Return all attempts ever made for a nonce with the ids of their transactions, withdrawn ones too."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "SELECT t.id, a.hash, a.raw, a.max_fee, a.tip, a.created_at, a.at_block, a.refusals "
                "FROM signed_transactions t JOIN signed_attempts a ON a.transaction_id = t.id "
                "WHERE t.signer_id = %s AND t.nonce = %s AND a.raw <> ''",
                (self.id, nonce),
            )
            return [(row[0], Attempt(*row[1:])) for row in cursor.fetchall()]

    def by_attempt(self, transaction_hash: bytes) -> SentTransaction | None:
        """Return the transaction of which an attempt has this hash."""
        return self._one(
            "JOIN signed_attempts a ON a.transaction_id = t.id WHERE a.hash = %s AND t.signer_id = %s",
            transaction_hash,
            self.id,
        )

    def by_meta(self, identity: Address, meta_hash: bytes) -> SentTransaction | None:
        """Return the transaction that carries a meta-transaction, the latest if it came again."""
        return self._one(
            "WHERE t.subject = %s AND t.meta_hash = %s AND t.signer_id = %s", identity, meta_hash, self.id
        )

    def latest_for(self, purpose: str, subject: Address) -> SentTransaction | None:
        """Return the latest transaction of a purpose for somebody that is not withdrawn."""
        return self._one(
            "WHERE t.subject = %s AND t.purpose = %s AND t.state <> 'withdrawn' AND t.signer_id = %s",
            subject,
            purpose,
            self.id,
        )

    def waiting_for(self, identity: Address, most: int) -> list[SentTransaction]:
        """Return the last of an identity's meta-transactions that are in no block yet, in the order of nonces."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {COLUMNS} FROM signed_transactions t WHERE subject = %s AND purpose = %s "
                "AND signer_id = %s AND state = 'open' AND outcome IS NULL ORDER BY nonce DESC LIMIT %s",
                (identity, META, self.id, most),
            )
            return [SentTransaction(*row) for row in reversed(cursor.fetchall())]

    def last_meta_nonce(self, identity: Address) -> int:
        """Return the highest nonce of an identity's ordered meta-transactions in no block yet, 0 without any."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "SELECT coalesce(max(meta_nonce), 0) FROM signed_transactions WHERE subject = %s AND purpose = %s "
                "AND signer_id = %s AND state = 'open' AND outcome IS NULL",
                (identity, META, self.id),
            )
            row = cursor.fetchone()
            assert row is not None
            return int(row[0])

    def last_attempt(self, transaction_id: int) -> Attempt | None:
        """Return the latest form of a transaction."""
        with self._pool.transaction() as cursor:
            attempts = _attempts(cursor, [transaction_id]).get(transaction_id, [])
            return attempts[-1] if attempts else None

    def _one(self, condition: str, *values: object) -> SentTransaction | None:
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {COLUMNS} FROM signed_transactions t {condition} ORDER BY t.id DESC LIMIT 1", values
            )
            row = cursor.fetchone()
            return None if row is None else SentTransaction(*row)


def _attempts(cursor: Cursor, ids: Sequence[int]) -> dict[int, list[Attempt]]:
    cursor.execute(
        "SELECT transaction_id, hash, raw, max_fee, tip, created_at, at_block, refusals FROM signed_attempts "
        "WHERE transaction_id = ANY(%s) AND raw <> '' ORDER BY created_at, max_fee",
        (list(ids),),
    )
    found: dict[int, list[Attempt]] = {}
    for transaction_id, *rest in cursor.fetchall():
        found.setdefault(transaction_id, []).append(Attempt(*rest))
    return found
