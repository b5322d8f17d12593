"""Filling an empty database: how fast, how near to what node and database can do at all, and how large it gets."""

import http.client
import io
import json
import statistics
import time
from urllib.parse import urlsplit

from psycopg2 import sql

from benchmarks.chain_generator import hexed
from benchmarks.index_predecessor import Ethindex, PredecessorAbsent, PredecessorIndexed
from benchmarks.index_world import World, ask, connected, tables
from benchmarks.report import Report, Row
from relay.devnet.anvil import Anvil

RANGE = 2000
TIMES_FASTER = 20


def run(world: World, report: Report, *, rounds: int, is_decisive: bool) -> None:
    """Measure filling and size, the predecessor's too."""
    events = world.chain.events
    with world.node() as node:
        replay = min(_replay(world, node) for _ in range(rounds))
        fills = [world.fill(world.database(), node) for _ in range(rounds)]
        filled = fills[-1]
        _require_all(world, filled.url)
        world.keep(filled)
        report.progress("COPY of the same rows", 0, 1)
        copy = _copy(world, filled.url)
        theirs = _predecessor(world, node)
    rate = events / statistics.median(fill.seconds for fill in fills)
    peers: dict[str, float | str] = {"getLogs alone": events / replay, "COPY alone": events / copy}
    ratio, met, target = None, None, f"at least {TIMES_FASTER} times the predecessor"
    if isinstance(theirs, str):
        peers["predecessor"] = f"absent: {theirs}"
    else:
        peers["predecessor"] = theirs.events / theirs.seconds
        ratio = rate / (theirs.events / theirs.seconds)
        met = ratio >= TIMES_FASTER if is_decisive else None
    bound = events / (replay + copy)
    report.add(Row("backfill, from the start of the process", rate, "events/s", peers, bound, ratio, target, met))
    writing = events / statistics.median(fill.writing_seconds for fill in fills)
    report.add(
        Row("backfill, since the process took the writer's lock", writing, "events/s", {}, bound, bound / writing)
    )
    _size(filled.url, report, events, theirs, is_decisive=is_decisive)


def _replay(world: World, node: Anvil) -> float:
    """Return the seconds it takes to fetch all logs, as bytes that nobody looks at."""
    place = urlsplit(node.url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
    start = time.perf_counter()
    for first in range(0, world.chain.head + 1, RANGE):
        last = min(first + RANGE - 1, world.chain.head)
        asked = {"fromBlock": hex(first), "toBlock": hex(last), "address": [hexed(world.chain.network)]}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [asked]})
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def _copy(world: World, url: str) -> float:
    """Return the seconds it takes to write the rows of a database into one with the same tables, by COPY.

    Indexes and constraints are there from the beginning, as they are for the index; one transaction.
    """
    copied = world.database(template=url)
    names = tables(copied)
    content = {}
    with connected(copied) as connection, connection.cursor() as cursor:
        for name in names:
            content[name] = io.BytesIO()
            cursor.copy_expert(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name)), content[name])
        cursor.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, names))))
    with connected(copied) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        start = time.perf_counter()
        for name in names:
            content[name].seek(0)
            cursor.copy_expert(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name)), content[name])
        connection.commit()
        seconds = time.perf_counter() - start
    world.drop(copied)
    return seconds


def _predecessor(world: World, node: Anvil) -> PredecessorIndexed | str:
    url = world.database()
    try:
        return Ethindex(world, url).run(node)
    except PredecessorAbsent as reason:
        return str(reason)
    finally:
        world.drop(url)


def _require_all(world: World, url: str) -> None:
    """Raise RuntimeError unless the database holds every event and every trustline of the plan."""
    (events,) = ask(url, "SELECT count(*) FROM events")[0]
    (trustlines,) = ask(url, "SELECT count(*) FROM trustlines")[0]
    if (events, trustlines) != (world.chain.events, world.plan.trustlines):
        raise RuntimeError(f"the index has {events} of {world.chain.events} events, {trustlines} trustlines")


def _size(url: str, report: Report, events: int, theirs: PredecessorIndexed | str, *, is_decisive: bool) -> None:
    sizes = dict(
        ask(
            url,
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname = ANY(%s) "
            "AND relkind = 'r' ORDER BY 2 DESC",
            (tables(url),),
        )
    )
    ours = sum(map(int, sizes.values())) / events
    peers: dict[str, float | str] = {}
    ratio = met = None
    if isinstance(theirs, str):
        peers["predecessor"] = f"absent: {theirs}"
    else:
        peers["predecessor"] = theirs.bytes / theirs.events
        ratio = ours * theirs.events / theirs.bytes
        met = ratio <= 0.5 if is_decisive else None
    target = "at most half of the predecessor's"
    report.add(Row("database size per event", ours, "bytes", peers, None, ratio, target, met))
    _tell_sizes(url, report, events)


def _tell_sizes(url: str, report: Report, events: int) -> None:
    rows = ask(
        url,
        "SELECT relname, pg_relation_size(oid) FROM pg_class "
        "WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC",
    )
    told = [f"{name} {size / events:.0f}" for name, size in rows if size >= events]
    report.note(f"Bytes per event by table and index: {', '.join(told)}.")
