"""Thousands of clients of a stream in one process: ``python -m benchmarks.streams_clients PORT USER``.

Reads orders from standard input, a line each, and answers each with a line of JSON:

* ``open N`` and ``stall N``: open so many subscriptions; those that are stalled read nothing any more.
* ``open N`` and ``stall N``: open so many subscriptions; those that are stalled read nothing any more.
* ``hear N``: wait until all that read were told of N transfers altogether; answers when the first one
"""

import base64
import json
import os
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from benchmarks.streams_frames import Frames, masked

PATIENCE_SECONDS = 120.0
_AT_ONCE = 50
_TRANSFER = b'"type":"Transfer"'
_STALLED_BUFFER = 4096


@dataclass(slots=True)
class Reader:
    """One connection with one subscription."""

    socket: socket.socket
    frames: Frames = field(default_factory=Frames)
    is_subscribed: bool = False
    transfers: int = 0


class Clients:
    """All of them, read by one loop."""

    def __init__(self, port: int, user: str) -> None:
        self._port, self._user = port, user
        self._readers: dict[int, Reader] = {}
        self._stalled: list[Reader] = []
        self._poll = select.epoll()

    def open(self, count: int, *, is_stalled: bool) -> dict[str, object]:
        """Open connections, some at once, each with a subscription."""
        left = count
        while left:
            some = [self._connect(is_stalled=is_stalled) for _ in range(min(left, _AT_ONCE))]
            for reader in some:
                self._readers[reader.socket.fileno()] = reader
                self._poll.register(reader.socket, select.EPOLLIN)
            self._read_until(lambda some=some: all(reader.is_subscribed for reader in some))  # type: ignore[misc]
            left -= len(some)
            if is_stalled:
                for reader in some:
                    self._poll.unregister(reader.socket)
                    del self._readers[reader.socket.fileno()]
                self._stalled += some
        return {"open": len(self._readers), "stalled": len(self._stalled)}

    def hear(self, transfers: int) -> dict[str, object]:
        """Read until everybody was told of so many transfers."""
        first = 0.0
        waiting = {number for number, reader in self._readers.items() if reader.transfers < transfers}

        def is_done() -> bool:
            nonlocal first
            done = {number for number in self._changed & waiting if self._readers[number].transfers >= transfers}
            if done and not first:
                first = time.monotonic()
            waiting.difference_update(done)
            self._changed.clear()
            return not waiting

        self._read_until(is_done)
        return {"first": first, "last": time.monotonic()}

    def idle(self) -> None:
        """Read what there is, and answer pings."""
        self._read_some(0.05)

    def _connect(self, *, is_stalled: bool) -> Reader:
        connection = socket.socket()
        if is_stalled:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STALLED_BUFFER)
        connection.connect(("127.0.0.1", self._port))
        key = base64.b64encode(os.urandom(16)).decode("ascii")
        params = {"event": "all", "user": self._user}
        call = {"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1}
        head = (
            f"GET /api/v1/streams/events HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        connection.sendall(head.encode("ascii"))
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = connection.recv(4096)
            if not data:
                raise ConnectionError("the relay closed a connection")
            answer += data
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(answer[:200].decode("latin-1"))
        connection.sendall(masked(0x1, json.dumps(call).encode("ascii")))
        connection.setblocking(False)
        return Reader(connection)

    _changed: set[int] = set()  # noqa: RUF012 - one object of this class per process

    def _read_until(self, is_done: object) -> None:
        assert callable(is_done)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_done():
            if time.monotonic() > deadline:
                raise TimeoutError
            self._read_some(0.2)

    def _read_some(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds):
            reader = self._readers[number]
            data = reader.socket.recv(65_536)
            if not data:
                raise ConnectionError("the relay ended a subscription")
            for opcode, payload in reader.frames.feed(data):
                if opcode == 0x9:
                    reader.socket.sendall(masked(0xA, payload))
                elif opcode == 0x1:
                    reader.is_subscribed = True
                    reader.transfers += _TRANSFER in payload
            self._changed.add(number)


def main() -> None:
    """Do what standard input says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert soft <= hard
    clients = Clients(int(sys.argv[1]), sys.argv[2])
    orders = select.poll()
    orders.register(sys.stdin, select.POLLIN)
    while True:
        if not orders.poll(0):
            clients.idle()
            continue
        words = sys.stdin.readline().split()
        if not words:
            return
        order, number = words[0], int(words[1])
        answer = clients.hear(number) if order == "hear" else clients.open(number, is_stalled=order == "stall")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
