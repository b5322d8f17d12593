"""Holds a graph in a process of its own, and prints as JSON what that takes; run by the benchmark of paths."""

import gc
import json
import sys
import time
from pathlib import Path

from benchmarks.networks import build, read_rows
from benchmarks.timing import resident_mb


def memory(file: Path) -> dict[str, float]:
    """Return the memory of this process with the graph; rows come one by one and are not kept."""
    before = resident_mb()
    network = build(read_rows(file))
    gc.collect()
    # What no form of it can do without: the amounts of a line, both its users' numbers, twenty bytes a user.
    bound = (network.number_of_trustlines * 44 + network.number_of_users * 20) / 1e6
    return {"mb": resident_mb(), "before": before, "bound": bound}


def load(file: Path) -> dict[str, float]:
    """Return the time that the graph takes to be built from rows, which are there already."""
    rows = list(read_rows(file))
    start = time.perf_counter()
    network = build(rows)
    seconds = time.perf_counter() - start
    assert network.number_of_trustlines == len(rows)
    return {"seconds": seconds}


def main() -> None:
    """Measure what is named."""
    what, file = sys.argv[1:]
    figures = {"memory": memory, "load": load}[what](Path(file))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
