"""Load on a server: as much as it takes, by wrk; or at a given rate, by a process of our own.

Run as ``python -m benchmarks.http_load PORT FILE RATE SECONDS CONNECTIONS`` it asks the requests of a file in
random order at a rate, whatever the server does, and prints the times as JSON, by kind. A request that cannot be
sent yet, as all connections wait for answers, counts from when it should have been sent.
"""

import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http_requests import Ask, read

SCRIPT = Path(__file__).with_suffix(".lua")


class NoLoad(Exception):
    """Load cannot be made on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server took: requests a second, and milliseconds; ``refused`` counts answers of 400 and more."""

    per_second: float
    median: float
    p99: float
    refused: int


def saturate(port: int, file: Path, *, seconds: float, connections: int = 16) -> Taken:
    """Ask as fast as answers come, on connections that are kept.

    Raises:
        NoLoad: if wrk is not there.
        RuntimeError: if connections broke.

    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoLoad("wrk is not installed (on Debian: apt install wrk)")
    command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    command += ["--timeout", "60s", "--script", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["broken"]:
        raise RuntimeError(f"{found['broken']} requests broke")
    return Taken(found["requests"] / found["seconds"], found["median"], found["p99"], found["refused"])


@dataclass(frozen=True, slots=True)
class Steady:
    """What became of requests at a rate: milliseconds and numbers of answers by status, by kind of request."""

    seconds: float
    times: dict[str, list[float]]
    statuses: dict[str, dict[str, int]]
    broken: int


def steady(
    port: int, file: Path, *, rate: float, seconds: float, connections: int = 32
) -> "subprocess.Popen[str]":
    """Start asking at a rate; `finished` waits for the end."""
    words = [str(port), str(file), str(rate), str(seconds), str(connections)]
    command = [sys.executable, "-m", "benchmarks.http_load", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> Steady:
    """Return what `steady` found; raises RuntimeError if it failed."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("the load ended with a fault")
    return Steady(**json.loads(output))


class _Connection(asyncio.Protocol):
    """One connection, one request at a time; opened anew when it breaks."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._buffer = bytearray()
        self._waiting: tuple[str, float] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._load.is_free(self)

    def send(self, kind: str, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._waiting = kind, due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = bytes(self._buffer[:head]).lower()
        at = fields.find(b"content-length:")
        length = int(fields[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + length or self._waiting is None:
            return
        kind, due = self._waiting
        self._load.answered(kind, int(self._buffer[9:12]), time.perf_counter() - due)
        self._buffer.clear()
        self._waiting = None
        self._load.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._load.lost(self, was_waiting=self._waiting is not None)


class _Load:
    def __init__(self, port: int, asks: list[Ask], rate: float) -> None:
        self._port = port
        self._rate = rate
        self._requests = [(ask.kind, _raw(ask)) for ask in asks]
        self._free: deque[_Connection] = deque()
        self._late: deque[float] = deque()
        self._rng = random.Random(17)  # noqa: S311 - the order of requests, no secrets
        self._is_over = False
        self.times: dict[str, list[float]] = {}
        self.statuses: dict[str, Counter[str]] = {}
        self.broken = 0

    async def run(self, seconds: float, connections: int) -> float:
        await asyncio.gather(*(self._connect() for _ in range(connections)))
        start = time.perf_counter()
        sent, wanted = 0, int(seconds * self._rate)
        while sent < wanted:
            due = start + sent / self._rate
            now = time.perf_counter()
            if due > now:
                await asyncio.sleep(due - now)
            self._late.append(due)
            sent += 1
            self._serve()
        deadline = time.perf_counter() + 60
        while (self._late or len(self._free) < connections) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        self._is_over = True
        return time.perf_counter() - start

    def is_free(self, connection: _Connection) -> None:
        self._free.append(connection)
        self._serve()

    def answered(self, kind: str, status: int, seconds: float) -> None:
        self.times.setdefault(kind, []).append(round(seconds * 1000, 3))
        self.statuses.setdefault(kind, Counter())[str(status)] += 1

    def lost(self, connection: _Connection, *, was_waiting: bool) -> None:
        if self._is_over:
            return
        if connection in self._free:
            self._free.remove(connection)
        self.broken += was_waiting
        self._again = asyncio.get_running_loop().create_task(self._connect())

    def _serve(self) -> None:
        while self._late and self._free:
            kind, request = self._rng.choice(self._requests)
            self._free.popleft().send(kind, request, self._late.popleft())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_over:
            try:
                await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
                return
            except OSError:
                await asyncio.sleep(0.05)


def _raw(ask: Ask) -> bytes:
    body = ask.body.encode("ascii")
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{ask.method} {ask.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode("ascii") + body


async def _main() -> None:
    port, file, rate, seconds, connections = sys.argv[1:]
    load = _Load(int(port), read(Path(file)), float(rate))
    took = await load.run(float(seconds), int(connections))
    found = {"seconds": took, "times": load.times, "statuses": load.statuses, "broken": load.broken}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(_main())
