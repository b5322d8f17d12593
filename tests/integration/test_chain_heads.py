"""Hearing of new blocks over WebSocket: a wake-up where it works, the clock where it does not."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from relay.chain.heads import HeadWatcher
from relay.devnet.anvil import Anvil, free_port


def mine(anvil: Anvil, blocks: int = 1) -> None:
    anvil.rpc("anvil_mine", hex(blocks))


def websocket_of(anvil: Anvil) -> str:
    return anvil.url.replace("http:", "ws:")


def seconds_to_wake(watcher: HeadWatcher, limit: float) -> float:
    began = time.monotonic()
    assert watcher.wait(limit), "nothing woke the watcher"
    return time.monotonic() - began


@pytest.fixture
def watcher(anvil: Anvil) -> Iterator[HeadWatcher]:
    with HeadWatcher(websocket_of(anvil), pause_seconds=0.1) as watcher:
        assert watcher.wait(5)  # connected
        yield watcher


def test_a_new_block_wakes_at_once(anvil: Anvil, watcher: HeadWatcher) -> None:
    for _ in range(3):
        threading.Timer(0.2, mine, (anvil,)).start()
        assert 0.1 < seconds_to_wake(watcher, 10) < 2


def test_a_block_that_came_before_the_wait_is_not_missed(anvil: Anvil, watcher: HeadWatcher) -> None:
    mine(anvil, 5)
    time.sleep(0.5)
    assert seconds_to_wake(watcher, 10) < 1
    assert not watcher.wait(0.2)


def test_without_news_the_wait_lasts_as_long_as_the_clock_says(watcher: HeadWatcher) -> None:
    began = time.monotonic()
    assert not watcher.wait(0.6)
    assert 0.55 < time.monotonic() - began < 2


def test_without_a_url_it_is_the_clock_alone() -> None:
    with HeadWatcher("") as watcher:
        began = time.monotonic()
        assert not watcher.wait(0.3)
        assert time.monotonic() - began >= 0.3


def test_who_is_stopped_does_not_wait_on() -> None:
    stopping = threading.Event()
    with HeadWatcher("", stopping) as watcher:
        threading.Timer(0.1, stopping.set).start()
        began = time.monotonic()
        assert not watcher.wait(30)
        assert time.monotonic() - began < 2


def test_a_node_that_comes_back_is_listened_to_again(anvil_binary: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    with HeadWatcher(f"ws://127.0.0.1:{port}", pause_seconds=0.1) as watcher:
        assert not watcher.wait(0.3)
        for _ in range(2):
            with Anvil(anvil_binary, port=port) as anvil:
                assert watcher.wait(20)
                mine(anvil)
                assert watcher.wait(5)
            watcher.wait(0.5)
    texts = [record.getMessage() for record in caplog.records if record.name == "relay.chain.heads"]
    assert sum("tells of new blocks" in text for text in texts) == 2
    assert any("asking by the clock meanwhile" in text for text in texts)


class Announcer:
    """A WebSocket server that sends what it is told, after the answer to the subscription."""

    def __init__(self, answer: Any, *messages: str) -> None:
        self.answer = answer
        self.messages = messages
        self.connections = 0

    def __call__(self, connection: ServerConnection) -> None:
        self.connections += 1
        request = json.loads(connection.recv())
        assert (request["method"], request["params"]) == ("eth_subscribe", ["newHeads"])
        connection.send(self.answer if isinstance(self.answer, str) else json.dumps(self.answer))
        for message in self.messages:
            connection.send(message)
        for _ in connection:
            pass


def serving(announcer: Announcer) -> Server:
    server = serve(announcer, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


SUBSCRIBED = {"jsonrpc": "2.0", "id": 1, "result": "0x1"}


@pytest.mark.parametrize(
    "announcer",
    [
        Announcer("<html>"),
        Announcer([1, 2]),
        Announcer({"id": 1, "error": {"code": -32601, "message": "no subscriptions"}}),
        Announcer(SUBSCRIBED, "{", "nonsense"),
        Announcer(SUBSCRIBED, "x" * (2 << 20)),
        Announcer(SUBSCRIBED, "[" * 100_000),
    ],
)
def test_a_node_that_talks_nonsense_only_costs_the_wake_ups(announcer: Announcer) -> None:
    server = serving(announcer)
    port = server.socket.getsockname()[1]
    try:
        with HeadWatcher(f"ws://127.0.0.1:{port}", pause_seconds=0.05) as watcher:
            until = time.monotonic() + 5
            while announcer.connections < 2 and time.monotonic() < until:
                watcher.wait(0.05)
            assert announcer.connections >= 2, "it did not try again"
    finally:
        server.shutdown()


def test_other_messages_than_announcements_wake_nobody() -> None:
    server = serving(Announcer(SUBSCRIBED, "1", "[]", '{"method": "eth_other"}', '{"id": 5, "result": true}'))
    port = server.socket.getsockname()[1]
    try:
        with HeadWatcher(f"ws://127.0.0.1:{port}") as watcher:
            assert watcher.wait(5)  # connected
            assert not watcher.wait(0.5)
    finally:
        server.shutdown()


def test_secrets_of_the_url_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with HeadWatcher(f"ws://user:secret@127.0.0.1:{free_port()}/apikey", pause_seconds=0.05) as watcher:
        watcher.wait(0.4)
    texts = " ".join(record.getMessage() for record in caplog.records)
    assert "ws://127.0.0.1" in texts
    assert "secret" not in texts
    assert "apikey" not in texts
