"""What it takes to have a graph: updates, searches beside updates and beside each other, memory, loading."""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.networks import CreditNetwork, Question
from benchmarks.path_searches import SEED, Bench
from benchmarks.peers import Predecessor, PredecessorAbsent
from benchmarks.report import Report, Row
from benchmarks.timing import Times, time_each
from graph.answers import Found
from graph.trustline import Trustline

UPDATES_PER_SECOND = 1000
ROUNDS = 5
PREDECESSOR_MB = 613
"""What the predecessor was measured to take for 500,000 trustlines when the target was set."""


def updates(bench: Bench, count: int) -> None:
    """Measure an update of one trustline, and that the next search knows it."""
    bench.report.progress(f"{bench.name}: updates", 0, 1)
    changes = _changes(bench.network, count)
    times = time_each(bench.graph.apply, changes)
    _restore(bench, changes)
    _require_visible(bench)
    for which, milliseconds in (("median", times.median), ("99th percentile", times.p99)):
        microseconds = milliseconds * 1000
        target, met = "at most 20 microseconds", microseconds <= 20
        name = f"trustline update, {bench.name}, {which}"
        bench.report.add(Row(name, microseconds, "microseconds", {}, None, microseconds / 20, target, met))


def threads(bench: Bench) -> None:
    """Compare two threads that search with one."""
    asked = bench.asked.reachable
    ratios = []
    for done in range(ROUNDS):
        bench.report.progress(f"{bench.name}: one thread, two threads", done, ROUNDS)
        alone = _seconds_with_threads(bench, asked, 1)
        together = _seconds_with_threads(bench, asked, 2)
        ratios.append(2 * alone / together)
    ratio = statistics.median(ratios)
    name = f"two threads searching, {bench.name}"
    target = "at least 1.7 times one" if bench.scale.is_decisive else None
    met = ratio >= 1.7 if target else None
    bench.report.add(Row(name, ratio, "times one", {}, 2.0, ratio, target, met))


def searches_during_updates(bench: Bench, seconds: float) -> None:
    """Compare searches while trustlines change with searches while none does."""
    asked = bench.asked.reachable
    changes = _changes(bench.network, UPDATES_PER_SECOND)
    idle: list[float] = []
    busy: list[float] = []
    rates = []
    for done in range(ROUNDS):
        bench.report.progress(f"{bench.name}: searches beside updates", done, ROUNDS)
        idle += _search_for(bench, asked, seconds / ROUNDS / 2)
        with _Updating(bench, changes) as updating:
            busy += _search_for(bench, asked, seconds / ROUNDS / 2)
        rates.append(updating.rate)
    _restore(bench, changes)
    quiet, disturbed = Times(tuple(idle)), Times(tuple(busy))
    name = f"searching beside {statistics.median(rates):,.0f} updates/s, {bench.name}"
    ratio = disturbed.p99 / quiet.p99
    target = "99th percentile at most 1.3 times idle" if bench.scale.is_decisive else None
    met = ratio <= 1.3 if target else None
    bench.report.add(
        Row(f"{name}, 99th percentile", disturbed.p99, "ms", {"idle": quiet.p99}, None, ratio, target, met)
    )
    bench.report.add(Row(f"{name}, median", disturbed.median, "ms", {"idle": quiet.median}))


def memory(network: CreditNetwork, report: Report, *, is_decisive: bool) -> None:
    """Measure the memory of a process that holds the graph, and of the predecessor that holds the same."""
    report.progress(f"{network.name}: memory", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network")
        network.write(file)
        ours = _in_a_process("memory", file)
        theirs: float | str
        try:
            predecessor = Predecessor(file)
            theirs = predecessor.megabytes
            predecessor.close()
        except PredecessorAbsent as reason:
            theirs = f"absent: {reason}"
    target = f"at most half of {PREDECESSOR_MB} MB" if is_decisive else None
    ratio = ours["mb"] / PREDECESSOR_MB if is_decisive else None
    met = None if ratio is None else ratio <= 0.5
    peers = {"predecessor": theirs, "this process before loading": ours["before"]}
    report.add(Row(f"memory, {network.name}", ours["mb"], "MB", peers, ours["bound"], ratio, target, met))


def load(network: CreditNetwork, report: Report, *, is_decisive: bool) -> None:
    """Measure how long a process takes to build the graph from the rows of a database."""
    report.progress(f"{network.name}: loading", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network")
        network.write(file)
        seconds = _in_a_process("load", file)["seconds"]
    target = "at most 10 s" if is_decisive else None
    met = seconds <= 10 if is_decisive else None
    ratio = seconds / 10 if is_decisive else None
    report.add(Row(f"load from rows, {network.name}", seconds, "s", {}, None, ratio, target, met))


class _Updating:
    """Applies changes in a thread, so many a second, for as long as it is entered."""

    def __init__(self, bench: Bench, changes: Sequence[Trustline]) -> None:
        self._bench, self._changes = bench, changes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._applied = 0
        self._started = self._ended = 0.0

    @property
    def rate(self) -> float:
        """Updates per second that were reached."""
        return self._applied / (self._ended - self._started)

    def __enter__(self) -> "_Updating":
        self._started = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._ended = time.perf_counter()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bench.graph.apply(self._changes[self._applied % len(self._changes)])
            self._applied += 1
            due = self._started + self._applied / UPDATES_PER_SECOND
            time.sleep(max(due - time.perf_counter(), 0))


def _changes(network: CreditNetwork, count: int) -> list[Trustline]:
    """New states of random trustlines: a balance moved by one unit."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible changes, no secrets
    chosen = rng.sample(network.rows, min(count, len(network.rows)))
    return [replace(Trustline(*row), balance=row[2] + 1, given=row[3] + 1) for row in chosen]


def _restore(bench: Bench, changes: Sequence[Trustline]) -> None:
    for change in changes:
        bench.graph.apply(replace(change, balance=change.balance - 1, given=change.given - 1))


def _require_visible(bench: Bench) -> None:
    """Freeze a trustline on the cheapest path: the next search must not pass it.

    Raises:
        RuntimeError: if it does.

    """
    for asked in bench.asked.reachable[:20]:
        before = bench.cheapest(asked)
        assert isinstance(before, Found)
        first = before.transfer.path[:2]
        line = bench.graph.trustline(*first)
        assert line is not None
        bench.graph.apply(replace(line, is_frozen=True))
        after = bench.cheapest(asked)
        bench.graph.apply(line)
        if isinstance(after, Found) and after.transfer.path[:2] == first:
            raise RuntimeError("a search does not see an update that was made before it")


def _seconds_with_threads(bench: Bench, asked: Sequence[Question], count: int) -> float:
    """Return how long it takes until each of so many threads has searched for everything."""
    ready = threading.Barrier(count + 1)

    def work(turned: int) -> None:
        mine = [*asked[turned:], *asked[:turned]]  # the threads do not look for the same at the same time
        ready.wait()
        for question in mine:
            bench.cheapest(question)

    workers = [threading.Thread(target=work, args=(index * len(asked) // count,)) for index in range(count)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start


def _search_for(bench: Bench, asked: Sequence[Question], seconds: float) -> list[float]:
    """Search, whole passes over the questions, for at least so long; return milliseconds."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        times += time_each(bench.cheapest, asked).all
    return times


def _in_a_process(what: str, file: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.holding", what, str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
