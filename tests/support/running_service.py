"""A small service run as a process, with settings of a test's choice; see `tests.support.small_service`."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from relay.devnet.anvil import free_port
from tests.support.running_relay import until

SECONDS = 20.0


class Service:
    """A running server; its settings can be written anew."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.port = free_port()
        self.settings = folder / "settings.json"
        self.log = folder / "log"
        self.write(**settings)
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "tests.support.small_service", str(self.settings)]
            self.process = subprocess.Popen(command, stderr=log, start_new_session=True)

    def write(self, processes: int = 2, threads: int = 4, **more: Any) -> None:
        rest = {"port": self.port, "processes": processes, "threads": threads, "max_body_bytes": 100_000}
        self.settings.write_text(json.dumps({"rest": rest, **more}))

    def says(self, text: str) -> bool:
        return text in self.log.read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def get(self, path: str = "/") -> Any:
        """Return the answer to a request on a connection of its own."""
        client = self.client()
        try:
            return ask(client, path)
        finally:
            client.close()

    def say(self, data: bytes) -> bytes:
        """Return all that comes back for some bytes until the connection ends."""
        with self.connect() as client:
            client.sendall(data)
            return rest_of(client)

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}


def ask(client: http.client.HTTPConnection, path: str = "/", **more: Any) -> Any:
    is_chunked = "Transfer-Encoding" in more.get("headers", {})
    client.request("POST" if "body" in more else "GET", path, encode_chunked=is_chunked, **more)
    answer = client.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())


def rest_of(client: socket.socket) -> bytes:
    found = b""
    while part := client.recv(65536):
        found += part
    return found


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Service]:
    service = Service(folder, **settings)
    try:
        until("it serves", lambda: service.says("serving"))
        until("all processes run", lambda: len(service.workers()) == settings.get("processes", 2))
        yield service
    finally:
        if service.process.poll() is None:
            family = psutil.Process(service.process.pid).children()
            service.process.terminate()
            service.process.wait(SECONDS)
            assert not any(member.is_running() for member in family)
