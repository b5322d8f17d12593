"""Messages between users of a relay with two API processes: kept, delivered live, read once, limited, signed."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import Web3
from web3.contract import Contract

from relay.addresses import parse_address
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from relay.messaging.proof import message_text
from relay.store.connection import connect
from tests.support.running_relay import RunningRelay, running_relay, until

MORE = "[messaging]\nenable = true\nmax_unread = 30\nmax_per_receiver = 60\nmax_per_client = 0\n"


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "messages")
    drop_database(postgres_url, "messages")


@pytest.fixture(scope="module")
def relay(
    chain: Anvil, network: Contract, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("messages")
    with running_relay(folder, chain.url, database, network.address, MORE, api_processes=2) as found:
        yield found


@pytest.fixture
def user() -> str:
    """Somebody the relay has never heard of."""
    return str(Account.create().address)


def send(relay: RunningRelay, user: str, text: str, kind: str | None = None, process: int = 0) -> None:
    answer = relay.post(f"/messages/{user}", process, json={"message": text, "type": kind})
    assert (answer.status_code, answer.json()) == (200, "Ok"), answer.text


def unread(database: str) -> int:
    connection = connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messages WHERE read_at IS NULL")
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    return int(row[0])


def test_what_was_missed_is_answered_once_and_in_order(relay: RunningRelay, user: str) -> None:
    for number in range(3):
        send(relay, user, f"hello {number}", process=number % 2)
    with relay.stream("messages", 1) as stream:
        missed = stream.ask("getMissedMessages", type="all", user=user)
        assert [entry["message"] for entry in missed] == ["hello 0", "hello 1", "hello 2"]
        assert {entry["type"] for entry in missed} == {"Message"}
        assert all(isinstance(entry["timestamp"], int) for entry in missed)
        assert stream.ask("getMissedMessages", type="all", user=user) == []
    with relay.stream("messages", 0) as stream:
        assert stream.ask("getMissedMessages", type="all", user=user) == []


@pytest.mark.parametrize("process", [0, 1])
def test_who_listens_gets_it_at_once_whichever_process_took_it(
    relay: RunningRelay, database: str, user: str, process: int
) -> None:
    with relay.stream("messages", process) as stream:
        subscription = stream.ask("listen", type="all", user=user)
        assert stream.ask("getMissedMessages", type="all", user=user) == []
        send(relay, user, "live", "Greeting", process=0)
        (told,) = stream.events(1, subscription)
        assert told.items() >= {"type": "Greeting", "message": "live"}.items()
        until("it counts as read", lambda: unread(database) == 0)
        assert stream.ask("getMissedMessages", type="all", user=user) == []


def test_all_devices_of_a_user_that_listen_get_it(relay: RunningRelay, user: str) -> None:
    with relay.stream("messages", 0) as first, relay.stream("messages", 1) as second:
        for stream in (first, second):
            stream.ask("listen", type="all", user=user)
        send(relay, user, "to both")
        assert [stream.events(1)[0]["message"] for stream in (first, second)] == ["to both"] * 2


def test_an_object_in_a_message_is_read_by_the_real_client_as_ever(relay: RunningRelay, user: str) -> None:
    inner = {"type": "PaymentRequest", "amount": {"raw": "1"}, "id": "0x1", "timestamp": 1, "sender": "me"}
    send(relay, user, json.dumps(inner), "PaymentRequest")
    with relay.stream("messages") as stream:
        (told,) = stream.ask("getMissedMessages", type="all", user=user)
    assert told["message"] == json.dumps(inner)
    assert (told["type"], told["amount"], told["id"]) == ("PaymentRequest", {"raw": "1"}, "0x1")
    assert told["timestamp"] > 1, "what is said of the message itself goes first"
    assert "sender" not in told, "nobody proved to be anybody"


def test_what_a_broken_connection_did_not_confirm_stays_unread(relay: RunningRelay, user: str) -> None:
    with relay.stream("messages") as stream:
        stream.ask("listen", type="all", user=user)
        stream.socket.socket.close()
        send(relay, user, "into the void")
    with relay.stream("messages") as stream:

        def missed() -> Any:
            return stream.ask("getMissedMessages", type="all", user=user)

        assert [entry["message"] for entry in until("it is unread", missed, 40)] == ["into the void"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"message": None}, 422),
        ({"message": 5}, 422),
        ({"message": "a\0b"}, 422),
        ({"message": "x", "type": "y" * 101}, 422),
        ({"message": "x", "signature": "0x" + "00" * 65}, 422),
        ({"message": "é" * 8193}, 413),
        ({"message": "x" * 10_000_000}, 413),
    ],
)
def test_what_is_no_message_is_refused(relay: RunningRelay, user: str, body: dict[str, Any], status: int) -> None:
    try:
        answer = relay.post(f"/messages/{user}", json=body)
    except requests.ConnectionError:
        assert status == 413, "who goes on sending what is refused unread is cut off"
        return
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


def test_an_address_that_is_none_is_not_found(relay: RunningRelay) -> None:
    for address in ("0x12", "nobody", "0x" + "zz" * 20):
        assert relay.post(f"/messages/{address}", json={"message": "x"}).status_code == 404


def test_a_flood_to_one_user_is_stopped_and_harms_nobody_else(
    relay: RunningRelay, database: str, user: str
) -> None:
    before = unread(database)
    answers = [relay.post(f"/messages/{user}", json={"message": "x"}) for _ in range(70)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 429)
    assert unread(database) - before == 30
    send(relay, str(Account.create().address), "somebody else")


def test_a_signature_that_is_given_must_hold_and_counts_once(relay: RunningRelay, user: str) -> None:
    sender, other = Account.create(), Account.create()
    now = int(time.time())
    proof = signed(sender, user, "signed", now)
    assert relay.post(f"/messages/{user}", json=proof | {"message": "changed"}).status_code == 403
    assert relay.post(f"/messages/{user}", json=proof | {"sender": other.address}).status_code == 403
    late = signed(sender, user, "signed", now - 1000)
    assert relay.post(f"/messages/{user}", json=late).status_code == 403
    assert relay.post(f"/messages/{user}", json=proof).status_code == 200
    again = relay.post(f"/messages/{user}", 1, json=proof)
    assert again.status_code == 403
    assert "before" in again.json()["message"]
    with relay.stream("messages") as stream:
        (told,) = stream.ask("getMissedMessages", type="all", user=user)
    assert told["sender"] == sender.address


def test_with_the_switch_only_signed_messages_are_taken(
    chain: Anvil, network: Contract, database_url: str, tmp_path: Any, user: str
) -> None:
    more = "[messaging]\nrequire_signature = true\nmax_per_client = 5\n"
    with running_relay(tmp_path, chain.url, database_url, network.address, more) as relay:
        assert relay.post(f"/messages/{user}", json={"message": "x"}).status_code == 403
        assert (
            relay.post(f"/messages/{user}", json=signed(Account.create(), user, "x", int(time.time()))).status_code
            == 200
        )
        statuses = [relay.post(f"/messages/{user}", json={"message": "x"}).status_code for _ in range(5)]
        assert statuses == [403, 403, 403, 429, 429], "who tries in vain is slowed down as well"


def signed(sender: Any, user: str, text: str, at: int) -> dict[str, Any]:
    to_sign = message_text(CHAIN_ID, parse_address(user), "Message", text, at)
    signature = sender.sign_message(encode_defunct(text=to_sign)).signature
    return {
        "message": text,
        "sender": sender.address,
        "timestamp": at,
        "signature": "0x" + bytes(signature).hex(),
    }
