"""Bringing the relay's own transactions whose nonces are not used yet into blocks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from relay.chain.errors import NodeRefused
from relay.chain.sending import Market
from relay.chain.signing import Fee
from relay.delegate.signer import Signer, call_of
from relay.store.sent import FILLER, Attempt, NewTransaction, SentTransaction

logger = logging.getLogger(__name__)

FILLER_GAS = 21_000

MISSED_SECONDS = 60
"""How long the node may contradict what is noted, or refuse a transaction, before that is acted on."""

_HAS_IT = ("already", "known transaction", "nonce too low")
_TOO_CHEAP = ("underpriced", "base fee", "fee too low", "price too low")
_PASSING = ("full", "too many", "rate limit", "limit reached", "timeout", "timed out", "try again", "syncing")
"""Words by which nodes say why they do not take a transaction."""

_RATE_LIMITED = -32005
_MOST_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for a block to take a transaction (seconds), and until it is final (blocks)."""

    replace_seconds: int = 30
    settle_blocks: int = 12


class Pushing:
    """Does this for one signer."""

    def __init__(self, signer: Signer, patience: Patience) -> None:
        self._signer = signer
        self._node = signer.node
        self._store = signer.store
        self._patience = patience
        self._gaps: dict[int, int] = {}

    def push(self, used: int, head: int) -> bool:
        """See to it that the node has what it may have, at a price that gets it through; say if that is anything.

        ``used`` is the number of used nonces.

        Raises:
            ChainError, StoreError: if node or database fail; what was done until then stays done.

        """
        waiting = self._store.waiting(used, self._signer.limits.in_flight)
        if not waiting:
            return False
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
            if self._is_expired(one):
                logger.info("the meta-transaction with nonce %d expired before it came into a block", one.nonce)
                self.fill(one)
            elif not has[one.id]:
                if self._send_again(one, attempts[-1]):
                    continue
                market = market or self._node.market()
                self._replace(one, attempts[-1], market, head)
            elif self._is_overdue(attempts[-1], head):
                market = market or self._node.market()
                # Those behind the first wait for that one, unless they are too cheap by themselves.
                if place == 0 or attempts[-1].max_fee < (market.base_fee or 0):
                    self._replace(one, attempts[-1], market, head)
        return True

    def fill(self, one: SentTransaction) -> None:
        """Use a transaction's nonce for one that does nothing; nothing of those behind it must wait for ever."""
        if one.purpose == FILLER:
            return
        market, head = self._node.market(), self._node.head_number()
        attempts = [attempt for _, attempt in self._store.attempts_at(one.nonce)]
        fee = self._signer.pricing.suggest(market)
        if attempts:
            highest = max(attempts, key=lambda attempt: attempt.max_fee)
            fee = self._signer.pricing.replacement(Fee(highest.max_fee, highest.tip), market) or fee
        new = self._filler(fee)
        with self._store.writing() as transaction:
            transaction.lock()
            if transaction.unchanged(one) is None:
                return
            transaction.withdraw(one.id)
            identifier = transaction.add(new, one.nonce, self._signer.clock(), is_held=False)
            transaction.add_attempt(identifier, self._signer.sign(call_of(new), one.nonce, fee, head))

    def note_gaps(self, gaps: Sequence[int], used: int) -> None:
        """Deal with nonces that are nobody's and keep others waiting, if they have been that for a while.

        That happens when the chain undoes what somebody else sent with the same key, or goes back further than
        anything is watched, or when the node said for a moment that more nonces were used.
        """
        now = self._signer.clock()
        self._gaps = {nonce: self._gaps.get(nonce, now) for nonce in gaps}
        if all(now - since < MISSED_SECONDS for since in self._gaps.values()):
            return
        fee = self._signer.pricing.suggest(self._node.market())
        head = self._node.head_number()
        with self._store.writing() as transaction:
            transaction.lock()
            transaction.reclaim(used)
            for nonce in transaction.gaps(used, self._signer.limits.in_flight):
                logger.warning("nonce %d of the relay's account is nobody's; filling it", nonce)
                new = self._filler(fee)
                transaction.vacate(nonce)
                identifier = transaction.add(new, nonce, now, is_held=False)
                transaction.add_attempt(identifier, self._signer.sign(call_of(new), nonce, fee, head))

    def _filler(self, fee: Fee) -> NewTransaction:
        own = self._signer.address
        return NewTransaction(FILLER, own, own, b"", 0, FILLER_GAS, FILLER_GAS * fee.max_fee)

    def _is_expired(self, one: SentTransaction) -> bool:
        return 0 < one.expires_at < self._signer.clock()

    def _is_overdue(self, attempt: Attempt, head: int) -> bool:
        is_old = self._signer.clock() - attempt.created_at >= self._patience.replace_seconds
        return is_old and head > attempt.at_block + 1

    def _send_again(self, one: SentTransaction, attempt: Attempt) -> bool:
        """Hand the latest attempt to the node; return False if only a higher fee would do."""
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
        if refusal.code == _RATE_LIMITED or any(words in said for words in _PASSING):
            return True
        with self._store.writing() as transaction:
            refusals = transaction.note_refusal(attempt.hash)
        if refusals >= _MOST_REFUSALS and self._signer.clock() - attempt.created_at >= MISSED_SECONDS:
            self.fill(one)
        return True

    def _replace(self, one: SentTransaction, last: Attempt, market: Market, head: int) -> None:
        """Send the same again with a higher fee."""
        fee = self._signer.pricing.replacement(Fee(last.max_fee, last.tip), market)
        if fee is None:
            logger.info("nonce %d of the relay's account waits: the most it may offer is offered", one.nonce)
            return
        attempt = self._signer.sign(call_of(one), one.nonce, fee, head)
        with self._store.writing() as transaction:
            if transaction.unchanged(one) is None:
                return
            transaction.add_attempt(one.id, attempt)
            transaction.raise_cost(one.id, fee.max_fee)
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
