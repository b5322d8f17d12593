"""The relay's own transactions in Postgres: nonces, attempts, outcomes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg2

from relay.addresses import Address
from relay.store.connection import Cursor, Row
from relay.store.expected import ExpectedEvent, add_expected
from relay.store.operations import WritingPool
from relay.store.sent import META, Attempt, NewTransaction, Outcome, Repeated, SentTransaction, Slot

_COLUMNS = (
    "t.id, t.nonce, t.purpose, t.subject, t.recipient, t.data, t.value, t.gas_limit, t.cost, t.meta_hash, "
    "t.meta_nonce, t.expires_at, t.created_at, t.state, t.is_held, t.outcome, t.block_number, t.block_hash, "
    "t.mined_hash, t.gas_used, t.missed_since"
)


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
            self._id = int(row[0])

    @contextmanager
    def writing(self) -> Iterator["SendingTransaction"]:
        """Hand out one transaction; raises StoreError, and Repeated for a meta-transaction that is known."""
        try:
            with self._pool.transaction() as cursor:
                yield SendingTransaction(cursor, self._id)
        except psycopg2.errors.UniqueViolation as error:
            raise Repeated from error

    def open(self) -> list[tuple[SentTransaction, list[Attempt]]]:
        """Return what is still watched in the order of nonces, each with its attempts, the first one first."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM signed_transactions t WHERE signer_id = %s AND state = 'open' "
                "ORDER BY nonce",
                (self._id,),
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
                (self._id, nonce),
            )
            return [(row[0], Attempt(*row[1:])) for row in cursor.fetchall()]

    def by_attempt(self, transaction_hash: bytes) -> SentTransaction | None:
        """Return the transaction of which an attempt has this hash."""
        return self._one(
            "JOIN signed_attempts a ON a.transaction_id = t.id WHERE a.hash = %s AND t.signer_id = %s",
            transaction_hash,
            self._id,
        )

    def by_meta(self, identity: Address, meta_hash: bytes) -> SentTransaction | None:
        """Return the transaction that carries a meta-transaction, the latest if it came again."""
        return self._one(
            "WHERE t.subject = %s AND t.meta_hash = %s AND t.signer_id = %s", identity, meta_hash, self._id
        )

    def latest_for(self, purpose: str, subject: Address) -> SentTransaction | None:
        """Return the latest transaction of a purpose for somebody that is not withdrawn."""
        return self._one(
            "WHERE t.subject = %s AND t.purpose = %s AND t.state <> 'withdrawn' AND t.signer_id = %s",
            subject,
            purpose,
            self._id,
        )

    def waiting_for(self, identity: Address) -> list[SentTransaction]:
        """Return the meta-transactions of an identity that are in no block yet, in the order of their nonces."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM signed_transactions t WHERE subject = %s AND purpose = %s "
                "AND signer_id = %s AND state = 'open' AND outcome IS NULL ORDER BY nonce",
                (identity, META, self._id),
            )
            return [SentTransaction(*row) for row in cursor.fetchall()]

    def last_attempt(self, transaction_id: int) -> Attempt | None:
        """Return the latest form of a transaction."""
        with self._pool.transaction() as cursor:
            attempts = _attempts(cursor, [transaction_id]).get(transaction_id, [])
            return attempts[-1] if attempts else None

    def _one(self, condition: str, *values: object) -> SentTransaction | None:
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM signed_transactions t {condition} ORDER BY t.id DESC LIMIT 1", values
            )
            row = cursor.fetchone()
            return None if row is None else SentTransaction(*row)


class SendingTransaction:
    """What can be noted within one transaction of the database."""

    def __init__(self, cursor: Cursor, signer_id: int) -> None:
        self._cursor = cursor
        self._signer_id = signer_id

    def lock(self) -> Slot:
        """Wait until nobody else takes a nonce, and keep them waiting until the transaction ends."""
        self._cursor.execute(
            "SELECT next_nonce, used_nonce FROM signers WHERE id = %s FOR UPDATE", (self._signer_id,)
        )
        return Slot(*self._row())

    def take_nonce(self, nonce: int) -> None:
        """Note that a nonce is taken; the lock is to be held."""
        self._cursor.execute("UPDATE signers SET next_nonce = %s WHERE id = %s", (nonce + 1, self._signer_id))

    def note_used(self, nonce: int) -> None:
        """Note up to where nonces are used on chain; none of them is taken again."""
        self._cursor.execute(
            "UPDATE signers SET used_nonce = %(n)s, next_nonce = greatest(next_nonce, %(n)s) WHERE id = %(id)s",
            {"n": nonce, "id": self._signer_id},
        )

    def add(self, new: NewTransaction, nonce: int, now: int, *, is_held: bool) -> int:
        """Note a transaction and return its id; raises Repeated at the end of the block."""
        self._cursor.execute(
            "INSERT INTO signed_transactions (signer_id, nonce, purpose, subject, recipient, data, value, "
            "gas_limit, cost, meta_hash, meta_nonce, expires_at, created_at, is_held) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                self._signer_id,
                nonce,
                new.purpose,
                new.subject,
                new.recipient,
                new.data,
                new.value,
                new.gas_limit,
                new.cost,
                new.meta_hash,
                new.meta_nonce,
                new.expires_at,
                now,
                is_held,
            ),
        )
        return int(self._row()[0])

    def add_attempt(self, transaction_id: int, attempt: Attempt) -> None:
        """Note a signed form before anybody else sees it."""
        self._cursor.execute(
            "INSERT INTO signed_attempts (hash, transaction_id, raw, max_fee, tip, created_at, at_block) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                attempt.hash,
                transaction_id,
                attempt.raw,
                attempt.max_fee,
                attempt.tip,
                attempt.created_at,
                attempt.at_block,
            ),
        )

    def add_expected(self, transaction_id: int, events: Sequence[ExpectedEvent], now: int) -> None:
        """Note the events that a transaction is expected to leave."""
        add_expected(self._cursor, "transaction_id", transaction_id, events, now)

    def note_refusal(self, attempt_hash: bytes) -> int:
        """Count a refusal of an attempt by the node; return how many there were."""
        self._cursor.execute(
            "UPDATE signed_attempts SET refusals = refusals + 1 WHERE hash = %s RETURNING refusals",
            (attempt_hash,),
        )
        return int(self._row()[0])

    def set_held(self, held: Sequence[int], not_held: Sequence[int]) -> None:
        """Note which transactions the node has and which it has not."""
        for is_held, ids in ((True, held), (False, not_held)):
            self._cursor.execute(
                "UPDATE signed_transactions SET is_held = %s WHERE id = ANY(%s) AND is_held <> %s",
                (is_held, list(ids), is_held),
            )

    def mined(self, transaction_id: int, outcome: Outcome) -> None:
        """Note what became of a transaction, and that others with its nonce came to nothing."""
        self._cursor.execute(
            "UPDATE signed_transactions SET state = 'withdrawn' WHERE signer_id = %s AND id <> %s "
            "AND state = 'open' AND nonce = (SELECT nonce FROM signed_transactions WHERE id = %s)",
            (self._signer_id, transaction_id, transaction_id),
        )
        self._cursor.execute(
            "UPDATE signed_transactions SET state = 'open', outcome = %s, block_number = %s, block_hash = %s, "
            "mined_hash = %s, mined_at = %s, gas_used = %s, missed_since = NULL, is_held = true WHERE id = %s",
            (
                outcome.outcome,
                outcome.block_number,
                outcome.block_hash,
                outcome.mined_hash,
                outcome.mined_at,
                outcome.gas_used,
                transaction_id,
            ),
        )

    def unmined(self, transaction_id: int) -> None:
        """Forget what a block made of a transaction, as the chain has undone it."""
        self._cursor.execute(
            "UPDATE signed_transactions SET outcome = NULL, block_number = NULL, block_hash = NULL, "
            "mined_hash = NULL, mined_at = NULL, gas_used = NULL WHERE id = %s",
            (transaction_id,),
        )

    def settle(self, transaction_ids: Sequence[int]) -> None:
        """Stop watching transactions that can no longer be undone, and let go of what is not needed then."""
        ids = list(transaction_ids)
        self._cursor.execute(
            "UPDATE signed_transactions SET state = 'settled', data = '' WHERE id = ANY(%s)", (ids,)
        )
        self._cursor.execute("UPDATE signed_attempts SET raw = '' WHERE transaction_id = ANY(%s)", (ids,))
        self._cursor.execute("DELETE FROM expected_events WHERE transaction_id = ANY(%s)", (ids,))

    def withdraw(self, transaction_id: int) -> None:
        """Give up a transaction; its nonce is free for another."""
        self._cursor.execute(
            "UPDATE signed_transactions SET state = 'withdrawn', is_held = false WHERE id = %s", (transaction_id,)
        )

    def missed(self, transaction_id: int, now: int) -> None:
        """Note that a transaction's nonce is used, but not by it."""
        self._cursor.execute(
            "UPDATE signed_transactions SET missed_since = coalesce(missed_since, %s) WHERE id = %s",
            (now, transaction_id),
        )

    def move(self, transaction_id: int, nonce: int) -> None:
        """Give a transaction another nonce; its attempts so far can no longer come to anything."""
        # They stay as names of the transaction, by which users ask for it.
        self._cursor.execute("UPDATE signed_attempts SET raw = '' WHERE transaction_id = %s", (transaction_id,))
        self._cursor.execute(
            "UPDATE signed_transactions SET nonce = %s, missed_since = NULL, is_held = false WHERE id = %s",
            (nonce, transaction_id),
        )

    def gas_at_stake(self, identity: Address, since: int) -> int:
        """Return the gas that an identity's meta-transactions lost since a time, or may lose yet."""
        self._cursor.execute(
            "SELECT coalesce(sum(CASE WHEN outcome IS NULL THEN gas_limit ELSE gas_used END), 0)::bigint "
            "FROM signed_transactions WHERE subject = %s AND purpose = %s AND state <> 'withdrawn' AND "
            "((outcome IS NULL AND state = 'open') OR (outcome IN ('failure', 'reverted') AND mined_at >= %s))",
            (identity, META, since),
        )
        return int(self._row()[0])

    def is_on_its_way(self, purpose: str, subject: Address) -> bool:
        """Return whether a transaction of a purpose for somebody is open and in no block yet."""
        self._cursor.execute(
            "SELECT EXISTS (SELECT FROM signed_transactions WHERE signer_id = %s AND purpose = %s "
            "AND subject = %s AND state = 'open' AND outcome IS NULL)",
            (self._signer_id, purpose, subject),
        )
        return bool(self._row()[0])

    def deployed(self, since: int) -> int:
        """Return how many deployments of identities were sent since a time."""
        self._cursor.execute(
            "SELECT count(*) FROM signed_transactions WHERE purpose = 'identity' AND created_at >= %s", (since,)
        )
        return int(self._row()[0])

    def given(self, since: int, subject: Address | None = None) -> int:
        """Return what the faucet gave since a time: to one address, or in all with what its gas may have cost."""
        column = "cost" if subject is None else "value"
        self._cursor.execute(
            f"SELECT coalesce(sum({column}), 0) FROM signed_transactions WHERE purpose = 'faucet' "
            "AND state <> 'withdrawn' AND created_at >= %s AND (%s::bytea IS NULL OR subject = %s)",
            (since, subject, subject),
        )
        return int(self._row()[0])

    def prune(self, before: int) -> None:
        """Forget what was settled or given up, from before a time."""
        self._cursor.execute(
            "DELETE FROM signed_transactions WHERE state <> 'open' AND created_at < %s", (before,)
        )

    def _row(self) -> Row:
        row = self._cursor.fetchone()
        assert row is not None
        return row


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
