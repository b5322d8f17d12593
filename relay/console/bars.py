"""Progress on a terminal: bars that stay below the lines of the log."""

import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn
from rich.table import Column

from relay.addresses import Address, to_checksum
from relay.console.words import count, duration, plain
from relay.index.display import tell_block, tell_level, tell_undone
from relay.index.indexer import Step
from relay.index.joining import CatchingUp
from relay.index.pace import Pace

_REFRESHES_PER_SECOND = 4
_LONGEST_REASON = 120


class AboveBars(io.TextIOBase):
    """A stream whose lines a terminal shows above the bars of a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = ""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, text: str) -> int:
        """Show the lines that are complete, keep what is begun."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._console.out(line, highlight=False)
        return len(text)

    def flush(self) -> None:
        """The console shows lines at once."""


def terminal(stream: TextIO) -> Console:
    """Return a console on a stream that is a terminal."""
    return Console(file=stream)


class Bars:
    """Shows the index on a terminal: bars while catching up, one line per block afterwards."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._pace: Pace | None = None
        self._progress: Progress | None = None
        self._chain: TaskID | None = None
        self._networks: dict[Address, TaskID] = {}

    def begin(self) -> None:
        """Show that the chain is read from now on."""
        self._pace = Pace(self._clock)
        self._show_chain("asking the node")

    def advance(self, step: Step, *, is_behind: bool) -> None:
        """Move the bars on, or tell of a block."""
        tell_undone(step)
        if not is_behind:
            tell_block(step, logging.INFO)
        elif step.blocks:
            self._move_on(step)
        if step.network is not None:
            self._move_network_on(step.network)
        elif not step.joining:
            self._finish_networks()

    def level(self) -> None:
        """Take the bars away: what was read stands in a line."""
        self.end()
        tell_level(self._pace)
        self._pace = None

    def wait(self, reason: str) -> None:
        """Say below the log that it does not go on; why is in the log."""
        if self._progress is not None and self._chain is not None:
            self._progress.update(self._chain, detail=f"waiting: {plain(reason, _LONGEST_REASON)}")

    def end(self) -> None:
        """Take the bars away."""
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._chain, self._networks = None, None, {}

    def _move_on(self, step: Step) -> None:
        self._pace = self._pace or Pace(self._clock)
        self._pace.count(step.blocks, step.events)
        self._show_chain(progress_text(step.block.number, step.head, self._pace))
        assert self._progress is not None
        assert self._chain is not None
        left = max(step.head - step.block.number, 0)
        self._progress.update(self._chain, total=self._pace.blocks + left, completed=self._pace.blocks)

    def _show_chain(self, detail: str) -> None:
        progress = self._opened()
        if self._chain is None:
            self._chain = progress.add_task("chain", total=None, detail=detail)
        progress.update(self._chain, detail=detail)

    def _move_network_on(self, network: CatchingUp) -> None:
        progress = self._opened()
        task = self._networks.get(network.address)
        if task is None:
            name = to_checksum(network.address)[:10]
            task = self._networks[network.address] = progress.add_task(name, total=None, detail="")
        progress.update(
            task, total=network.end, completed=network.block, detail=f"block {network.block:,} of {network.end:,}"
        )

    def _finish_networks(self) -> None:
        if self._progress is None:
            return
        for task in self._networks.values():
            self._progress.remove_task(task)
        self._networks = {}
        if self._chain is None:
            self.end()

    def _opened(self) -> Progress:
        if self._progress is None:
            self._progress = _progress(self._console)
            self._progress.start()
        return self._progress


@contextmanager
def comparing(console: Console | None, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of so many trustlines to be compared; yields what is told how many more were, and counts them.

    Without a console nothing is shown.
    """
    if console is None:
        yield lambda _more: None
        return
    with _progress(console) as progress:
        task = progress.add_task("comparing", total=total, detail=count(total, "trustline"))
        yield lambda more: progress.advance(task, more)


def progress_text(block: int, head: int, pace: Pace) -> str:
    """Return ``block 12,345 of 20,000, 6,789 events, 980 events/s, 1 min 5 s left``."""
    left = pace.seconds_left(head - block)
    parts = [
        f"block {block:,} of {head:,}",
        count(pace.events, "event"),
        f"{pace.blocks_per_second:,.0f} blocks/s",
        f"{pace.events_per_second:,.0f} events/s",
    ]
    if left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        # What does not fit is wrapped, not cut: on a narrow terminal the time left counts more than a tidy line.
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(overflow="fold", ratio=1)),
        console=console,
        transient=True,
        expand=True,
        refresh_per_second=_REFRESHES_PER_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    )
