"""Logs become events: our decoder against web3's, over made-up events of every kind."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from eth_abi.abi import encode
from hexbytes import HexBytes
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3
from web3.contract.contract import ContractEvent

from relay.addresses import to_checksum
from relay.chain import abi
from relay.chain.errors import NodeMisbehaved
from relay.chain.events import GENERATIONS, TOPICS, decode
from relay.chain.wire import Log
from relay.model import Event, EventType, Terms

NETWORK = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
KINDS = {kind.value for kind in EventType}
EVENTS = [
    (generation, entry)
    for generation in GENERATIONS
    for entry in abi.contract(generation).abi
    if entry["type"] == "event" and entry["name"] in KINDS
]
LABELS = [f"{generation}.{abi.signature(entry)}" for generation, entry in EVENTS]

UINT64 = st.integers(0, 2**64 - 1)
INT72 = st.integers(-(2**71), 2**71 - 1)
RATE = st.integers(-2000, 2000)
USER = st.binary(min_size=20, max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "_creditlineGiven": UINT64,
    "_creditlineReceived": UINT64,
    "_interestRateGiven": RATE,
    "_interestRateReceived": RATE,
    "_isFrozen": st.booleans(),
    "_transfer": INT72,
    "_newDebt": st.integers(-(2**255), 2**255 - 1),
    "_extraData": st.binary(max_size=200),
}


def value_strategy(entry: dict[str, Any], parameter: dict[str, Any]) -> st.SearchStrategy[Any]:
    if parameter["type"] == "address":
        return USER
    if parameter["name"] == "_value":
        return INT72 if entry["name"] == "BalanceUpdate" else UINT64
    return VALUES[parameter["name"]]


def make_log(entry: dict[str, Any], arguments: dict[str, Any]) -> Log:
    """Encode an event as the chain does, with the generic encoder."""
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    topics = [encode([parameter["type"]], [arguments[parameter["name"]]]) for parameter in indexed]
    return Log(
        address=NETWORK,
        topics=(abi.topic(entry), *topics),
        data=encode(abi.types(plain), [arguments[parameter["name"]] for parameter in plain]),
        block_number=12,
        block_hash=b"\x0b" * 32,
        block_timestamp=None,
        transaction_hash=b"\x07" * 32,
        transaction_index=3,
        log_index=4,
    )


@cache
def web3_event(generation: str, name: str) -> ContractEvent:
    contract = Web3().eth.contract(address=to_checksum(NETWORK), abi=list(abi.contract(generation).abi))
    return contract.events[name]()


def web3_arguments(generation: str, name: str, log: Log) -> dict[str, Any]:
    """Decode a log by web3's generic decoder."""
    decoded = web3_event(generation, name).process_log(
        {
            "address": to_checksum(log.address),
            "topics": [HexBytes(topic) for topic in log.topics],
            "data": HexBytes(log.data),
            "blockNumber": log.block_number,
            "blockHash": HexBytes(log.block_hash),
            "transactionHash": HexBytes(log.transaction_hash),
            "transactionIndex": log.transaction_index,
            "logIndex": log.log_index,
        }
    )
    return dict(decoded["args"])


def as_event(name: str, arguments: dict[str, Any]) -> Event:
    """Build the expected event from web3's arguments, by their Solidity names."""
    users = [bytes.fromhex(value[2:]) for value in arguments.values() if isinstance(value, str)]
    terms = None
    if "_creditlineGiven" in arguments:
        terms = Terms(
            given=arguments["_creditlineGiven"],
            received=arguments["_creditlineReceived"],
            rate_given=arguments["_interestRateGiven"],
            rate_received=arguments["_interestRateReceived"],
            is_frozen=arguments["_isFrozen"],
        )
    return Event(
        network=NETWORK,
        type=EventType(name),
        block_number=12,
        block_hash=b"\x0b" * 32,
        timestamp=1_600_000_000,
        transaction_hash=b"\x07" * 32,
        transaction_index=3,
        log_index=4,
        sender=users[0] if users else None,
        receiver=users[1] if users else None,
        value=next((arguments[name] for name in ("_value", "_newDebt", "_transfer") if name in arguments), None),
        terms=terms,
        extra_data=arguments.get("_extraData"),
    )


