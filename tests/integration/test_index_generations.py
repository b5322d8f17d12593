"""The index against every generation of network contracts in the field, not only the newest."""

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import (
    NEVER,
    NetworkTerms,
    contract_at,
    deploy_contract,
    deploy_network,
    transact,
)
from tests.integration.test_index_on_chain import SEED, address_of, assert_equals_contract
from tests.support.chain_actions import Life
from tests.support.indexing import synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.mark.parametrize(
    "kind", ["CurrencyNetworkV2", "CurrencyNetworkOwnable", "CurrencyNetworkOwnableV2", "proxied"]
)
def test_a_network_of_any_generation_is_followed(
    chain: Anvil, web3: Web3, node: Node, database_url: str, kind: str
) -> None:
    network = proxied_network(web3) if kind == "proxied" else deploy_network(web3, TERMS, kind)
    life = Life(chain, web3, network, SEED)
    one, other, third = life.people[:3]
    if "Ownable" in kind:
        # What its owner brings along from an older network; the contract takes the block's time all the same.
        past = node.head().timestamp - 30 * 86_400
        transact(web3, network.functions.setAccount(one, third, 1000, 2000, 500, 700, False, past, -1500))
        transact(web3, network.functions.unfreezeNetwork())
    if kind in ("CurrencyNetworkV2", "CurrencyNetworkOwnableV2", "proxied"):
        # The second generation can move an amount together with new terms.
        assert life.send("updateTrustline", other, 100, 200, 0, 0, False, 50, sender=one)
        assert life.send("updateTrustline", one, 200, 100, 0, 0, False, -50, sender=other)
        assert abs(network.functions.balance(one, other).call()) == 50
    life.act(40)
    synchronise(node, database_url, [address_of(network)])
    assert_equals_contract(database_url, node, network, life.people)


def proxied_network(web3: Web3) -> Contract:
    """A network behind an AdministrativeProxy, whose admin is none of those who use it."""
    admin = web3.eth.accounts[9]
    logic = deploy_contract(web3, "CurrencyNetworkV2", sender=admin)
    beacon = deploy_contract(web3, "ProxyBeacon", logic.address, sender=admin)
    proxy = deploy_contract(web3, "AdministrativeProxy", beacon.address, b"", sender=admin)
    network = contract_at(web3, "CurrencyNetworkV2", proxy.address)
    transact(web3, network.functions.init("Proxied", "PRX", 2, TERMS.fee_divisor, 0, True, False, NEVER, []))
    return network
