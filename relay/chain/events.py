"""Logs of currency networks as events.

The layouts come from the ABIs of every network generation in trustlines-contracts-bin. They are compiled
once, into one decoder per topic that reads words at known places: a generic ABI decoder is too slow for a
first synchronisation over millions of events.
"""

from collections.abc import Callable
from dataclasses import dataclass

from relay.addresses import Address
from relay.chain import abi
from relay.chain.errors import NodeMisbehaved
from relay.chain.wire import Log
from relay.model import Event, EventType, Terms

GENERATIONS = ("CurrencyNetwork", "CurrencyNetworkOwnable", "CurrencyNetworkV2", "CurrencyNetworkOwnableV2")
"""The network contracts whose events are known. V2's TrustlineUpdateRequest has a topic of its own."""

_WORD = 32
_ADDRESS_PADDING = bytes(12)


# Bounds of the protocol, narrower than the ABI's 256-bit words: credit lines and values are uint64, rates
# int16, balances int72. A debt is an int256 in the contract as well.
_UINT64 = (0, 2**64 - 1)
_INT16 = (-(2**15), 2**15 - 1)
_INT72 = (-(2**71), 2**71 - 1)
_INT256 = (-(2**255), 2**255 - 1)
_BOOL = (0, 1)

_TERMS = (_UINT64, _UINT64, _INT16, _INT16, _BOOL)
_VALUES: dict[EventType, tuple[tuple[int, int], ...]] = {
    EventType.TRUSTLINE_UPDATE: _TERMS,
    EventType.TRUSTLINE_UPDATE_REQUEST: _TERMS,
    EventType.BALANCE_UPDATE: (_INT72,),
    EventType.TRANSFER: (_UINT64,),
    EventType.DEBT_UPDATE: (_INT256,),
}


class _Unfit(ValueError):
    """A log does not fit the layout of its topic."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the arguments of one event stand.

    ``topics`` counts the topics including the first. The data begins with ``addresses`` words of addresses
    (those not indexed), then one word for each of ``values``, read as a signed or unsigned number within its
    inclusive bounds, then ``ignored`` words, then with ``has_bytes`` one dynamic ``bytes``.
    """

    type: EventType
    topics: int
    addresses: int
    values: tuple[tuple[int, int], ...]
    ignored: int
    has_bytes: bool

    @property
    def size(self) -> int:
        """The length of the data's fixed part in bytes; an offset and a length announce the dynamic part."""
        return _WORD * (self.addresses + len(self.values) + self.ignored + 2 * self.has_bytes)


def decode(log: Log, timestamp: int) -> Event | None:
    """Return the event that a log of a currency network records, None if its kind is not kept.

    ``timestamp`` is that of the log's block, in Unix seconds.

    Raises:
        NodeMisbehaved: if the log does not fit the layout that its topic announces.

    """
    decoder = _DECODERS.get(log.topics[0]) if log.topics else None
    if decoder is None:
        return None
    try:
        return decoder(log, timestamp)
    except _Unfit as problem:
        raise NodeMisbehaved(
            f"log {log.log_index} of block {log.block_number} by contract 0x{log.address.hex()} "
            f"is malformed: {problem}"
        ) from None


def _decoder(layout: _Layout) -> Callable[[Log, int], Event]:
    kind = layout.type
    topics, addresses, values = layout.topics, layout.addresses, layout.values
    size, has_bytes = layout.size, layout.has_bytes
    has_terms = values[: len(_TERMS)] == _TERMS

    def decode_log(log: Log, timestamp: int) -> Event:
        data = log.data
        if len(log.topics) != topics:
            raise _Unfit(f"{kind} has {topics} topics, not {len(log.topics)}")
        if len(data) < size or (len(data) > size and not has_bytes):
            raise _Unfit(f"{kind} has {size} bytes of data, not {len(data)}")
        users = [_address(word) for word in log.topics[1:]]
        for start in range(0, _WORD * addresses, _WORD):
            users.append(_address(data[start : start + _WORD]))
        sender, receiver = users or (None, None)
        numbers = _numbers(data, _WORD * addresses, values)
        return Event(
            network=log.address,
            type=kind,
            block_number=log.block_number,
            block_hash=log.block_hash,
            timestamp=timestamp,
            transaction_hash=log.transaction_hash,
            transaction_index=log.transaction_index,
            log_index=log.log_index,
            sender=sender,
            receiver=receiver,
            value=next(iter(numbers[len(_TERMS) :] if has_terms else numbers), None),
            terms=_terms(*numbers[: len(_TERMS)]) if has_terms else None,
            extra_data=_dynamic(data, size) if has_bytes else None,
        )

    return decode_log


def _address(word: bytes) -> Address:
    if not word.startswith(_ADDRESS_PADDING):
        raise _Unfit("an address is longer than 20 bytes")
    return word[12:]


def _numbers(data: bytes, start: int, bounds: tuple[tuple[int, int], ...]) -> list[int]:
    numbers = []
    for low, high in bounds:
        number = int.from_bytes(data[start : start + _WORD], "big", signed=low < 0)
        if not low <= number <= high:
            raise _Unfit(f"a value lies outside {low}..{high}")
        numbers.append(number)
        start += _WORD
    return numbers


def _terms(given: int, received: int, rate_given: int, rate_received: int, is_frozen: int) -> Terms:
    return Terms(given, received, rate_given, rate_received, is_frozen == 1)


def _dynamic(data: bytes, size: int) -> bytes:
    """Return the ``bytes`` behind the fixed part, whose last two words are their offset and length."""
    offset = int.from_bytes(data[size - 2 * _WORD : size - _WORD], "big")
    length = int.from_bytes(data[size - _WORD : size], "big")
    # The contracts' compiler puts the only dynamic argument right behind the fixed part. Padding of the last
    # word is not demanded: older compilers did not write it.
    if offset != size - _WORD or length > len(data) - size:
        raise _Unfit("its extra data lies outside the log")
    return data[size : size + length]


def _layout(kind: EventType, entry: abi.AbiEntry) -> _Layout:
    """Derive the layout of an event from its ABI, and hold the ABI to what the layout can express."""
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = abi.types([parameter for parameter in entry["inputs"] if not parameter["indexed"]])
    values = _VALUES.get(kind, ())
    addresses = plain.count("address")
    has_bytes = "bytes" in plain
    rest = plain[addresses : len(plain) - has_bytes]
    if kind is EventType.TRUSTLINE_UPDATE_REQUEST and rest[len(_TERMS) :] == ["int72"]:
        values = (*_TERMS, _INT72)
    users = len(indexed) + addresses
    expressible = (
        set(abi.types(indexed)) <= {"address"}
        and plain[:addresses] == ["address"] * addresses
        and (plain[-1] == "bytes" if has_bytes else True)
        and all(name.startswith(("int", "uint", "bool")) for name in rest)
        and len(rest) >= len(values)
        and users in {0, 2}
    )
    if not expressible:
        raise TypeError(f"the event {abi.signature(entry)} has a layout that the decoder does not know")
    return _Layout(kind, 1 + len(indexed), addresses, values, len(rest) - len(values), has_bytes)


def _compile() -> dict[bytes, Callable[[Log, int], Event]]:
    known = {kind.value: kind for kind in EventType}
    return {
        abi.topic(entry): _decoder(_layout(known[entry["name"]], entry))
        for generation in GENERATIONS
        for entry in abi.contract(generation).abi
        if entry["type"] == "event" and entry["name"] in known
    }


_DECODERS = _compile()
TOPICS = frozenset(_DECODERS)
"""The first topics of all events that `decode` knows."""
