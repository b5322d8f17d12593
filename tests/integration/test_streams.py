"""Live notifications of a relay with two API processes, over real WebSockets, held against the REST API."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests
from web3 import Web3
from web3.contract import Contract
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from relay.store.connection import connect as connect_database
from tests.support.chain_actions import Life
from tests.support.running_relay import SECONDS, RunningRelay, running_relay, until

NOBODY = "0x00000000000000000000000000000000000000A1"
BALANCE = {
    "type", "networkAddress", "timestamp", "user", "from", "to", "counterParty", "balance", "given", "received",
    "leftGiven", "leftReceived",
}  # fmt: skip


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3, network: Contract) -> Life:
    life = Life(chain, web3, network, seed=7)
    for one, other in zip(life.people, life.people[1:], strict=False):
        agree(life, one, other)
    return life


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "streams")
    drop_database(postgres_url, "streams")


@pytest.fixture(scope="module")
def relay(
    chain: Anvil, network: Contract, life: Life, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("streams")
    with running_relay(folder, chain.url, database, network.address, api_processes=2) as found:
        until("the users are known", lambda: found.get("/networks").json()[0]["numUsers"] == len(life.people))
        yield found


def agree(life: Life, one: str, other: str, credit: int = 1000) -> None:
    assert life.send("updateTrustline", other, credit, credit, 0, 0, False, sender=one)
    assert life.send("updateTrustline", one, credit, credit, 0, 0, False, sender=other)


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def without_status(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "status"}


@pytest.mark.parametrize("process", [0, 1])
def test_a_payment_is_told_to_sender_and_receiver_whichever_process_they_reached(
    relay: RunningRelay, life: Life, network: Contract, process: int
) -> None:
    ada, bo, cy = life.people[:3]
    with relay.stream("events", process) as stream:
        by_user = {user: stream.ask("subscribe", event="all", user=user) for user in (ada, bo, cy)}
        assert life.send("transfer", 7, 10, [ada, bo, cy], b"memo", sender=ada)
        told = {user: stream.events(count, by_user[user]) for user, count in ((ada, 3), (bo, 3), (cy, 3))}
    for user, count in ((ada, 1), (bo, 0), (cy, 1)):
        transfers = of_type(told[user], "Transfer")
        assert len(transfers) == count
        if count:
            listed = relay.get(f"/networks/{network.address}/users/{user}/events?type=Transfer").json()
            assert without_status(transfers[0]) == without_status(listed[-1]), "as the REST API tells it"
    assert [event["type"] for event in told[ada]] == ["Transfer", "BalanceUpdate", "NetworkBalance"]
    assert [event["type"] for event in told[bo]] == ["BalanceUpdate", "BalanceUpdate", "NetworkBalance"]
    for user, events in told.items():
        for event in of_type(events, "BalanceUpdate"):
            assert set(event) == BALANCE
            line = relay.get(f"/networks/{network.address}/users/{user}/trustlines/{event['to']}").json()
            for name in ("balance", "given", "received", "leftGiven", "leftReceived"):
                assert event[name] == line[name]
            assert event["from"] == event["user"] == user
            assert isinstance(event["timestamp"], int)
        (totals,) = of_type(events, "NetworkBalance")
        details = relay.get(f"/networks/{network.address}/users/{user}").json()
        assert details.items() <= totals.items()
        assert totals["user"] == user


def test_requests_cancels_updates_and_closings_are_told(relay: RunningRelay, life: Life) -> None:
    ada, eve = life.people[0], life.people[4]
    with relay.stream("events") as stream:
        of_ada = stream.ask("subscribe", event="all", user=ada)
        of_eve = stream.ask("subscribe", event="all", user=eve)
        assert life.send("updateTrustline", eve, 5, 6, 0, 0, False, sender=ada)
        assert life.send("cancelTrustlineUpdate", eve, sender=ada)
        agree(life, ada, eve)
        assert life.send("closeTrustline", eve, sender=ada)
        wanted = [
            "TrustlineUpdateRequest",
            "TrustlineUpdateCancel",
            "TrustlineUpdateRequest",
            "TrustlineUpdate",
            "TrustlineUpdate",
        ]
        for subscription, direction in ((of_ada, "sent"), (of_eve, "received")):
            events: list[dict[str, Any]] = []
            while len([event for event in events if "transactionHash" in event]) < len(wanted):
                events += stream.events(1, subscription)
            events = [event for event in events if "transactionHash" in event]
            assert [event["type"] for event in events] == wanted
            places = [(event["blockNumber"], event["logIndex"]) for event in events]
            assert places == sorted(set(places))
            assert events[0]["direction"] == direction
            assert (events[0]["given"], events[0]["received"]) == ("5", "6")
            assert events[0]["isFrozen"] is False
            assert (events[-1]["given"], events[-1]["received"]) == ("0", "0")


def test_nothing_is_lost_and_nothing_told_twice_while_much_happens(relay: RunningRelay, life: Life) -> None:
    ada, bo = life.people[:2]
    with relay.stream("events", 0) as first, relay.stream("events", 1) as second:
        subscriptions = [(stream, stream.ask("subscribe", event="all", user=ada)) for stream in (first, second)]
        for _ in range(40):
            assert life.send("transfer", 1, 1, [ada, bo], b"", sender=ada)
            assert life.send("transfer", 1, 1, [bo, ada], b"", sender=bo)
        for stream, subscription in subscriptions:
            transfers: list[dict[str, Any]] = []
            while len(transfers) < 80:
                transfers += of_type(stream.events(1, subscription), "Transfer")
            places = [(event["blockNumber"], event["logIndex"]) for event in transfers]
            assert places == sorted(set(places))
            assert [event["direction"] for event in transfers] == ["sent", "received"] * 40


def test_who_listens_misses_nothing_when_the_database_ends_all_sessions(
    relay: RunningRelay, life: Life, database: str
) -> None:
    ada, bo = life.people[:2]
    with relay.stream("events", 0) as first, relay.stream("events", 1) as second:
        subscriptions = [(stream, stream.ask("subscribe", event="all", user=ada)) for stream in (first, second)]
        for number in range(30):
            assert life.send("transfer", 1, 1, [ada, bo], b"", sender=ada)
            assert life.send("transfer", 1, 1, [bo, ada], b"", sender=bo)
            if number in (5, 6, 15):
                end_sessions(database)
        for stream, subscription in subscriptions:
            transfers: list[dict[str, Any]] = []
            while len(transfers) < 60:
                transfers += of_type(stream.events(1, subscription), "Transfer")
            places = [(event["blockNumber"], event["logIndex"]) for event in transfers]
            assert places == sorted(set(places))
            assert [event["direction"] for event in transfers] == ["sent", "received"] * 30


def end_sessions(database: str) -> None:
    """End everybody's sessions, as a restart of the server does."""
    connection = connect_database(database)
    connection.autocommit = True

    def end() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return bool(cursor.fetchall())

    until("there were some", end)
    connection.close()


