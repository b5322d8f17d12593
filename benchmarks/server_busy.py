"""Small reads among mixed load at 70 % of what the server takes, while the index fills the database."""

from collections.abc import Sequence

from benchmarks.chain_plan import Story
from benchmarks.http_load import Steady, finished, steady
from benchmarks.http_requests import Ask, events, paths, small_reads, write
from benchmarks.index_reading import SMALL_BATCH
from benchmarks.index_world import World, cursor_of
from benchmarks.networks import Question
from benchmarks.report import Report, Row
from benchmarks.server_world import relay
from benchmarks.timing import Times

SHARE = 0.7
MOST_MILLISECONDS = 50.0
SMALL = ("networks", "user details", "a user's trustlines")
HIGHEST_RATE = 8_000.0
STEP_SECONDS = 3.0


def mixed(world: World) -> list[Ask]:
    """Return what wallets ask, in proportion: mostly small reads, a path and a list of events in ten."""
    story, network = Story(world.plan), world.chain.network
    reads = small_reads(network, story.users)
    asked = (Question(path[0], path[-1], 1000) for path in _ways(story))
    searches = paths(network, asked, 500)
    lists = events(network, story.users, "?limit=20&order=desc")
    found = reads["networks"] * 1000 + reads["user details"] * 2 + reads["a user's trustlines"] * 2
    return found + _repeated(searches, len(found) // 8) + _repeated(lists, len(found) // 8)


def run(world: World, report: Report, *, seconds: float, is_decisive: bool) -> None:
    """Find the highest rate that is kept up, then load with 70 % of it while an index catches up."""
    database = world.database()
    with world.node() as node:
        world.fill(database, node, to=world.chain.opened_at, batch_blocks=SMALL_BATCH)
        requests = write(world.folder / "mixed", mixed(world))
        with relay(world, database, node) as server:
            report.progress("the highest rate of mixed load", 0, 1)
            # More than it can take: then it takes what it can.
            most = finished(steady(server.port, requests, rate=HIGHEST_RATE, seconds=STEP_SECONDS, connections=16))
            highest = sum(map(len, most.times.values())) / most.seconds
            report.progress("mixed load, idle index", 0, 1)
            idle = finished(steady(server.port, requests, rate=SHARE * highest, seconds=seconds))
            report.progress("mixed load beside backfill", 0, 1)
            load = steady(server.port, requests, rate=SHARE * highest, seconds=seconds)
            config = world.config(database, node, port=server.port)
            began_at = cursor_of(database) or 0
            with world.running("index", config=config):
                busy = finished(load)
            came_to = cursor_of(database) or 0
    refused = _refused(idle, busy)
    during, before = _small(busy), _small(idle)
    report.add(
        Row(
            "small reads in mixed load at 70 % while the index backfills, 99th percentile",
            during.p99,
            "ms",
            {"no backfill": before.p99},
            None,
            during.p99,
            f"under {MOST_MILLISECONDS:g} ms" if is_decisive else None,
            during.p99 < MOST_MILLISECONDS if is_decisive else None,
        )
    )
    report.add(Row("the same, median", during.median, "ms", {"no backfill": before.median}))
    report.add(Row("mixed load, the most that is answered, client on the same cores", highest, "requests/s"))
    report.note(
        f"Mixed load of {SHARE * highest:.0f} requests/s while blocks {began_at} to {came_to} were filled in; "
        f"{refused} searches and lists were told to come back."
    )
    world.drop(database)


def _small(found: Steady) -> Times:
    return Times(tuple(time for kind in SMALL for time in found.times.get(kind, ())))


def _refused(*runs: Steady) -> int:
    """Return how many searches and lists were told to come back; raises RuntimeError for any other failure."""
    refused = 0
    for each in runs:
        for kind, statuses in each.statuses.items():
            intended = {"200"} if kind in SMALL else {"200", "503"}
            if set(statuses) - intended or each.broken:
                raise RuntimeError(f"answers were not as intended: {each.statuses}, {each.broken} broken")
            refused += statuses.get("503", 0)
    return refused


def _ways(story: Story) -> "Sequence[list[bytes]]":
    """Return ways along which something can be sent."""
    return [transaction.arguments[2] for transaction in story.transfers()]  # type: ignore[misc]


def _repeated(asks: Sequence[Ask], number: int) -> list[Ask]:
    return [asks[index % len(asks)] for index in range(number)]
