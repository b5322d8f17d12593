"""Streams that are left and taken up again, over WebSocket and HTTP, through reorgs and restarts."""

import http.client
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any
from urllib.parse import quote

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from tests.support.chain_actions import Life
from tests.support.running_relay import SECONDS, RunningRelay, Stream, running_relay, until

PING = "[streams]\nping_seconds = 1.0\nmax_connections_per_client = 20\n"


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3, network: Contract) -> Life:
    life = Life(chain, web3, network, seed=7)
    ada, bo, cy = life.people[:3]
    for one, other in ((ada, bo), (bo, cy)):
        assert life.send("updateTrustline", other, 1000, 1000, 0, 0, False, sender=one)
        assert life.send("updateTrustline", one, 1000, 1000, 0, 0, False, sender=other)
    return life


@pytest.fixture(scope="module")
def relay(
    chain: Anvil, network: Contract, life: Life, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRelay]:
    folder, database = tmp_path_factory.mktemp("resuming"), create_database(postgres_url, "resuming")
    with running_relay(folder, chain.url, database, network.address, PING, api_processes=2) as found:
        until("the users are known", lambda: found.get("/networks").json()[0]["numUsers"] == 3)
        yield found
    drop_database(postgres_url, "resuming")


@dataclass
class Events:
    """A client of Server-Sent Events, as plain as can be."""

    answer: http.client.HTTPResponse
    last_id: str = ""
    ended: dict[str, Any] | None = None
    retry: int | None = None
    comments: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    def next(self, *types: str) -> dict[str, Any]:
        """Return the next event (of some types)."""
        while True:
            name, data = self._read()
            if name == "end":
                self.ended = data
                raise EOFError
            if data is not None:
                self.heard.append(data)
                if not types or data["type"] in types:
                    return data

    def wait_for_place(self) -> str:
        """Return where the stream stands, when it says so without an event."""
        name, data = self._read()
        while not self.last_id:
            assert (name, data) == (None, None)
            name, data = self._read()
        return self.last_id

    def _read(self) -> tuple[str | None, Any]:
        name, data = None, None
        while line := self.answer.readline().decode("utf-8").rstrip("\n"):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "id":
                self.last_id = value
            elif key == "event":
                name = value
            elif key == "data":
                data = json.loads(value)
            elif key == "retry":
                self.retry = int(value)
            else:
                assert not key, line
                self.comments += 1
        return name, data


@contextmanager
def events_of(
    relay: RunningRelay, user: str, process: int = 0, last_id: str = "", query: str = "", network: str = ""
) -> Iterator[Events]:
    connection = http.client.HTTPConnection("127.0.0.1", relay.ports[process], timeout=SECONDS)
    prefix = f"/networks/{network}" if network else ""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    connection.request("GET", f"/api/v1{prefix}/users/{user}/events/stream{query}", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    try:
        yield Events(answer)
    finally:
        answer.close()
        connection.close()


def pay(life: Life, value: int, one: int = 0, other: int = 1) -> None:
    sender, receiver = life.people[one], life.people[other]
    assert life.send("transfer", value, 10, [sender, receiver], b"", sender=sender)


def resumable(stream: Stream, user: str, cursor: str | None, **more: Any) -> str:
    number = stream.ask("subscribe", event="all", user=user, cursor=cursor, **more)
    assert isinstance(number, str)
    return number


def params_of(stream: Stream, subscription: str) -> dict[str, Any]:
    found = stream.hear()
    assert found["method"] == f"subscription_{subscription}"
    params: dict[str, Any] = found["params"]
    return params


def test_a_wallet_that_comes_back_to_another_process_is_told_what_it_missed_and_then_what_comes(
    relay: RunningRelay, life: Life
) -> None:
    ada = life.people[0]
    with relay.stream("events", 0) as stream:
        subscription = resumable(stream, ada, None)
        assert set(params_of(stream, subscription)) == {"cursor"}
        pay(life, 1)
        told = [params_of(stream, subscription) for _ in range(3)]
        assert [params["event"]["type"] for params in told] == ["Transfer", "BalanceUpdate", "NetworkBalance"]
        cursor = told[0]["cursor"]
    pay(life, 2)
    pay(life, 3)
    with relay.stream("events", 1) as stream:
        subscription = resumable(stream, ada, cursor)
        told = []
        while len(amounts_in(told)) < 2:
            told.append(params_of(stream, subscription))
        assert amounts_in(told) == ["2", "3"]
        assert told[0]["event"]["amount"] == "2"
        pay(life, 4)
        while len(amounts_in(told)) < 3:
            told.append(params_of(stream, subscription))
        assert amounts_in(told) == ["2", "3", "4"]


def amounts_in(told: list[dict[str, Any]]) -> list[str]:
    events = [params["event"] for params in told if "event" in params]
    return [event["amount"] for event in events if event["type"] == "Transfer"]


def test_events_come_to_curl_as_to_a_web_socket_and_go_on_from_the_last_id(
    relay: RunningRelay, life: Life
) -> None:
    ada = life.people[0]
    with relay.stream("events") as stream, events_of(relay, ada) as events:
        stream.ask("subscribe", event="all", user=ada)
        events.wait_for_place()
        pay(life, 5)
        assert [events.next() for _ in range(3)] == stream.events(3)
        last_id = events.last_id
        assert events.retry is not None
    pay(life, 6)
    url = relay.url(f"/users/{ada}/events/stream", 1)
    command = ["curl", "-sN", "--max-time", "2", "-H", f"Last-Event-ID: {last_id}", url]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    data = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in data] == ["Transfer", "BalanceUpdate", "NetworkBalance"]
    assert data[0]["amount"] == "6"
    with events_of(relay, ada, query=f"?cursor={quote(last_id)}") as events:
        assert events.next()["amount"] == "6"


