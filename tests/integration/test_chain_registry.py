"""The registry of currency networks, on a real chain."""

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address
from relay.chain import abi
from relay.chain.errors import NodeRefused, NotARegistry
from relay.chain.node import Node
from relay.chain.registry import networks_added, registered_networks
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network, transact


def raw(address: str) -> Address:
    return bytes.fromhex(address[2:])


@pytest.fixture(scope="module")
def registry(w3: Web3) -> Contract:
    shipped = abi.contract("CurrencyNetworkRegistry")
    factory = w3.eth.contract(abi=list(shipped.abi), bytecode=shipped.bytecode)  # type: ignore[call-overload]
    transaction = factory.constructor().transact({"from": w3.eth.accounts[0]})
    receipt = w3.eth.wait_for_transaction_receipt(transaction)
    contract: Contract = w3.eth.contract(address=receipt["contractAddress"], abi=list(shipped.abi))
    return contract


def test_networks_are_found_as_they_are_registered(anvil: Anvil, w3: Web3, registry: Contract) -> None:
    node, address = Node(anvil.url), raw(registry.address)
    assert registered_networks(node, address) == []
    networks = [deploy_network(w3, CASH, "CurrencyNetwork") for _ in range(3)]
    blocks = []
    for network in (*networks, networks[0]):
        transact(w3, registry.functions.addCurrencyNetwork(network.address), w3.eth.accounts[len(blocks) % 2])
        blocks.append(node.head())
    addresses = [raw(network.address) for network in networks]
    assert registered_networks(node, address) == addresses
    assert registered_networks(node, address, blocks[1].number) == addresses[:2]
    assert registered_networks(node, address, blocks[0].hash) == addresses[:1]
    assert networks_added(node, address, 0, blocks[-1].number) == addresses
    assert networks_added(node, address, blocks[1].number, blocks[1].number) == addresses[1:2]


def test_a_block_that_the_node_does_not_have_is_refused(anvil: Anvil, registry: Contract) -> None:
    with pytest.raises(NodeRefused):
        registered_networks(Node(anvil.url), raw(registry.address), b"\xab" * 32)


def test_what_is_no_registry_is_named(anvil: Anvil, w3: Web3) -> None:
    node = Node(anvil.url)
    with pytest.raises(NotARegistry, match="there is no contract at 0xEeee"):
        registered_networks(node, b"\xee" * 20)
    network = deploy_network(w3, CASH, "CurrencyNetwork")
    with pytest.raises(NotARegistry, match="is no registry of networks"):
        registered_networks(node, raw(network.address))
