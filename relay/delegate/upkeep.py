"""Looking after the relay's own transactions until no reorg can undo them.

One pass compares what is written down with the chain. For every open transaction one of these holds:

* its nonce is used, and one of its attempts is in a block: the outcome is noted, and forgotten again if the chain
  undoes that block;
* its nonce is used by a transaction that is not ours (the key was used elsewhere): it gets a new nonce;
* its nonce is not used, and the node does not have it: it is sent again;
* the node has it, but blocks pass it over: a replacement offers more for the same nonce;
* the node will not take it at all, or it has expired: its nonce goes to an empty transaction, so that no gap keeps
  those behind it waiting.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from relay.chain.errors import NodeRefused
from relay.chain.identity import execution_status
from relay.chain.sending import Market, Receipt
from relay.chain.signing import Fee
from relay.delegate.signer import Signer, call_of
from relay.store.sent import FILLER, META, Attempt, NewTransaction, Outcome, Repeated, SentTransaction

logger = logging.getLogger(__name__)

FILLER_GAS = 21_000

_HAS_IT = ("already", "known transaction", "nonce too low")
_TOO_CHEAP = ("underpriced", "base fee", "fee too low", "price too low")
"""Words by which nodes say why they do not take a transaction."""

_MOST_REFUSALS = 5
_MISSED_SECONDS = 60
_KEPT_SECONDS = 90 * 86_400

Watched = tuple[SentTransaction, list[Attempt]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for a block to take a transaction (seconds), and until it is final (blocks)."""

    replace_seconds: int = 30
    settle_blocks: int = 12


