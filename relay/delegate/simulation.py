"""Trying a transaction out on the node's pending state, before it costs anything.

With eth_simulateV1 the node tells the logs as well: that of a meta-transaction's own success, that of the fee, and
those that become the events expected of it. Older nodes are asked by eth_call whether the execution, and the call
inside of it, would revert; the events are then those that can be read off the call.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from relay.addresses import Address, to_checksum
from relay.chain import events
from relay.chain.contract_events import decode_contract_log
from relay.chain.errors import ChainError, NodeMisbehaved, NodeRefused
from relay.chain.identity import (
    MetaTransaction,
    debt_call,
    execution_status,
    fee_paid,
    fee_recipient,
    read_debt,
)
from relay.chain.sending import Execution, RawLog, Sending, Unsupported, revert_reason
from relay.chain.signing import Call
from relay.chain.wire import Log
from relay.contracts import ContractKind, IdentityEvent
from relay.delegate.calldata import read_events
from relay.delegate.errors import Refused, UnknownIdentity
from relay.model import Event
from relay.store.contract_reading import UserEvent
from relay.store.expected import ExpectedEvent
from relay.store.sending import Sendings

logger = logging.getLogger(__name__)

MOST_BEFORE = 20
"""So many waiting transactions of an identity are executed before the one in question: blocks have a gas limit."""

MOST_EXPECTED_GAS = 3_000_000
"""A user's transaction that uses more is passed on without a look at what it will leave: nobody pays for that."""

_CALL = 0
_SPARE_GAS = 50_000
_VIEW_GAS = 100_000
_MOST_DEBT = 2**64 - 1
"""What can be moved at once in a currency network, and so be claimed."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an execution needs and leaves: a gas limit, and events of currency networks (of no block yet)."""

    gas_limit: int
    events: tuple[ExpectedEvent, ...] = ()


