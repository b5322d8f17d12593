"""Those who want the relay to pay, to work or to forget for them, and how little they get."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from eth_account import Account
from web3 import Web3

from relay.addresses import parse_address, to_checksum
from relay.chain.identity import EXECUTION_TOPIC
from relay.chain.node import Node
from relay.chain.sending import RawLog
from relay.delegate.simulation import MOST_EXPECTED_GAS, network_events
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.postgres import create_database, drop_database
from tests.support.commands import until
from tests.support.delegating import Delegating, Wallet, World, delegating, relay_meta, sign_hash
from tests.support.faulty_node import FaultyNode
from tests.support.identity_world import deploy_identity_world, make_wallets
from tests.support.lying_identity import lying_identity

GWEI = 10**9
ENDLESS = "0x5b600056"
"""JUMPDEST PUSH1 0 JUMP."""


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


@pytest.fixture(scope="module")
def asked() -> list[tuple[str, Any]]:
    """What the node was asked: method and parameters."""
    return []


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "attacked")
    drop_database(postgres_url, "attacked")


@pytest.fixture(scope="module")
def relay(
    world: World, url: str, tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, Any]]
) -> Iterator[Delegating]:
    def between(node: Node) -> FaultyNode:
        faulty = FaultyNode(node)
        faulty.interfere = lambda method, params: asked.append((method, params))
        return faulty

    with delegating(world, url, tmp_path_factory.mktemp("attacked"), start=False, through=between) as served:
        yield served


@pytest.fixture
def wallet(world: World) -> Wallet:
    return make_wallets(world, 1)[0]


def left(relay: Delegating) -> int:
    """What the relay's account has, in wei."""
    return relay.balance(relay.account.address)


def sent(relay: Delegating) -> int:
    """How many transactions of the relay are in blocks."""
    return relay.world.w3.eth.get_transaction_count(relay.account.address)


def offer(world: World, given: int = 5) -> str:
    data: str = world.network.encode_abi("updateTrustline", [world.factory, given, 6, 0, 0, False])
    return data


@pytest.mark.parametrize(
    "changed",
    [
        {"value": 2**256 - 1},
        {"value": 2**255},
        {"gas_limit": 2**256 - 1},
        {"base_fee": 2**256 - 1},
        {"gas_price": 2**256 - 1},
        {"nonce": 2**255 - 1},
        {"nonce": 2},
        {"chain_id": 2**64 - 1},
        {"chain_id": 0},
        {"version": 0},
        {"time_limit": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_numbers_at_the_edge_are_refused_for_no_gas(
    relay: Delegating, wallet: Wallet, world: World, changed: dict[str, int]
) -> None:
    before = left(relay)
    network = {"currency_network_of_fees": parse_address(world.network.address)}
    status, answer = relay_meta(relay, wallet.meta(world.network.address, offer(world), **network, **changed))
    assert status == 400, answer
    assert answer["message"]
    assert left(relay) == before


@pytest.mark.parametrize("nonce", [0, 2**255, 2**256 - 1])
def test_nonces_that_need_no_order_are_executed_once(
    relay: Delegating, wallet: Wallet, world: World, nonce: int
) -> None:
    for given in (1, 2):
        meta = wallet.meta(world.network.address, offer(world, given), nonce=nonce)
        assert relay_meta(relay, meta)[0] == 200, "the hash is protected, not the number"
        status, answer = relay_meta(relay, meta)
        assert (status, "relayed already" in answer["message"]) == (400, True)
    until("both are executed", lambda: len(executions(world, wallet)) == 2)


def executions(world: World, wallet: Wallet) -> list[Any]:
    logs = world.w3.eth.get_logs({"address": Web3.to_checksum_address(wallet.address), "fromBlock": 0})
    return [log for log in logs if log["topics"][0] == EXECUTION_TOPIC]


def test_one_sent_many_times_at_once_is_executed_once(relay: Delegating, wallet: Wallet, world: World) -> None:
    meta = wallet.meta(world.network.address, offer(world))
    before = sent(relay)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: relay_meta(relay, meta), range(24)))
    assert sorted({status for status, _ in answers}) == [200, 400]
    assert [status for status, _ in answers].count(200) == 1
    until("it is executed", lambda: executions(world, wallet))
    assert len(executions(world, wallet)) == 1
    assert sent(relay) == before + 1


def test_two_of_the_same_ordered_nonce_at_once_cost_one_execution(
    relay: Delegating, wallet: Wallet, world: World
) -> None:
    metas = [wallet.meta(world.network.address, offer(world, given), nonce=1) for given in range(1, 13)]
    before = sent(relay)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda meta: relay_meta(relay, meta)[0], metas))
    assert answers.count(200) == 1
    assert answers.count(400) == 11
    assert sent(relay) == before + 1


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        (1, "0x00", 200),  # delegatecall of something that does nothing
        (1, "0x60006000fd", 400),  # of something that reverts
        (1, ENDLESS, 400),
        (2, "0x", 200),  # create of nothing
        (3, "0x", 200),
    ],
)
def test_other_operations_are_executed_or_refused_as_they_would_end(
    relay: Delegating, wallet: Wallet, world: World, operation: int, code: str, status: int
) -> None:
    target = to_checksum(bytes([0xD0 + operation]) * 20)
    if operation == 1:
        world.anvil.rpc("anvil_setCode", target, code)
    before = left(relay)
    found, answer = relay_meta(relay, wallet.meta(target, operation_type=operation))
    if found == 400:
        assert left(relay) == before
    else:
        assert world.w3.eth.wait_for_transaction_receipt(answer, timeout=10)["status"] == 1
    assert found == status, answer


