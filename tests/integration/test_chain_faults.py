"""Nodes that misbehave on the wire: none of them holds us longer than its time, or makes us take its answer."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from relay.chain import node as node_module
from relay.chain.errors import AnswerTooLarge, ChainError, NodeMisbehaved, NodeTooSlow, NodeUnreachable
from relay.chain.node import Node
from relay.chain.nodes import Nodes
from relay.chain.transport import TooManyBytes, transport_to
from tests.support.bad_server import BadServer, Behaviour, reply, result
from tests.support.fake_node import FakeChain, answer_to


def drip(connection: socket.socket, data: bytes) -> None:
    """Send a byte every 50 ms, for ever if there is an end to them."""
    for at in range(10_000):
        connection.sendall(data[at : at + 1] or b" ")
        time.sleep(0.05)


def hang(connection: socket.socket, request: Any) -> None:
    connection.recv(1)


def drip_the_head(connection: socket.socket, request: Any) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 9_000)


def drip_the_body(connection: socket.socket, request: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(connection, result(request, "0x1"))


def drip_chunks(connection: socket.socket, request: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.05)


def continue_for_ever(connection: socket.socket, request: Any) -> None:
    for _ in range(10_000):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def eventually(is_so: Callable[[], bool]) -> bool:
    for _ in range(100):
        if is_so():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("behave", [hang, drip_the_head, drip_the_body, drip_chunks, continue_for_ever])
def test_no_node_holds_us_longer_than_the_timeout_and_nothing_of_it_stays(behave: Behaviour) -> None:
    with BadServer(behave) as server:
        node = Node(server.url, timeout=0.5)
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(NodeTooSlow, match=r"did not answer eth_chainId within 0\.5 s"):
                node.chain_id()
            assert time.monotonic() - began < 1.5
        assert server.connections == 2
        assert eventually(lambda: server.open == 0)


def cut(body: bytes) -> bytes:
    return body[:-5]


@pytest.mark.parametrize(
    ("behave", "kind", "words"),
    [
        (lambda c, r: reply(c, cut(result(r, "0x1"))), NodeMisbehaved, "no JSON-RPC"),
        (lambda c, r: reply(c, result({"id": r["id"] + 1}, "0x1")), NodeMisbehaved, "was not asked"),
        (lambda c, r: reply(c, result(r, None)), NodeMisbehaved, "wrong shape"),
        (lambda c, _: reply(c, b"", status="500 Oops"), NodeUnreachable, "HTTP status 500"),
        (lambda c, _: reply(c, b"", status="301 Gone", headers="Location: /x\r\n"), NodeUnreachable, "status 301"),
        (
            lambda c, _: reply(c, b"x" * 40, headers="Content-Encoding: gzip\r\n"),
            NodeMisbehaved,
            "broken compression",
        ),
        (lambda c, _: c.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), NodeUnreachable, "cannot be reached"),
        (lambda c, _: c.sendall(b"HTTP/1.1 999999 ?\r\n\r\n"), NodeUnreachable, "cannot be reached"),
        (lambda c, _: c.shutdown(socket.SHUT_RDWR), NodeUnreachable, "hung up without an answer"),
    ],
)
def test_what_is_no_answer_is_named_in_one_sentence(behave: Behaviour, kind: type[ChainError], words: str) -> None:
    with BadServer(behave) as server, pytest.raises(kind, match=words) as caught:
        Node(server.url, timeout=5).chain_id()
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_compressed_answer_is_taken_and_a_connection_is_used_again() -> None:
    def behave(connection: socket.socket, request: Any) -> None:
        reply(connection, gzip.compress(result(request, "0x2a")), headers="Content-Encoding: gzip\r\n")

    with BadServer(behave) as server:
        node = Node(server.url)
        assert [node.chain_id() for _ in range(5)] == [42] * 5
        assert server.connections == 1


def test_a_connection_that_the_node_has_closed_meanwhile_is_no_fault() -> None:
    def behave(connection: socket.socket, request: Any) -> None:
        reply(connection, result(request, "0x2a"))
        raise OSError  # hangs up without having said so

    with BadServer(behave) as server:
        node = Node(server.url)
        assert [node.chain_id() for _ in range(20)] == [42] * 20


def test_credentials_go_to_the_node_and_nowhere_else() -> None:
    with BadServer(lambda connection, request: reply(connection, result(request, "0x1"))) as server:
        Node(server.url.replace("://", "://user:pass@") + "/key?x=1").chain_id()
    assert b"Authorization: Basic dXNlcjpwYXNz" in server.headers[0]
    assert server.headers[0].startswith(b"POST /key?x=1 HTTP/1.1")


@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_answer_of_absurd_size_is_not_read_to_its_end(is_compressed: bool) -> None:
    body = b" " * 50_000_000
    sent = gzip.compress(body, 1) if is_compressed else body
    headers = "Content-Encoding: gzip\r\n" if is_compressed else ""
    with BadServer(lambda connection, _: reply(connection, sent, headers)) as server:
        with pytest.raises(TooManyBytes):
            transport_to(server.url, 5).send(b"{}", 5, 1_000_000)
        assert eventually(lambda: server.open == 0)
    assert issubclass(AnswerTooLarge, NodeMisbehaved)
    assert node_module.MOST_BYTES > 1_000_000


def test_https_to_what_speaks_no_tls_is_unreachable() -> None:
    with BadServer(hang) as server, pytest.raises(NodeUnreachable, match="node https://127"):
        Node(server.url.replace("http:", "https:"), timeout=1).chain_id()


class Good:
    """Answers as a node of a chain does, until told otherwise."""

    def __init__(self) -> None:
        self.chain = FakeChain(100)
        self.otherwise: Behaviour | None = None

    def __call__(self, connection: socket.socket, request: Any) -> None:
        if self.otherwise is not None:
            self.otherwise(connection, request)
            return
        answer = answer_to(request, self.chain.answer(request["method"], request["params"]))
        reply(connection, json.dumps(answer).encode())


@pytest.mark.parametrize("behave", [hang, drip_the_head, drip_the_body, drip_chunks])
def test_another_node_answers_within_three_seconds(behave: Behaviour) -> None:
    first, second = Good(), Good()
    with BadServer(first) as a, BadServer(second) as b:
        nodes = Nodes([a.url, b.url], timeout=10)
        assert nodes.head().number == 100
        assert nodes.url == a.url
        first.otherwise = behave
        began = time.monotonic()
        assert nodes.head().number == 100
        assert time.monotonic() - began < 3
        assert nodes.url == b.url


def test_threads_do_not_pile_up() -> None:
    with BadServer(drip_the_body) as server:
        node = Node(server.url, timeout=0.1)
        before = threading.active_count()
        for _ in range(30):
            with pytest.raises(NodeTooSlow):
                node.chain_id()
        assert eventually(lambda: threading.active_count() < before + 5)


def answering_by_socket(path: str, behave: Behaviour) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=attend, args=(connection,), daemon=True).start()

    def attend(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := connection.recv(65536):
                behave(connection, json.loads(received))

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("behave", "kind", "words"),
    [
        (hang, NodeTooSlow, r"did not answer eth_chainId within 0\.5 s"),
        (lambda c, r: drip(c, b"[" + result(r, "0x1")), NodeTooSlow, "did not answer"),
        (lambda c, r: (c.sendall(cut(result(r, "0x1"))), c.close()), NodeUnreachable, "broke off its answer"),
        (lambda c, _: c.shutdown(socket.SHUT_RDWR), NodeUnreachable, "hung up without an answer"),
        (lambda c, r: c.sendall(result({"id": 0}, r["id"])), NodeMisbehaved, "was not asked"),
    ],
)
def test_a_socket_is_given_no_more_time_or_trust_than_http(
    tmp_path: Path, behave: Behaviour, kind: type[ChainError], words: str
) -> None:
    path = tmp_path / "node.ipc"
    with answering_by_socket(str(path), behave):
        began = time.monotonic()
        with pytest.raises(kind, match=words):
            Node(f"ipc://{path}", timeout=0.5).chain_id()
        assert time.monotonic() - began < 1.5


def test_an_answer_in_pieces_comes_whole_by_socket_and_the_connection_is_used_again(tmp_path: Path) -> None:
    path, connections = tmp_path / "node.ipc", set()

    def behave(connection: socket.socket, request: Any) -> None:
        connections.add(connection.fileno())
        body = result(request, "0x2a")
        for part in (body[:10], body[10:-1], body[-1:] + b"\n"):
            connection.sendall(part)
            time.sleep(0.02)

    with answering_by_socket(str(path), behave):
        node = Node(str(path), timeout=5)
        assert [node.chain_id() for _ in range(3)] == [42] * 3
    assert len(connections) == 1
