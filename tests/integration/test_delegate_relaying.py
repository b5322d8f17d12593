"""Users' own transactions: remembered, sent again, listed while they wait, and known when they came to nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from relay.devnet.anvil import CHAIN_ID, Anvil
from tests.support.delegating import Delegating, World, delegating
from tests.support.identity_world import deploy_identity_world

GWEI = 10**9


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


class Clock:
    """The time in Unix seconds, as we say."""

    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay(world: World, database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Delegating]:
    """A relay that sends nothing of its own and whose keeper does nothing by itself."""
    sections = {"delegate": {"enable": False}, "tx_relay": {"enable": True, "remember_hours": 1}}
    with delegating(world, database_url, tmp_path, start=False, clock=clock, **sections) as served:
        yield served


@pytest.fixture
def ada(world: World) -> LocalAccount:
    account: LocalAccount = Account.create()
    world.anvil.rpc("anvil_setBalance", account.address, hex(10**18))
    return account


@contextmanager
def no_blocks(world: World) -> Iterator[None]:
    world.anvil.rpc("evm_setAutomine", False)
    try:
        yield
    finally:
        world.anvil.rpc("evm_setAutomine", True)
        world.anvil.mine()


def signed(world: World, sender: LocalAccount, nonce: int = 0, price: int = 3 * GWEI, given: int = 100) -> str:
    """Sign an offer of a credit line."""
    data = world.network.encode_abi("updateTrustline", [world.factory, given, 200, 0, 0, False])
    fields = {"chainId": CHAIN_ID, "nonce": nonce, "gasPrice": price, "gas": 500_000, "value": 0}
    raw = sender.sign_transaction({**fields, "to": world.network.address, "data": data}).raw_transaction
    return "0x" + raw.hex()


def status(relay: Delegating, transaction: str) -> dict[str, Any]:
    answer: dict[str, Any] = relay.ask(f"transactions/{transaction}/status")
    return answer


def offers(relay: Delegating, person: LocalAccount) -> list[tuple[str, str]]:
    """The offers of a person, as (given, status)."""
    events = relay.ask(f"users/{person.address}/events?type=TrustlineUpdateRequest")
    return [(event["given"], event["status"]) for event in events]


def test_a_transaction_is_listed_as_sent_while_it_waits_then_as_the_event_it_is(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock
) -> None:
    with no_blocks(world):
        first = relay.tell("relay", rawTransaction=signed(world, ada, 0, given=10))
        second = relay.tell("relay", rawTransaction=signed(world, ada, 1, given=20))
        assert offers(relay, ada) == [("10", "sent"), ("20", "sent")]
        assert status(relay, first) == {"status": "pending", "transactionHash": first}
        (event, _) = relay.ask(
            f"networks/{world.network.address}/events?type=TrustlineUpdateRequest&fromBlock=999"
        )
        assert (event["transactionHash"], event["from"]) == (first, ada.address)
        assert event["networkAddress"] == world.network.address
        relay.tend()
        assert len(offers(relay, ada)) == 2
    # In a block, but not indexed yet; then indexed; then looked up: never absent, never twice.
    assert offers(relay, ada) == [("10", "sent"), ("20", "sent")]
    clock.now += 2
    relay.tend()
    assert offers(relay, ada) == [("10", "sent"), ("20", "sent")]
    relay.update()
    assert offers(relay, ada) == [("10", "pending"), ("20", "pending")]
    for _ in range(20):
        world.anvil.mine()
    clock.now += 10
    relay.tend()
    relay.update()
    assert offers(relay, ada) == [("10", "confirmed"), ("20", "confirmed")]
    assert status(relay, second) == {"status": "success", "transactionHash": second}


def test_what_is_mined_at_once_is_never_listed_twice(relay: Delegating, ada: LocalAccount, world: World) -> None:
    relay.tell("relay", rawTransaction=signed(world, ada))
    assert offers(relay, ada) == [("100", "sent")]
    relay.update()
    assert offers(relay, ada) == [("100", "pending")]
    beyond = int(world.anvil.rpc("eth_blockNumber"), 16) + 1
    assert relay.ask(f"users/{ada.address}/events?fromBlock={beyond}") == [], "it is not waiting any more"
    relay.tend()
    assert offers(relay, ada) == [("100", "pending")]


def test_a_dropped_transaction_is_sent_again(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock
) -> None:
    with no_blocks(world):
        transaction = relay.tell("relay", rawTransaction=signed(world, ada))
        world.anvil.rpc("anvil_dropTransaction", transaction)
        assert status(relay, transaction)["status"] == "pending"
        clock.now += 2
        relay.tend()
        assert world.anvil.rpc("eth_getTransactionByHash", transaction) is not None
    assert status(relay, transaction)["status"] == "success"


def test_a_replaced_transaction_is_said_to_be(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock
) -> None:
    with no_blocks(world):
        first = relay.tell("relay", rawTransaction=signed(world, ada, given=1))
        second = relay.tell("relay", rawTransaction=signed(world, ada, price=9 * GWEI, given=2))
        assert offers(relay, ada)[-1] == ("2", "sent")
    for _ in range(3):
        clock.now += 70
        relay.tend()
    assert status(relay, first) == {"status": "not found", "reason": "replaced"}
    assert status(relay, second)["status"] == "success"
    relay.update()
    assert offers(relay, ada) == [("2", "pending")]


def test_a_transaction_that_the_node_no_longer_takes_is_given_up_in_the_end(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock
) -> None:
    with no_blocks(world):
        transaction = relay.tell("relay", rawTransaction=signed(world, ada))
        world.anvil.rpc("anvil_dropTransaction", transaction)
        world.anvil.rpc("anvil_setBalance", ada.address, "0x0")
        clock.now += 2
        relay.tend()
        # Not listed while the node does not have it, but not forgotten either.
        assert offers(relay, ada) == []
        assert status(relay, transaction)["status"] == "pending"
        clock.now += 3600
        relay.tend()
        assert status(relay, transaction) == {"status": "not found", "reason": "dropped"}
        # Who sends it again may.
        world.anvil.rpc("anvil_setBalance", ada.address, hex(10**18))
        assert relay.tell("relay", rawTransaction=signed(world, ada)) == transaction
        # And it is remembered anew.
        world.anvil.rpc("anvil_dropTransaction", transaction)
        clock.now += 1800
        relay.tend()
    assert status(relay, transaction)["status"] == "success"


def test_what_a_reorg_undoes_is_sent_again(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock
) -> None:
    transaction = relay.tell("relay", rawTransaction=signed(world, ada))
    clock.now += 2
    relay.tend()
    assert status(relay, transaction)["status"] == "success"
    head = world.w3.eth.get_block("latest")
    world.anvil.rpc("anvil_rollback", 1)
    assert world.w3.eth.get_block("latest")["hash"] == head["parentHash"]
    assert world.w3.eth.get_transaction_count(ada.address) == 0
    assert status(relay, transaction)["status"] == "pending", "it is sent again in a moment"
    clock.now += 10
    relay.tend()
    relay.tend()
    world.anvil.mine()
    assert world.w3.eth.get_transaction_count(ada.address) == 1
    assert status(relay, transaction)["status"] == "success"


def test_a_transaction_that_will_fail_is_passed_on_without_expectations(
    relay: Delegating, ada: LocalAccount, world: World
) -> None:
    data = world.network.encode_abi("transfer", [10, 1, [ada.address, world.factory], b""])
    fields = {"chainId": CHAIN_ID, "nonce": 0, "gasPrice": 3 * GWEI, "gas": 500_000, "value": 0}
    raw = ada.sign_transaction({**fields, "to": world.network.address, "data": data}).raw_transaction
    transaction = relay.tell("relay", rawTransaction="0x" + raw.hex())
    assert status(relay, transaction)["status"] == "failure"
    assert relay.ask(f"users/{ada.address}/events") == []


def test_an_unknown_transaction_is_not_found(relay: Delegating) -> None:
    assert status(relay, "0x" + "ab" * 32) == {"status": "not found"}


def test_without_an_account_nothing_is_sent_and_nothing_offered(relay: Delegating) -> None:
    assert relay.client.get("/api/v1/factories").status_code == 404
    assert relay.post("request-ether", {"address": relay.account.address})[0] == 404


def test_what_is_old_is_forgotten_also_while_there_is_always_something_to_do(
    relay: Delegating, ada: LocalAccount, world: World, clock: Clock, database_url: str
) -> None:
    relay.tell("relay", rawTransaction=signed(world, ada))
    for _ in range(13):
        world.anvil.mine()
    clock.now += 2
    relay.tend()
    clock.now += 8 * 86_400
    with no_blocks(world):
        relay.tell("relay", rawTransaction=signed(world, ada, 1))
        relay.tend()
        with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM relayed_transactions")
            assert cursor.fetchone() == (1,)
        connection.close()
