"""Tokens, wrapped ether, exchanges and identities as a running relay tells of them, held against the contracts."""

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from eth_account import Account
from web3 import Web3

from relay.addresses import to_checksum
from relay.devnet.anvil import Anvil
from relay.devnet.postgres import create_database, drop_database
from tests.support.contract_life import NOBODY, ContractLife, logged
from tests.support.delegating import write_keystore
from tests.support.running_relay import RunningRelay, running_relay, until

BASE = {
    "blockNumber", "blockHash", "timestamp", "type", "status", "transactionId", "transactionHash", "logIndex",
    "from", "to",
}  # fmt: skip
SEEN = {"user", "counterParty", "direction"}
TOKEN = {"tokenAddress", "amount"}
EXCHANGE = {"exchangeAddress", "makerTokenAddress", "takerTokenAddress", "orderHash"}


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3) -> ContractLife:
    life = ContractLife(chain, web3, seed=5)
    life.act(25)
    return life


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contracts")


@pytest.fixture(scope="module")
def relay(chain: Anvil, life: ContractLife, folder: Path, postgres_url: str) -> Iterator[RunningRelay]:
    database = create_database(postgres_url, "contracts_http")
    account = Account.create()
    chain.rpc("anvil_setBalance", account.address, hex(10**21))
    write_keystore(folder, account.key.hex())
    write_addresses(folder, life)
    more = """
        [relay]
        addresses_filepath = "contracts.json"
        [exchange]
        enable = true
        [delegate]
        enable = true
        [account]
        keystore_path = "keystore.json"
        keystore_password_path = "password.txt"
        """
    with running_relay(folder, chain.url, database, life.network.address, more, api_processes=2) as found:
        until("the tokens are served", lambda: len(found.get("/tokens").json()) == 2)
        yield found
    drop_database(postgres_url, "contracts_http")


def write_addresses(folder: Path, life: ContractLife, **more: Any) -> None:
    document = {
        "networks": [life.network.address],
        "exchange": life.exchange.address,
        "unwEth": [life.ether.address],
        "tokens": [life.token.address],
        "identityProxyFactory": life.world.factory,
        **more,
    }
    (folder / "contracts.json").write_text(json.dumps(document))


@pytest.fixture
def settled(relay: RunningRelay, life: ContractLife) -> None:
    settle(relay, life)


def settle(relay: RunningRelay, life: ContractLife) -> None:
    head = life.web3.eth.block_number
    for process in range(len(relay.ports)):
        served = lambda process=process: int(relay.get("/networks", process).headers["X-Trustlines-Block"])  # noqa: E731
        until(f"process {process} stands at block {head}", lambda served=served: served() >= head)


def places(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(event["blockNumber"], event["logIndex"]) for event in events]