class Upkeep:
    """Does this for one signer; only one process at a time should."""

    def __init__(self, signer: Signer, patience: Patience) -> None:
        self._signer = signer
        self._node = signer.node
        self._store = signer.store
        self._patience = patience
        self._pruned_at = 0

    def tend(self) -> bool:
        """Go over all open transactions once; return whether something moved, so that more may at once.

        Raises:
            ChainError, StoreError: if node or database fail; what was done until then stays done.

        """
        head = self._node.head_number()
        used = self._node.nonce(self._signer.address)
        with self._store.writing() as transaction:
            transaction.note_used(used)
        watched = self._store.open()
        if not watched:
            self._prune()
            return False
        moved = self._look_up([one for one in watched if one[0].nonce < used], head)
        self._forget_undone([one for one, _ in watched if one.nonce >= used and one.block_hash is not None])
        waiting = [one for one in watched if one[0].nonce >= used]
        self._push(waiting[: self._signer.limits.in_flight], head)
        return moved and len(waiting) > 0

    def _prune(self) -> None:
        now = self._signer.clock()
        if now - self._pruned_at >= 3600:
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
        hashes = [attempt.hash for _, attempts in unclear for attempt in attempts]
        receipts = {r.transaction_hash: r for r in self._node.receipts(hashes) if r is not None}
        found = False
        for one, attempts in unclear:
            receipt = next((receipts[a.hash] for a in attempts if a.hash in receipts), None)
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
        with self._store.writing() as transaction:
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
        if one.missed_since is None or now - one.missed_since < _MISSED_SECONDS:
            with self._store.writing() as transaction:
                transaction.missed(one.id, now)
            return
        self._move(one)

    def _move(self, one: SentTransaction) -> None:
        """Give a transaction a new nonce, its own having been used by somebody else with the same key."""
        if one.purpose == FILLER:
            with self._store.writing() as transaction:
                transaction.withdraw(one.id)
            return
        logger.warning("nonce %d was used elsewhere; sending its transaction with a new one", one.nonce)
        fee = self._signer.pricing.suggest(self._node.market())
        head = self._node.head_number()
        with self._store.writing() as transaction:
            slot = transaction.lock()
            transaction.move(one.id, slot.next_nonce)
            transaction.add_attempt(one.id, self._signer.sign(call_of(one), slot.next_nonce, fee, head))
            transaction.take_nonce(slot.next_nonce)

    # Those whose nonce is not used.

    def _forget_undone(self, undone: Sequence[SentTransaction]) -> None:
        for one in undone:
            logger.warning("the chain has undone the block with nonce %d of the relay's account", one.nonce)
            try:
                with self._store.writing() as transaction:
                    transaction.unmined(one.id)
            except Repeated:
                # The user sent it again after it had been reverted; that one counts.
                self._fill(one)

    def _push(self, waiting: Sequence[Watched], head: int) -> None:
        """See to it that the node has what it may have, at a price that gets it through."""
        if not waiting:
            return
        known = self._node.known([attempts[-1].hash for _, attempts in waiting if attempts])
        has = dict(zip((one.id for one, attempts in waiting if attempts), known, strict=True))
        with self._store.writing() as transaction:
            transaction.set_held(
                [key for key, is_held in has.items() if is_held],
                [key for key, is_held in has.items() if not is_held],
            )
        market: Market | None = None
        for place, (one, attempts) in enumerate(waiting):
            if not attempts:
                continue
            if not has[one.id]:
                if self._send_again(one, attempts[-1]):
                    continue
                market = market or self._node.market()
                self._replace(one, attempts[-1], market, head)
            elif self._is_overdue(attempts[-1], head):
                market = market or self._node.market()
                # Those behind the first wait for that one, unless they are too cheap by themselves.
                if place == 0 or attempts[-1].max_fee < (market.base_fee or 0):
                    self._replace(one, attempts[-1], market, head)

    def _is_overdue(self, attempt: Attempt, head: int) -> bool:
        is_old = self._signer.clock() - attempt.created_at >= self._patience.replace_seconds
        return is_old and head > attempt.at_block + 1

    def _send_again(self, one: SentTransaction, attempt: Attempt) -> bool:
        """Hand the latest attempt to the node; return False if only a higher fee would do."""
        if one.expires_at and one.expires_at < self._signer.clock():
            logger.info("the meta-transaction with nonce %d expired before it came into a block", one.nonce)
            self._fill(one)
            return True
        try:
            self._node.send(attempt.raw)
        except NodeRefused as refusal:
            return self._take_refusal(one, attempt, refusal)
        with self._store.writing() as transaction:
            transaction.set_held([one.id], [])
        return True

    def _take_refusal(self, one: SentTransaction, attempt: Attempt, refusal: NodeRefused) -> bool:
        said = refusal.message.lower()
        if any(words in said for words in _HAS_IT):
            return True
        if any(words in said for words in _TOO_CHEAP):
            return False
        logger.warning("the node refuses nonce %d of the relay's account: %s", one.nonce, refusal.message)
        if "fund" in said:
            return True  # until the operator fills the account up
        with self._store.writing() as transaction:
            refusals = transaction.note_refusal(attempt.hash)
        if refusals >= _MOST_REFUSALS:
            self._fill(one)
        return True

    def _replace(self, one: SentTransaction, last: Attempt, market: Market, head: int) -> None:
        """Send the same again with a higher fee."""
        fee = self._signer.pricing.replacement(Fee(last.max_fee, last.tip), market)
        if fee is None:
            logger.info("nonce %d of the relay's account waits: the most it may offer is offered", one.nonce)
            return
        attempt = self._signer.sign(call_of(one), one.nonce, fee, head)
        with self._store.writing() as transaction:
            transaction.add_attempt(one.id, attempt)
        logger.info(
            "replacing nonce %d of the relay's account: %d wei a gas instead of %d",
            one.nonce,
            fee.max_fee,
            last.max_fee,
        )
        try:
            self._node.send(attempt.raw)
        except NodeRefused as refusal:
            logger.warning("the node refuses a replacement of nonce %d: %s", one.nonce, refusal.message)

    def _fill(self, one: SentTransaction) -> None:
        """Use a transaction's nonce for one that does nothing; nothing of those behind it must wait for ever."""
        if one.purpose == FILLER:
            return
        market = self._node.market()
        attempts = [attempt for _, attempt in self._store.attempts_at(one.nonce)]
        fee = self._signer.pricing.suggest(market)
        if attempts:
            highest = max(attempts, key=lambda attempt: attempt.max_fee)
            fee = self._signer.pricing.replacement(Fee(highest.max_fee, highest.tip), market) or fee
        own = self._signer.address
        new = NewTransaction(FILLER, own, own, b"", 0, FILLER_GAS, FILLER_GAS * fee.max_fee)
        with self._store.writing() as transaction:
            transaction.withdraw(one.id)
            identifier = transaction.add(new, one.nonce, self._signer.clock(), is_held=False)
            head = self._node.head_number()
            transaction.add_attempt(identifier, self._signer.sign(call_of(new), one.nonce, fee, head))
