"""Logs of exchanges, tokens, wrapped ether and identities as events (layouts: ABIs of trustlines-contracts-bin).

The topic tells the event, whatever a contract calls its arguments: UnwEth and Token name them differently. A log
that does not fit the layout of its topic is passed over: identities' events are asked for by topic, and any
contract may emit what looks like one; the same goes for tokens, some of which index what ERC-20 does not.
"""

from collections.abc import Callable, Mapping

from relay.addresses import Address
from relay.chain import abi
from relay.chain.wire import Log
from relay.contracts import (
    ContractEvent,
    ContractKind,
    ExchangeEvent,
    ExchangeEventType,
    IdentityEvent,
    IdentityEventType,
    Origin,
    TokenEvent,
    TokenEventType,
)

_WORD = 32
_PADDING = bytes(12)


class _Unfit(ValueError):
    """A log does not fit the layout of its topic."""


def decode_contract_log(
    log: Log, timestamp: int, kinds: Mapping[Address | None, ContractKind]
) -> ContractEvent | None:
    """Return the event that a log of one of these contracts records, None if it is none that is kept.

    ``timestamp`` is that of the log's block, in Unix seconds.
    """
    topic = log.topics[0] if log.topics else b""
    if topic in IDENTITY_TOPICS:
        if None not in kinds:
            return None
        reader = _IDENTITY[topic]
    else:
        found = _READERS.get((kinds.get(log.address), topic))
        if found is None:
            return None
        reader = found
    origin = Origin(
        log.address,
        log.block_number,
        log.block_hash,
        timestamp,
        log.transaction_hash,
        log.transaction_index,
        log.log_index,
    )
    try:
        return reader(origin, log.topics, log.data)
    except _Unfit:
        return None


Reader = Callable[[Origin, tuple[bytes, ...], bytes], ContractEvent]


def _transfer(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> TokenEvent:
    _require(topics, 3, data, 1)
    return TokenEvent(origin, TokenEventType.TRANSFER, _address(topics[1]), _address(topics[2]), _number(data, 0))


def _approval(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> TokenEvent:
    _require(topics, 3, data, 1)
    return TokenEvent(origin, TokenEventType.APPROVAL, _address(topics[1]), _address(topics[2]), _number(data, 0))


def _deposit(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> TokenEvent:
    _require(topics, 2, data, 1)
    user = _address(topics[1])
    return TokenEvent(origin, TokenEventType.DEPOSIT, user, user, _number(data, 0))


def _withdrawal(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> TokenEvent:
    _require(topics, 2, data, 1)
    user = _address(topics[1])
    return TokenEvent(origin, TokenEventType.WITHDRAWAL, user, user, _number(data, 0))


def _fill(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> ExchangeEvent:
    _require(topics, 4, data, 8)
    return ExchangeEvent(
        origin=origin,
        type=ExchangeEventType.LOG_FILL,
        order_hash=_word(data, 7),
        maker=_address(topics[1]),
        taker=_address(_word(data, 0)),
        fee_recipient=_address(topics[2]),
        maker_token=_address(_word(data, 1)),
        taker_token=_address(_word(data, 2)),
        maker_amount=_number(data, 3),
        taker_amount=_number(data, 4),
        maker_fee=_number(data, 5),
        taker_fee=_number(data, 6),
    )


def _cancel(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> ExchangeEvent:
    _require(topics, 4, data, 5)
    return ExchangeEvent(
        origin=origin,
        type=ExchangeEventType.LOG_CANCEL,
        order_hash=_word(data, 4),
        maker=_address(topics[1]),
        taker=None,
        fee_recipient=_address(topics[2]),
        maker_token=_address(_word(data, 0)),
        taker_token=_address(_word(data, 1)),
        maker_amount=_number(data, 2),
        taker_amount=_number(data, 3),
    )


def _execution(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> IdentityEvent:
    _require(topics, 2, data, 1)
    return IdentityEvent(origin, IdentityEventType.TRANSACTION_EXECUTION, meta_hash=topics[1], succeeded=any(data))


def _fee(origin: Origin, topics: tuple[bytes, ...], data: bytes) -> IdentityEvent:
    _require(topics, 3, data, 1)
    return IdentityEvent(
        origin,
        IdentityEventType.FEE_PAYMENT,
        value=_number(data, 0),
        recipient=_address(topics[1]),
        currency_network=_address(topics[2]),
    )


def _require(topics: tuple[bytes, ...], count: int, data: bytes, words: int) -> None:
    if len(topics) != count or len(data) != words * _WORD:
        raise _Unfit


def _word(data: bytes, place: int) -> bytes:
    return data[place * _WORD : (place + 1) * _WORD]


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(_word(data, place), "big")


def _address(word: bytes) -> Address:
    if not word.startswith(_PADDING):
        raise _Unfit
    return word[12:]


def _topic(contract: str, event: str) -> bytes:
    return abi.topic(abi.contract(contract).entry("event", event))


_IDENTITY: dict[bytes, Reader] = {
    _topic("Identity", IdentityEventType.TRANSACTION_EXECUTION): _execution,
    _topic("Identity", IdentityEventType.FEE_PAYMENT): _fee,
}
_READERS: dict[tuple[ContractKind | None, bytes], Reader] = {
    (ContractKind.EXCHANGE, _topic("Exchange", ExchangeEventType.LOG_FILL)): _fill,
    (ContractKind.EXCHANGE, _topic("Exchange", ExchangeEventType.LOG_CANCEL)): _cancel,
    (ContractKind.UNW_ETH, _topic("UnwEth", TokenEventType.TRANSFER)): _transfer,
    (ContractKind.UNW_ETH, _topic("UnwEth", TokenEventType.APPROVAL)): _approval,
    (ContractKind.UNW_ETH, _topic("UnwEth", TokenEventType.DEPOSIT)): _deposit,
    (ContractKind.UNW_ETH, _topic("UnwEth", TokenEventType.WITHDRAWAL)): _withdrawal,
    (ContractKind.TOKEN, _topic("Token", TokenEventType.TRANSFER)): _transfer,
    (ContractKind.TOKEN, _topic("Token", TokenEventType.APPROVAL)): _approval,
}
IDENTITY_TOPICS = frozenset(_IDENTITY)
"""The first topics of the events of identities, by which they are asked for wherever they are."""

CONTRACT_TOPICS = frozenset(topic for _, topic in _READERS)
"""The first topics of the events of the other contracts."""