@pytest.mark.parametrize("nonce", [1, 0], ids=["ordered", "random"])
def test_a_contract_that_burns_gas_when_it_is_asked_keeps_no_node_busy(
    relay: Delegating, world: World, asked: list[tuple[str, Any]], nonce: int
) -> None:
    burner = Wallet(Account.create(), bytes([0xB0]) * 20)
    world.anvil.rpc("anvil_setCode", burner.address, ENDLESS)
    asked.clear()
    status, answer = relay_meta(relay, burner.meta(world.network.address, nonce=nonce))
    assert (status, "no identity contract" in answer["message"]) == (400, True)
    assert relay.client.get(f"/api/v1/identities/{burner.address}").status_code == 404
    calls = [params for method, params in asked if method == "eth_call"]
    assert calls
    assert all(int(call[0]["gas"], 16) <= 500_000 for call in calls)


def test_a_contract_that_only_claims_to_have_paid_its_fee_is_refused(
    world: World, database_url: str, tmp_path: Path
) -> None:
    fees = [{"base_fee": 1000, "gas_price": 0, "currency_network": world.network.address}]
    delegate = {"enable": True, "fees": fees}
    with delegating(world, database_url, tmp_path, start=False, delegate=delegate) as relay:
        network, own = parse_address(world.network.address), parse_address(relay.account.address)
        liar = Wallet(Account.create(), bytes([0xC0]) * 20)
        for debt, status in ((0, 400), (1, 400), (999, 400), (1000, 200)):
            code = lying_identity(network, own, debt=debt)
            world.anvil.rpc("anvil_setCode", liar.address, "0x" + code.hex())
            meta = liar.meta(world.network.address, base_fee=1000, currency_network_of_fees=network)
            for slot, word in ((0, meta.hash), (1, (1000).to_bytes(32, "big"))):
                world.anvil.rpc("anvil_setStorageAt", liar.address, hex(slot), "0x" + word.hex())
            before = left(relay)
            found, answer = relay_meta(relay, meta)
            assert found == status, answer
            if status == 400:
                assert "cannot be booked" in answer["message"]
                assert left(relay) == before


def test_gas_that_an_identity_uses_in_a_day_is_capped_though_all_succeeds(
    world: World, database_url: str, tmp_path: Path
) -> None:
    now = [int(time.time())]
    delegate = {"enable": True, "max_gas_per_day": 1_500_000}
    with delegating(world, database_url, tmp_path, start=False, clock=lambda: now[0], delegate=delegate) as relay:
        eager, modest = make_wallets(world, 2)
        used, answers = 0, []
        for given in range(1, 30):
            status, answer = relay_meta(relay, eager.meta(world.network.address, offer(world, given)))
            answers.append(status)
            if status != 200:
                break
            used += world.w3.eth.wait_for_transaction_receipt(answer, timeout=10)["gasUsed"]
            relay.tend()
        assert answers[-1] == 429, answer
        assert "may use 1500000 gas in a day" in answer["message"]
        assert 1_000_000 < used <= 1_500_000
        assert relay_meta(relay, modest.meta(world.network.address, offer(world)))[0] == 200
        now[0] += 86_400
        assert relay_meta(relay, eager.meta(world.network.address, offer(world)))[0] == 200


