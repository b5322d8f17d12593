"""The relay's own transactions: a nonce for each, written down before anybody sees it, and handed to the node.

Any number of processes may sign with one key: a nonce is taken under a row lock in Postgres, and the signed
transaction commits with it. Whatever goes wrong after that, `relay.delegate.upkeep` sends it again.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from relay import telemetry
from relay.chain.errors import ChainError
from relay.chain.sending import Market, Sending
from relay.chain.signing import Call, Fee, SigningKey
from relay.delegate.errors import Overloaded
from relay.delegate.pricing import Pricing
from relay.store.expected import ExpectedEvent
from relay.store.sending import Sendings
from relay.store.sending_writing import SendingTransaction
from relay.store.sent import Attempt, NewTransaction, SentTransaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way: in the node's hands, and in all, with those that wait for their turn there."""

    in_flight: int = 64
    waiting: int = 2000


class Signer:
    """Sends transactions of one account."""

    def __init__(
        self,
        key: SigningKey,
        node: Sending,
        store: Sendings,
        pricing: Pricing,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        """``clock`` tells the time in Unix seconds."""
        self.key = key
        self.address = key.address
        self.node = node
        self.store = store
        self.pricing = pricing
        self.limits = limits
        self.clock = clock

    def submit(
        self,
        new: NewTransaction,
        check: Callable[[SendingTransaction, NewTransaction], None] = lambda *_: None,
        expected: Sequence[ExpectedEvent] = (),
    ) -> bytes:
        """Return the hash of a transaction that is sent now or as soon as there is room for it.

        ``new.cost`` is filled in here. ``check`` may refuse the transaction by an exception, on what is noted
        while nobody else can take a nonce. ``expected`` are the events that the transaction will leave.

        Raises:
            Overloaded: if too many wait, or the relay's account cannot pay.
            Repeated: if it carries a meta-transaction that is known already.
            ChainError, StoreError: if node or database fail; then nothing was sent.

        """
        market = self.node.market()
        fee = self.pricing.suggest(market)
        cost = new.value + new.gas_limit * fee.max_fee
        balance = self.node.balance(self.address, "latest")
        telemetry.account_balance.set(balance)
        now, at_block = self.clock(), self.node.head_number()
        new = replace(new, cost=cost)
        with self.store.writing() as transaction:
            slot = transaction.lock()
            if slot.next_nonce - slot.used_nonce >= self.limits.waiting:
                raise Overloaded("too many transactions wait to be sent; try again later")
            promised = transaction.promised()
            if balance < promised + cost:
                logger.error(
                    "the relay's account has %d wei, too little for a transaction that may cost %d beside those "
                    "on their way, which may cost %d",
                    balance,
                    cost,
                    promised,
                )
                raise Overloaded("the relay's account has not enough ether to pay for the transaction")
            check(transaction, new)
            has_room = slot.next_nonce < slot.used_nonce + self.limits.in_flight
            identifier = transaction.add(new, slot.next_nonce, now, is_held=has_room)
            attempt = self.sign(call_of(new), slot.next_nonce, fee, at_block)
            transaction.add_attempt(identifier, attempt)
            transaction.add_expected(identifier, expected, now)
            transaction.take_nonce(slot.next_nonce)
        if has_room:
            self._hand_over(attempt)
        return attempt.hash

    def sign(self, call: Call, nonce: int, fee: Fee, at_block: int) -> Attempt:
        """Return a signed form of a transaction."""
        raw, transaction_hash = self.key.sign(call, nonce, fee)
        return Attempt(transaction_hash, raw, fee.max_fee, fee.tip, self.clock(), at_block)

    def market(self) -> Market:
        """Return the prices of the moment; raises ChainError."""
        return self.node.market()

    def _hand_over(self, attempt: Attempt) -> None:
        try:
            self.node.send(attempt.raw)
        except ChainError as error:
            # It is written down: the upkeep sends it again.
            logger.warning("transaction 0x%s was not taken yet: %s", attempt.hash.hex(), error)


def call_of(transaction: NewTransaction | SentTransaction) -> Call:
    """Return what a transaction calls."""
    return Call(transaction.recipient, transaction.data, transaction.value, transaction.gas_limit)
