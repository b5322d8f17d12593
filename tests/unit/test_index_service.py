"""The index as a process: what it reports while it works, waits or stops."""

import os
import sys
import threading
from collections import deque
from typing import Any, cast

import pytest

from relay.addresses import Address
from relay.chain.errors import NodeUnreachable
from relay.index.errors import Inconsistent, NodeBehind, PastFinality
from relay.index.indexer import Indexer, Step
from relay.index.service import PAUSE_REASON, IndexService
from relay.model import Block
from relay.store.errors import DatabaseFull
from relay.store.status import IndexState, IndexStatus
from relay.store.writing import Writer

HEAD = Block(10, b"h" * 32, b"g" * 32, 1000)
ADVANCED = Step(0, 5, 3, Block(5, b"f" * 32, b"e" * 32, 500), 10)
JOINING = Step(0, 0, 3, HEAD, 10, joining=1)


class FakeWriter:
    """A writer that can have the lock after so many tries."""

    def __init__(self, tries: int = 1) -> None:
        self.tries = tries
        self.reports: list[IndexStatus] = []
        self.is_closed = False

    def try_lock(self) -> bool:
        self.tries -= 1
        return self.tries <= 0

    def report(self, status: IndexStatus) -> None:
        self.reports.append(status)

    def close(self) -> None:
        self.is_closed = True


class ScriptedIndexer:
    """Does in each step what comes next; at the end it stops the service."""

    head = HEAD
    final_number = 4

    def __init__(self, stopping: threading.Event, *steps: Any) -> None:
        self.steps = deque(steps)
        self.stopping = stopping
        self.served: list[list[Address]] = []
        self.niceness: list[int] = []

    def prepare(self) -> None:
        pass

    def serve(self, networks: list[Address]) -> None:
        self.served.append(networks)

    def step(self) -> Step | None:
        self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        step = self.steps.popleft()
        if not self.steps:
            self.stopping.set()
        if isinstance(step, Exception):
            raise step
        assert step is None or isinstance(step, Step)
        return step


class Ran:
    """A service run to its end."""

    def __init__(self, *steps: Any, **more: Any) -> None:
        self.writer, stopping = FakeWriter(), threading.Event()
        self.writers_opened = 0
        self.indexer = ScriptedIndexer(stopping, *steps)
        now = iter(range(100_000))
        service = IndexService(
            self._open_writer,
            lambda _: cast("Indexer", self.indexer),
            poll_seconds=0.001,
            stopping=stopping,
            process="here:1",
            longest_retry_seconds=0.001,
            clock=lambda: float(next(now)),
            **more,
        )
        self.fault: Exception | None = None
        try:
            service.run()
        except Exception as error:
            self.fault = error

    def _open_writer(self) -> Writer:
        self.writers_opened += 1
        return cast("Writer", self.writer)

    @property
    def states(self) -> list[IndexState]:
        found: list[IndexState] = []
        for report in self.writer.reports:
            if not found or found[-1] is not report.state:
                found.append(report.state)
        return found


def test_it_says_that_it_catches_up_and_then_follows() -> None:
    ran = Ran(ADVANCED, None, None)
    assert ran.states == [IndexState.BACKFILLING, IndexState.FOLLOWING]
    last = ran.writer.reports[-1]
    assert (last.leader, last.reason, last.head, last.final_number) == ("here:1", "", HEAD, 4)
    assert ran.writer.is_closed


def test_a_network_that_catches_up_counts_as_catching_up() -> None:
    assert Ran(None, JOINING, None).states == [
        IndexState.FOLLOWING,
        IndexState.BACKFILLING,
        IndexState.FOLLOWING,
    ]


@pytest.mark.parametrize("fault", [NodeUnreachable("the node is away"), NodeBehind("the node is behind")])
def test_it_says_what_it_waits_for_and_goes_on_when_the_cause_is_gone(fault: Exception) -> None:
    ran = Ran(None, fault, fault, None, None)
    assert ran.states == [IndexState.FOLLOWING, IndexState.WAITING, IndexState.FOLLOWING]
    assert {report.reason for report in ran.writer.reports} == {"", str(fault)}
    assert ran.fault is None


