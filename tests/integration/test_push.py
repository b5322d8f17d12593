"""Push notifications by webhook: signed, sent by one process, tried again, given up; no meddling with others'."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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
from relay.messaging.proof import token_text
from relay.push.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from relay.store.connection import connect
from tests.support.chain_actions import Life
from tests.support.running_relay import SECONDS, RunningRelay, running_relay, until

SECRET = "between the two of us"


@dataclass
class Receiver:
    """The operator's service: notes what arrives, and answers what it is told to."""

    url: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def told(self, token: str) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for _, body in list(self.taken)]
        return [body for body in bodies if body["token"] == token]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.taken.append((dict(self.headers), body))
            receiver.times.append(time.monotonic())
            self.send_response(receiver.statuses.get(json.loads(body)["token"], 204))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/a-secret-path"
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3, network: Contract) -> Life:
    life = Life(chain, web3, network, seed=9)
    ada, bo = life.people[:2]
    assert life.send("updateTrustline", bo, 1000, 1000, 0, 0, False, sender=ada)
    assert life.send("updateTrustline", ada, 1000, 1000, 0, 0, False, sender=bo)
    return life


@pytest.fixture
def relay(
    chain: Anvil, network: Contract, life: Life, receiver: Receiver, database_url: str, tmp_path: Path
) -> Iterator[RunningRelay]:
    (tmp_path / "secret.txt").write_text(SECRET + "\n")
    more = (
        '[messaging]\nenable = true\n[push_notification]\nenable = true\nsender = "webhook"\n'
        f'webhook_url = "{receiver.url}"\nwebhook_secret_path = "secret.txt"\nmax_attempts = 3\n'
        "first_wait_seconds = 0.2\nmax_devices_per_user = 3\nmax_users_per_device = 4\n"
    )
    with running_relay(tmp_path, chain.url, database_url, network.address, more, api_processes=2) as found:
        until("the users are known", lambda: found.get("/networks").json()[0]["numUsers"] == 2)
        yield found


def put(relay: RunningRelay, user: str, token: str, process: int = 0, **headers: str) -> int:
    url = relay.url(f"/pushnotifications/{user}/token/{token}", process)
    return requests.put(url, headers=headers, timeout=SECONDS).status_code


def delete(relay: RunningRelay, user: str, token: str, **headers: str) -> int:
    url = relay.url(f"/pushnotifications/{user}/token/{token}")
    return requests.delete(url, headers=headers, timeout=SECONDS).status_code


def test_what_streams_deliver_is_pushed_once_and_signed(
    relay: RunningRelay, life: Life, receiver: Receiver
) -> None:
    ada, bo = life.people[:2]
    assert put(relay, bo, "phone-of-bo") == 200
    assert put(relay, bo, "phone-of-bo", process=1) == 200
    with relay.stream("events") as stream:
        stream.ask("subscribe", event="all", user=bo)
        assert life.send("transfer", 5, 5, [ada, bo], b"memo", sender=ada)
        streamed = stream.events(3)
    until("all is pushed", lambda: len(receiver.told("phone-of-bo")) >= 3)
    assert relay.post(f"/messages/{bo}", 1, json={"message": "hi", "type": "Greeting"}).ok
    until("the message is pushed", lambda: len(receiver.told("phone-of-bo")) >= 4)
    time.sleep(1.5)
    told = receiver.told("phone-of-bo")
    assert [entry["stream"] for entry in sorted(told, key=lambda entry: int(entry["id"]))] == [
        *["events"] * 3,
        "messages",
    ]
    pushed = [entry["event"] for entry in sorted(told, key=lambda entry: int(entry["id"]))]
    assert pushed[:3] == streamed
    assert pushed[3].items() >= {"type": "Greeting", "message": "hi"}.items()
    assert len(pushed) == 4, "neither twice nor by both processes"
    for headers, body in receiver.taken:
        assert headers[SIGNATURE_HEADER] == signature(SECRET.encode(), int(headers[TIMESTAMP_HEADER]), body)
    with relay.stream("messages") as stream:
        assert len(stream.ask("getMissedMessages", type="all", user=bo)) == 1, "pushed is not read"
    log = relay.log.read_text()
    for secret in (SECRET, "a-secret-path"):
        assert secret not in log


def test_what_fails_is_tried_again_then_given_up_and_gone_devices_leave(
    relay: RunningRelay, life: Life, receiver: Receiver, database_url: str
) -> None:
    ada = life.people[0]
    receiver.statuses |= {"broken": 500, "gone": 410}
    assert put(relay, ada, "broken") == 200
    assert relay.post(f"/messages/{ada}", json={"message": "hi"}).ok
    until("the last attempt", lambda: len(receiver.told("broken")) == 3)
    first, second, third = receiver.times
    assert second - first >= 0.2
    assert third - second >= 0.4, "waits grow"
    until("it is given up", lambda: states(database_url) == {"dead": 1})
    assert "gave up push notification" in relay.log.read_text()
    status = tl_relay_status(relay)
    assert "1 given up" in status
    assert "the webhook answered 500" in status
    assert put(relay, ada, "gone") == 200
    assert delete(relay, ada, "broken") == 200
    assert relay.post(f"/messages/{ada}", json={"message": "to nobody"}).ok
    until("it was told once", lambda: len(receiver.told("gone")) == 1)
    until("it is forgotten", lambda: states(database_url) == {})
    assert delete(relay, ada, "gone") == 404, "the device was forgotten"
    receiver.statuses.clear()
    assert put(relay, ada, "broken") == 200
    assert relay.post(f"/messages/{ada}", json={"message": "again"}).ok
    until("it works again", lambda: states(database_url) == {"sent": 1})


