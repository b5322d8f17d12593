"""Reading from the API while the index fills the same database, beside reading when nothing happens."""

import random
import threading
import time
from collections.abc import Callable

from benchmarks.chain_plan import Story
from benchmarks.index_client import Client
from benchmarks.index_world import TICK_SECONDS, World, cursor_of, free, is_written_to
from benchmarks.report import Report, Row
from benchmarks.timing import Times
from relay.addresses import to_checksum

SMALL_BATCH = 10
MOST_TIMES = 2
PATHS = {"trustlines": "/networks/{}/users/{}/trustlines", "events": "/networks/{}/users/{}/events"}


def run(world: World, report: Report, *, gets: int, is_decisive: bool) -> None:
    """Fill up to where all trustlines are, serve, fill the rest while users ask, and let them ask again after.

    So the answers are the longest when nothing happens, and the trustlines asked for do not come and go.
    """
    database, network = world.database(), to_checksum(world.chain.network)
    users = [to_checksum(user) for user in Story(world.plan).users]
    with world.node() as node:
        world.fill(database, node, to=world.chain.opened_at, batch_blocks=SMALL_BATCH)
        port = free()
        config = world.config(database, node, port=port)
        with world.running("serve", config=config):
            client = Client(port)
            client.until_ready(f"/networks/{network}")
            began_at = cursor_of(database)
            with world.running("index", config=config) as index:
                reached = threading.Event()

                def watch() -> None:
                    try:
                        world.until(
                            lambda: cursor_of(database), world.chain.head, index, "reading during backfill"
                        )
                    finally:
                        reached.set()

                watching = threading.Thread(target=watch)
                watching.start()
                while not (reached.is_set() or is_written_to(database)):
                    time.sleep(TICK_SECONDS)
                busy = _ask(client, network, users, lambda _: not reached.is_set())
                watching.join()
                _until_known(client, network, world.chain.head)
                report.progress("reading when nothing happens", 0, 1)
                idle = _ask(client, network, users, lambda asked: asked < gets)
            client.close()
    world.drop(database)
    for what, quiet in idle.items():
        disturbed, target = busy[what], f"at most {MOST_TIMES} times idle"
        ratio = disturbed.p99 / quiet.p99
        name = f"GET of a user's {what} during backfill"
        peers: dict[str, float | str] = {"idle": quiet.p99}
        met = ratio <= MOST_TIMES if is_decisive else None
        report.add(Row(f"{name}, 99th percentile", disturbed.p99, "ms", peers, None, ratio, target, met))
        peers = {"idle": quiet.median, "worst": disturbed.worst}
        report.add(Row(f"{name}, median", disturbed.median, "ms", peers, None, disturbed.median / quiet.median))
    report.note(
        f"Reading during backfill: {len(busy['events'].all)} GETs of each kind while blocks {began_at} to "
        f"{world.chain.head} were filled in, {gets} idle."
    )


def _ask(client: Client, network: str, users: list[str], goes_on: Callable[[int], bool]) -> dict[str, Times]:
    """Ask for the trustlines and the events of random users in turn, for as long as it goes on."""
    rng = random.Random(3)  # noqa: S311 - which users, no secrets
    times: dict[str, list[float]] = {what: [] for what in PATHS}
    while goes_on(len(times["events"])):
        user = rng.choice(users)
        for what, path in PATHS.items():
            start = time.perf_counter()
            client.json(path.format(network, user))
            times[what].append((time.perf_counter() - start) * 1000)
    return {what: Times(tuple(took)) for what, took in times.items()}


def _until_known(client: Client, network: str, number: int) -> None:
    while (client.json(f"/networks/{network}")[0] or 0) < number:
        time.sleep(0.02)
