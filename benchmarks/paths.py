"""The benchmark of path search: see `benchmarks/README.md` for what it measures and against whom.

Its option is RIPPLE_CSV, the place of ``ripple-credit-lines.csv.gz``; without it the file is looked for in
``shared/data`` beside the checkout. PEER_PYTHON names a Python 3.8 with the predecessor.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import path_upkeep
from benchmarks.networks import CreditNetwork, preferential, ripple, ripple_path
from benchmarks.path_searches import Bench, Scale
from benchmarks.report import Report, Row


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the benchmark that can run alone."""

    name: str
    run: Callable[[Report], object]


def run(*, is_quick: bool, only: Sequence[str]) -> None:
    """Run the parts, all or those named, and save and print their rows."""
    parts = [part for part in (_quick_parts() if is_quick else _full_parts()) if not only or part.name in only]
    report = Report("paths", is_quick=is_quick, steps=len(parts))
    if only and report.path.exists():
        report.keep(report.path)
    for part in parts:
        report.begin(part.name)
        part.run(report)
        gc.collect()
    report.finish()


def _full_parts() -> list[Part]:
    few, some = Scale(600, 200, 30, 40, 100, is_decisive=False), Scale(600, 200, 20, 40, 100, is_decisive=False)
    return [
        Part("ripple", lambda report: _ripple(report, Scale(600, 150, 21, 40, 150, 2000, 20))),
        Part("1000", lambda report: _search(report, _network(1000, 5), few)),
        Part("10000", lambda report: _search(report, _network(10_000, 5), some)),
        Part("100000", lambda report: _hundred_thousand(report, Scale(600, 90, 12, 30, 150, 5000))),
        Part("million", lambda report: _million(report, Scale(600, 45, 0, 21, 100))),
        Part("memory", lambda report: path_upkeep.memory(_network(100_000, 5), report, is_decisive=True)),
        Part("load", lambda report: path_upkeep.load(_network(100_000, 10), report, is_decisive=True)),
    ]


def _quick_parts() -> list[Part]:
    small = Scale(90, 15, 2, 5, 20, is_decisive=False)
    return [
        Part("ripple", lambda report: _ripple(report, Scale(60, 6, 2, 4, 8, 2000, 20))),
        Part("1000", lambda report: _search(report, _network(1000, 5), small)),
        Part("10000", lambda report: _concurrency(_search(report, _network(10_000, 5), small), 1)),
        Part("memory", lambda report: path_upkeep.memory(_network(10_000, 5), report, is_decisive=False)),
        Part("load", lambda report: path_upkeep.load(_network(10_000, 10), report, is_decisive=False)),
    ]


def _network(users: int, per_user: int) -> CreditNetwork:
    return preferential(users, per_user, seed=users + per_user, name=_name(users, per_user))


def _ripple(report: Report, scale: Scale) -> None:
    try:
        network = ripple(ripple_path())
    except OSError as error:
        report.note(f"The rows of the Ripple network are left out: {error.strerror} (RIPPLE_CSV).")
        return
    _search(report, network, scale)


def _search(report: Report, network: CreditNetwork, scale: Scale) -> Bench:
    report.progress(f"{network.name}: building", 0, 1)
    bench = Bench(network, scale, report)
    bench.run()
    path_upkeep.updates(bench, 5000)
    return bench


def _concurrency(bench: Bench, seconds: float) -> None:
    path_upkeep.threads(bench)
    path_upkeep.searches_during_updates(bench, seconds)


def _hundred_thousand(report: Report, scale: Scale) -> None:
    _concurrency(_search(report, _network(100_000, 5), scale), 30)


def _million(report: Report, scale: Scale) -> None:
    """Search the largest network, and compare it with the one of half as many trustlines."""
    network = _network(100_000, 10)
    _search(report, network, scale)
    rows = {row.name: row for row in report.rows}
    smaller = rows.get(f"cheapest path, {_name(100_000, 5)}, 99th percentile")
    larger = rows[f"cheapest path, {network.name}, 99th percentile"]
    if smaller is None:
        report.note("The network of 100,000 users was not measured: nothing to compare the largest one with.")
        return
    ratio = larger.value / smaller.value
    peers = {**larger.peers, "500,000 trustlines": smaller.value}
    target = "at most 5 times the 500,000 trustlines"
    report.add(Row(larger.name, larger.value, "ms", peers, larger.bound, ratio, target, ratio <= 5))


def _name(users: int, per_user: int) -> str:
    return f"{users:,} users, {users * per_user:,} trustlines"
