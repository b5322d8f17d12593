"""A payment from the question for a path to the event it leaves, and every way in which relaying is refused."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from relay.addresses import parse_address
from relay.chain.node import Node
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from tests.support.served import MAX_BODY_BYTES, ServedRelay, serve

GAS_PRICE = 2 * 10**9
TERMS = NetworkTerms("Test", "TST", decimals=2, fee_divisor=100, custom_interests=True)


@pytest.fixture(scope="module")
def network(w3: Web3) -> Contract:
    """A currency network that starts frozen, as those of an owner do, and is opened for the tests."""
    return deploy_network(w3, TERMS, "CurrencyNetworkOwnable")


@pytest.fixture(scope="module")
def relay(network: Contract, anvil: Anvil, postgres_url: str) -> Iterator[ServedRelay]:
    url = create_database(postgres_url, "api_relaying")
    with serve(Node(anvil.url), [parse_address(network.address)], url, CHAIN_ID) as served:
        yield served
    drop_database(postgres_url, "api_relaying")


@pytest.fixture
def opened(network: Contract, relay: ServedRelay, w3: Web3) -> Contract:
    """The network, no longer frozen."""
    if network.functions.isNetworkFrozen().call():
        transact(w3, network.functions.unfreezeNetwork())
        relay.update()
    return network


@pytest.fixture
def people(anvil: Anvil) -> list[LocalAccount]:
    """Three new accounts with ether."""
    made: list[LocalAccount] = [Account.create() for _ in range(3)]
    for person in made:
        anvil.rpc("anvil_setBalance", person.address, hex(10**18))
    return made


def sign(relay: ServedRelay, person: LocalAccount, **changed: Any) -> str:
    """Sign a transaction with what the relay tells of the account, as wallets do."""
    infos = relay.ask(f"users/{person.address}/tx-infos")
    transaction = {
        "chainId": CHAIN_ID,
        "nonce": infos["nonce"],
        "gasPrice": max(int(infos["gasPrice"]), GAS_PRICE),
        "gas": 1_000_000,
        "to": person.address,
        "value": 0,
        **changed,
    }
    return "0x" + person.sign_transaction(transaction).raw_transaction.hex()


def send(
    relay: ServedRelay, w3: Web3, person: LocalAccount, network: Contract, call: str, *given: Any
) -> TxReceipt:
    """Relay a call of the network and return the receipt of its success."""
    raw = sign(relay, person, to=network.address, data=network.encode_abi(call, list(given)))
    receipt = w3.eth.wait_for_transaction_receipt(relay.tell("relay", rawTransaction=raw), poll_latency=0.01)
    assert receipt["status"] == 1
    return receipt


def befriend(relay: ServedRelay, w3: Web3, network: Contract, one: LocalAccount, other: LocalAccount) -> None:
    send(relay, w3, one, network, "updateTrustline", other.address, 10_000, 20_000, 100, 200, False)
    send(relay, w3, other, network, "updateTrustline", one.address, 20_000, 10_000, 200, 100, False)


def test_no_path_is_searched_while_the_network_is_frozen(
    relay: ServedRelay, network: Contract, people: list[LocalAccount], w3: Web3
) -> None:
    if not network.functions.isNetworkFrozen().call():
        transact(w3, network.functions.freezeNetwork())
        relay.update()
    body = {"from": people[0].address, "to": people[1].address, "value": "1"}
    for kind in ("path-info", "max-capacity-path-info", "close-trustline-path-info"):
        answer = relay.post(f"networks/{network.address}/{kind}", body)
        assert answer.status_code == 400
        assert "frozen" in answer.json()["message"]
    assert relay.ask(f"networks/{network.address}")["isFrozen"] is True


def test_a_payment_goes_the_whole_way_from_question_to_event(
    relay: ServedRelay, opened: Contract, people: list[LocalAccount], w3: Web3
) -> None:
    ada, bo, cy = people
    befriend(relay, w3, opened, ada, bo)
    befriend(relay, w3, opened, bo, cy)
    relay.update()
    base = f"networks/{opened.address}"
    users = {"from": ada.address, "to": cy.address}
    path = relay.tell(f"{base}/path-info", **users, value="5000", extraData="0x68656c6c6f")
    assert path["path"] == [ada.address, bo.address, cy.address]

    receipt = send(relay, w3, ada, opened, "transfer", 5000, int(path["fees"]), path["path"], b"hello")
    assert abs(receipt["gasUsed"] - path["estimatedGas"]) <= 0.05 * receipt["gasUsed"]
    relay.update()

    line = relay.ask(f"{base}/users/{ada.address}/trustlines/{bo.address}")
    assert int(line["balance"]) == -5000 - int(path["fees"])
    answer = relay.get(f"{base}/users/{cy.address}/events?type=Transfer")
    assert answer.headers["X-Trustlines-Block"] == str(receipt["blockNumber"])
    (event,) = answer.json()
    assert event["transactionHash"] == Web3.to_hex(receipt["transactionHash"])
    assert (event["blockNumber"], event["status"]) == (receipt["blockNumber"], "pending")
    assert (event["amount"], event["extraData"], event["direction"]) == ("5000", "0x68656c6c6f", "received")
    assert (event["from"], event["to"], event["counterParty"]) == (ada.address, cy.address, ada.address)


def test_what_a_client_has_is_not_sent_again_until_a_block_comes(
    relay: ServedRelay, anvil: Anvil, opened: Contract
) -> None:
    path = f"networks/{opened.address}"
    relay.update()
    first = relay.get(path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = relay.request("GET", path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    anvil.mine()
    relay.update()
    later = relay.request("GET", path, headers=known)
    assert (later.status_code, later.json()) == (200, first.json())
    assert later.headers["ETag"] != first.headers["ETag"]
    assert int(later.headers["X-Trustlines-Block"]) > int(first.headers["X-Trustlines-Block"])


def test_an_event_is_confirmed_after_five_more_blocks(
    relay: ServedRelay, opened: Contract, people: list[LocalAccount], w3: Web3, anvil: Anvil
) -> None:
    befriend(relay, w3, opened, people[0], people[1])
    url = f"networks/{opened.address}/users/{people[0].address}/events?type=TrustlineUpdate"
    statuses = []
    for _ in range(6):
        relay.update()
        statuses += [event["status"] for event in relay.ask(url)]
        anvil.mine()
    assert statuses == ["pending"] * 5 + ["confirmed"]


def test_a_transaction_sent_twice_has_one_hash_waiting_or_mined(
    relay: ServedRelay, people: list[LocalAccount], anvil: Anvil, w3: Web3
) -> None:
    person = people[0]
    anvil.rpc("evm_setAutomine", False)
    try:
        raw = sign(relay, person)
        first = relay.tell("relay", rawTransaction=raw)
        assert relay.tell("relay", rawTransaction=raw) == first
        assert relay.ask(f"users/{person.address}/tx-infos")["nonce"] == 1
        second = relay.tell("relay", rawTransaction=sign(relay, person))
        assert second != first
    finally:
        anvil.rpc("evm_setAutomine", True)
        anvil.mine()
    assert w3.eth.wait_for_transaction_receipt(first, timeout=10)["status"] == 1
    assert relay.tell("relay", rawTransaction=raw) == first
    assert relay.tell("relay", rawTransaction=raw[2:]) == first


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"value": 10**20}, "fund"), ({"gas": 20_000}, "gas"), ({"nonce": 0, "value": 1}, "nonce")],
    ids=["funds", "gas", "nonce"],
)
def test_the_nodes_refusal_is_passed_on_with_its_reason(
    relay: ServedRelay, people: list[LocalAccount], changed: dict[str, int], said: str
) -> None:
    relay.tell("relay", rawTransaction=sign(relay, people[0]))
    answer = relay.post("relay", {"rawTransaction": sign(relay, people[0], **changed)})
    assert answer.status_code == 409
    assert said in answer.json()["message"].lower()


def test_a_transaction_for_another_chain_is_refused_with_both_ids(
    relay: ServedRelay, people: list[LocalAccount]
) -> None:
    answer = relay.post("relay", {"rawTransaction": sign(relay, people[0], chainId=1)})
    assert answer.status_code == 422
    assert "chain 1," in answer.json()["message"]
    assert str(CHAIN_ID) in answer.json()["message"]


@pytest.mark.parametrize(
    "raw", ["", "0x", "0x0", "0xzz", "hello", "0x00", "0xf8", "0xc0", "0x" + "c1" * 500, None, 7, []]
)
def test_what_is_no_transaction_is_refused(relay: ServedRelay, raw: object) -> None:
    answer = relay.post("relay", {"rawTransaction": raw})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("rawTransaction: ")


def test_a_body_above_the_limit_is_refused_before_it_is_sent(relay: ServedRelay) -> None:
    place = urlsplit(relay.url)
    assert place.hostname is not None
    assert place.port is not None
    head = (
        f"POST {place.path}/relay HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    )
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(head.encode())
        status_line = connection.makefile("rb").readline()
    assert b" 413 " in status_line


def test_a_body_of_exactly_the_limit_is_read(relay: ServedRelay) -> None:
    frame = len('{"rawTransaction": "0x"}')
    answer = relay.post("relay", {"rawTransaction": "0x" + "0" * (MAX_BODY_BYTES - frame)})
    assert int(answer.request.headers["Content-Length"]) == MAX_BODY_BYTES
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "nothing", {}, 404),
        ("GET", "networks/0x0000000000000000000000000000000000000001", {}, 404),
        ("GET", "networks/hello", {}, 404),
        ("GET", "networks/0x00%00", {}, 404),
        ("DELETE", "networks", {}, 405),
        ("GET", "relay", {}, 405),
        ("POST", "relay", {"data": b"{}"}, 415),
        ("POST", "relay", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "relay", {"json": {}}, 422),
        ("GET", "networks/{network}/events?fromBlock=-1", {}, 422),
        ("GET", "networks/{network}/events?type=Nothing", {}, 422),
        ("POST", "networks/{network}/path-info", {"json": {"value": True}}, 422),
        ("GET", "networks/{network}/users/{network}/trustlines/hello", {}, 404),
    ],
)
def test_every_error_is_json_with_a_message(
    relay: ServedRelay, opened: Contract, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    answer = relay.request(method, path.format(network=opened.address), **more)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["message"] == answer.json()["detail"]
    assert answer.json()["status"] == status
    assert answer.json()["code"]
    assert answer.headers["X-Request-ID"]
    assert ("Allow" in answer.headers) is (status == 405)