def test_a_stream_of_one_network_leaves_out_the_others(relay: RunningRelay, life: Life, network: Contract) -> None:
    ada = life.people[0]
    with events_of(relay, ada, network=network.address) as events:
        events.wait_for_place()
        pay(life, 7)
        assert events.next()["networkAddress"] == network.address


def test_what_a_reorg_takes_away_is_told_as_withdrawn_and_as_new_where_it_is_mined_again(
    relay: RunningRelay, life: Life, chain: Anvil
) -> None:
    ada = life.people[0]
    with relay.stream("events") as plain, relay.stream("events") as asking, events_of(relay, ada) as events:
        plain.ask("subscribe", event="all", user=ada)
        subscription = resumable(asking, ada, None, withdrawals=True)
        place = params_of(asking, subscription)["cursor"]
        events.wait_for_place()
        pay(life, 8)
        first = events.next("Transfer")
        chain.rpc("anvil_reorg", 1, [])
        withdrawn = events.next("Transfer")
        assert withdrawn == {**first, "status": "withdrawn"}
        pay(life, 8)
        again = events.next("Transfer")
        assert again["blockHash"] != first["blockHash"]
        assert again["status"] == "pending"
        wanted = [first, withdrawn, again]
        heard: list[dict[str, Any]] = []
        while len(heard) < 3:
            event = params_of(asking, subscription).get("event", {})
            heard += [event] if event.get("type") == "Transfer" else []
        assert heard == wanted
        transfers = []
        while len(transfers) < 2:
            transfers += [event for event in plain.events(1) if event["type"] == "Transfer"]
        assert transfers == [first, again], "who does not ask is told of no withdrawal"
    with relay.stream("events", 1) as late:
        subscription = resumable(late, ada, place, withdrawals=True)
        heard = [params_of(late, subscription)["event"] for _ in range(3)]
        assert heard == wanted, "and later on, too"


def test_a_stream_that_is_quiet_says_that_it_is_alive_and_where_it_stands(relay: RunningRelay, life: Life) -> None:
    cy = life.people[2]
    with events_of(relay, cy) as events:
        place = events.wait_for_place()
        pay(life, 9)
        while events.last_id == place:
            assert events._read() == (None, None)
        assert events.comments > 0
        assert events.heard == []


