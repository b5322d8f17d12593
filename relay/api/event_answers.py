"""Events as they are answered, of currency networks and of other contracts."""

from typing import Any

from relay.addresses import Address
from relay.contracts import ExchangeEvent, ExchangeEventType, TokenEvent
from relay.model import Event, EventType
from relay.store.contract_reading import UserEvent

CONFIRMED_DEPTH = 5
"""An event is confirmed if so many blocks follow the block that holds it."""


def event_answer(event: Event | UserEvent, head: int | None, user: Address | None) -> dict[str, Any]:
    """Return an event as ``user`` sees it (None: as nobody does); without ``head`` one that is in no block yet."""
    if isinstance(event, Event):
        return _of_network(event, head, user)
    return _of_contract(event, head, user)


def _of_network(event: Event, head: int | None, user: Address | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "network_address": event.network,
        "block_number": event.block_number,
        "block_hash": event.block_hash,
        "timestamp": event.timestamp,
        "type": event.type.value,
        "status": _status(event.block_number, head),
        "transaction_hash": event.transaction_hash,
        "log_index": event.log_index,
    }
    # What an event does not have stays out of its object: clients read an attribute that is there as a value.
    if event.sender is not None:
        answer["sender"] = event.sender
    if event.receiver is not None:
        answer["receiver"] = event.receiver
    if user is not None:
        is_sender = event.sender == user
        answer["user"] = user
        answer["counter_party"] = event.receiver if is_sender else event.sender
        answer["direction"] = "sent" if is_sender else "received"
    return answer | _particulars(event)


def _status(block_number: int, head: int | None) -> str:
    """Return the status of an event in a block; ``head`` is the newest block, None where it is in no block yet."""
    if head is None:
        return "sent"
    return "confirmed" if head - block_number >= CONFIRMED_DEPTH else "pending"


def _particulars(event: Event) -> dict[str, Any]:
    """Return the attributes that only events of this type have."""
    found: dict[str, Any] = {}
    if event.terms is not None:
        found |= {
            "given": event.terms.given,
            "received": event.terms.received,
            "interest_rate_given": event.terms.rate_given,
            "interest_rate_received": event.terms.rate_received,
            "is_frozen": event.terms.is_frozen,
        }
    if event.type is EventType.TRUSTLINE_UPDATE_REQUEST:
        # Clients read it on every request; the networks that know of none ask for none.
        found["transfer"] = event.value or 0
    elif event.value is not None:
        found["debt" if event.type is EventType.DEBT_UPDATE else "amount"] = event.value
    if event.extra_data is not None:
        found["extra_data"] = event.extra_data
    return found


def _of_contract(event: UserEvent, head: int | None, user: Address | None) -> dict[str, Any]:
    origin = event.origin
    answer: dict[str, Any] = {
        "block_number": origin.block_number,
        "block_hash": origin.block_hash,
        "timestamp": origin.timestamp,
        "type": event.type.value,
        "status": _status(origin.block_number, head),
        "transaction_hash": origin.transaction_hash,
        "log_index": origin.log_index,
    }
    match event:
        case TokenEvent():
            sender, receiver = event.sender, event.receiver
            answer |= {"token_address": origin.contract, "amount": event.value}
        case ExchangeEvent():
            sender, receiver = event.maker, event.taker or event.maker
            answer |= _exchanged(event)
    answer |= {"sender": sender, "receiver": receiver}
    if user is not None:
        is_sender = sender == user
        answer |= {
            "user": user,
            "counter_party": receiver if is_sender else sender,
            "direction": "sent" if is_sender else "received",
        }
    return answer


def _exchanged(event: ExchangeEvent) -> dict[str, Any]:
    done = "filled" if event.type is ExchangeEventType.LOG_FILL else "cancelled"
    return {
        "exchange_address": event.origin.contract,
        "maker_token_address": event.maker_token,
        "taker_token_address": event.taker_token,
        "order_hash": event.order_hash,
        f"{done}_maker_amount": event.maker_amount,
        f"{done}_taker_amount": event.taker_amount,
    }
