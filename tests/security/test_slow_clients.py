"""Clients that send or read slowly or not at all: the others are answered meanwhile, and such connections end.

Slow readers of streams stand in tests/integration/test_stream_server.py.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest

from tests.support.running_relay import until
from tests.support.running_service import SECONDS, Service, rest_of, serving

QUICK_SECONDS = 0.25
"""Within which others are answered."""
LARGE = 6_000_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


def waits_of_others(service: Service, number: int = 10) -> list[float]:
    """Return how long some requests of somebody else take, in order of size."""
    waits = []
    for _ in range(number):
        began = time.monotonic()
        assert service.get("/")
        waits.append(time.monotonic() - began)
    return sorted(waits)


def connections(service: Service) -> int:
    """Return how many connections the service holds."""
    return sum(
        each.status != psutil.CONN_LISTEN
        for pid in service.workers()
        for each in psutil.Process(pid).net_connections("tcp")
    )


def test_whoever_is_slow_keeps_nobody_waiting_and_is_cut_off_in_the_end(service: Service) -> None:
    """All kinds at once, so that it takes no longer than the most patient bound, 20 s."""
    head = b"GET / HTTP/1.1\r\nX: 012345678901234567890123456789"
    body = b"POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\nsome of"
    chunks = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
    began = time.monotonic()
    with ExitStack() as opened:

        def many(number: int, said: bytes) -> list[socket.socket]:
            clients = [opened.enter_context(service.connect()) for _ in range(number)]
            for client in clients:
                client.sendall(said)
            return clients

        dripping, dripping_bodies = many(100, b""), many(50, body)
        stopping, stopping_chunks, silent = many(50, body), many(50, chunks), many(100, b"")
        half_open = many(20, head)
        for client in half_open:
            client.shutdown(socket.SHUT_WR)
        stalled = [opened.enter_context(few_received(service)) for _ in range(10)]
        for client in stalled:
            client.sendall(b"GET /large?%d HTTP/1.1\r\n\r\n" % LARGE)
        until("all are connected", lambda: connections(service) > 340)
        waits = []
        for number in range(8):
            for client in dripping:
                client.sendall(head[number : number + 1])
            for client in dripping_bodies:
                client.sendall(b"x")
            waits += waits_of_others(service, 3)
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
        assert sorted(waits)[len(waits) // 2] < QUICK_SECONDS, waits
        for client in (*dripping, *dripping_bodies, *stopping, *stopping_chunks):
            answer = rest_of(client)
            assert answer.startswith(b"HTTP/1.1 408 "), answer
        for client in half_open:
            assert rest_of(client) == b""
        assert time.monotonic() - began < 14
        for client in silent:
            assert rest_of(client) == b"", "nothing was asked, so nothing is answered"
        assert time.monotonic() - began < 18
        until("nobody of them is connected any more", lambda: connections(service) == 0, 10)
        assert time.monotonic() - began < 26


def few_received(service: Service) -> socket.socket:
    """Return a connection that takes next to nothing unless it is read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(SECONDS)
    client.connect(("127.0.0.1", service.port))
    return client


def test_slow_readers_keep_nobody_waiting_and_get_all_of_it(service: Service) -> None:
    with ExitStack() as opened:
        slow = [opened.enter_context(few_received(service)) for _ in range(30)]
        for client in slow:
            client.sendall(b"GET /large?%d HTTP/1.1\r\nConnection: close\r\n\r\n" % LARGE)
        waits = waits_of_others(service)
        assert waits[5] < QUICK_SECONDS, waits
        for client in slow[:2]:
            assert rest_of(client).count(b"x") >= LARGE


def test_more_requests_than_answers_do_not_pile_up(service: Service) -> None:
    """Somebody asks without end and reads nothing; what is not read from them costs the service nothing."""
    before = memory(service)
    asked = b"GET /slow?0.02 HTTP/1.1\r\nX: y\r\n\r\n"
    with few_received(service) as client:
        client.settimeout(0.5)
        sent = 0
        with suppress(OSError):
            while sent < 30_000_000:
                sent += client.send(asked * 1000)
        assert sent < 20_000_000, "at some point it is not taken any more"
        assert waits_of_others(service)[5] < QUICK_SECONDS
        assert memory(service) - before < 30_000_000


def memory(service: Service) -> int:
    return max(psutil.Process(pid).memory_info().rss for pid in service.workers())
