"""Looking after the relay's own transactions until no reorg can undo them.

One pass compares what is written down with the chain. For every open transaction one of these holds:

* its nonce is used, and one of its attempts is in a block: the outcome is noted, and forgotten again if the chain
  undoes that block;
* its nonce is used by a transaction that is not ours (the key was used elsewhere): it gets a new nonce;
* its nonce is not used, and the node does not have it: it is sent again;
* the node has it, but blocks pass it over: a replacement offers more for the same nonce;
* the node will not take it at all, or it has expired: its nonce goes to an empty transaction, so that no gap keeps
  those behind it waiting.

This module sees to the first two, `relay.delegate.pushing` to the others.
"""

import logging
from collections.abc import Sequence

from relay import telemetry
from relay.chain.errors import NodeMisbehaved
from relay.chain.identity import execution_status
from relay.chain.sending import Receipt
from relay.delegate.pushing import MISSED_SECONDS, Patience, Pushing
from relay.delegate.signer import Signer, call_of
from relay.store.sent import FILLER, META, Outcome, Repeated, SentTransaction

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 90 * 86_400
_PRUNE_SECONDS = 3600
_MOST_NONCES_AT_ONCE = 1000
"""More than so many nonces of ours are not used by others between two rounds: the node is wrong then."""

Watched = tuple[SentTransaction, list[bytes]]


class Upkeep:
    """Does this for one signer; only one process at a time should."""

    def __init__(self, signer: Signer, patience: Patience) -> None:
        self._signer = signer
        self._node = signer.node
        self._store = signer.store
        self._patience = patience
        self._pushing = Pushing(signer, patience)
        self._pruned_at = 0

    def tend(self) -> bool:
        """Go over all open transactions once; return whether something moved, so that more may at once.

        Raises:
            ChainError, StoreError: if node or database fail; what was done until then stays done.

        """
        self._prune()
        head = self._node.head_number()
        used = self._node.nonce(self._signer.address)
        gaps = self._note_used(used)
        has_moved = self._look_up(self._store.past(used), head)
        self._forget_undone(self._store.undone(used))
        self._pushing.note_gaps(gaps, used)
        return self._pushing.push(used, head) and has_moved

    def _note_used(self, used: int) -> list[int]:
        """Note how many nonces are used, and return those that are free though later ones are not."""
        with self._store.writing() as transaction:
            expected = transaction.lock().next_nonce
            if used > expected + _MOST_NONCES_AT_ONCE:
                raise NodeMisbehaved(
                    f"the node says that the relay's account has used {used} nonces, {expected} were expected"
                )
            transaction.note_used(used)
            return transaction.gaps(used, self._signer.limits.in_flight)

    def _prune(self) -> None:
        now = self._signer.clock()
        if now - self._pruned_at >= _PRUNE_SECONDS:
            self._pruned_at = now
            with self._store.writing() as transaction:
                transaction.prune(now - _KEPT_SECONDS)

    # Those whose nonce is used.

    def _look_up(self, watched: Sequence[Watched], head: int) -> bool:
        """Note what became of transactions whose nonce is used; return whether that was new of any."""
        numbers = sorted({one.block_number for one, _ in watched if one.block_number is not None})
        canonical = dict(zip(numbers, self._node.block_hashes(numbers), strict=True))
        settled, unclear = [], []
        for one, attempts in watched:
            if one.block_number is None or canonical[one.block_number] != one.block_hash:
                unclear.append((one, attempts))
            elif one.block_number <= head - self._patience.settle_blocks:
                settled.append(one.id)
        if settled:
            with self._store.writing() as transaction:
                transaction.settle(settled)
        hashes = [each for _, attempts in unclear for each in attempts]
        receipts = {r.transaction_hash: r for r in self._node.receipts(hashes) if r is not None}
        found = False
        for one, attempts in unclear:
            receipt = next((receipts[each] for each in attempts if each in receipts), None)
            if receipt is not None:
                self._note(one.id, self._outcome(one, receipt))
                found = True
            else:
                self._missed(one)
        return found

    def _outcome(self, one: SentTransaction, receipt: Receipt) -> Outcome:
        outcome = "success" if receipt.succeeded else "reverted"
        if receipt.succeeded and one.purpose == META and one.meta_hash is not None:
            outcome = "success" if execution_status(receipt.logs, one.subject, one.meta_hash) else "failure"
        telemetry.sent_transactions.labels(one.purpose, outcome).inc()
        telemetry.sent_gas.labels(one.purpose).inc(receipt.gas_used)
        if outcome != "success":
            logger.warning(
                "transaction 0x%s (%s) cost %d gas for nothing: %s",
                receipt.transaction_hash.hex(),
                one.purpose,
                receipt.gas_used,
                outcome,
            )
        return Outcome(
            outcome,
            receipt.block_number,
            receipt.block_hash,
            receipt.transaction_hash,
            self._signer.clock(),
            receipt.gas_used,
        )

    def _note(self, identifier: int, outcome: Outcome) -> None:
        try:
            with self._store.writing() as transaction:
                transaction.mined(identifier, outcome)
        except Repeated:
            # It had been given up, or undone, and its user has sent the same again: that one carries it now.
            with self._store.writing() as transaction:
                transaction.disown_meta(identifier)
                transaction.mined(identifier, outcome)

    def _missed(self, one: SentTransaction) -> None:
        """Deal with a nonce that is used while none of the transaction's attempts is in a block."""
        others = self._store.attempts_at(one.nonce)
        for receipt in self._node.receipts([attempt.hash for _, attempt in others]):
            if receipt is not None:
                # One that was given up got through after all.
                identifier = next(owner for owner, attempt in others if attempt.hash == receipt.transaction_hash)
                owner = self._store.by_attempt(receipt.transaction_hash)
                if owner is not None:
                    self._note(identifier, self._outcome(owner, receipt))
                return
        now = self._signer.clock()
        # A node that is behind another may know the nonce before the receipt.
        if one.missed_since is None or now - one.missed_since < MISSED_SECONDS:
            with self._store.writing() as transaction:
                transaction.missed(one.id, now)
            return
        self._move(one)

    def _move(self, one: SentTransaction) -> None:
        """Give a transaction a new nonce, its own having been used by somebody else with the same key."""
        fee = self._signer.pricing.suggest(self._node.market())
        head = self._node.head_number()
        with self._store.writing() as transaction:
            slot = transaction.lock()
            whole = transaction.unchanged(one)
            if whole is None:
                return
            if one.purpose == FILLER:
                transaction.withdraw(one.id)
                return
            logger.warning("nonce %d was used elsewhere; sending its transaction with a new one", one.nonce)
            transaction.move(one.id, slot.next_nonce)
            transaction.add_attempt(one.id, self._signer.sign(call_of(whole), slot.next_nonce, fee, head))
            transaction.raise_cost(one.id, fee.max_fee)
            transaction.take_nonce(slot.next_nonce)

    # Those whose block was undone.

    def _forget_undone(self, undone: Sequence[SentTransaction]) -> None:
        for one in undone:
            logger.warning("the chain has undone the block with nonce %d of the relay's account", one.nonce)
            try:
                with self._store.writing() as transaction:
                    transaction.unmined(one.id)
            except Repeated:
                # The user sent it again after it had been reverted; that one counts.
                self._pushing.fill(one)
