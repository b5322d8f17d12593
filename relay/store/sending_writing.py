"""What is noted of the relay's own transactions within one transaction of the database."""

from collections.abc import Sequence

from relay.addresses import Address
from relay.store.connection import Cursor, Row
from relay.store.expected import ExpectedEvent, add_expected
from relay.store.sent import META, Attempt, NewTransaction, Outcome, SentTransaction, Slot

COLUMNS = (
    "t.id, t.nonce, t.purpose, t.subject, t.recipient, t.data, t.value, t.gas_limit, t.cost, t.meta_hash, "
    "t.meta_nonce, t.expires_at, t.created_at, t.state, t.is_held, t.outcome, t.block_number, t.block_hash, "
    "t.mined_hash, t.gas_used, t.missed_since"
)


class SendingTransaction:
    """What can be noted within one transaction of the database."""

    def __init__(self, cursor: Cursor, signer_id: int) -> None:
        self._cursor = cursor
        self._signer_id = signer_id

    def lock(self) -> Slot:
        """Wait until nobody else takes a nonce, and keep them waiting until the transaction ends.

        Who needs this lock takes it first; taken after rows of transactions it could end in a deadlock.
        """
        self._cursor.execute(
            "SELECT next_nonce, used_nonce FROM signers WHERE id = %s FOR NO KEY UPDATE", (self._signer_id,)
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

    def gaps(self, used: int, most: int) -> list[int]:
        """Return the first nonces that are neither used nor anybody's, though later ones may be."""
        self._cursor.execute(
            "SELECT n FROM signers s, generate_series(%s::bigint, s.next_nonce - 1) n WHERE s.id = %s "
            "AND NOT EXISTS (SELECT FROM signed_transactions t WHERE t.signer_id = s.id AND t.nonce = n "
            "AND t.state = 'open') ORDER BY n LIMIT %s",
            (used, self._signer_id, most),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def reclaim(self, used: int) -> None:
        """Take back nonces at the end that are nobody's; the lock is to be held."""
        self._cursor.execute(
            "UPDATE signers SET next_nonce = least(next_nonce, greatest(%s, (SELECT coalesce(max(nonce) + 1, 0) "
            "FROM signed_transactions WHERE signer_id = signers.id AND state <> 'withdrawn'))) WHERE id = %s",
            (used, self._signer_id),
        )

    def vacate(self, nonce: int) -> None:
        """Give up what has a nonce and is not watched any more: the chain went back further than that."""
        self._cursor.execute(
            "UPDATE signed_transactions SET state = 'withdrawn', is_held = false WHERE signer_id = %s "
            "AND nonce = %s AND state = 'settled'",
            (self._signer_id, nonce),
        )

    def unchanged(self, one: SentTransaction) -> SentTransaction | None:
        """Return the whole of a transaction and keep others from changing it; None if it is not as it was read.

        A keeper that lost its turn without noticing must not act on what it has read before.
        """
        self._cursor.execute(
            f"SELECT {COLUMNS} FROM signed_transactions t WHERE id = %s AND nonce = %s AND state = %s "
            "AND outcome IS NOT DISTINCT FROM %s FOR NO KEY UPDATE",
            (one.id, one.nonce, one.state, one.outcome),
        )
        row = self._cursor.fetchone()
        return None if row is None else SentTransaction(*row)

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

    def raise_cost(self, transaction_id: int, max_fee: int) -> None:
        """Note that a transaction may cost more, at a higher price in wei a gas."""
        self._cursor.execute(
            "UPDATE signed_transactions SET cost = greatest(cost, value + gas_limit * %s::numeric) WHERE id = %s",
            (max_fee, transaction_id),
        )

    def promised(self) -> int:
        """Return what the transactions that are in no block yet can cost, in wei."""
        self._cursor.execute(
            "SELECT coalesce(sum(cost), 0) FROM signed_transactions WHERE signer_id = %s AND state = 'open' "
            "AND outcome IS NULL",
            (self._signer_id,),
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

    def disown_meta(self, transaction_id: int) -> None:
        """Note that another transaction counts as the one that carries a meta-transaction."""
        self._cursor.execute(
            "UPDATE signed_transactions SET meta_hash = NULL, meta_nonce = NULL WHERE id = %s", (transaction_id,)
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

    def gas_of(self, identity: Address, since: int) -> tuple[int, int]:
        """Return the gas that an identity's meta-transactions lost since a time, and what they used in all.

        Those on their way count with their gas limits, in both.
        """
        self._cursor.execute(
            "SELECT coalesce(sum(gas) FILTER (WHERE outcome IS DISTINCT FROM 'success'), 0)::bigint, "
            "coalesce(sum(gas), 0)::bigint FROM (SELECT outcome, CASE WHEN outcome IS NULL THEN gas_limit "
            "ELSE gas_used END AS gas FROM signed_transactions WHERE subject = %s AND purpose = %s AND "
            "state <> 'withdrawn' AND ((outcome IS NULL AND state = 'open') OR mined_at >= %s)) AS counted",
            (identity, META, since),
        )
        lost, used = self._row()
        return int(lost), int(used)

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
