"""A user's newest events among very many: how long the store takes, and whether it goes by an index."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from psycopg2 import sql

from benchmarks.chain_plan import Story
from benchmarks.index_world import World, connected
from benchmarks.report import Report, Row
from benchmarks.timing import Times
from relay.api.resources.events import DEFAULT_TYPES
from relay.store.connection import Connection, Pool
from relay.store.event_reading import EventFilter, EventReader

NEWEST = 50
MOST_MILLISECONDS = 10
USERS = 200
LIMITS = ("newest", "limit", "most", "last")
"""What the store may call the number of events that are wanted."""

UNTIL_OFFERED = """
SELECT * FROM (
    (SELECT * FROM events WHERE sender = %(user)s AND type = ANY(%(types)s::event_type[])
     ORDER BY block_number DESC, log_index DESC LIMIT %(newest)s)
    UNION
    (SELECT * FROM events WHERE receiver = %(user)s AND type = ANY(%(types)s::event_type[])
     ORDER BY block_number DESC, log_index DESC LIMIT %(newest)s)
) AS newest ORDER BY block_number DESC, log_index DESC LIMIT %(newest)s
"""


def run(world: World, report: Report, *, events: int, is_decisive: bool) -> None:
    """Multiply what is indexed up to so many events, and ask."""
    database = world.database(template=world.indexed().url)
    with connected(database) as connection:
        count = _multiply(world, report, connection, events)
    rng = random.Random(11)  # noqa: S311 - which users, no secrets
    asked = rng.sample(Story(world.plan).users, min(USERS, world.plan.users))
    name = f"a user's newest {NEWEST} events among {count:,}"
    pool = RecordingPool(database)
    offered = next((name for name in LIMITS if name in {field.name for field in fields(EventFilter)}), None)
    times = []
    report.progress("a user's newest events", 0, 1)
    for user in asked:
        start = time.perf_counter()
        if offered is None:
            parameters = {"user": user, "types": [kind.value for kind in DEFAULT_TYPES], "newest": NEWEST}
            with pool.snapshot() as cursor:
                cursor.execute(UNTIL_OFFERED, parameters)
                found = len(cursor.fetchall())
        else:
            wanted = EventFilter(DEFAULT_TYPES, user=user, **{offered: NEWEST})  # type: ignore[arg-type]
            found = len(EventReader(pool).events(wanted))
        times.append((time.perf_counter() - start) * 1000)
        if found != NEWEST:
            raise RuntimeError(f"{found} events instead of {NEWEST}")
    took = Times(tuple(times))
    plans, seconds = pool.explained(database)
    scans = sorted(
        {f"{node['Node Type']} on {node['Relation Name']}" for node in plans if "Relation Name" in node}
    )
    goes_by_index = not any(scan.startswith("Seq Scan on events") for scan in scans)
    indexes = sorted({node["Index Name"] for node in plans if "Index Name" in node})
    is_met = took.p99 < MOST_MILLISECONDS and goes_by_index and offered is not None
    met = is_met if is_decisive else None
    target = f"under {MOST_MILLISECONDS} ms, by index"
    peers: dict[str, float | str] = {"execution alone by EXPLAIN, worst": max(seconds)}
    report.add(
        Row(f"{name}, 99th percentile", took.p99, "ms", peers, None, took.p99 / MOST_MILLISECONDS, target, met)
    )
    report.add(Row(f"{name}, median", took.median, "ms"))
    report.note(
        f"A user's newest events, by EXPLAIN: {', '.join(scans)}; indexes: {', '.join(indexes) or 'none'}."
    )
    if offered is None:
        report.note("The store offers no query for a user's newest events: one written for this run was timed.")
    pool.close()
    world.drop(database)


class RecordingPool(Pool):
    """A pool that remembers the queries, to have them explained."""

    def __init__(self, url: str) -> None:
        super().__init__(url, size=1)
        self._asked: list[bytes] = []

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """Hand out a cursor as the pool does, and note what it was last asked."""
        with super().snapshot() as cursor:
            yield cursor
            assert cursor.query is not None
            self._asked.append(cursor.query)

    def explained(self, url: str) -> tuple[list[dict[str, Any]], list[float]]:
        """Return all nodes of the plans of what was asked, and the milliseconds of each execution."""
        nodes: list[dict[str, Any]] = []
        seconds = []
        with connected(url) as connection, connection.cursor() as cursor:
            for query in self._asked:
                cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query)
                (row,) = cursor.fetchall()
                nodes += _nodes(row[0][0]["Plan"])
                seconds.append(row[0][0]["Execution Time"])
        return nodes, seconds


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _multiply(world: World, report: Report, connection: Connection, wanted: int) -> int:
    """Repeat the blocks and events of the chain above its head, again and again; return how many events there are.

    Indexes and constraints are put back after the rows are in, and the planner is told what is there.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        put_back = _take_off(connection, "events")
        span = world.chain.head + 1
        times = -(-wanted // world.chain.events)
        for turn in range(1, times):
            report.progress("multiplying events", turn, times)
            for table, number in (("blocks", "number"), ("events", "block_number")):
                cursor.execute(_repetition(connection, table, number), {"turn": turn, "span": span})
        for done, statement in enumerate(put_back):
            report.progress("multiplying events: indexes", done, len(put_back))
            cursor.execute(statement)
        cursor.execute("UPDATE cursor SET block_number = %(turns)s * %(span)s - 1", {"turns": times, "span": span})
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM events")
        (row,) = cursor.fetchall()
    return int(row[0])


def _repetition(connection: Connection, table: str, number: str) -> sql.Composed:
    """Return the statement that adds a table's first rows once more, with block numbers that go on from there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            (table,),
        )
        columns = cursor.fetchall()
    shifted = []
    for name, kind in columns:
        value: sql.Composable = sql.Identifier(name)
        if name == number:
            value = sql.SQL("({} + %(turn)s * %(span)s)::{}").format(value, sql.SQL(kind))
        elif name == "hash":
            value = sql.SQL("sha256({} || int8send(%(turn)s))").format(value)
        shifted.append(value)
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} < %(span)s ORDER BY {}").format(
        sql.Identifier(table),
        names,
        sql.SQL(", ").join(shifted),
        sql.Identifier(table),
        sql.Identifier(number),
        sql.Identifier(number),
    )


def _take_off(connection: Connection, table: str) -> list[str]:
    """Remove the indexes and constraints of a table; return the statements that put them back."""
    put_back = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
            (table,),
        )
        for name, definition in cursor.fetchall():
            put_back.append(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", (table,))
        for name, definition in cursor.fetchall():
            put_back.append(definition)
            cursor.execute(f'DROP INDEX "{name}"')
    return put_back
