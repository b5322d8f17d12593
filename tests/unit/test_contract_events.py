"""Logs of tokens, exchanges and identities: decoded by topic, asked for where they may be, told as listed."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import Address
from relay.chain import abi
from relay.chain.bloom import mask_of
from relay.chain.contract_events import CONTRACT_TOPICS, IDENTITY_TOPICS, decode_contract_log
from relay.chain.wire import Log
from relay.contracts import (
    ContractKind,
    ExchangeEvent,
    ExchangeEventType,
    IdentityEvent,
    Origin,
    TokenEvent,
    TokenEventType,
)
from relay.index.source import fetch_stretch
from relay.model import Block
from relay.store.contract_reading import UserEvent
from relay.store.happenings import Happenings
from relay.streams.composing import compose
from tests.support.fake_services import ADA, BO, CY, NOW, STRANGER, FakeEvents, client, graphs, text
from tests.unit.test_index_source import NETWORK, FakeNode, chain, hash_of

TOKEN, ETHER, EXCHANGE = (bytes([digit]) * 20 for digit in (0x31, 0x32, 0x33))
KINDS: dict[Address | None, ContractKind] = {
    TOKEN: ContractKind.TOKEN,
    ETHER: ContractKind.UNW_ETH,
    EXCHANGE: ContractKind.EXCHANGE,
    None: ContractKind.IDENTITY,
}
EVENTS = [
    (contract, name, address)
    for contract, address, names in (
        ("Token", TOKEN, ("Transfer", "Approval")),
        ("UnwEth", ETHER, ("Transfer", "Approval", "Deposit", "Withdrawal")),
        ("Exchange", EXCHANGE, ("LogFill", "LogCancel")),
        ("Identity", STRANGER, ("TransactionExecution", "FeePayment")),
    )
    for name in names
]
VALUES = {
    "address": st.binary(min_size=20, max_size=20),
    "uint256": st.integers(0, 2**256 - 1),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bool": st.booleans(),
}


def log_of(contract: str, name: str, address: Address, given: dict[str, Any]) -> Log:
    """Encode an event as the chain does, with the generic encoder."""
    entry = abi.contract(contract).entry("event", name)
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    topics = [encode([each["type"]], [given[each["name"]]]) for each in indexed]
    data = encode([each["type"] for each in plain], [given[each["name"]] for each in plain])
    return Log(address, (abi.topic(entry), *topics), data, 7, hash_of(7), NOW, bytes([2]) * 32, 1, 3)


@given(st.data(), st.sampled_from(EVENTS))
def test_an_event_says_what_its_arguments_say(data: st.DataObject, event: tuple[str, str, Address]) -> None:
    contract, name, address = event
    inputs = abi.contract(contract).entry("event", name)["inputs"]
    given = {each["name"]: data.draw(VALUES[each["type"]]) for each in inputs}
    found = decode_contract_log(log_of(contract, name, address, given), NOW, KINDS)
    assert found is not None
    assert found.type == name
    assert found.origin == Origin(address, 7, hash_of(7), NOW, bytes([2]) * 32, 1, 3)
    match found:
        case TokenEvent():
            values = list(given.values())
            told = [found.sender, found.value] if len(values) == 2 else [found.sender, found.receiver, found.value]
            assert told == values
        case ExchangeEvent():
            assert (found.order_hash, found.maker, found.taker) == (
                given["orderHash"],
                given["maker"],
                given.get("taker"),
            )
            done = "filled" if found.type is ExchangeEventType.LOG_FILL else "cancelled"
            amounts = (given[f"{done}MakerTokenAmount"], given[f"{done}TakerTokenAmount"])
            assert (found.maker_amount, found.taker_amount) == amounts
            assert (found.maker_token, found.taker_token) == (given["makerToken"], given["takerToken"])
            assert (found.maker_fee, found.taker_fee) == (given.get("paidMakerFee"), given.get("paidTakerFee"))
            assert found.fee_recipient == given["feeRecipient"]
        case IdentityEvent():
            assert (found.meta_hash, found.succeeded) == (given.get("hash"), given.get("status"))
            told = (found.value, found.recipient, found.currency_network)
            assert told == (given.get("value"), given.get("recipient"), given.get("currencyNetwork"))


@given(
    st.sampled_from(sorted(IDENTITY_TOPICS | CONTRACT_TOPICS)),
    st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    st.binary(max_size=300),
    st.sampled_from([TOKEN, ETHER, EXCHANGE, STRANGER]),
)
def test_whatever_a_contract_logs_stops_nothing(
    topic: bytes, topics: list[bytes], data: bytes, address: Address
) -> None:
    log = Log(address, (topic, *topics), data, 7, hash_of(7), NOW, bytes(32), 0, 0)
    found = decode_contract_log(log, NOW, KINDS)
    assert found is None or found.origin.contract == address


def test_a_contract_has_the_events_of_its_kind_only() -> None:
    transfer = log_of("Token", "Transfer", EXCHANGE, {"_from": ADA, "_to": BO, "_value": 1})
    deposit = log_of("UnwEth", "Deposit", TOKEN, {"dst": ADA, "wad": 1})
    assert decode_contract_log(transfer, NOW, KINDS) is None
    assert decode_contract_log(deposit, NOW, KINDS) is None
    execution = log_of("Identity", "TransactionExecution", STRANGER, {"hash": bytes(32), "status": True})
    assert decode_contract_log(execution, NOW, {TOKEN: ContractKind.TOKEN}) is None


EXECUTION = abi.topic(abi.contract("Identity").entry("event", "TransactionExecution"))


class IdentityNode(FakeNode):
    """A node with executions in some blocks; it says how often it was asked for their topics."""

    def __init__(
        self, blocks: Sequence[Block], executions_in: Sequence[int], left_out: Sequence[int] = ()
    ) -> None:
        super().__init__(blocks)
        self.executions_in = executions_in
        self.left_out = left_out
        self.asked_by_topic = 0

    def logs(
        self, addresses: Sequence[Address], first: int, last: int, topics: Collection[bytes] = ()
    ) -> list[Log]:
        self.asked_by_topic += bool(topics)
        if not topics:
            return []
        return [
            Log(STRANGER, (EXECUTION, bytes(32)), bytes(32), number, hash_of(number), NOW, bytes(32), 0, 0)
            for number in self.executions_in
            if first <= number <= last and (first == last or number not in self.left_out)
        ]

    def logs_of_block(
        self, addresses: Sequence[Address], block: Block, topics: Collection[bytes] = ()
    ) -> list[Log]:
        return self.logs(addresses, block.number, block.number, topics)


def blocks_with(executions: Sequence[int]) -> list[Block]:
    bloom = (mask_of(STRANGER) | mask_of(EXECUTION)).to_bytes(256, "big")
    return [replace(block, logs_bloom=bloom if block.number in executions else bytes(256)) for block in chain(20)]


@pytest.mark.parametrize(("number", "asked"), [(12, 1), (13, 0)])
def test_a_single_block_is_asked_for_executions_only_if_its_filter_may_hold_them(number: int, asked: int) -> None:
    node = IdentityNode(blocks_with([12]), [12])
    parent = hash_of(number - 1)
    stretch = fetch_stretch(node, [NETWORK], number, number, 5, parent, contracts={None: ContractKind.IDENTITY})
    assert node.asked_by_topic == asked
    assert [event.origin.block_number for event in stretch.contract_events] == [12] * asked


def test_a_single_block_without_a_filter_is_asked_for_executions() -> None:
    node = IdentityNode(chain(20), [13])
    stretch = fetch_stretch(node, [], 13, 13, 5, hash_of(12), contracts={None: ContractKind.IDENTITY})
    assert [event.origin.block_number for event in stretch.contract_events] == [13]


def test_executions_that_a_node_leaves_out_of_a_range_are_asked_for_by_their_blocks() -> None:
    node = IdentityNode(blocks_with([12, 17]), [12, 17], left_out=[17])
    stretch = fetch_stretch(node, [NETWORK], 10, 19, 5, hash_of(9), contracts={None: ContractKind.IDENTITY})
    assert [event.origin.block_number for event in stretch.contract_events] == [12, 17]
    assert stretch.eventful == {12, 17}


def test_who_follows_no_identities_never_asks_for_their_topics() -> None:
    node = IdentityNode(blocks_with([12]), [12])
    stretch = fetch_stretch(node, [NETWORK], 10, 19, 5, hash_of(9), contracts={TOKEN: ContractKind.TOKEN})
    assert (node.asked_by_topic, stretch.contract_events) == (0, [])


ORIGIN = Origin(TOKEN, 97, bytes([1]) * 32, NOW - 60, bytes([2]) * 32, 0, 3)
TRANSFER = TokenEvent(ORIGIN, TokenEventType.TRANSFER, ADA, BO, 2**256 - 1)
DEPOSIT = TokenEvent(replace(ORIGIN, contract=ETHER, block_number=90), TokenEventType.DEPOSIT, ADA, ADA, 5)
FILL = ExchangeEvent(
    replace(ORIGIN, contract=EXCHANGE),
    ExchangeEventType.LOG_FILL,
    bytes([9]) * 32,
    ADA,
    BO,
    CY,
    TOKEN,
    ETHER,
    7,
    8,
    0,
    0,
)
CANCEL = replace(FILL, type=ExchangeEventType.LOG_CANCEL, taker=None, maker_fee=None, taker_fee=None)


SERVED = object()
"""Other contracts are served; nothing is asked of them here but events, which come from the same place as all."""


@pytest.mark.parametrize("event", [TRANSFER, DEPOSIT, FILL, CANCEL], ids=lambda event: event.type)
@pytest.mark.parametrize("user", [ADA, BO])
def test_an_event_is_told_as_it_is_listed(event: UserEvent, user: Address) -> None:
    events = FakeEvents([event])
    listed = client(events=events, contracts=SERVED).get(f"/api/v1/users/{text(user)}/events").get_json()
    happened = Happenings(1, 100, [], [], contract_events=[event])
    told = [payload for _, payload in compose(happened, graphs(), lambda one: one == user)]
    takes_part = user == ADA or event in (TRANSFER, FILL)
    assert told == (listed if takes_part else [])


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["Exchange", "UnwETH", "Token"]),
        ("contractType=Token", ["Token"]),
        ("contractType=UnwETH&type=Deposit", ["UnwETH"]),
        ("type=Transfer", ["UnwETH", "Token"]),
        ("type=LogFill", ["Exchange"]),
        ("type=TrustlineUpdate", None),
        ("contractType=CurrencyNetwork", None),
    ],
)
def test_only_contracts_that_emit_what_is_wanted_are_looked_at(query: str, kinds: list[str] | None) -> None:
    events = FakeEvents()
    api = client(events=events, contracts=SERVED)
    assert api.get(f"/api/v1/users/{text(ADA)}/events?{query}").status_code == 200
    assert [list(wanted.kinds) for wanted in events.asked_of_contracts] == ([] if kinds is None else [kinds])


def test_without_contracts_there_are_no_routes_for_them_and_users_have_their_other_events() -> None:
    api = client()
    for path in (f"tokens/{text(TOKEN)}/events", "tokens", f"exchange/{text(EXCHANGE)}/events", "delegation-fees"):
        assert api.get(f"/api/v1/{path}").status_code == 404
    assert api.get(f"/api/v1/users/{text(ADA)}/events").get_json() == []