@pytest.mark.parametrize(("generation", "entry"), EVENTS, ids=LABELS)
@given(data=st.data())
def test_our_decoder_agrees_with_web3s(generation: str, entry: dict[str, Any], data: st.DataObject) -> None:
    arguments = {
        parameter["name"]: data.draw(value_strategy(entry, parameter), label=parameter["name"])
        for parameter in entry["inputs"]
    }
    log = make_log(entry, arguments)
    theirs = web3_arguments(generation, entry["name"], log)
    assert decode(log, 1_600_000_000) == as_event(entry["name"], theirs)


def test_every_kind_of_event_is_decoded() -> None:
    assert {entry["name"] for _, entry in EVENTS} == KINDS
    assert {abi.topic(entry) for _, entry in EVENTS} == TOPICS
    # the older generation announces a transfer in its request and so has a topic of its own
    assert len(TOPICS) == len(KINDS) + 1


def entry_of(name: str) -> dict[str, Any]:
    return next(entry for _, entry in EVENTS if entry["name"] == name)


def sample(name: str) -> Log:
    samples = {
        "address": b"\x11" * 20,
        "uint256": 7,
        "int256": -7,
        "bool": True,
        "bytes": b"hello",
    }
    entry = entry_of(name)
    return make_log(entry, {parameter["name"]: samples[parameter["type"]] for parameter in entry["inputs"]})


def word(number: int) -> bytes:
    return (number % 2**256).to_bytes(32, "big")


def with_word(log: Log, place: int, number: int) -> Log:
    return replace(log, data=log.data[: 32 * place] + word(number) + log.data[32 * place + 32 :])


def test_a_log_of_an_unknown_topic_is_no_event() -> None:
    log = sample("Transfer")
    assert decode(replace(log, topics=(b"\x01" * 32, *log.topics[1:])), 0) is None
    assert decode(replace(log, topics=()), 0) is None


TRANSFER, UPDATE, BALANCE, DEBT = (
    sample(name) for name in ("Transfer", "TrustlineUpdate", "BalanceUpdate", "DebtUpdate")
)


@pytest.mark.parametrize(
    "log",
    [
        replace(TRANSFER, topics=TRANSFER.topics[:2]),
        replace(TRANSFER, topics=(*TRANSFER.topics, bytes(32))),
        replace(TRANSFER, data=b""),
        replace(TRANSFER, data=TRANSFER.data[:95]),
        replace(TRANSFER, data=TRANSFER.data[:100]),
        with_word(TRANSFER, 0, 2**64),
        with_word(TRANSFER, 1, 32),
        with_word(TRANSFER, 2, 33),
        with_word(TRANSFER, 2, 2**255),
        replace(UPDATE, data=UPDATE.data[:-1]),
        replace(UPDATE, data=UPDATE.data + bytes(32)),
        with_word(UPDATE, 0, 2**64),
        with_word(UPDATE, 2, 2**15),
        with_word(UPDATE, 4, 2),
        with_word(BALANCE, 0, 2**71),
        with_word(BALANCE, 0, -(2**71) - 1),
        replace(BALANCE, topics=(BALANCE.topics[0], b"\xff" * 32, BALANCE.topics[2])),
        with_word(DEBT, 1, 2**160),
        replace(sample("NetworkFreeze"), data=bytes(32)),
        replace(sample("Onboard"), data=bytes(32)),
    ],
)
def test_a_log_that_does_not_fit_its_layout_misbehaves(log: Log) -> None:
    with pytest.raises(NodeMisbehaved, match=r"log 4 of block 12 by contract 0x5fbdb.* is malformed"):
        decode(log, 0)


@given(
    name=st.sampled_from(sorted(KINDS)),
    topics=st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    data=st.binary(max_size=300),
)
def test_any_log_gives_an_event_or_a_clear_refusal(name: str, topics: list[bytes], data: bytes) -> None:
    log = replace(TRANSFER, topics=(abi.topic(entry_of(name)), *topics), data=data)
    try:
        event = decode(log, 5)
    except NodeMisbehaved:
        return
    assert event is not None
    assert event.type == name
    assert event.timestamp == 5


def test_extra_data_without_padding_is_read() -> None:
    event = decode(replace(TRANSFER, data=TRANSFER.data[: 96 + 5]), 0)
    assert event is not None
    assert event.extra_data == b"hello"