def test_who_asks_for_identities_without_end_leaves_threads_to_others(
    world: World, database_url: str, tmp_path: Path
) -> None:
    rest = {"threads": 4}  # two may wait for a block, and one for its turn
    with delegating(world, database_url, tmp_path, start=False, rest=rest) as relay:
        world.anvil.rpc("evm_setAutomine", False)
        answers: list[int] = []
        waiting = [threading.Thread(target=lambda: answers.append(deploy(relay))) for _ in range(3)]
        try:
            for thread in waiting:
                thread.start()
            until("two are on their way", lambda: relay.outgoing.statuses and pending(relay) == 2)
            begun = time.monotonic()
            assert [deploy(relay) for _ in range(5)] == [503] * 5
            assert time.monotonic() - begun < 5, "who cannot be served is told so at once"
        finally:
            world.anvil.rpc("evm_setAutomine", True)
            world.anvil.mine()
            for thread in waiting:
                thread.join()
        assert answers == [200] * 3


def deploy(relay: Delegating) -> int:
    factory, implementation = relay.world.factory, relay.world.implementation
    digest = Web3.keccak(b"\x19\x00" + parse_address(factory) + parse_address(implementation))
    signature = "0x" + sign_hash(Account.create(), digest).hex()
    body = {"factoryAddress": factory, "implementationAddress": implementation, "signature": signature}
    return relay.post("identities", body)[0]


def pending(relay: Delegating) -> int:
    """How many transactions of the relay wait in the node's pool."""
    content = relay.world.anvil.rpc("txpool_content")["pending"]
    return len({sender.lower(): found for sender, found in content.items()}.get(relay.account.address.lower(), {}))


def events_of_networks(logs: Any) -> Any:
    """What of the logs of a receipt looks like events of currency networks."""
    raw = [
        RawLog(parse_address(one["address"]), tuple(map(bytes, one["topics"])), bytes(one["data"])) for one in logs
    ]
    return network_events(raw)


def test_what_a_users_transaction_may_leave_is_looked_at_with_little_gas_and_little_space(
    relay: Delegating, world: World, url: str, asked: list[tuple[str, Any]]
) -> None:
    sender = Account.create()
    world.anvil.rpc("anvil_setBalance", sender.address, hex(10**18))
    # A contract that is no network leaves 300 Transfers: a counter, and LOG3 until it is zero.
    topic = Web3.keccak(text="Transfer(address,address,uint256,bytes)").hex().removeprefix("0x")
    each = "6001" + "6002" + "7f" + topic + "6060" + "6000" + "a3"
    chatty = to_checksum(bytes([0xE1]) * 20)
    code = "0x6040602052" + "61012c" + "5b" + each + "6001" + "9003" + "80" + "6008" + "57" + "00"
    world.anvil.rpc("anvil_setCode", chatty, code)
    endless = to_checksum(bytes([0xE2]) * 20)
    world.anvil.rpc("anvil_setCode", endless, ENDLESS)
    asked.clear()
    for nonce, target in enumerate((chatty, endless)):
        fields = {"chainId": CHAIN_ID, "nonce": nonce, "gasPrice": 3 * GWEI, "gas": 20_000_000, "value": 0}
        raw = sender.sign_transaction({**fields, "to": target, "data": b""}).raw_transaction
        status, transaction = relay.post("relay", {"rawTransaction": "0x" + raw.hex()})
        assert status == 200, transaction
        if target == chatty:
            logs = world.w3.eth.wait_for_transaction_receipt(transaction, timeout=10)["logs"]
            assert len(events_of_networks(logs)) == 300
    simulated = [params[0] for method, params in asked if method == "eth_simulateV1"]
    gas = [int(call["gas"], 16) for one in simulated for call in one["blockStateCalls"][0]["calls"]]
    assert gas == [MOST_EXPECTED_GAS] * 2
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM expected_events WHERE relayed_hash IS NOT NULL")
        assert cursor.fetchone() == (0,)
    connection.close()