def test_what_is_listed_of_a_token_is_what_it_logged(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    listed = []
    for contract in (life.token, life.ether):
        events = relay.get(f"/tokens/{contract.address}/events").json()
        assert places(events) == sorted(places(events))
        for event in events:
            assert set(event) == BASE | TOKEN
            assert event["tokenAddress"] == contract.address
        listed += events
    known = {(row[0], row[1]): row for row in logged(life)["token_events"]}
    assert len(listed) == len(known)
    for event in listed:
        row = known[event["blockNumber"], event["logIndex"]]
        assert (event["type"], event["amount"], event["transactionHash"]) == (
            row[2],
            str(row[7]),
            "0x" + row[3].hex(),
        )
        assert (event["from"], event["to"]) == (to_checksum(row[5]), to_checksum(row[6]))
        block = life.web3.eth.get_block(event["blockNumber"])
        assert (event["timestamp"], event["blockHash"]) == (block["timestamp"], "0x" + bytes(block["hash"]).hex())


def test_what_is_listed_of_a_user_is_what_concerns_the_user(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    for contract, kind, exchange in (
        (life.token, "tokens", False),
        (life.ether, "tokens", False),
        (life.exchange, "exchange", True),
    ):
        everything = relay.get(f"/{kind}/{contract.address}/events").json()
        for person in life.people:
            events = relay.get(f"/{kind}/{contract.address}/users/{person}/events").json()
            expected = [event for event in everything if person in (event["from"], event["to"])]
            assert places(events) == places(expected)
            for event in events:
                assert event.keys() > BASE | SEEN
                is_sender = event["from"] == person
                assert event["user"] == person
                assert event["counterParty"] == event["to" if is_sender else "from"]
                assert event["direction"] == ("sent" if is_sender else "received")
            if exchange:
                assert relay.get(f"/exchange/users/{person}/events").json() == events


def test_what_is_listed_of_an_exchange_is_what_it_logged(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    events = relay.get(f"/exchange/{life.exchange.address}/events").json()
    rows = logged(life)["exchange_events"]
    assert sorted(places(events)) == sorted((row[0], row[1]) for row in rows)
    known = {(row[0], row[1]): row for row in rows}
    assert {event["type"] for event in events} == {"LogFill", "LogCancel"}
    for event in events:
        row = known[event["blockNumber"], event["logIndex"]]
        done = "filled" if event["type"] == "LogFill" else "cancelled"
        assert set(event) == BASE | EXCHANGE | {f"{done}MakerAmount", f"{done}TakerAmount"}
        assert (event[f"{done}MakerAmount"], event[f"{done}TakerAmount"]) == (str(row[11]), str(row[12]))
        assert event["orderHash"] == "0x" + row[5].hex()
        assert event["from"] == to_checksum(row[6])
        assert event["to"] == to_checksum(row[7] or row[6])
        assert (event["makerTokenAddress"], event["takerTokenAddress"]) == (life.token.address, life.ether.address)


def test_all_events_of_a_user_are_those_of_all_contracts_in_order(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    person = life.people[0]
    url = f"/users/{person}/events"
    by_kind = {
        kind: relay.get(f"{url}?contractType={kind}").json()
        for kind in ("CurrencyNetwork", "Exchange", "UnwETH", "Token")
    }
    assert by_kind["Exchange"] == relay.get(f"/exchange/users/{person}/events").json()
    assert by_kind["UnwETH"] == relay.get(f"/tokens/{life.ether.address}/users/{person}/events").json()
    assert by_kind["Token"] == relay.get(f"/tokens/{life.token.address}/users/{person}/events").json()
    assert all(by_kind[kind] for kind in ("Exchange", "UnwETH", "Token"))
    everything = relay.get(url).json()
    assert everything == sorted(
        (event for events in by_kind.values() for event in events), key=lambda e: (e["blockNumber"], e["logIndex"])
    )
    transfers = relay.get(f"{url}?type=Transfer").json()
    assert transfers == [event for event in everything if event["type"] == "Transfer"]
    half = everything[len(everything) // 2]["blockNumber"]
    assert relay.get(f"{url}?fromBlock={half}").json() == [e for e in everything if e["blockNumber"] >= half]


def test_balances_are_those_of_the_contract(relay: RunningRelay, life: ContractLife) -> None:
    for contract in (life.token, life.ether):
        for person in life.people:
            balance = relay.get(f"/tokens/{contract.address}/users/{person}/balance").json()
            assert balance == str(contract.functions.balanceOf(person).call())


@pytest.mark.parametrize(
    "path",
    [
        "/tokens/{0}/events",
        "/tokens/{0}/users/{0}/events",
        "/tokens/{0}/users/{0}/balance",
        "/exchange/{0}/events",
    ],
)
def test_what_is_not_served_is_not_found(relay: RunningRelay, life: ContractLife, path: str) -> None:
    answer = relay.get(path.format(NOBODY))
    assert answer.status_code == 404
    assert f"{NOBODY} is served here" in answer.json()["message"]
    other = life.exchange.address if "tokens" in path else life.token.address
    assert relay.get(path.format(other)).status_code == 404, "a contract of another kind"


def test_a_type_that_no_such_contract_emits_is_refused(relay: RunningRelay, life: ContractLife) -> None:
    assert relay.get(f"/tokens/{life.token.address}/events?type=LogFill").status_code == 422
    assert relay.get(f"/exchange/{life.exchange.address}/events?type=Transfer").status_code == 422
    assert relay.get(f"/users/{NOBODY}/events?contractType=Token&type=Deposit").status_code == 422
    assert relay.get("/delegation-fees").status_code == 422


def test_fees_of_meta_transactions_are_told_by_their_transaction(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    paid = [row for row in logged(life)["identity_events"] if row[2] == "FeePayment"]
    assert paid
    for row in paid:
        (fee,) = relay.get(f"/delegation-fees?transactionHash=0x{row[3].hex()}").json()
        assert fee == {
            "feeSender": to_checksum(row[5]),
            "feeRecipient": to_checksum(row[9]),
            "totalFee": str(row[8]),
            "currencyNetworkOfFees": life.network.address,
        }
    assert relay.get(f"/delegation-fees?transactionHash=0x{secrets.token_hex(32)}").json() == []


def test_meta_transactions_that_others_executed_have_the_status_that_was_logged(
    relay: RunningRelay, life: ContractLife, settled: None
) -> None:
    executions = [row for row in logged(life)["identity_events"] if row[2] == "TransactionExecution"]
    assert {row[7] for row in executions} == {True, False}
    for row in executions:
        answer = relay.get(f"/identities/{to_checksum(row[5])}/meta-transactions/0x{row[6].hex()}/status").json()
        assert answer["status"] == ("success" if row[7] else "failure")
        assert answer["transactionHash"] == "0x" + row[3].hex()
    row = executions[0]
    stranger = relay.get(f"/identities/{NOBODY}/meta-transactions/0x{row[6].hex()}/status").json()
    assert stranger == {"status": "not found"}, "a contract speaks of itself only"


@pytest.mark.parametrize("process", [0, 1])
def test_what_happens_is_told_to_those_it_concerns(relay: RunningRelay, life: ContractLife, process: int) -> None:
    settle(relay, life)
    one, other = life.people[:2]
    with relay.stream("events", process) as stream:
        ids = {user: stream.ask("subscribe", event="all", user=user) for user in (one, other)}
        assert life.send(life.ether, "deposit", sender=one, value=7)
        assert life.send(life.token, "transfer", other, 5, sender=one)
        order = life.order(one)
        assert life.fill(order, 10, other)
        assert life.send(life.exchange, "cancelOrder", order.addresses, order.values, 1, sender=one)
        wanted = {
            one: ["Deposit", "Transfer", "Transfer", "Transfer", "LogFill", "LogCancel"],
            other: ["Transfer", "Transfer", "Transfer", "LogFill"],
        }
        for user, kinds in wanted.items():
            told = stream.events(len(kinds), ids[user])
            assert [event["type"] for event in told] == kinds
            settle(relay, life)
            first = told[0]["blockNumber"]
            listed = relay.get(f"/users/{user}/events?fromBlock={first}").json()
            assert [without_status(event) for event in told] == [without_status(event) for event in listed]
        assert stream.is_silent(0.3)


def without_status(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "status"}


def test_what_the_node_holds_unmined_is_listed_as_sent_then_as_the_event_it_is(
    relay: RunningRelay, life: ContractLife, chain: Anvil
) -> None:
    wallet = Account.create()
    chain.rpc("anvil_setBalance", wallet.address, hex(10**20))
    deposit = {
        "to": life.ether.address, "data": life.ether.encode_abi("deposit"), "value": 77, "nonce": 0,
        "gas": 200_000, "gasPrice": 10 * 10**9, "chainId": 1337,
    }  # fmt: skip
    raw = "0x" + wallet.sign_transaction(deposit).raw_transaction.hex()
    urls = (f"/tokens/{life.ether.address}/users/{wallet.address}/events", f"/users/{wallet.address}/events")
    settle(relay, life)
    chain.rpc("evm_setAutomine", False)
    try:
        answer = relay.post("/relay", json={"rawTransaction": raw})
        assert answer.status_code == 200, answer.text
        for url in urls:
            (event,) = relay.get(url).json()
            assert (event["type"], event["status"], event["amount"]) == ("Deposit", "sent", "77")
            assert event["transactionHash"] == answer.json()
            assert event.keys() == BASE | TOKEN | SEEN
            assert relay.get(f"{url}?type=Approval").json() == []
    finally:
        chain.rpc("evm_setAutomine", True)
        chain.mine()
    for url in urls:
        seen = set()

        def is_pending(url: str = url, seen: set[str] = seen) -> bool:
            (event,) = relay.get(url).json()
            seen.add(event["status"])
            return bool(event["status"] == "pending")

        until("it is in a block", is_pending)
        assert seen <= {"sent", "pending"}
    receipt = life.web3.eth.get_transaction_receipt(answer.json())
    assert relay.get(urls[0]).json()[0]["blockNumber"] == receipt["blockNumber"]


def test_a_contract_that_the_address_file_names_later_is_served_without_a_restart(
    relay: RunningRelay, life: ContractLife, folder: Path
) -> None:
    before = relay.get(f"/tokens/{life.token.address}/events").json()
    write_addresses(folder, life, tokens=[])
    until("it is gone", lambda: relay.get("/tokens").json() == [life.ether.address])
    assert relay.get(f"/tokens/{life.token.address}/events").status_code == 404
    assert life.send(life.token, "transfer", life.people[1], 1, sender=life.people[0])
    write_addresses(folder, life)
    until("it is back", lambda: life.token.address in relay.get("/tokens").json())
    after = relay.get(f"/tokens/{life.token.address}/events").json()
    assert [without_status(e) for e in after[: len(before)]] == [without_status(e) for e in before]
    assert len(after) == len(before) + 1


def test_an_index_that_is_killed_loses_nothing(relay: RunningRelay, life: ContractLife) -> None:
    life.act(4)
    index = next(child for child in psutil.Process(relay.commands[0].pid).children() if "index" in child.cmdline())
    os.kill(index.pid, signal.SIGKILL)
    life.act(4)
    settle(relay, life)
    found = sum(len(relay.get(f"/tokens/{c.address}/events").json()) for c in (life.token, life.ether))
    assert found == len(logged(life)["token_events"])
