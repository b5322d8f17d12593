"""An HTTP server that answers as badly as it is told to."""

import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[[socket.socket, Any], None]
"""Answers one request, given the connection and the decoded body."""


def reply(connection: socket.socket, body: bytes, headers: str = "", status: str = "200 OK") -> None:
    """Send a whole answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    connection.sendall(head.encode() + body)


def result(request: Any, value: Any) -> bytes:
    """Make the body of a right answer."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode()


class BadServer:
    """Serves every connection in a thread, until the behaviour raises OSError or the other side hangs up."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.connections = 0
        self.open = 0
        self.requests: list[Any] = []
        self.headers: list[bytes] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while True:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        line = stream.readline()
                        if not line:
                            return
                        head += line
                    length = next(
                        int(line.split(b":")[1])
                        for line in head.splitlines()
                        if line.lower().startswith(b"content-length")
                    )
                    request = json.loads(stream.read(length))
                    with self._lock:
                        self.requests.append(request)
                        self.headers.append(head)
                    self.behave(connection, request)
        except OSError:
            pass
        finally:
            with self._lock:
                self.open -= 1
