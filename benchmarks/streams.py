"""The benchmark of streams: see `benchmarks/README.md` for what it measures.

A chain, a Postgres, the index and an API process as in service; the clients are a process of their own.
ANVIL names an anvil to use instead of installing one.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
from web3 import Web3

from benchmarks.index_client import Client
from benchmarks.index_world import free, plain_environment
from benchmarks.report import Report, Row
from relay.devnet.anvil import Anvil, install_anvil, tools_directory
from relay.devnet.deploy import CASH, deploy_network, transact
from relay.devnet.postgres import EmbeddedPostgres
from relay.devnet.process import Child, start_child

PARTS = ("delivery", "stalled")
_FILES = 500
"""File descriptors beside those of the connections."""


def run(*, is_quick: bool, only: Sequence[str]) -> None:
    """Run the parts, all or those named, and save and print their rows."""
    report = Report("streams", is_quick=is_quick, steps=4)
    if only and report.path.exists():
        report.keep(report.path)
    wanted, rounds = (1_000, 5) if is_quick else (10_000, 30)
    # A tenth more are opened to stall.
    count = min(wanted, (_raise_limit() - _FILES) * 10 // 11)
    if count < wanted:
        report.note(f"The system grants so few file descriptors that {count:,} subscriptions are opened.")
    report.note("The predecessor is not measured here.")
    report.begin("a chain and a relay")
    with StreamWorld() as world, world.relay(2 * count) as (port, api), world.clients(port) as clients:
        report.begin("opening")
        before = _memory(api)
        for done in range(10):
            clients.order(f"open {count // 10}")
            report.progress("opening", done + 1, 10)
        # A first event brings in what is needed once, whoever is connected.
        clients.hear(world)
        grown = (_memory(api) - before) / count / 1024
        what = f"{count:,} subscriptions"
        report.begin("delivery")
        alone = clients.rounds(world, rounds, report.progress)
        if not only or "delivery" in only:
            name = f"memory of {what}, each"
            report.add(Row(name, grown, "KB", target="at most 40 KB", met=grown <= 40))
            _add_delivery(report, what, alone)
        report.begin("stalled")
        if not only or "stalled" in only:
            clients.order(f"stall {count // 10}")
            _add_stalled(report, what, alone, clients.rounds(world, rounds, report.progress))
    report.finish()


def _add_stalled(report: Report, what: str, alone: Sequence[float], beside: Sequence[float]) -> None:
    median, usual = statistics.median(beside), statistics.median(alone)
    report.add(
        Row(
            f"one event, {what} beside a tenth stalled, last told, median",
            median * 1000,
            "ms",
            peers={"none stalled": usual * 1000},
            ratio=median / usual,
            target="at most 2 times as long",
            met=median <= 2 * usual,
        )
    )


def _add_delivery(report: Report, what: str, seconds: Sequence[float]) -> None:
    for name, value in (("median", statistics.median(seconds)), ("worst", max(seconds))):
        report.add(
            Row(
                f"one event, {what}, last told, {name}",
                value * 1000,
                "ms",
                target="at most 1,000 ms",
                met=value <= 1,
            )
        )


class StreamClients:
    """The process of the clients."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._heard = 0

    def order(self, text: str) -> dict[str, Any]:
        """Have something done and return the answer; raises RuntimeError if the process ends."""
        self._say(text)
        return self._answer()

    def hear(self, world: "StreamWorld") -> float:
        """Return the seconds from the receipt of a payment until the last was told of it."""
        self._heard += 1
        self._say(f"hear {self._heard}")
        paid_at = world.pay()
        return float(self._answer()["last"]) - paid_at

    def rounds(self, world: "StreamWorld", count: int, progress: Callable[[str, int, int], None]) -> list[float]:
        """Measure some payments, one after the other."""
        found = []
        for number in range(count):
            found.append(self.hear(world))
            progress("payments", number + 1, count)
            time.sleep(0.1)
        return found

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process of the clients ended")
        found: dict[str, Any] = json.loads(line)
        return found


class StreamWorld:
    """A chain with two people who trust each other, and a database; all of it goes away at the end."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
        self._folder.chmod(0o755)
        self._stack = ExitStack()
        self._names = 0

    def __enter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._server = EmbeddedPostgres(self._folder / "postgres").start()
        self._stack.callback(self._server.stop)
        self._anvil = self._stack.enter_context(Anvil(install_anvil(tools_directory())))
        self._web3 = Web3(Web3.HTTPProvider(self._anvil.url))
        self._network = deploy_network(self._web3, CASH, "CurrencyNetwork")
        self._payer, self._other = self._web3.eth.accounts[1:3]
        for one, other in ((self._payer, self._other), (self._other, self._payer)):
            credit = (10**9, 10**9, 0, 0, False)
            transact(self._web3, self._network.functions.updateTrustline(other, *credit), one)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pay(self) -> float:
        """Pay something and return the time at which the receipt was there."""
        path = [self._payer, self._other]
        transact(self._web3, self._network.functions.transfer(1, 100, path, b""), self._payer)
        return time.monotonic()

    @contextmanager
    def relay(self, connections: int) -> Iterator[tuple[int, Child]]:
        """Run an index and an API process over a new database; hand out the latter's port and process."""
        self._names += 1
        folder, port = self._folder / f"relay_{self._names}", free()
        folder.mkdir()
        (folder / "addresses.json").write_text(json.dumps({"networks": [self._network.address]}), encoding="ascii")
        lines = [
            f'[database]\nurl = "{self._server.create_database(f"bench_{self._names}")}"',
            f'[logging]\nlevel = "WARNING"\n[node]\nurls = ["{self._anvil.url}"]',
            f"[index]\npoll_seconds = 0.02\n[rest]\nport = {port}",
            f"[streams]\nmax_connections = {connections + 100}\nmax_connections_per_client = 0",
        ]
        (folder / "relay.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with ExitStack() as running:
            index = self._start("index", folder)
            running.callback(index.stop)
            # The schema is the index's to make.
            time.sleep(3)
            api = self._start("serve", folder)
            running.callback(api.stop)
            client = Client(port)
            client.until_ready(f"/networks/{self._network.address}/users/{self._payer}")
            client.close()
            yield port, api

    @contextmanager
    def clients(self, port: int) -> Iterator[StreamClients]:
        """Run the process of the clients."""
        words = [sys.executable, "-m", "benchmarks.streams_clients", str(port), str(self._payer)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield StreamClients(process)
        finally:
            process.terminate()
            process.wait()

    def _start(self, command: str, folder: Path) -> Child:
        words = [sys.executable, "-m", "relay.cli", command, "--config", str(folder / "relay.toml")]
        return start_child(command, words, folder / f"{command}.log", environment=plain_environment())


def _memory(child: Child) -> int:
    """Return the bytes that a process and those it started occupy."""
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    return sum(int(member.memory_info().rss) for member in family)


def _raise_limit() -> int:
    """Take all file descriptors that the system grants, for us and those we start, and return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1_000_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
