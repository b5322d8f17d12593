"""Small reads and newest events: as many as the server takes, beside the predecessor and an empty view."""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from benchmarks.chain_plan import Story
from benchmarks.http_load import NoLoad, Taken, saturate
from benchmarks.http_requests import PREFIX, Ask, events, small_reads, write
from benchmarks.index_client import Client
from benchmarks.index_predecessor import PredecessorAbsent
from benchmarks.index_world import World
from benchmarks.report import Report, Row
from benchmarks.server_world import Predecessor, Served, empty_view, relay
from relay.addresses import to_checksum

TIMES_PREDECESSOR, SHARE_OF_EMPTY, TIMES_EVENTS, IDLE_MILLISECONDS = 3.0, 0.7, 20.0, 3.0
NEWEST = 20
"""As many as a wallet shows on its first screen."""
EMPTY = [Ask("empty", f"{PREFIX}/empty")]
IDLE_GETS = 300
ROUNDS = 5
_EMPTY = "empty"


def run(world: World, report: Report, *, seconds: float, is_decisive: bool) -> None:
    """Measure the relay, the empty view and the predecessor, one after the other, on the same chain."""
    users, network = Story(world.plan).users, world.chain.network
    reads = small_reads(network, users)
    newest, whole = events(network, users, f"?limit={NEWEST}&order=desc"), events(network, users)
    database = world.database(template=world.indexed().url)
    try:
        with world.node() as node, relay(world, database, node) as server:
            report.progress("small reads", 0, 1)
            with empty_view(world) as empty_server:
                rounds = _rounds(world, server, empty_server, reads, seconds)
            ours = _all(world, server, {"newest events": newest, "all events": whole}, seconds)
            idle = _idle(server, f"/networks/{to_checksum(network)}")
    except NoLoad as error:
        report.note(f"Reads were not measured: {error}.")
        return
    theirs = _predecessor(world, report, {**reads, "all events": whole}, seconds)
    for name in reads:
        _add(report, name, rounds[name], rounds[_EMPTY], theirs.get(name), is_decisive=is_decisive)
    _add_events(report, ours, theirs.get("all events"), is_decisive=is_decisive)
    report.add(
        Row(
            "a request on a connection that is kept, one after the other, median",
            idle,
            "ms",
            {},
            None,
            idle,
            f"under {IDLE_MILLISECONDS:g} ms" if is_decisive else None,
            idle < IDLE_MILLISECONDS if is_decisive else None,
        )
    )
    world.drop(database)


def _rounds(
    world: World, server: Served, empty_server: Served, reads: Mapping[str, Sequence[Ask]], seconds: float
) -> dict[str, list[float]]:
    """Return what each kind of read and the empty view come to in every round, in requests/s.

    A machine that others use, too, is now fast and now slow; what is compared is measured within seconds.
    """
    asks = {**{name: (server, requests) for name, requests in reads.items()}, _EMPTY: (empty_server, EMPTY)}
    found: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(ROUNDS):
        for name, (asked, requests) in asks.items():
            taken = _all(world, asked, {name: requests}, seconds / ROUNDS)
            found[name].append(taken[name].per_second)
    return found


def _all(world: World, server: Served, asks: Mapping[str, Sequence[Ask]], seconds: float) -> dict[str, Taken]:
    found = {}
    for name, requests in asks.items():
        file = write(world.folder / "requests", requests)
        saturate(server.port, file, seconds=1)
        found[name] = saturate(server.port, file, seconds=seconds)
        if found[name].refused:
            raise RuntimeError(f"{found[name].refused} requests for {name} were refused")
    return found


def _predecessor(
    world: World, report: Report, asks: Mapping[str, Sequence[Ask]], seconds: float
) -> dict[str, Taken]:
    try:
        with world.node() as node:
            report.progress("the predecessor", 0, 1)
            predecessor = Predecessor(world, node)
            with predecessor.serving(f"/networks/{to_checksum(world.chain.network)}") as server:
                return _all(world, server, asks, seconds)
    except PredecessorAbsent as absent:
        report.note(f"The predecessor was not asked: {absent}.")
        return {}


def _add(
    report: Report,
    name: str,
    rounds: Sequence[float],
    empty_rounds: Sequence[float],
    theirs: Taken | None,
    *,
    is_decisive: bool,
) -> None:
    ours, empty = statistics.median(rounds), statistics.median(empty_rounds)
    peers: dict[str, float | str] = {"predecessor": "absent" if theirs is None else theirs.per_second}
    times = None if theirs is None else ours / theirs.per_second
    target = f"at least {TIMES_PREDECESSOR:g} times the predecessor"
    report.add(
        Row(
            f"{name}, requests/s on two cores",
            ours,
            "requests/s",
            peers,
            empty,
            times,
            target if is_decisive and times is not None else None,
            times >= TIMES_PREDECESSOR if is_decisive and times is not None else None,
        )
    )
    share = statistics.median(one / other for one, other in zip(rounds, empty_rounds, strict=True))
    report.add(
        Row(
            f"{name}, beside an empty view on the same server",
            ours,
            "requests/s",
            {"empty Flask view": empty},
            empty,
            share,
            f"at least {SHARE_OF_EMPTY:g} of it" if is_decisive else None,
            share >= SHARE_OF_EMPTY if is_decisive else None,
        )
    )


def _add_events(report: Report, ours: Mapping[str, Taken], theirs: Taken | None, *, is_decisive: bool) -> None:
    peers: dict[str, float | str] = {
        "predecessor, which knows no limit": "absent" if theirs is None else theirs.per_second
    }
    for name, what in (
        ("newest events", f"a user's newest {NEWEST} events"),
        ("all events", "all of a user's events"),
    ):
        times = None if theirs is None else ours[name].per_second / theirs.per_second
        is_decided = is_decisive and times is not None and name == "newest events"
        report.add(
            Row(
                f"{what}, requests/s on two cores",
                ours[name].per_second,
                "requests/s",
                peers,
                None,
                times,
                f"at least {TIMES_EVENTS:g} times the predecessor" if is_decided else None,
                times >= TIMES_EVENTS if is_decided and times is not None else None,
            )
        )


def _idle(server: Served, path: str) -> float:
    """Return the median milliseconds of requests on one connection, with a pause between them."""
    client, times = Client(server.port), []
    for _ in range(IDLE_GETS):
        start = time.perf_counter()
        with suppress(RuntimeError):
            client.json(path)
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.002)
    client.close()
    return statistics.median(times)