def test_devices_of_others_cannot_be_found_out_or_removed(
    relay: RunningRelay, life: Life, receiver: Receiver
) -> None:
    ada, bo = life.people[:2]
    assert put(relay, ada, "phone-of-ada") == 200
    assert delete(relay, ada, "phone") == delete(relay, bo, "phone") == 404
    assert delete(relay, bo, "phone-of-ada") == 404, "it is none of Bo's"
    assert delete(relay, ada, "a%00b") == 404, "no text of the database's can hold that"
    assert relay.get(f"/pushnotifications/{ada}/token/phone-of-ada").status_code == 405
    assert relay.post(f"/messages/{ada}", json={"message": "hi"}).ok
    until("it is still pushed", lambda: receiver.told("phone-of-ada"))
    assert [put(relay, ada, f"t{number}") for number in range(3)] == [200, 200, 429]
    assert put(relay, ada, "phone-of-ada") == 200, "who is registered is not kept out by the others"
    assert put(relay, ada, "to%20ken") == put(relay, ada, "x" * 1025) == 422
    assert put(relay, "0x12", "token") == 404
    assert delete(relay, ada, "phone-of-ada") == 200
    assert delete(relay, ada, "phone-of-ada") == 404


def test_with_the_switch_only_the_user_registers_and_removes(
    chain: Anvil, network: Contract, receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    more = (
        '[push_notification]\nenable = true\nsender = "webhook"\nrequire_signature = true\n'
        f'webhook_url = "{receiver.url}"\nwebhook_secret_path = "secret.txt"\n'
    )
    me, other = Account.create(), Account.create()
    with running_relay(tmp_path, chain.url, database_url, network.address, more) as relay:
        assert put(relay, me.address, "phone") == 403
        assert put(relay, me.address, "phone", **signed(other, "PUT", me.address, "phone")) == 403
        assert put(relay, me.address, "phone", **signed(me, "PUT", me.address, "phone")) == 200
        assert delete(relay, me.address, "phone", **signed(me, "PUT", me.address, "phone")) == 403
        assert delete(relay, me.address, "phone", **signed(me, "DELETE", me.address, "phone")) == 200


def test_switched_off_there_is_no_route(
    chain: Anvil, network: Contract, database_url: str, tmp_path: Path
) -> None:
    with running_relay(tmp_path, chain.url, database_url, network.address) as relay:
        assert put(relay, Account.create().address, "phone") == 404
        assert relay.post(f"/messages/{Account.create().address}", json={"message": "x"}).status_code == 404


def test_who_proves_to_be_the_user_is_not_kept_out_by_devices_that_others_registered(
    relay: RunningRelay, receiver: Receiver
) -> None:
    me = Account.create()
    assert [put(relay, me.address, f"of-others-{number}", number % 2) for number in range(4)] == [
        200,
        200,
        200,
        429,
    ]
    for number in range(3):
        token = f"mine-{number}"
        assert put(relay, me.address, token, **signed(me, "PUT", me.address, token)) == 200
    assert put(relay, me.address, "of-others-9") == 429, "and takes no place of theirs"
    assert put(relay, me.address, "mine-3", **signed(me, "PUT", me.address, "mine-3")) == 429
    assert relay.post(f"/messages/{me.address}", json={"message": "hi"}).ok
    until("mine are told", lambda: all(receiver.told(f"mine-{number}") for number in range(3)))
    assert not [number for number in range(3) if receiver.told(f"of-others-{number}")]


def test_a_device_is_told_of_so_many_users_only(relay: RunningRelay) -> None:
    users = [Account.create().address for _ in range(5)]
    assert [put(relay, user, "one-phone", number % 2) for number, user in enumerate(users)] == [200] * 4 + [429]
    assert delete(relay, users[0], "one-phone") == 200
    assert put(relay, users[4], "one-phone") == 200


def test_registering_is_counted_by_all_processes_together(relay: RunningRelay) -> None:
    user = Account.create().address
    answers = [put(relay, user, "a phone", number % 2) for number in range(70)]
    assert set(answers) == {422, 429}
    assert 60 <= answers.count(422) <= 66, "so many a minute"


def tl_relay_status(relay: RunningRelay) -> str:
    words = [sys.executable, "-m", "relay.cli", "status", "--config", str(relay.log.parent / "relay.toml")]
    return subprocess.run(words, capture_output=True, text=True, timeout=2 * SECONDS, check=False).stdout


def signed(user: Any, action: str, address: str, token: str) -> dict[str, str]:
    now = int(time.time())
    text = token_text(CHAIN_ID, action, parse_address(address), token, now)
    found = user.sign_message(encode_defunct(text=text)).signature
    return {"X-Trustlines-Timestamp": str(now), "X-Trustlines-Signature": "0x" + bytes(found).hex()}


def states(database_url: str) -> dict[str, int]:
    connection = connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM push_notifications GROUP BY state")
        found = dict(cursor.fetchall())
    connection.close()
    return found
