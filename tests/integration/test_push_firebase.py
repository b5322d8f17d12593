"""Push notifications by Firebase's own library, to a stand-in for Google's servers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.push.firebase import key_fault
from relay.store.connection import connect
from tests.support.firebase_stand_in import (
    BAD_TOKEN,
    BUSY,
    OTHER_PROJECT,
    PROJECT,
    UNREGISTERED,
    FirebaseStandIn,
    firebase_stand_in,
)
from tests.support.running_relay import SECONDS, RunningRelay, running_relay, until


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture
def firebase(tmp_path: Path) -> Iterator[FirebaseStandIn]:
    with firebase_stand_in(tmp_path) as found:
        yield found


@pytest.fixture
def relay(
    chain: Anvil, network: Contract, firebase: FirebaseStandIn, database_url: str, tmp_path: Path
) -> Iterator[RunningRelay]:
    more = (
        '[messaging]\nenable = true\n[push_notification]\nenable = true\nsender = "firebase"\n'
        f'firebase_credentials_path = "{firebase.key_file.name}"\nmax_attempts = 4\nfirst_wait_seconds = 0.2\n'
    )
    where = (tmp_path, chain.url, database_url, network.address, more)
    with running_relay(*where, environment=firebase.environment) as found:
        yield found


def put(relay: RunningRelay, user: str, token: str) -> int:
    url = relay.url(f"/pushnotifications/{user}/token/{token}")
    return requests.put(url, timeout=SECONDS).status_code


def send(relay: RunningRelay, user: str, message: str, kind: str = "Greeting") -> None:
    assert relay.post(f"/messages/{user}", json={"message": message, "type": kind}).ok


def rows(database_url: str) -> list[tuple[Any, ...]]:
    connection = connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT token, state, attempts, fault FROM push_notifications ORDER BY id")
        found = cursor.fetchall()
    connection.close()
    return found


def test_a_device_is_checked_then_told_by_an_account_that_logged_in_once(
    relay: RunningRelay, firebase: FirebaseStandIn
) -> None:
    user = Account.create().address
    assert put(relay, user, "phone:1_a") == 200
    assert firebase.checked == ["phone:1_a"]
    assert firebase.taken == [], "a check tells the device nothing"
    send(relay, user, "hello")
    send(relay, user, "again")
    until("both are told", lambda: len(firebase.told("phone:1_a")) == 2)
    message = next(entry for entry in firebase.taken if entry["data"]["message"] == "hello")
    assert message["android"] == {"priority": "high"}
    assert message["apns"]["payload"]["aps"] == {"content-available": 1}
    data = message["data"]
    assert (data["eventType"], data["stream"]) == ("Greeting", "messages")
    assert json.loads(data["event"]).items() >= {"type": "Greeting", "message": "hello"}.items()
    assert len(firebase.logins) == 1
    assert "firebase.messaging" in firebase.logins[0]["scope"] or "cloud-platform" in firebase.logins[0]["scope"]


def test_tokens_that_are_none_are_refused_and_those_that_expire_forgotten(
    relay: RunningRelay, firebase: FirebaseStandIn, database_url: str
) -> None:
    user = Account.create().address
    firebase.faults |= {"never-was": UNREGISTERED, "nonsense": BAD_TOKEN, "of-another-app": OTHER_PROJECT}
    assert [put(relay, user, token) for token in firebase.faults] == [422, 422, 422]
    for token in ("expires", "spoils", "stays"):
        assert put(relay, user, token) == 200
    firebase.faults |= {"expires": UNREGISTERED, "spoils": BAD_TOKEN}
    send(relay, user, "hello")
    until("one is told", lambda: len(firebase.told("stays")) == 1)
    until("the others are forgotten", lambda: {row[0] for row in rows(database_url)} == {"stays"})


def test_a_message_that_firebase_does_not_take_costs_nobody_a_device(
    relay: RunningRelay, firebase: FirebaseStandIn, database_url: str
) -> None:
    user = Account.create().address
    assert put(relay, user, "phone") == 200
    send(relay, user, json.dumps({"blockHash": "x" * 5000, "transactionHash": "y" * 5000}), "Transfer")
    until("what is too long is left out", lambda: firebase.told("phone"))
    assert firebase.told("phone") == [{"eventType": "Transfer", "stream": "messages"}]
    firebase.largest = 10
    send(relay, user, "refused")
    until("it is given up at once", lambda: rows(database_url)[-1][1:3] == ("dead", 1))
    assert rows(database_url)[-1][3] == "Firebase does not take such a message"
    firebase.largest = 4096
    firebase.faults["phone"] = OTHER_PROJECT
    send(relay, user, "key file of another project")
    until("it is given up, too", lambda: rows(database_url)[-1][1] == "dead")
    firebase.faults.clear()
    send(relay, user, "the device is still there")
    until("it is told", lambda: len(firebase.told("phone")) == 2)
    assert relay.log.read_text().count("gave up push notification") == 2


def test_what_firebase_cannot_do_now_is_done_later_and_the_secret_told_to_nobody(
    relay: RunningRelay, firebase: FirebaseStandIn, database_url: str
) -> None:
    user = Account.create().address
    firebase.lets_in = False
    assert put(relay, user, "phone") == 503
    firebase.lets_in = True
    assert put(relay, user, "phone") == 200
    firebase.faults["phone"] = BUSY
    send(relay, user, "hello")
    until("it was tried", lambda: rows(database_url)[-1][2] >= 1)
    firebase.faults.clear()
    until("it is told", lambda: len(firebase.told("phone")) == 1)
    log = relay.log.read_text()
    assert "Traceback" not in log
    assert json.loads(firebase.key_file.read_text())["private_key"].splitlines()[1] not in log


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "is not there"),
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"type": "service_account"}', "cannot be read"),
    ],
)
def test_a_key_file_that_is_none_is_named_at_the_start(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "key.json"
    if text is not None:
        path.write_text(text)
    found = key_fault(path)
    assert found is not None
    assert found.startswith(f"[push_notification] firebase_credentials_path: {path} {fault}")


def test_a_key_file_without_a_project_is_named_at_the_start(firebase: FirebaseStandIn) -> None:
    assert key_fault(firebase.key_file) is None
    key = json.loads(firebase.key_file.read_text())
    assert key.pop("project_id") == PROJECT
    firebase.key_file.write_text(json.dumps(key))
    assert "names no project" in str(key_fault(firebase.key_file))
