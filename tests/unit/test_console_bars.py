"""What a terminal shows of the index, and what the log shows of it elsewhere."""

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from relay.console.bars import AboveBars, Bars, comparing, progress_text
from relay.index.display import Display, LogLines
from relay.index.indexer import Step
from relay.index.joining import CatchingUp
from relay.index.pace import Pace
from relay.model import Block

HEAD = 1000
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(screen: io.StringIO) -> Console:
    return Console(file=screen, force_terminal=True, width=140, color_system=None)


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    """What is logged of the index at INFO and above."""
    logger, records = logging.getLogger("relay.index"), list[logging.LogRecord]()
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


def step(number: int, blocks: int = 1, events: int = 0, undone: int = 0) -> Step:
    return Step(undone, blocks, events, Block(number, b"h" * 32, b"p" * 32, 7), HEAD)


def joining(block: int) -> Step:
    network = CatchingUp(b"\x01" * 20, block, HEAD)
    return Step(0, 0, 5, Block(HEAD, b"h" * 32, b"p" * 32, 7), HEAD, 1, network)


def said(log: list[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in log]


def test_the_pace_is_that_of_the_last_seconds(clock: Clock) -> None:
    pace = Pace(clock, window_seconds=10)
    assert pace.seconds_left(5) is None
    for _ in range(20):
        clock.now += 1
        pace.count(100, 1000)
    assert (pace.blocks_per_second, pace.events_per_second) == (100, 1000)
    for _ in range(20):
        clock.now += 1
        pace.count(10, 10)
    assert (pace.blocks_per_second, pace.events_per_second) == (10, 10)
    assert pace.seconds_left(50) == 5
    assert pace.seconds_left(0) == 0
    assert (pace.blocks, pace.events) == (2200, 20_200)


def test_progress_is_told_in_blocks_events_rate_and_time_left(clock: Clock) -> None:
    pace = Pace(clock)
    clock.now = 2.0
    pace.count(500, 3000)
    assert (
        progress_text(500, 1000, pace)
        == "block 500 of 1,000, 3,000 events, 250 blocks/s, 1,500 events/s, 2 s left"
    )


def test_a_terminal_shows_a_bar_until_the_head_is_reached_and_one_line_per_block_then(
    clock: Clock, console: Console, screen: io.StringIO, log: list[logging.LogRecord]
) -> None:
    bars = Bars(console, clock)
    bars.begin()
    clock.now = 2.0
    bars.advance(step(500, blocks=500, events=3000), is_behind=True)
    console_lines = render(bars, console)
    assert "50%" in console_lines
    assert "block 500 of 1,000, 3,000 events" in console_lines
    bars.advance(step(1000, blocks=500, events=3000), is_behind=True)
    bars.level()
    assert said(log) == ["the database has reached the head of the chain"]
    assert (log[0].__dict__["blocks"], log[0].__dict__["events"], log[0].__dict__["seconds"]) == (1000, 6000, 2.0)
    assert screen.getvalue().rfind(SHOW_CURSOR) > screen.getvalue().rfind(HIDE_CURSOR)
    bars.advance(step(1001), is_behind=False)
    bars.advance(step(1004, blocks=3, events=2), is_behind=False)
    assert said(log)[1:] == ["block 1001", "blocks 1002 to 1004"]
    bars.end()


def render(bars: Bars, console: Console) -> str:
    progress = bars._progress
    assert progress is not None
    with console.capture() as capture:
        console.print(progress.get_renderable())
    return capture.get()


def test_a_bar_says_that_it_waits(clock: Clock, console: Console) -> None:
    bars = Bars(console, clock)
    bars.begin()
    bars.advance(step(500, blocks=500), is_behind=True)
    bars.wait("the node\nis away")
    assert "waiting: the node?is away" in render(bars, console)
    bars.end()


def test_a_network_that_joins_later_has_a_bar_of_its_own(clock: Clock, console: Console) -> None:
    bars = Bars(console, clock)
    bars.begin()
    bars.level()
    bars.advance(joining(250), is_behind=False)
    shown = render(bars, console)
    assert "0x01010101" in shown
    assert "25%" in shown
    bars.advance(step(1001), is_behind=False)
    assert bars._progress is None


def test_lines_of_the_log_stand_above_the_bar(console: Console, screen: io.StringIO) -> None:
    stream = AboveBars(console)
    with comparing(console, 10) as show:
        show(3)
        stream.write("half a ")
        stream.write("line [bold]\n")
    assert "half a line [bold]\n" in screen.getvalue()
    assert stream.isatty()


def test_without_a_terminal_nothing_is_shown_of_a_comparison() -> None:
    with comparing(None, 10) as show:
        show(3)


def test_the_log_tells_now_and_then_how_far_it_is(clock: Clock, log: list[logging.LogRecord]) -> None:
    lines: Display = LogLines(clock, every_seconds=5)
    lines.begin()
    for number in range(100, 1000, 100):
        clock.now += 1
        lines.advance(step(number, blocks=100, events=50), is_behind=True)
    assert said(log) == ["catching up with the chain"] * 2
    assert log[-1].__dict__["block"] == 600
    assert log[-1].__dict__["events"] == 300
    assert log[-1].__dict__["seconds_left"] == 4
    lines.advance(step(1000, blocks=100), is_behind=True)
    lines.level()
    assert said(log)[2:] == ["the database has reached the head of the chain"]


def test_the_log_tells_of_blocks_with_events_and_of_those_undone(log: list[logging.LogRecord]) -> None:
    lines = LogLines()
    lines.advance(step(1001), is_behind=False)
    lines.advance(step(1002, events=3), is_behind=False)
    lines.advance(step(1002, undone=2), is_behind=False)
    assert said(log) == ["block 1002", "undid 2 blocks that the chain has replaced", "block 1002"]


def test_the_log_tells_how_far_a_network_is_that_joins_later(clock: Clock, log: list[logging.LogRecord]) -> None:
    lines = LogLines(clock)
    for block in (100, 200, 300):
        clock.now += 3
        lines.advance(joining(block), is_behind=False)
    assert said(log) == ["network 0x0101010101010101010101010101010101010101 is catching up"] * 2
