"""What subscribers are told of tokens, wrapped ether and exchanges, as the REST API shows it to a user. Pure."""

from relay.addresses import Address, to_checksum
from relay.contracts import ExchangeEvent, ExchangeEventType, TokenEvent
from relay.streams.payloads import CONFIRMED_DEPTH, Payload


def of_contract_event(event: TokenEvent | ExchangeEvent, head: int, user: Address) -> Payload:
    """Return an event as one of its users sees it; ``head`` is the number of the newest block."""
    origin = event.origin
    transaction_hash = _hex(origin.transaction_hash)
    match event:
        case TokenEvent():
            sender, receiver = event.sender, event.receiver
            particulars = {"tokenAddress": to_checksum(origin.contract), "amount": str(event.value)}
        case ExchangeEvent():
            sender, receiver = event.maker, event.taker or event.maker
            particulars = _exchanged(event)
    is_sender = sender == user
    return {
        **particulars,
        "blockNumber": origin.block_number,
        "blockHash": _hex(origin.block_hash),
        "timestamp": origin.timestamp,
        "type": event.type.value,
        "status": "confirmed" if head - origin.block_number >= CONFIRMED_DEPTH else "pending",
        "transactionId": transaction_hash,
        "transactionHash": transaction_hash,
        "logIndex": origin.log_index,
        "from": to_checksum(sender),
        "to": to_checksum(receiver),
        "user": to_checksum(user),
        "counterParty": to_checksum(receiver if is_sender else sender),
        "direction": "sent" if is_sender else "received",
    }


def _exchanged(event: ExchangeEvent) -> Payload:
    done = "filled" if event.type is ExchangeEventType.LOG_FILL else "cancelled"
    return {
        "exchangeAddress": to_checksum(event.origin.contract),
        "makerTokenAddress": to_checksum(event.maker_token),
        "takerTokenAddress": to_checksum(event.taker_token),
        "orderHash": _hex(event.order_hash),
        f"{done}MakerAmount": str(event.maker_amount),
        f"{done}TakerAmount": str(event.taker_amount),
    }


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
