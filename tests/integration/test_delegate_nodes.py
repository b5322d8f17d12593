"""Older nodes: without eth_simulateV1, and without EIP-1559."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from relay.addresses import parse_address
from relay.chain import abi
from relay.chain.errors import NodeRefused
from relay.chain.identity import MetaTransaction
from relay.chain.node import Node
from relay.chain.sending import Sending
from relay.chain.signing import Call, SigningKey
from relay.delegate.errors import Refused
from relay.delegate.pricing import by_node
from relay.delegate.simulation import Simulation
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import contract_at
from relay.model import EventType
from tests.support.commands import until
from tests.support.delegating import Wallet, World
from tests.support.identity_world import deploy_identity_world, make_wallets

LIMIT = 1_000_000


class OlderNode:
    """A node that knows no eth_simulateV1."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def ask(self, method: str, params: list[Any], read: Any) -> Any:
        if method == "eth_simulateV1":
            raise NodeRefused("the method eth_simulateV1 does not exist/is not available", -32601)
        return self._node.ask(method, params, read)

    def ask_all(self, requests: Any, reads: Any) -> Any:
        return self._node.ask_all(requests, reads)


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


@pytest.fixture(scope="module")
def wallet(world: World) -> Wallet:
    return make_wallets(world, 1)[0]


@pytest.fixture(scope="module")
def simulation(world: World) -> Iterator[Simulation]:
    return Simulation(Sending(OlderNode(Node(world.anvil.url))))


def execute(simulation: Simulation, meta: MetaTransaction) -> int:
    return simulation.execute(meta, meta.hash, bytes([5]) * 20, LIMIT).gas_limit


def test_without_simulation_what_would_succeed_is_let_pass_with_the_whole_limit(
    simulation: Simulation, world: World, wallet: Wallet
) -> None:
    data = world.network.encode_abi("updateTrustline", [world.factory, 5, 6, 0, 0, False])
    assert execute(simulation, wallet.meta(world.network.address, data)) == LIMIT


def test_without_simulation_faults_are_found_by_calls(
    simulation: Simulation, world: World, wallet: Wallet
) -> None:
    transfer = world.network.encode_abi("transfer", [10, 1, [wallet.address, world.factory], b""])
    with pytest.raises(Refused, match="call of the meta-transaction would fail"):
        execute(simulation, wallet.meta(world.network.address, transfer))
    data = world.network.encode_abi("updateTrustline", [world.factory, 5, 6, 0, 0, False])
    with pytest.raises(Refused, match="execution of the meta-transaction would revert"):
        execute(simulation, wallet.meta(world.network.address, data, nonce=77))


def test_without_simulation_nothing_is_expected_of_a_users_transaction(simulation: Simulation) -> None:
    assert simulation.expect(bytes([5]) * 20, Call(bytes([6]) * 20, b"", 0, LIMIT)) == ()


def test_without_simulation_events_are_read_off_the_call(
    simulation: Simulation, world: World, wallet: Wallet
) -> None:
    able, network = Simulation(Sending(Node(world.anvil.url))), world.network
    ada, bo = world.w3.eth.accounts[3:5]
    network.functions.updateTrustline(ada, 50, 500, 1, 2, False).transact({"from": bo})
    network.functions.updateTrustline(bo, 500, 50, 2, 1, False).transact({"from": ada})
    network.functions.updateTrustline(world.factory, 5, 6, 0, 0, False).transact({"from": ada})
    calls = [
        ("transfer", [10, 1, [ada, bo], b"memo"]),
        ("updateTrustline", [world.factory, 7, 8, 9, 10, False]),
        ("cancelTrustlineUpdate", [world.factory]),
    ]
    for name, arguments in calls:
        data = bytes.fromhex(network.encode_abi(name, arguments)[2:])
        call = Call(parse_address(network.address), data, 0, LIMIT)
        shown = [one for one in able.expect(parse_address(ada), call) if one.type != EventType.BALANCE_UPDATE]
        (event,) = simulation.expect(parse_address(ada), call)
        assert [replace(one, log_index=0) for one in shown] == [event]
    data = bytes.fromhex(network.encode_abi("transfer", [10**9, 1, [ada, bo], b""])[2:])
    assert simulation.expect(parse_address(ada), Call(parse_address(network.address), data, 0, LIMIT)) == ()
    data = bytes.fromhex(network.encode_abi("updateTrustline", [bo, 7, 8, 0, 0, False])[2:])
    meta = wallet.meta(network.address, data)
    (event,) = simulation.execute(meta, meta.hash, bytes([5]) * 20, LIMIT).events
    assert (event.sender, event.type) == (wallet.identity, EventType.TRUSTLINE_UPDATE_REQUEST)


def test_what_the_owner_signs_is_what_the_contract_hashes(world: World, wallet: Wallet) -> None:
    identity = contract_at(world.w3, "Identity", Web3.to_checksum_address(wallet.address))
    meta = wallet.meta(
        world.network.address,
        b"\x01\x02\x03",
        value=2**200,
        base_fee=2**256 - 1,
        gas_price=4,
        gas_limit=5,
        fee_recipient=parse_address(world.factory),
        currency_network_of_fees=parse_address(world.implementation),
        time_limit=2**32,
        operation_type=1,
    )
    entry = abi.contract("Identity").entry("function", "transactionHash")
    names = [parameter["name"] for parameter in entry["inputs"]]
    assert len(names) == 11
    hashed = identity.functions.transactionHash(
        world.network.address,
        meta.value,
        meta.data,
        meta.base_fee,
        meta.gas_price,
        meta.gas_limit,
        world.factory,
        world.implementation,
        meta.nonce,
        meta.time_limit,
        meta.operation_type,
    ).call()
    assert hashed == meta.hash


def test_a_chain_without_base_fees_gets_legacy_transactions(anvil_binary: str) -> None:
    with BerlinAnvil(anvil_binary) as anvil:
        node, account = Sending(Node(anvil.url)), Account.create()
        anvil.rpc("anvil_setBalance", account.address, hex(10**18))
        market = node.market()
        assert (market.base_fee, market.tip) == (None, None)
        key = SigningKey(bytes(account.key), CHAIN_ID)
        raw, transaction = key.sign(Call(bytes([6]) * 20, b"", 5, 21_000), 0, by_node().suggest(market))
        node.send(raw)
        assert node.balance(bytes([6]) * 20) == 5
        receipt = until("its receipt", lambda: node.receipts([transaction])[0])
        assert receipt.succeeded


class BerlinAnvil(Anvil):
    """A chain from before EIP-1559."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--hardfork", "berlin"]
