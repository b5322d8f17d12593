"""How long a new API process takes until it has its graphs, beside the least that this can take.

Run as ``python -m benchmarks.index_cold URL`` it is the process that is measured.
"""

import gc
import json
import subprocess
import sys
import time

from benchmarks.index_client import Client
from benchmarks.index_world import World, connected, free
from benchmarks.networks import preferential
from benchmarks.report import Report, Row
from benchmarks.server_world import replace_trustlines
from benchmarks.timing import resident_mb
from relay.store.connection import Pool
from relay.store.reading import FeedListener, StateReader
from relay.sync.follower import Follower
from relay.sync.networks import Networks

MOST_TIMES = 1.5
PER_USER, SEED = 10, 5


def run(world: World, report: Report, *, users: int, is_decisive: bool) -> None:
    """Measure with a network of so many users, ten trustlines each."""
    report.progress("cold start: making the trustlines", 0, 1)
    network = preferential(users, PER_USER, SEED, "cold start")
    database = world.database(template=world.indexed().url)
    replace_trustlines(database, network)
    count = len(network.rows)
    rows = world.folder / "trustlines"
    network.write(rows)
    del network
    gc.collect()
    report.progress("cold start: COPY and graph alone", 0, 1)
    copy = min(_copy_away(database) for _ in range(3))
    graph = _process("holding", "load", str(rows))
    bound = copy + graph["seconds"]
    report.progress("cold start: loading", 0, 1)
    start = _process("index_cold", database)
    if start["trustlines"] != count:
        raise RuntimeError(f"loaded {start['trustlines']} of {count} trustlines")
    ratio = start["seconds"] / bound
    peers: dict[str, float | str] = {"COPY to /dev/null": copy, "graph from rows": graph["seconds"]}
    target = f"at most {MOST_TIMES} times COPY to /dev/null and graph" if is_decisive else None
    met = ratio <= MOST_TIMES if is_decisive else None
    name = f"cold start of an API process, {_rounded(count)} trustlines"
    report.add(Row(name, start["seconds"], "s", peers, bound, ratio, target, met))
    report.add(Row(f"{name}, memory", start["mb"], "MB", {"before": start["before"]}))
    report.progress("cold start: the whole command", 0, 1)
    report.add(
        Row(f"{name}, from the start of tl-relay serve to its first answer", _command(world, database), "s")
    )
    world.drop(database)


def _copy_away(url: str) -> float:
    """Return the seconds that the server takes to write the rows to nowhere."""
    with connected(url) as connection, connection.cursor() as cursor:
        start = time.perf_counter()
        cursor.execute("COPY trustlines TO '/dev/null'")
        return time.perf_counter() - start


def _command(world: World, database: str) -> float:
    with world.node() as node:
        port = free()
        config = world.config(database, node, port=port)
        start = time.perf_counter()
        with world.running("serve", config=config):
            client = Client(port)
            seconds = client.until_ready("/networks") - start
            client.close()
    return seconds


def _process(module: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _rounded(count: int) -> str:
    return f"{round(count, -3):,}"


def start(url: str) -> dict[str, float]:
    """Load as an API process does."""
    before = resident_mb()
    begin = time.perf_counter()
    pool, networks = Pool(url), Networks()
    Follower(StateReader(pool), networks, lambda: FeedListener(url)).load()
    seconds = time.perf_counter() - begin
    counts = []
    for address in networks.addresses():
        with networks.reading(address) as graph:
            counts.append(graph.number_of_trustlines)
    return {"seconds": seconds, "trustlines": sum(counts), "before": before, "mb": resident_mb()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(start(sys.argv[1])) + "\n")
