"""The benchmark of the server: see `benchmarks/README.md` for what it measures and against whom.

PEER_PYTHON names a Python 3.8 with the predecessor; RIPPLE_CSV the credit lines of Ripple; MINUTES how long the
part ``long`` takes, which is left out unless ONLY names it.
"""

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import server_busy, server_long, server_memory, server_paths, server_reads
from benchmarks.chain_plan import Plan
from benchmarks.index_world import World
from benchmarks.report import Report

FULL = Plan(users=2000, trustlines=8000, transfers=20_000)
QUICK = Plan(users=200, trustlines=600, transfers=900)


def run(*, is_quick: bool, only: Sequence[str]) -> None:
    """Run the parts, all or those named, and save and print their rows."""
    parts = {
        name: part
        for name, part in _parts(is_quick=is_quick).items()
        if name in (only or ("reads", "paths", "busy", "memory"))
    }
    report = Report("server", is_quick=is_quick, steps=len(parts))
    if only and report.path.exists():
        report.keep(report.path)
    with World(QUICK if is_quick else FULL, report.progress) as world:
        for name, part in parts.items():
            report.begin(name)
            part(world, report)
    report.finish()


def _parts(*, is_quick: bool) -> dict[str, Callable[[World, Report], None]]:
    is_decisive = not is_quick
    seconds = 2 if is_quick else 10
    return {
        "reads": partial(server_reads.run, seconds=seconds, is_decisive=is_decisive),
        "paths": partial(server_paths.run, seconds=seconds, is_decisive=is_decisive),
        "busy": partial(server_busy.run, seconds=seconds, is_decisive=is_decisive),
        "memory": partial(server_memory.run, users=10_000 if is_quick else 100_000, is_decisive=is_decisive),
        "long": partial(server_long.run, is_decisive=is_decisive),
    }
