"""A relay run by its command, over a chain, a database and settings of a test's choice; clients of its streams."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from websockets.sync.client import ClientConnection, connect

from relay.devnet.anvil import free_port

SECONDS = 30.0


def until(what: str, holds: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Return what ``holds`` returns, as soon as it is true; what is not there yet is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = holds()
        except (requests.RequestException, LookupError):
            found = None
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class RunningRelay:
    """``processes`` are the ports of its API processes, all over one database."""

    ports: list[int]
    log: Path
    commands: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def url(self, path: str, process: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[process]}/api/v1{path}"

    def get(self, path: str, process: int = 0) -> requests.Response:
        return requests.get(self.url(path, process), timeout=SECONDS)

    def post(self, path: str, process: int = 0, **more: Any) -> requests.Response:
        return requests.post(self.url(path, process), timeout=SECONDS, **more)

    def start_again(self, process: int) -> None:
        """Start an API process again that has ended."""
        with self.log.open("ab") as output:
            self.commands[process] = subprocess.Popen(
                self.commands[process].args,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )
        until("it serves again", lambda: self.get("/networks", process).ok)

    @contextmanager
    def stream(self, kind: str, process: int = 0) -> Iterator["Stream"]:
        address = f"ws://127.0.0.1:{self.ports[process]}/api/v1/streams/{kind}"
        with connect(address, proxy=None, open_timeout=SECONDS) as socket:
            yield Stream(socket)


class Stream:
    """A client of a stream; notifications and answers arrive on one connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.notified: list[tuple[str, dict[str, Any]]] = []
        self._number = 0

    def call(self, method: str, **params: Any) -> Any:
        """Return the whole answer to a call."""
        self._number += 1
        self.say({"jsonrpc": "2.0", "method": method, "params": params, "id": self._number})
        while True:
            found = self.hear()
            if found.get("id") == self._number:
                return found
            self._note(found)

    def ask(self, method: str, **params: Any) -> Any:
        answer = self.call(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def say(self, data: Any) -> None:
        self.socket.send(data if isinstance(data, str) else json.dumps(data))

    def hear(self, seconds: float = SECONDS) -> Any:
        return json.loads(self.socket.recv(timeout=seconds))

    def events(self, count: int, subscription: str | None = None) -> list[dict[str, Any]]:
        """Return the next events, of one subscription or of all."""
        wanted = None if subscription is None else f"subscription_{subscription}"
        found: list[dict[str, Any]] = []
        while True:
            for entry in list(self.notified):
                if len(found) < count and wanted in (None, entry[0]):
                    self.notified.remove(entry)
                    found.append(entry[1])
            if len(found) == count:
                return found
            self._note(self.hear())

    def is_silent(self, seconds: float) -> bool:
        if self.notified:
            return False
        try:
            self._note(self.hear(seconds))
        except TimeoutError:
            return True
        return False

    def _note(self, data: Any) -> None:
        assert set(data) == {"jsonrpc", "method", "params"}, data
        assert set(data["params"]) == {"event"}
        self.notified.append((data["method"], data["params"]["event"]))


@contextmanager
def running_relay(
    folder: Path,
    chain_url: str,
    database_url: str,
    network: str,
    more: str = "",
    api_processes: int = 1,
    environment: Mapping[str, str] | None = None,
    workers: int = 1,
) -> Iterator[RunningRelay]:
    """Run an index and some commands for the API until the end of the block.

    Each of the commands has ``workers`` processes on its port: one, unless a test is about several, so that what
    a process counts and hears of is the same on machines with any number of processors.
    """
    (folder / "addresses.json").write_text(json.dumps({"networks": [network]}))
    config = folder / "relay.toml"
    config.write_text(
        f'[node]\nurls = ["{chain_url}"]\n[database]\nurl = "{database_url}"\n[index]\npoll_seconds = 0.05\n{more}'
    )
    relay = RunningRelay([free_port() for _ in range(api_processes)], folder / "log")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TL_RELAY_", "PG"))}
    kept.pop("DATABASE_URL", None)
    kept |= {"TL_RELAY_REST_PROCESSES": str(workers)} | dict(environment or {})
    relay.environment = kept

    def start(*arguments: object) -> None:
        with relay.log.open("ab") as output:
            words = [sys.executable, "-m", "relay.cli", *map(str, arguments), "--config", str(config)]
            relay.commands.append(
                subprocess.Popen(words, stdout=output, stderr=output, env=kept, start_new_session=True)
            )

    try:
        start("run", "--port", relay.ports[0])
        until("it serves", lambda: relay.get("/networks").ok)
        for process, port in enumerate(relay.ports[1:], 1):
            start("serve", "--port", port)
            until("another process serves", lambda process=process: relay.get("/networks", process).ok)
        yield relay
    except AssertionError as error:
        error.add_note(relay.log.read_text())
        raise
    finally:
        for command in relay.commands:
            _end(command)


def _end(command: "subprocess.Popen[bytes]") -> None:
    if command.poll() is not None:
        return
    family = [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]
    command.terminate()
    try:
        command.wait(SECONDS)
    except subprocess.TimeoutExpired:
        for member in family:
            member.kill()
        raise
