"""Streams over real sockets, without a relay around them: floods, slow and silent readers, many clients."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from relay.addresses import Address, to_checksum
from relay.store.feed_log import Log, Mark, Reached
from relay.streams.history import History
from relay.streams.hub import Batch, Kind, News, Receipt
from relay.streams.server import Limits, StreamServer
from relay.streams.sse import EventRequest
from tests.support.fake_services import graphs
from tests.support.running_relay import until

ADA, BO = bytes([0xA1]) * 20, bytes([0xB2]) * 20
SECONDS = 20.0
LIMITS = Limits(max_connections=50, max_buffered_bytes=65_536)

Start = Callable[[Limits], StreamServer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server of streams."""
    with ExitStack() as running:

        def start(limits: Limits) -> StreamServer:
            server = StreamServer(limits)
            server.start()
            running.callback(server.stop)
            return server

        yield start


class Client:
    """The other side of a stream; it answers pings, and reads, only while it is asked for something."""

    def __init__(self, server: StreamServer, kind: Kind = Kind.EVENTS, place: str = "here") -> None:
        self.socket, ours = socket.socketpair()
        self.socket.settimeout(SECONDS)
        self.protocol = Protocol(CLIENT, state=OPEN)
        self.frames: list[Frame] = []
        assert server.admit(place)
        server.take(ours, kind, b"", place)

    def send(self, data: Any, *, binary: bool = False) -> None:
        text = data if isinstance(data, bytes) else json.dumps(data).encode("utf-8")
        (self.protocol.send_binary if binary else self.protocol.send_text)(text)
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(b"".join(self.protocol.data_to_send()))

    def frame(self) -> Frame:
        """Return the next frame; raises ConnectionError once the connection has ended."""
        while not self.frames:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError
            self.protocol.receive_data(data)
            self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
            with suppress(ConnectionError):  # who has gone needs no answer to a ping
                self.flush()
        return self.frames.pop(0)

    def rest(self) -> list[Frame]:
        """Return all frames until the connection ends."""
        found = []
        with suppress(ConnectionError):
            while True:
                found.append(self.frame())
        return found

    def hear(self) -> Any:
        """Return the next message."""
        while (frame := self.frame()).opcode is not Opcode.TEXT:
            pass
        return json.loads(bytes(frame.data))

    def ask(self, method: str, user: Address = ADA) -> Any:
        params = {"event": "all", "type": "all", "user": to_checksum(user)}
        self.send({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
        return self.hear()

    def is_ended(self) -> bool:
        """Return whether the server has ended the connection, reading what it sent before."""
        self.socket.settimeout(0.01)
        try:
            while self.socket.recv(1_000_000):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


def event(size: int = 10) -> bytes:
    return json.dumps("x" * size).encode("utf-8")


def test_binary_frames_are_read_as_text_and_answered_as_text(start: Start) -> None:
    client = Client(start(LIMITS))
    client.send({"jsonrpc": "2.0", "method": "nonsense", "id": "a"}, binary=True)
    assert client.hear()["id"] == "a"
    client.send(b"\xff\xfe", binary=True)
    assert client.hear()["error"]["code"] == -32700


def test_a_ping_is_answered_with_what_it_carried(start: Start) -> None:
    client = Client(start(LIMITS))
    client.protocol.send_ping(b"are you there?")
    client.flush()
    frame = client.frame()
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, b"are you there?")


def test_a_close_is_answered_and_the_connection_forgotten(start: Start) -> None:
    server = start(LIMITS)
    client = Client(server)
    assert "result" in client.ask("subscribe")
    client.protocol.send_close(1000, "")
    client.flush()
    while client.frame().opcode is not Opcode.CLOSE:
        pass
    until("it is forgotten", lambda: server.number_of_connections == 0 and server.hub.is_empty)


def test_frames_that_are_none_end_the_connection_and_no_other(start: Start) -> None:
    server = start(LIMITS)
    good, bad = Client(server), Client(server)
    good.ask("subscribe")
    bad.socket.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    until("the bad one is gone", bad.is_ended)
    server.publish([News((Kind.EVENTS, ADA), event())])
    assert good.hear()["params"]["event"] == "x" * 10


def test_who_is_gone_without_a_word_is_cut_off(start: Start) -> None:
    server = start(replace(LIMITS, ping_seconds=0.3))
    silent = Client(server)
    assert "result" in silent.ask("subscribe")
    began = time.monotonic()
    until("it is cut off", lambda: server.number_of_connections == 0, 5)
    assert time.monotonic() - began < 2
    assert server.hub.is_empty


def test_a_client_may_hold_so_many_connections_and_others_theirs(start: Start) -> None:
    server = start(replace(LIMITS, max_connections_per_client=3, max_connections=5))
    flood = [Client(server, place="6.6.6.6") for _ in range(3)]
    assert not server.admit("6.6.6.6")
    others = [Client(server, place=f"10.0.0.{number}") for number in range(2)]
    assert not server.admit("10.0.0.9"), "five are open"
    flood[0].socket.close()
    until("its place is free", lambda: server.number_of_connections == 4)
    assert "result" in Client(server, place="6.6.6.6").ask("subscribe")
    assert all("result" in other.ask("subscribe") for other in others)


def test_so_many_subscriptions_are_held_for_all_together(start: Start) -> None:
    server = start(replace(LIMITS, max_connections=2))
    greedy, late = Client(server), Client(server)
    answers = [greedy.ask("subscribe") for _ in range(11)]
    assert ["result" in answer for answer in answers] == [True] * 10 + [False]
    assert late.ask("subscribe")["error"]["code"] == -32000
    greedy.socket.close()
    until("they are free again", lambda: server.hub.is_empty)
    assert "result" in late.ask("subscribe")


def test_a_flood_of_calls_is_slowed_down_and_holds_up_nobody(start: Start) -> None:
    server = start(LIMITS)
    calm, floods = Client(server), [Client(server, place="6.6.6.6") for _ in range(5)]
    calm.ask("subscribe")
    for flood in floods:
        flood.socket.setblocking(False)
        for _ in range(20_000):
            flood.protocol.send_text(b"{}")
        data = b"".join(flood.protocol.data_to_send())
        sent = 0
        try:
            while sent < len(data):
                sent += flood.socket.send(data[sent : sent + 10_000])
        except BlockingIOError:
            pass
    waits = []
    for _ in range(20):
        server.publish([News((Kind.EVENTS, ADA), event())])
        began = time.monotonic()
        calm.hear()
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 0.25
    calm.send({"jsonrpc": "2.0", "method": "nonsense", "id": 1})
    assert calm.hear()["error"]["code"] == -32601


def test_who_asks_without_reading_the_answers_is_heard_no_further(start: Start) -> None:
    asked: list[Address] = []

    async def missed(user: Address) -> tuple[Sequence[Any], Receipt]:
        asked.append(user)
        return ["x" * 1_000_000], Receipt(lambda: None, lambda: None)

    server = start(LIMITS)
    server.serve_missed(missed)
    client = Client(server, Kind.MESSAGES)
    params = {"type": "all", "user": to_checksum(ADA)}
    for number in range(50):
        client.send({"jsonrpc": "2.0", "method": "getMissedMessages", "params": params, "id": number})
    time.sleep(0.5)
    assert len(asked) < 5
    for number in range(50):
        answer = client.hear()
        assert (answer["id"], len(answer["result"][0])) == (number, 1_000_000), "who reads gets all of it"
    assert len(asked) == 50


def test_who_does_not_read_notifications_is_cut_off_and_the_others_get_them(start: Start) -> None:
    server = start(LIMITS)
    slow, quick = Client(server), Client(server)
    for client in (slow, quick):
        client.ask("subscribe")
    for _ in range(100):
        server.publish([News((Kind.EVENTS, ADA), event(10_000))])
        assert len(quick.hear()["params"]["event"]) == 10_000
    until("the slow one is cut off", lambda: server.number_of_connections == 1)


def test_who_does_not_read_at_all_costs_no_more_than_the_bound_and_is_gone_soon_after(start: Start) -> None:
    server = start(replace(LIMITS, last_word_seconds=0.3))
    client = Client(server)
    client.ask("subscribe")
    for _ in range(200):
        server.publish([News((Kind.EVENTS, ADA), event(10_000))])
    until("it is gone", lambda: server.number_of_connections == 0, 5)
    assert server.hub.is_empty


def test_a_slow_reader_finds_the_reason_behind_what_waited_for_it(start: Start) -> None:
    server = start(LIMITS)
    client = Client(server)
    number = client.ask("subscribe")["result"]
    server.publish([News((Kind.EVENTS, ADA), event(), cursor="first")])
    assert client.hear()["params"]["event"], "nothing is held back any more"
    for count in range(200):
        server.publish([News((Kind.EVENTS, ADA), event(10_000), cursor=f"cursor {count}")])
    until("it is told no more", lambda: server.hub.is_empty)
    frames = client.rest()
    texts = [json.loads(bytes(frame.data)) for frame in frames if frame.opcode is Opcode.TEXT]
    last = texts.pop()
    assert (last["method"], last["params"]["code"]) == ("end", "slow_reader")
    assert last["params"]["cursors"] == {number: f"cursor {len(texts) - 1}"}
    close = next(frame for frame in frames if frame.opcode is Opcode.CLOSE)
    assert int.from_bytes(close.data[:2], "big") == 1013
    assert b"slow reader" in bytes(close.data)


class Still:
    """A history in which nothing happens."""

    def __init__(self) -> None:
        self.now = Mark(1, 1, 1)

    def mark(self) -> Mark:
        return self.now

    def require(self, reached: Reached) -> None:
        pass

    def since(
        self, reached: Reached, until: Mark | None = None, user: Address | None = None, most: int = 0
    ) -> Log:
        return Log(self.now, self.now.ends_at(), 1)


def test_a_slow_reader_of_server_sent_events_gets_a_bounded_buffer_and_the_reason(start: Start) -> None:
    server = StreamServer(LIMITS)
    server.serve_history(History(Still(), graphs()))
    server.start()
    client, ours = socket.socketpair()
    client.settimeout(SECONDS)
    assert server.admit("here")
    server.take_events(ours, EventRequest(ADA), "here")
    until("it is subscribed", lambda: not server.hub.is_empty)
    server.advance(Batch((), Still().now, server.hub.version))
    said = b""
    while b"id: " not in said:
        said += client.recv(65_536)
    for count in range(200):
        server.publish([News((Kind.EVENTS, ADA), event(10_000), cursor=f"cursor-{count}")])
    until("it is told no more", lambda: server.hub.is_empty)
    while data := client.recv(65_536):
        said += data
    *told, last = said.decode().rstrip("\n").split("\n\n")
    assert "event: end" in last
    assert '"code":"slow_reader"' in last
    numbers = [entry.partition("\n")[0] for entry in told if "data: " in entry]
    assert numbers == [f"id: cursor-{count}" for count in range(len(numbers))]
    assert 0 < len(numbers) < 200
    until("it is gone", lambda: server.number_of_connections == 0)
    server.stop()


def test_all_slow_readers_together_cost_no_more_than_so_much(start: Start) -> None:
    limits = replace(LIMITS, max_buffered_bytes=10_000_000, max_buffered_bytes_of_all=3_000_000, ping_seconds=2.0)
    server = start(limits)
    clients = [Client(server) for _ in range(10)]
    for client in clients:
        client.ask("subscribe")
    server.publish([News((Kind.EVENTS, ADA), event(100_000))] * 10)
    until("some are cut off", lambda: server.number_of_connections < 10, 20)


def test_hundreds_of_followers_are_all_told(start: Start) -> None:
    server = start(replace(LIMITS, max_connections=1_000))
    with ExitStack() as opened:
        clients = [Client(server) for _ in range(400)]
        for client in clients:
            opened.callback(client.socket.close)
            client.send(
                {
                    "jsonrpc": "2.0",
                    "method": "subscribe",
                    "params": {"event": "all", "user": to_checksum(ADA)},
                    "id": 1,
                }
            )
        for client in clients:
            assert "result" in client.hear()
        server.publish([News((Kind.EVENTS, ADA), event()), News((Kind.EVENTS, BO), event())])
        assert all(client.hear()["params"]["event"] == "x" * 10 for client in clients)


def test_a_server_that_stops_takes_nobody_and_says_so(start: Start) -> None:
    server = start(LIMITS)
    client = Client(server)
    client.ask("subscribe")
    server.stop()
    assert not server.admit("here")
    last = client.rest()[-1]
    assert last.opcode is Opcode.CLOSE
    assert bytes(last.data)[:2] == (1001).to_bytes(2, "big")
