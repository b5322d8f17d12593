"""What subscribers are told: the JSON objects of events, as the REST API shows them to a user. Pure."""

from typing import Any

from graph.network import Totals
from graph.trustline import View
from relay.addresses import Address, to_checksum
from relay.model import Event, EventType

CONFIRMED_DEPTH = 5
"""As in the REST API: an event is confirmed if so many blocks follow the block that holds it."""

WITHDRAWN = "withdrawn"
"""The status of an event whose block was replaced by one without it."""

Payload = dict[str, Any]


def of_event(event: Event, head: int, user: Address) -> Payload:
    """Return an event as one of its two users sees it; ``head`` is the number of the newest block."""
    assert event.sender is not None
    assert event.receiver is not None
    is_sender = event.sender == user
    transaction_hash = _hex(event.transaction_hash)
    payload: Payload = {
        "networkAddress": to_checksum(event.network),
        "blockNumber": event.block_number,
        "blockHash": _hex(event.block_hash),
        "timestamp": event.timestamp,
        "type": event.type.value,
        "status": "confirmed" if head - event.block_number >= CONFIRMED_DEPTH else "pending",
        "transactionId": transaction_hash,
        "transactionHash": transaction_hash,
        "logIndex": event.log_index,
        "from": to_checksum(event.sender),
        "to": to_checksum(event.receiver),
        "user": to_checksum(user),
        "counterParty": to_checksum(event.receiver if is_sender else event.sender),
        "direction": "sent" if is_sender else "received",
    }
    if event.type is EventType.TRUSTLINE_UPDATE_REQUEST:
        # As in the REST API: clients read it on every request.
        payload["transfer"] = str(event.value or 0)
    elif event.value is not None:
        payload["debt" if event.type is EventType.DEBT_UPDATE else "amount"] = str(event.value)
    if event.terms is not None:
        payload["given"] = str(event.terms.given)
        payload["received"] = str(event.terms.received)
        payload["interestRateGiven"] = str(event.terms.rate_given)
        payload["interestRateReceived"] = str(event.terms.rate_received)
        payload["isFrozen"] = event.terms.is_frozen
    if event.extra_data is not None:
        payload["extraData"] = _hex(event.extra_data)
    return payload


def of_trustline(network: Address, view: View, at: int) -> Payload:
    """Return the BalanceUpdate that tells a user how a trustline stands, valued at ``at``."""
    return {
        "type": "BalanceUpdate",
        "networkAddress": to_checksum(network),
        "timestamp": at,
        "user": to_checksum(view.user),
        "from": to_checksum(view.user),
        "to": to_checksum(view.other),
        "counterParty": to_checksum(view.other),
        "balance": str(view.balance),
        "given": str(view.given),
        "received": str(view.received),
        "leftGiven": str(view.left_given),
        "leftReceived": str(view.left_received),
    }


def of_totals(network: Address, user: Address, totals: Totals, at: int) -> Payload:
    """Return the NetworkBalance that tells a user their totals in a network, valued at ``at``."""
    return {
        "type": "NetworkBalance",
        "networkAddress": to_checksum(network),
        "timestamp": at,
        "user": to_checksum(user),
        "balance": str(totals.balance),
        "frozenBalance": str(totals.frozen_balance),
        "given": str(totals.given),
        "received": str(totals.received),
        "leftGiven": str(totals.left_given),
        "leftReceived": str(totals.left_received),
    }


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
