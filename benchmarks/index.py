"""The benchmark of the index: see `benchmarks/README.md` for what it measures and against whom.

PEER_PYTHON names a Python 3.8 with the predecessor; ANVIL an anvil to use instead of installing one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import index_backfill, index_cold, index_following, index_newest, index_reading
from benchmarks.chain_plan import Plan
from benchmarks.index_world import World
from benchmarks.report import Report

FULL = Plan(users=2000, trustlines=8000, transfers=20_000)
QUICK = Plan(users=200, trustlines=600, transfers=900)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the benchmark that can run alone."""

    name: str
    run: Callable[[World, Report], object]


def run(*, is_quick: bool, only: Sequence[str]) -> None:
    """Run the parts, all or those named, and save and print their rows."""
    parts = [part for part in _parts(is_quick=is_quick) if not only or part.name in only]
    report = Report("index", is_quick=is_quick, steps=len(parts))
    if only and report.path.exists():
        report.keep(report.path)
    with World(QUICK if is_quick else FULL, report.progress) as world:
        for part in parts:
            report.begin(part.name)
            part.run(world, report)
    report.finish()


def _parts(*, is_quick: bool) -> list[Part]:
    sizes: dict[Callable[..., None], dict[str, int]] = {
        index_backfill.run: {"rounds": 1 if is_quick else 3},
        index_reading.run: {"gets": 200 if is_quick else 2000},
        index_following.run: {"blocks": 10 if is_quick else 200},
        index_cold.run: {"users": 10_000 if is_quick else 100_000},
        index_newest.run: {"events": 500_000 if is_quick else 10_000_000},
    }
    names = ("backfill", "reading", "following", "cold", "newest")
    return [
        Part(name, partial(measure, **size, is_decisive=not is_quick))
        for name, (measure, size) in zip(names, sizes.items(), strict=True)
    ]
