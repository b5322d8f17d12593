"""Timing calls, and what to make of the times."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")

PASSES = 3


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds that calls took."""

    all: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the calls took longer."""
        return statistics.median(self.all)

    @property
    def p99(self) -> float:
        """One call in a hundred took longer."""
        ordered = sorted(self.all)
        return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]

    @property
    def worst(self) -> float:
        """The longest that a call took."""
        return max(self.all)


def time_each(call: Callable[[Case], object], cases: Iterable[Case]) -> Times:
    """Call with every case once and time each call."""
    return Times(tuple(_time(call, case) for case in cases))


def time_steadily(call: Callable[[Case], object], cases: Sequence[Case], passes: int = PASSES) -> Times:
    """Go through the cases several times; the time of a case is the median of its times.

    A case does not follow itself, so that it meets caches as it would in service; the median takes out what other
    programs on the machine did at one moment.
    """
    runs = [time_each(call, cases).all for _ in range(passes)]
    return Times(tuple(map(statistics.median, zip(*runs, strict=True))))


def _time(call: Callable[[Case], object], case: Case) -> float:
    start = time.perf_counter_ns()
    call(case)
    return (time.perf_counter_ns() - start) / 1e6


def resident_mb() -> float:
    """Return the memory of this process, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