def test_it_says_once_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    Ran(None, NodeBehind("it is at 7"), NodeBehind("it is at 8"), NodeUnreachable("it is away"), None, None)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["waiting: it is at 7", "waiting: it is away"]


class Seen:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self) -> None:
        self.said.append("begin")

    def advance(self, step: Step, *, is_behind: bool) -> None:
        self.said.append(f"advance to {step.block.number}" + (", behind" if is_behind else ""))

    def level(self) -> None:
        self.said.append("level")

    def wait(self, reason: str) -> None:
        self.said.append(f"wait: {reason}")

    def end(self) -> None:
        self.said.append("end")


def test_who_looks_on_is_told_how_it_gets_on() -> None:
    seen = Seen()
    Ran(ADVANCED, NodeUnreachable("away"), None, Step(0, 1, 0, HEAD, 10), None, display=seen)
    assert seen.said == ["begin", "advance to 5, behind", "wait: away", "level", "advance to 10", "end"]


def test_who_looks_on_is_told_of_the_end_also_when_it_must_stop() -> None:
    seen = Seen()
    Ran(PastFinality("run this"), display=seen)
    assert seen.said == ["begin", "end"]


def test_it_tells_the_node_in_use() -> None:
    ran = Ran(None, None, node_in_use=lambda: "http://node")
    assert ran.writer.reports[-1].node == "http://node"


def test_a_chain_that_changes_meanwhile_is_looked_at_again_without_a_word_of_waiting() -> None:
    assert Ran(None, Inconsistent("it moved"), None).states == [IndexState.FOLLOWING]


def test_a_node_that_keeps_contradicting_itself_is_waited_for() -> None:
    ran = Ran(None, *[Inconsistent("a log and its header differ")] * 4, None, None)
    assert ran.states == [IndexState.FOLLOWING, IndexState.WAITING, IndexState.FOLLOWING]
    assert any("a log and its header differ" in report.reason for report in ran.writer.reports)


def test_past_finality_it_stops_and_says_so() -> None:
    ran = Ran(ADVANCED, PastFinality("run this"))
    assert ran.states[-1] is IndexState.STOPPED
    assert ran.writer.reports[-1].reason == "run this"
    assert isinstance(ran.fault, PastFinality)


def test_a_full_disk_is_waited_out_with_a_new_connection() -> None:
    ran = Ran(ADVANCED, DatabaseFull("no space"), None, None)
    assert ran.fault is None
    assert ran.writers_opened == 2
    assert ran.writer.reports[-1].state is IndexState.FOLLOWING


def test_it_asks_now_and_then_which_networks_to_follow() -> None:
    wanted = [b"a" * 20]
    ran = Ran(None, None, None, find_networks=lambda: wanted)
    assert ran.indexer.served
    assert all(served == wanted for served in ran.indexer.served)


def test_while_it_is_paused_it_reads_nothing_says_so_and_then_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    looks = iter([False, *[True] * 5])
    with caplog.at_level("INFO", "relay.index"):
        ran = Ran(None, None, None, is_paused=lambda: next(looks, False))
    assert ran.states == [IndexState.FOLLOWING, IndexState.PAUSED, IndexState.FOLLOWING]
    assert {report.reason for report in ran.writer.reports} == {"", PAUSE_REASON}
    assert "paused by an operator" in caplog.text
    assert "going on after a pause" in caplog.text
    assert ran.fault is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the priority of a thread")
def test_what_fills_in_the_past_gives_way_to_others_and_what_follows_the_head_does_not() -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    nicer = min(ours + 10, 19)
    new_block = Step(0, 1, 1, HEAD, HEAD.number)
    ran = Ran(ADVANCED, JOINING, None, new_block, None, ADVANCED, new_block, None)
    assert ran.indexer.niceness == [nicer, nicer, nicer, ours, ours, ours, nicer, nicer]
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
