"""Mixed load for an hour while the chain grows and is reorganised: memory, open files and refusals over time.

MINUTES in the environment takes another time than 60; the slope leaves out the first ten, or a sixth of it.
"""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import psutil

from benchmarks.chain_generator import Narrator, Rpc
from benchmarks.chain_plan import Story
from benchmarks.http_load import finished, steady
from benchmarks.http_requests import write
from benchmarks.index_world import World, heads_url
from benchmarks.report import Report, Row
from benchmarks.server_busy import mixed
from benchmarks.server_world import processes_of, relay
from relay.devnet.anvil import Anvil
from relay.devnet.process import Child

RATE = 60.0
BLOCK_SECONDS, TRANSFERS_A_BLOCK, BLOCKS_TO_REORG, DEEPEST_REORG = 2.0, 8, 15, 4
SAMPLE_SECONDS = 5.0
MOST_MB_AN_HOUR = 1.0
INTENDED = {"200", "503", "429"}
"""503 with Retry-After is what an overloaded relay is meant to say; at this rate there should be none either."""


@dataclass(slots=True)
class Sample:
    """What a process held at a time, in seconds, MB and files."""

    at: float
    megabytes: float
    files: int


@dataclass(slots=True)
class Watch:
    """Samples of processes, by what they are."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def look(self, processes: dict[str, psutil.Process], at: float) -> None:
        """Take a sample of each."""
        for name, process in processes.items():
            held = Sample(at, process.memory_info().rss / 1e6, process.num_fds())
            self.samples.setdefault(name, []).append(held)


def run(world: World, report: Report, *, is_decisive: bool) -> None:
    """Load, watch, and see how much is held at the end."""
    seconds = 60 * float(os.environ.get("MINUTES") or 60)
    database = world.database(template=world.indexed().url)
    requests = write(world.folder / "long", mixed(world))
    watch = Watch()
    with world.node() as node, relay(world, database, node) as server:
        config = world.config(database, node, port=server.port, heads_url=heads_url(node))
        with world.running("index", config=config) as index, _growing(world, node) as chain:
            load = steady(server.port, requests, rate=RATE, seconds=seconds)
            watched = _named(processes_of(server), index)
            start = time.monotonic()
            while load.poll() is None and time.monotonic() - start < seconds - SAMPLE_SECONDS:
                watch.look(watched, time.monotonic() - start)
                report.progress("mixed load with reorgs", int(time.monotonic() - start), int(seconds))
                time.sleep(SAMPLE_SECONDS)
            found = finished(load)
    _keep(report.path.with_name("server-long.json"), watch)
    is_hour = is_decisive and seconds >= 3600
    for name, samples in watch.samples.items():
        _add(report, name, [sample for sample in samples if sample.at > seconds / 6], is_decisive=is_hour)
    statuses = sum((Counter(kind) for kind in found.statuses.values()), Counter[str]())
    faults = sum(number for status, number in statuses.items() if status not in INTENDED) + found.broken
    report.add(
        Row(
            f"{seconds / 60:.0f} minutes of mixed load with reorgs, answers that were not intended",
            faults,
            "answers",
            {f"status {status}": number for status, number in sorted(statuses.items())},
            None,
            faults,
            "none" if is_hour else None,
            faults == 0 if is_hour else None,
        )
    )
    report.note(
        f"{seconds / 60:.0f} minutes: {sum(statuses.values())} answers, {chain['blocks']} blocks, "
        f"{chain['reorgs']} reorgs of up to {DEEPEST_REORG} blocks."
    )
    world.drop(database)


def _keep(path: Path, watch: Watch) -> None:
    """Write some two hundred points of each process, as (minutes, MB), for the plot."""
    kept = {}
    for name, samples in watch.samples.items():
        some = samples[:: max(1, len(samples) // 200)]
        kept[name] = [(round(sample.at / 60, 2), round(sample.megabytes, 1)) for sample in some]
    path.write_text(json.dumps(kept) + "\n", encoding="ascii")


def _named(processes: list[psutil.Process], index: Child) -> dict[str, psutil.Process]:
    parent, *workers = processes
    named = {"serve, parent": parent, "index": psutil.Process(index.process.pid)}
    return named | {f"serve, process {number}": worker for number, worker in enumerate(workers, 1)}


def _add(report: Report, name: str, samples: list[Sample], *, is_decisive: bool) -> None:
    slope = 3600 * _slope([(sample.at, sample.megabytes) for sample in samples])
    files = [sample.files for sample in samples]
    drift = 3600 * _slope([(sample.at, float(sample.files)) for sample in samples])
    report.add(
        Row(
            f"memory of {name} after the first sixth, growth",
            slope,
            "MB/h",
            {"at the end, MB": samples[-1].megabytes},
            None,
            slope,
            f"under {MOST_MB_AN_HOUR:g} MB/h" if is_decisive else None,
            slope < MOST_MB_AN_HOUR if is_decisive else None,
        )
    )
    report.add(
        Row(
            f"open files of {name}, growth",
            drift,
            "files/h",
            {"fewest": min(files), "most": max(files)},
            None,
            drift,
            "flat: less than 1 an hour" if is_decisive else None,
            drift < 1 if is_decisive else None,
        )
    )


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the line that fits best."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


@contextmanager
def _growing(world: World, node: Anvil) -> Iterator[dict[str, int]]:
    """Let the chain grow, and now and then lose its last blocks, until the end of the block."""
    ending = threading.Event()
    count = {"blocks": 0, "reorgs": 0}
    rng = random.Random(23)  # noqa: S311 - a chain, no secrets
    transfers = cycle(list(Story(world.plan).transfers())[:500])

    def grow() -> None:
        rpc = Rpc(node.url)
        narrator = Narrator(rpc, world.chain.network)
        while not ending.wait(BLOCK_SECONDS):
            narrator.send(next(transfers) for _ in range(TRANSFERS_A_BLOCK))
            narrator.mine()
            count["blocks"] += 1
            if count["blocks"] % BLOCKS_TO_REORG == 0:
                rpc.one("anvil_reorg", rng.randint(1, DEEPEST_REORG), [])
                # What was in them has its nonces back.
                narrator = Narrator(rpc, world.chain.network)
                count["reorgs"] += 1
        rpc.close()

    thread = threading.Thread(target=grow, name="chain")
    thread.start()
    try:
        yield count
    finally:
        ending.set()
        thread.join()