class Simulation:
    """Tries transactions out."""

    def __init__(self, node: Sending, store: Sendings | None = None) -> None:
        """``store`` knows what else is on its way to identities."""
        self._node = node
        self._store = store

    def execute(self, meta: MetaTransaction, meta_hash: bytes, delegate: Address, gas_limit: int) -> Expected:
        """Return what the execution of a meta-transaction by a delegate needs and leaves.

        Raises:
            Refused: if it would revert, the call inside would fail, its fee could not be booked, or it would
                use more gas than ``gas_limit``.
            ChainError, StoreError: if node or database fail.

        """
        execution = Call(meta.identity, meta.execution(), 0, gas_limit)
        before = self._before(meta.identity, delegate)
        # What the debt was and is: an identity may be a contract of anybody's, and its own logs may lie.
        debt = (delegate, _debt(meta, delegate))
        try:
            *_, old, found, new = self._node.simulate([*before, debt, (delegate, execution), debt])
        except Unsupported:
            return self._execute_blindly(meta, delegate, execution)
        except NodeRefused as refusal:
            raise Refused(f"the meta-transaction cannot be executed: {refusal.message}") from refusal
        if not found.succeeded:
            raise Refused(f"the execution of the meta-transaction would revert: {_words(found, gas_limit)}")
        status = execution_status(found.logs, meta.identity, meta_hash)
        if status is None:
            raise UnknownIdentity(f"{to_checksum(meta.identity)} is no identity contract, or an invalid one")
        if not status:
            raise Refused(
                f"the call of the meta-transaction would fail: {self._inner_reason(meta, before, gas_limit)}"
            )
        if meta.has_fee and not _is_booked(meta, fee_paid(found.logs, meta, delegate), old, new):
            raise Refused(
                "the fee of the meta-transaction cannot be booked as a debt in "
                f"{to_checksum(meta.currency_network_of_fees)}"
            )
        needed = self._gas_needed(meta, meta_hash, delegate, found.gas_used, before, gas_limit)
        return Expected(needed, (*network_events(found.logs), *contract_events(found.logs)))

    def _gas_needed(
        self,
        meta: MetaTransaction,
        meta_hash: bytes,
        delegate: Address,
        gas_used: int,
        before: Sequence[tuple[Address, Call]],
        gas_limit: int,
    ) -> int:
        """Return a gas limit that is enough, ``gas_limit`` at most, having tried it out."""
        # What is refunded at the end, at most a fifth, is needed on the way; the rest is for changes meanwhile.
        # The contract demands that what its owner allows to be used is there.
        needed = max(gas_used * 3 // 2, meta.gas_limit * 64 // 63) + _SPARE_GAS
        if needed >= gas_limit:
            return gas_limit
        *_, found = self._node.simulate([*before, (delegate, Call(meta.identity, meta.execution(), 0, needed))])
        return needed if execution_status(found.logs, meta.identity, meta_hash) else gas_limit

    def expect(self, sender: Address, call: Call) -> tuple[ExpectedEvent, ...]:
        """Return the events that a user's transaction would leave; none if that cannot be told."""
        call = replace(call, gas=min(call.gas, MOST_EXPECTED_GAS))
        try:
            (found,) = self._node.simulate([(sender, call)])
        except Unsupported:
            return self._expect_blindly(sender, call)
        except ChainError as error:
            logger.debug("what a relayed transaction will leave is not known: %s", error)
            return ()
        return (*network_events(found.logs), *contract_events(found.logs)) if found.succeeded else ()

    def _expect_blindly(self, sender: Address, call: Call) -> tuple[Event, ...]:
        expected = read_events(sender, call)
        if expected:
            try:
                self._node.call(sender, call)
            except ChainError:
                return ()
        return expected

    def _before(self, identity: Address, delegate: Address) -> list[tuple[Address, Call]]:
        """Return the executions on their way, some of which the pending state has: those then change nothing."""
        waiting = [] if self._store is None else self._store.waiting_for(identity, MOST_BEFORE)
        return [(delegate, Call(one.recipient, one.data, 0, one.gas_limit)) for one in waiting]

    def _inner_reason(self, meta: MetaTransaction, before: Sequence[tuple[Address, Call]], gas_limit: int) -> str:
        """Return why the call inside fails, by calling the same as the identity does."""
        if meta.operation_type != _CALL:
            return "no reason can be told"
        inner = Call(meta.to, meta.data, meta.value, gas_limit)
        try:
            *_, found = self._node.simulate([*before, (meta.identity, inner)])
        except (Unsupported, NodeRefused) as refusal:
            return str(getattr(refusal, "message", "")) or "no reason was given"
        return "it used up its gas" if found.succeeded else _words(found, gas_limit)

    def _execute_blindly(self, meta: MetaTransaction, delegate: Address, execution: Call) -> Expected:
        """Try what can be tried without logs; the gas is then not known, and the limit is assumed."""
        inner = Call(meta.to, meta.data, meta.value, execution.gas)
        tries = (
            [(meta.identity, inner, "the call of the meta-transaction would fail")]
            if meta.operation_type == 0
            else []
        )
        if not self._before(meta.identity, delegate):
            # Behind others its nonce is not valid yet.
            tries.append((delegate, execution, "the execution of the meta-transaction would revert"))
        for sender, call, fault in tries:
            try:
                self._node.call(sender, call)
            except NodeRefused as refusal:
                raise Refused(f"{fault}: {revert_reason(refusal.data) or refusal.message}") from refusal
        return Expected(execution.gas, read_events(meta.identity, inner) if meta.operation_type == _CALL else ())


def network_events(logs: Sequence[RawLog]) -> tuple[Event, ...]:
    """Return those logs that are events of currency networks; whether those are served is for others to say."""
    found = []
    for log in _whole(logs):
        try:
            event = events.decode(log, 0)
        except NodeMisbehaved:
            continue  # some other contract's event that shares the topic
        if event is not None:
            found.append(event)
    return tuple(found)


def contract_events(logs: Sequence[RawLog]) -> tuple[UserEvent, ...]:
    """Return those logs that are events of tokens and exchanges; whether those are served is for others to say."""
    found: list[UserEvent] = []
    for log in _whole(logs):
        for kind in (ContractKind.UNW_ETH, ContractKind.EXCHANGE):
            event = decode_contract_log(log, 0, {log.address: kind})
            if event is not None and not isinstance(event, IdentityEvent):
                found.append(event)
    return tuple(found)


def _whole(logs: Sequence[RawLog]) -> Iterator[Log]:
    """Yield logs as those of a block that is not there yet."""
    for position, log in enumerate(logs):
        yield Log(log.address, log.topics, log.data, 0, bytes(32), None, bytes(32), 0, position)


def _debt(meta: MetaTransaction, delegate: Address) -> Call:
    """Return the question what an identity owes, in the network of its fees, to who gets them."""
    return Call(
        meta.currency_network_of_fees, debt_call(meta.identity, fee_recipient(meta, delegate)), 0, _VIEW_GAS
    )


def _is_booked(meta: MetaTransaction, fee: int | None, old: Execution, new: Execution) -> bool:
    """Return whether a fee is as high as was signed, and became a debt that can be claimed.

    The contract takes fees of 256 bits, and one of 2^255 and more for a debt of the other side. ``old`` and
    ``new`` tell the debt before and after; what the gas adds to the base fee only the contract knows.
    """
    before, after = read_debt(old.returned), read_debt(new.returned)
    if fee is None or before is None or after is None or not (old.succeeded and new.succeeded):
        return False
    return meta.base_fee <= fee <= after - before and after <= _MOST_DEBT


def _words(found: Execution, gas_limit: int) -> str:
    if found.gas_used >= gas_limit:
        return f"it would use more than {gas_limit} gas"
    return found.reason or "no reason was given"