def test_a_reorg_tells_how_things_stand_now(relay: RunningRelay, life: Life, chain: Anvil, web3: Web3) -> None:
    ada, bo = life.people[:2]
    with relay.stream("events") as stream:
        subscription = stream.ask("subscribe", event="all", user=ada)
        before = web3.eth.get_block("latest")
        assert life.send("transfer", 11, 1, [ada, bo], b"", sender=ada)
        told = stream.events(3, subscription)
        after = int(of_type(told, "NetworkBalance")[0]["balance"])
        old = web3.eth.get_block("latest")
        chain.rpc("anvil_reorg", 1, [])
        assert web3.eth.get_block(old["number"])["hash"] != old["hash"]
        assert web3.eth.get_block("latest")["number"] >= before["number"]
        balance, totals = stream.events(2, subscription)
        assert (balance["type"], totals["type"]) == ("BalanceUpdate", "NetworkBalance")
        assert int(totals["balance"]) == after + 11


def test_a_subscription_ends_when_asked(relay: RunningRelay, life: Life) -> None:
    ada, bo = life.people[:2]
    with relay.stream("events") as stream:
        first = stream.ask("subscribe", event="all", user=ada)
        second = stream.ask("subscribe", event="all", user=ada.lower())
        assert first != second
        assert stream.ask("unsubscribe", subscription=first) is True
        assert stream.ask("unsubscribe", subscription=first) is False
        assert life.send("transfer", 1, 1, [ada, bo], b"", sender=ada)
        assert {event["user"] for event in stream.events(3, second)} == {ada}
        assert stream.ask("unsubscribe", event="all", user=ada) is True
        assert life.send("transfer", 1, 1, [ada, bo], b"", sender=ada)
        assert stream.is_silent(0.7)


