"""What is read from a network contract, with a made-up node."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import to_checksum
from relay.chain import abi
from relay.chain.errors import NodeMisbehaved, NodeUnreachable, NotANetwork
from relay.chain.network import find_first_block, read_network
from relay.chain.node import Node
from tests.support.fake_node import FakeTransport

NETWORK = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
ANSWERS = {
    "name": ("string", "Cash"),
    "symbol": ("string", "CASH"),
    "decimals": ("uint8", 4),
    "capacityImbalanceFeeDivisor": ("uint16", 1000),
    "defaultInterestRate": ("int16", -20),
    "customInterests": ("bool", True),
    "preventMediatorInterests": ("bool", False),
    "isNetworkFrozen": ("bool", True),
    "isInitialized": ("bool", True),
}


class FakeChain:
    """A chain with one contract: deployed in block ``deployed``, its old state kept from block ``kept`` on."""

    def __init__(self, head: int, deployed: int, kept: int = 0, broken: str | None = None) -> None:
        self.head, self.deployed, self.kept, self.broken = head, deployed, kept, broken
        self.beacon = bytes(32)
        self.answers = dict(ANSWERS)
        self.requests = 0

    def answer(self, method: str, params: Any) -> Any:
        self.requests += 1
        if method == "eth_getBlockByNumber":
            zero = "0x" + "00" * 32
            return {"result": {"number": hex(self.head), "hash": zero, "parentHash": zero, "timestamp": "0x0"}}
        if method == "eth_getStorageAt":
            return {"result": "0x" + self.beacon.hex()}
        number = self.head if params[1] == "latest" else int(params[1], 16)
        if number < self.kept:
            return {"error": {"code": -32000, "message": "missing trie node"}}
        if method == "eth_getCode":
            return {"result": "0x60" if number >= self.deployed else "0x"}
        return self.call(params[0]["data"])

    def call(self, data: str) -> Any:
        for name, (kind, value) in self.answers.items():
            if data == "0x" + abi.selector(abi.contract("CurrencyNetwork").entry("function", name)).hex():
                if name == self.broken:
                    return {"error": {"code": 3, "message": "execution reverted"}}
                return {"result": "0x" + abi.abi_encode([kind], [value]).hex()}
        return {"result": "0x"}


def node_of(chain: Any) -> Node:
    return Node("http://node.example", connect=lambda *_: FakeTransport(chain.answer))


def test_a_network_tells_of_itself() -> None:
    info = read_network(node_of(FakeChain(head=1000, deployed=321)), NETWORK)
    assert (info.address, info.name, info.symbol, info.decimals) == (NETWORK, "Cash", "CASH", 4)
    assert (info.fee_divisor, info.default_interest_rate) == (1000, -20)
    assert (info.custom_interests, info.prevent_mediator_interests, info.is_frozen) == (True, False, True)
    assert info.first_block == 321
    assert not info.is_proxied


def test_a_network_behind_a_beacon_proxy_is_known_to_be() -> None:
    chain = FakeChain(head=1000, deployed=321)
    chain.beacon = b"\x07".rjust(32, b"\0")
    assert read_network(node_of(chain), NETWORK).is_proxied


def test_a_given_first_block_is_not_searched() -> None:
    chain = FakeChain(head=10**7, deployed=5)
    assert read_network(node_of(chain), NETWORK, first_block=3).first_block == 3
    assert chain.requests == 2 + len(ANSWERS)


def test_a_network_that_is_not_initialised_cannot_be_described_yet() -> None:
    chain = FakeChain(head=10, deployed=1)
    chain.answers["isInitialized"] = ("bool", False)
    with pytest.raises(NotANetwork, match=f"{to_checksum(NETWORK)} is not initialised yet"):
        read_network(node_of(chain), NETWORK)


def test_a_name_that_no_database_takes_is_made_one() -> None:
    chain = FakeChain(head=10, deployed=1)
    chain.answers["name"] = ("string", "Ca\0sh")
    assert read_network(node_of(chain), NETWORK).name == "Ca\N{REPLACEMENT CHARACTER}sh"


def test_an_address_without_a_contract_is_named() -> None:
    with pytest.raises(NotANetwork, match=f"no contract at {to_checksum(NETWORK)}"):
        read_network(node_of(FakeChain(head=10, deployed=11)), NETWORK)


def test_a_contract_that_refuses_a_call_is_no_network() -> None:
    chain = FakeChain(head=10, deployed=1, broken="decimals")
    with pytest.raises(
        NotANetwork, match=f"{to_checksum(NETWORK)} is no currency network: decimals: execution rev"
    ):
        read_network(node_of(chain), NETWORK)


def test_a_contract_that_returns_nothing_is_no_network() -> None:
    class Silent(FakeChain):
        def call(self, _: str) -> Any:
            return {"result": "0x"}

    with pytest.raises(NotANetwork, match=r"name\(\) returned data of a wrong shape"):
        read_network(node_of(Silent(head=10, deployed=1)), NETWORK)


def test_a_failing_node_is_not_mistaken_for_a_wrong_address() -> None:
    class Down(FakeChain):
        def call(self, _: str) -> Any:
            raise ConnectionRefusedError(111, "Connection refused")

    class Odd(FakeChain):
        def call(self, _: str) -> Any:
            return {"result": 5}

    with pytest.raises(NodeUnreachable, match="Connection refused"):
        read_network(node_of(Down(head=10, deployed=1)), NETWORK)
    with pytest.raises(NodeMisbehaved):
        read_network(node_of(Odd(head=10, deployed=1)), NETWORK)


@given(st.integers(0, 10**7), st.data())
def test_the_first_block_is_found_in_few_requests(head: int, data: st.DataObject) -> None:
    deployed = data.draw(st.integers(0, head))
    chain = FakeChain(head, deployed)
    assert find_first_block(node_of(chain), NETWORK) == deployed
    assert chain.requests <= 26


@given(st.integers(0, 10**7), st.data())
def test_a_node_without_old_state_gives_a_block_before_the_contract_and_says_so(
    head: int, data: st.DataObject
) -> None:
    deployed = data.draw(st.integers(0, head))
    kept = data.draw(st.integers(0, head))
    found = find_first_block(node_of(FakeChain(head, deployed, kept)), NETWORK)
    assert found == deployed or (kept > 0 and found <= deployed)


def test_a_node_without_old_state_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert find_first_block(node_of(FakeChain(head=100, deployed=10, kept=100)), NETWORK) == 0
    (record,) = caplog.records
    assert to_checksum(NETWORK) in record.getMessage()
    assert "missing trie node" in record.getMessage()
