"""How much memory an API process takes with a million trustlines."""

import gc

from benchmarks.index_cold import PER_USER, SEED
from benchmarks.index_world import World
from benchmarks.networks import preferential
from benchmarks.report import Report, Row
from benchmarks.server_world import processes_of, relay, replace_trustlines

MOST_MB = 1500.0


def run(world: World, report: Report, *, users: int, is_decisive: bool) -> None:
    """Serve a network of so many users, ten trustlines each, and look at the largest process."""
    report.progress("memory of an API process", 0, 1)
    network = preferential(users, PER_USER, SEED, "memory")
    database = world.database(template=world.indexed().url)
    replace_trustlines(database, network)
    count = round(len(network.rows), -3)
    del network
    gc.collect()
    with world.node() as node, relay(world, database, node, processes=1) as server:
        megabytes = max(process.memory_info().rss for process in processes_of(server)) / 1e6
    met = megabytes < MOST_MB if is_decisive else None
    target = f"under {MOST_MB:,.0f} MB" if is_decisive else None
    report.add(Row(f"an API process, {count:,} trustlines", megabytes, "MB", {}, None, megabytes, target, met))
    world.drop(database)
