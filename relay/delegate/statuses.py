"""What became of transactions and meta-transactions, also of those that were dropped or replaced."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relay.addresses import Address
from relay.chain.identity import execution_status
from relay.chain.sending import Receipt, Sending
from relay.store.relayed import RelayedTransactions
from relay.store.sending import Sendings
from relay.store.sent import META, SentTransaction


class Status(StrEnum):
    """The words that clients know."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of something.

    ``transaction_hash`` is the transaction that carries it now or put it into a block, where that is known.
    ``reason`` is said where a transaction will not be executed: replaced, dropped, withdrawn, reverted.
    """

    status: Status
    transaction_hash: bytes | None = None
    reason: str | None = None


class Executions(Protocol):
    """Tells which meta-transactions identities executed; `relay.store.contract_reading.ContractReader` does."""

    def execution(self, identity: Address, meta_hash: bytes) -> tuple[bool, bytes] | None:
        """Return whether one succeeded and in which transaction, None if none did; raises StoreError."""


class Statuses:
    """Tells what became of things; every method raises ChainError and StoreError."""

    def __init__(
        self,
        node: Sending,
        own: Sendings | None = None,
        relayed: RelayedTransactions | None = None,
        executions: Executions | None = None,
    ) -> None:
        """``own`` are the relay's own transactions, ``relayed`` those passed on, ``executions`` what was indexed.

        Each is None where it is switched off.
        """
        self._node = node
        self._own = own
        self._relayed = relayed
        self._executions = executions

    def of_transaction(self, transaction_hash: bytes) -> Fate:
        """Return what became of a transaction; one that a higher fee replaced fares as its replacement does."""
        receipt = self._receipt(transaction_hash)
        if receipt is not None:
            return Fate(_executed(receipt), transaction_hash)
        own = None if self._own is None else self._own.by_attempt(transaction_hash)
        if own is not None:
            return self._of_own(own, is_inner=False)
        if self._node.known([transaction_hash])[0]:
            return Fate(Status.PENDING, transaction_hash)
        relayed = None if self._relayed is None else self._relayed.find(transaction_hash)
        if relayed is None or (relayed.state == "mined" and relayed.is_settled):
            return Fate(Status.NOT_FOUND)
        if relayed.state in ("open", "mined"):
            # The node lost it, or the chain undid its block: it is sent again.
            return Fate(Status.PENDING, transaction_hash)
        return Fate(Status.NOT_FOUND, reason=relayed.state)

    def of_meta_transaction(self, identity: Address, meta_hash: bytes) -> Fate:
        """Return what became of a meta-transaction, whoever executed it."""
        known = None if self._own is None else self._own.by_meta(identity, meta_hash)
        if known is not None and known.state != "withdrawn":
            fate = self._of_own(known, is_inner=True)
            if fate.status is not Status.FAILURE or known.outcome != "reverted":
                return fate
        executed = None if self._executions is None else self._executions.execution(identity, meta_hash)
        if executed is not None:
            has_succeeded, transaction_hash = executed
            return Fate(Status.SUCCESS if has_succeeded else Status.FAILURE, transaction_hash)
        if known is None:
            return Fate(Status.NOT_FOUND)
        return (
            Fate(Status.NOT_FOUND, reason="withdrawn")
            if known.state == "withdrawn"
            else self._of_own(known, is_inner=True)
        )

    def _of_own(self, own: SentTransaction, *, is_inner: bool) -> Fate:
        """Return what became of one of the relay's own transactions; the upkeep may not have seen it yet.

        ``is_inner`` asks for the meta-transaction that it carries, whose call may fail inside of a success.
        """
        assert self._own is not None
        if own.outcome is not None:
            has_failed = own.outcome == "reverted" or (is_inner and own.outcome == "failure")
            status = Status.FAILURE if has_failed else Status.SUCCESS
            if own.state == "settled" or self._is_canonical(own):
                return Fate(status, own.mined_hash, "reverted" if own.outcome == "reverted" else None)
        if own.state == "withdrawn":
            return Fate(Status.NOT_FOUND, reason="withdrawn")
        attempts = [attempt for owner, attempt in self._own.attempts_at(own.nonce) if owner == own.id]
        for receipt in self._node.receipts([attempt.hash for attempt in attempts]):
            if receipt is not None:
                status = _outcome(own, receipt) if is_inner else _executed(receipt)
                return Fate(status, receipt.transaction_hash)
        latest = max(attempts, key=lambda attempt: attempt.max_fee).hash if attempts else None
        return Fate(Status.PENDING, latest)

    def _is_canonical(self, own: SentTransaction) -> bool:
        return own.block_number is not None and self._node.block_hashes([own.block_number]) == [own.block_hash]

    def _receipt(self, transaction_hash: bytes) -> Receipt | None:
        return self._node.receipts([transaction_hash])[0]


def _executed(receipt: Receipt) -> Status:
    return Status.SUCCESS if receipt.succeeded else Status.FAILURE


def _outcome(own: SentTransaction, receipt: Receipt) -> Status:
    if own.purpose == META and own.meta_hash is not None and receipt.succeeded:
        return Status.SUCCESS if execution_status(receipt.logs, own.subject, own.meta_hash) else Status.FAILURE
    return _executed(receipt)