def request(relay: RunningRelay, method: str, path: str, **headers: str) -> tuple[int, HTTPMessage, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", relay.ports[0], timeout=SECONDS)
    connection.request(method, f"/api/v1{path}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, json.loads(body) if body else None


def test_what_is_wrong_with_a_request_is_said_in_json_before_a_stream_begins(
    relay: RunningRelay, life: Life
) -> None:
    ada = life.people[0]
    with events_of(relay, ada) as events:
        cursor = events.wait_for_place()
    stream = f"/users/{ada}/events/stream"
    foreign = cursor[:2] + ("AAAAAAAA" if cursor[2:10] != "AAAAAAAA" else "BBBBBBBB") + cursor[10:]
    for path, headers, status, code in (
        ("/users/0x12/events/stream", {}, 404, "malformed_address"),
        (f"/networks/{ada}{stream}", {}, 404, "unknown_network"),
        (f"{stream}?cursor=nonsense", {}, 422, "malformed_cursor"),
        (stream, {"Last-Event-ID": "nonsense"}, 422, "malformed_cursor"),
        (f"{stream}?cursor={foreign}", {}, 410, "cursor_unknown"),
    ):
        answered, sent, body = request(relay, "GET", path, **headers)
        assert (answered, body["code"]) == (status, code)
        assert body["message"]
        assert sent["Access-Control-Allow-Origin"] == "*"
    answered, sent, body = request(relay, "HEAD", stream)
    assert (answered, body) == (200, None)
    assert sent["Content-Type"].startswith("text/event-stream")
    answered, sent, body = request(relay, "OPTIONS", stream)
    assert (answered, body) == (204, None)
    assert sent["Access-Control-Allow-Methods"] == sent["Allow"] == "GET, HEAD, OPTIONS"
    answered, sent, body = request(relay, "POST", stream)
    assert (answered, body["code"], sent["Allow"]) == (405, "method_not_allowed", "GET, HEAD, OPTIONS")


def test_a_cursor_that_cannot_be_resumed_has_an_error_of_its_own(relay: RunningRelay, life: Life) -> None:
    ada = life.people[0]
    with relay.stream("events") as stream:
        subscription = resumable(stream, ada, None)
        cursor = params_of(stream, subscription)["cursor"]
        foreign = cursor[:2] + ("AAAAAAAA" if cursor[2:10] != "AAAAAAAA" else "BBBBBBBB") + cursor[10:]
        error = stream.call("subscribe", event="all", user=ada, cursor=foreign)["error"]
        assert (error["code"], error["data"]) == (-32001, {"code": "cursor_unknown"})
        assert "REST" in error["message"]
        for params in ({"cursor": "nonsense"}, {"cursor": 7}, {"withdrawals": "yes"}):
            error = stream.call("subscribe", event="all", user=ada, **params)["error"]
            assert error["code"] == -32602


def test_both_kinds_of_streams_count_together(relay: RunningRelay, life: Life) -> None:
    user, path = life.people[1], f"/users/{life.people[1]}/events/stream"
    opened = []
    for _ in range(10):
        opened.append(relay.stream("events"))
        opened.append(events_of(relay, user))  # type: ignore[arg-type]
    for each in opened:
        each.__enter__()
    answered, headers, body = request(relay, "GET", path)
    assert (answered, body["code"]) == (503, "too_many_streams")
    assert headers["Retry-After"]
    for each in opened:
        each.__exit__(None, None, None)

    def is_open() -> bool:
        with events_of(relay, user):
            return True

    until("there is room again", lambda: _holds(is_open))


def _holds(what: Any) -> bool:
    try:
        return bool(what())
    except AssertionError:
        return False


def test_over_a_restart_of_a_process_nothing_is_missed(relay: RunningRelay, life: Life) -> None:
    ada = life.people[0]
    with events_of(relay, ada, 1) as events, relay.stream("events", 1) as stream:
        events.wait_for_place()
        subscription = resumable(stream, ada, None)
        cursor = params_of(stream, subscription)["cursor"]
        pay(life, 10)
        assert events.next("Transfer")["amount"] == "10"
        relay.commands[1].send_signal(signal.SIGTERM)
        with pytest.raises(EOFError):
            events.next("Transfer")
        assert events.ended is not None
        assert events.ended["code"] == "relay_stops"
        last_id = events.last_id
    assert relay.commands[1].wait(SECONDS) == 0
    assert "Traceback" not in relay.log.read_text()
    assert "was destroyed" not in relay.log.read_text()
    pay(life, 11)
    relay.start_again(1)
    pay(life, 12)
    with events_of(relay, ada, 1, last_id=last_id) as events, relay.stream("events", 1) as stream:
        assert [events.next("Transfer")["amount"] for _ in range(2)] == ["11", "12"]
        subscription = resumable(stream, ada, cursor)
        told: list[dict[str, Any]] = []
        while len(amounts_in(told)) < 3:
            told.append(params_of(stream, subscription))
        assert amounts_in(told) == ["10", "11", "12"]
