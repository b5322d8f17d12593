"""Users' own transactions: passed on, remembered, and sent again until their nonce is used."""

import logging
from collections.abc import Callable

from relay.addresses import Address
from relay.chain.errors import NodeRefused
from relay.chain.relaying import Relaying
from relay.chain.sending import Sending
from relay.chain.signing import Call
from relay.chain.transactions import ParsedTransaction, parse_raw_transaction
from relay.delegate.simulation import Simulation
from relay.store.errors import StoreError
from relay.store.relayed import RelayedTransaction, RelayedTransactions

logger = logging.getLogger(__name__)

MOST_OF_SENDER = 64
"""As many waiting transactions as nodes keep of one account."""

_AT_ONCE = 500
_LONGEST_PAUSE_SECONDS = 300
_LONGEST_LOOK_SECONDS = 30
_KEPT_SECONDS = 7 * 86_400
_PRUNE_SECONDS = 3600


class RememberingRelaying:
    """Passes transactions on like `relay.chain.relaying.Relaying`, and notes them."""

    def __init__(
        self,
        relaying: Relaying,
        chain_id: int,
        store: RelayedTransactions,
        simulation: Simulation,
        clock: Callable[[], int],
        require_welcome: Callable[[Address], None] = lambda _: None,
    ) -> None:
        """Prepare; ``require_welcome`` may refuse a sender by an exception."""
        self._relaying = relaying
        self._chain_id = chain_id
        self._store = store
        self._simulation = simulation
        self._clock = clock
        self._require_welcome = require_welcome

    def relay(self, raw_transaction: str) -> bytes:
        """Return the hash of a signed transaction, as ``Relaying.relay`` does and with the same errors."""
        transaction = parse_raw_transaction(raw_transaction, self._chain_id)
        self._require_welcome(transaction.sender)
        # Before it is sent: afterwards the pending state has it already.
        call = _call(transaction)
        expected = () if call is None else self._simulation.expect(transaction.sender, call)
        transaction_hash = self._relaying.relay(raw_transaction)
        try:
            key = (transaction.hash, transaction.raw, transaction.sender, transaction.nonce)
            self._store.remember(key, expected, self._clock(), most_of_sender=MOST_OF_SENDER)
        except StoreError as error:
            # The node has it; the user must not think it was lost.
            logger.warning(
                "transaction 0x%s was relayed, but is not remembered: %s", transaction_hash.hex(), error
            )
        return transaction_hash


class RelayedUpkeep:
    """Looks after the transactions that were passed on; only one process at a time should."""

    def __init__(
        self,
        node: Sending,
        store: RelayedTransactions,
        clock: Callable[[], int],
        *,
        remember_seconds: int,
        settle_blocks: int,
    ) -> None:
        """``remember_seconds`` is how long a transaction that gets into no block is sent again."""
        self._node = node
        self._store = store
        self._clock = clock
        self._remember_seconds = remember_seconds
        self._settle_blocks = settle_blocks
        self._pruned_at = 0

    def tend(self) -> bool:
        """Go over those that are due; return whether there were more than fit.

        Raises:
            ChainError, StoreError: if node or database fail; what was done until then stays done.

        """
        now = self._clock()
        if now - self._pruned_at >= _PRUNE_SECONDS:
            self._pruned_at = now
            self._store.prune(now - _KEPT_SECONDS)
        due = self._store.due(now, _AT_ONCE)
        if not due:
            return False
        senders = sorted({one.sender for one in due})
        used = dict(zip(senders, self._node.nonces(senders), strict=True))
        past = [one for one in due if one.nonce < used[one.sender]]
        self._look_up(past, now)
        waiting = [one for one in due if one.nonce >= used[one.sender]]
        held = self._node.known([one.hash for one in waiting])
        for one, is_held in zip(waiting, held, strict=True):
            self._push(one, now, is_held=is_held)
        return len(due) == _AT_ONCE

    def _look_up(self, past: list[RelayedTransaction], now: int) -> None:
        """Note what became of transactions whose nonce is used."""
        if not past:
            return
        head = self._node.head_number()
        for one, receipt in zip(past, self._node.receipts([one.hash for one in past]), strict=True):
            if receipt is None:
                if one.state == "replaced":
                    self._store.settle(one)
                else:
                    # Once more after a while: the nonce may be known before the receipt, or a reorg take it back.
                    self._store.passed_over(one, "replaced", now + 60)
            elif receipt.block_number <= head - self._settle_blocks:
                if one.block_hash != receipt.block_hash:
                    self._store.mined(one, receipt.block_number, receipt.block_hash, now)
                self._store.settle(one)
            else:
                self._store.mined(one, receipt.block_number, receipt.block_hash, now + 5)

    def _push(self, one: RelayedTransaction, now: int, *, is_held: bool) -> None:
        """See to it that the node has a transaction whose nonce is free."""
        if not is_held and now - one.received_at > self._remember_seconds:
            logger.info("giving up transaction 0x%s, which got into no block", one.hash.hex())
            self._store.passed_over(one, "dropped", now)
            return
        if not is_held:
            try:
                self._node.send(one.raw)
                is_held = True
            except NodeRefused as refusal:
                logger.info("the node does not take back transaction 0x%s: %s", one.hash.hex(), refusal.message)
        if is_held:
            # Thousands that wait for days are not looked at every second.
            pause = min(1 + max(0, now - one.received_at) // 20, _LONGEST_LOOK_SECONDS)
        else:
            pause = min(2**one.tries, _LONGEST_PAUSE_SECONDS)
        self._store.waits(one, is_held=is_held, due_at=now + pause)


def _call(transaction: ParsedTransaction) -> Call | None:
    if transaction.to is None:
        return None
    return Call(transaction.to, transaction.data, transaction.value, transaction.gas_limit)