def test_faults_are_answered_as_json_rpc_has_it(relay: RunningRelay) -> None:
    with relay.stream("events") as stream:
        assert stream.call("nonsense")["error"]["code"] == -32601
        assert stream.call("listen", type="all", user=NOBODY)["error"]["code"] == -32601
        for params in ({}, {"event": "all"}, {"event": "some", "user": NOBODY}, {"event": "all", "user": "0x12"}):
            assert stream.call("subscribe", **params)["error"]["code"] == -32602
        stream.say("{nonsense")
        assert stream.hear()["error"]["code"] == -32700
        stream.say(["nonsense"])
        assert stream.hear()[0]["error"]["code"] == -32600
        stream.say({"jsonrpc": "2.0", "error": {"code": 1, "message": "what?"}})
        assert stream.ask("subscribe", event="all", user=NOBODY), "an answer to us is passed over"


def test_who_sends_too_much_at_once_is_cut_off(relay: RunningRelay) -> None:
    with relay.stream("events") as stream:
        with suppress(ConnectionClosed):
            stream.say("x" * 10_000_000)
        with pytest.raises(ConnectionClosed):
            stream.hear()


def test_who_does_not_want_a_web_socket_is_told_in_json(relay: RunningRelay) -> None:
    answer = relay.get("/streams/events")
    assert answer.status_code == 426
    assert answer.json()["code"] == "upgrade_required"
    assert "WebSocket" in answer.json()["message"]
    assert relay.get("/streams/nonsense").status_code == 404
    assert relay.get("/streams/messages").status_code == 404, "messages are switched off here"


def test_a_slash_at_the_end_is_accepted(relay: RunningRelay) -> None:
    with relay.stream("events/") as stream:
        assert stream.ask("subscribe", event="all", user=NOBODY)


def test_streams_leave_the_threads_of_requests_free(relay: RunningRelay) -> None:
    address = f"ws://127.0.0.1:{relay.ports[0]}/api/v1/streams/events"
    with ExitStack() as opened, requests.Session() as session:
        for _ in range(20):
            opened.enter_context(connect(address, proxy=None))
        began = time.monotonic()
        for _ in range(20):
            assert session.get(relay.url("/networks"), timeout=SECONDS).ok
        assert time.monotonic() - began < SECONDS / 2


def test_a_message_in_pieces_is_read_whole(relay: RunningRelay) -> None:
    with relay.stream("events") as stream:
        text = json.dumps({"jsonrpc": "2.0", "method": "nonsense", "id": "a"})
        stream.socket.send(iter([text[:9], text[9:20], text[20:]]))
        assert stream.hear()["id"] == "a"


def test_streams_are_told_when_the_relay_stops(
    chain: Anvil, network: Contract, database_url: str, tmp_path: Any
) -> None:
    with running_relay(tmp_path, chain.url, database_url, network.address) as relay:
        with relay.stream("events") as stream:
            stream.ask("subscribe", event="all", user=NOBODY)
            relay.commands[0].send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                stream.hear()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert relay.commands[0].wait(SECONDS) == 0
    assert "Traceback" not in relay.log.read_text()


def test_switched_off_there_are_no_streams(
    chain: Anvil, network: Contract, database_url: str, tmp_path: Any
) -> None:
    off = "[streams]\nenable = false\n"
    with running_relay(tmp_path, chain.url, database_url, network.address, off) as relay:
        assert relay.get("/streams/events").status_code == 404
        with socket.create_connection(("127.0.0.1", relay.ports[0]), timeout=SECONDS) as client:
            client.sendall(
                b"GET /api/v1/streams/events HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 404 ")
