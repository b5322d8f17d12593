"""The index as `tl-relay index` runs it, in a process of its own that can be killed anywhere in a transaction.

The real connection to the database is handed in wrapped: it says at which point of which statement the process is,
and closes a trap there.
"""

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

from relay import ground, indexing
from relay.chain.errors import ChainError
from relay.settings import Settings, find_addresses, load
from relay.store.connection import connect
from relay.store.errors import DatabaseUnreachable
from tests.simulation.faults import Act, Side, Trap

LONGEST_RETRY_SECONDS = 0.2
COMMIT = "COMMIT"
START_AGAIN_SECONDS = 0.2

_STATEMENT = re.compile(
    r"(INSERT INTO|DELETE FROM|UPDATE|COPY|NOTIFY|LISTEN|CREATE \w+ TABLE|LOCK TABLE|SET|SELECT)\b\s*(\w*)",
    re.IGNORECASE,
)


def settings_from(variables: Mapping[str, object]) -> Settings:
    """Return the settings that environment variables alone make."""
    return load(None, {name: str(value) for name, value in variables.items()})


def run_index(variables: Mapping[str, object], trap: Trap | None, trace: Path, log: Path) -> None:
    """Index until SIGTERM, or until the trap closes; the target of a process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, force=True, format=f"%(asctime)s {os.getpid()} %(name)s %(message)s"
    )
    points = Points(trap, trace)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        serve(settings_from(variables), stopping, points)
    except Exception as error:
        logging.getLogger("simulation").exception("the index ended: %s", error)
        sys.exit(2)


def serve(settings: Settings, stopping: threading.Event, points: "Points") -> None:
    """Do what the command `tl-relay index` does, again and again while node or database are away at its start."""
    networks = find_addresses(settings).networks
    while not stopping.is_set():
        try:
            service = indexing.build_index(
                settings,
                networks,
                ground.open_node(settings),
                stopping,
                open_connection=lambda url: Watched(connect(url), points),
                longest_retry_seconds=LONGEST_RETRY_SECONDS,
            )
        except (ChainError, DatabaseUnreachable) as error:
            logging.getLogger("simulation").warning("not started: %s", error)
            stopping.wait(START_AGAIN_SECONDS)
        else:
            service.run()
            return


class Points:
    """The points that this process passes, written down as it passes them, and the trap at one of them."""

    def __init__(self, trap: Trap | None, trace: Path) -> None:
        self._trap = trap
        self._passed = 0
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def passing(self, name: str, side: Side, break_connection: Callable[[], None]) -> None:
        """Be at a point, and survive it or not."""
        os.write(self._trace, f"{side} {name}\n".encode())
        trap = self._trap
        if trap is None or trap.side is not side or trap.name not in (None, name):
            return
        self._passed += 1
        if self._passed != trap.ordinal:
            return
        os.write(self._trace, f"{trap.act}: {side} {name}\n".encode())
        if trap.act is Act.DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        elif trap.act is Act.DISK_FULL:
            raise psycopg2.errors.DiskFull("could not extend file: No space left on device (simulated)")
        else:
            break_connection()
            raise psycopg2.OperationalError("the connection is broken (simulated)")


class Watched:
    """A connection of psycopg2 whose statements and commits are points."""

    def __init__(self, connection: Any, points: Points) -> None:
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_points", points)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._connection, name, value)

    def cursor(self, *arguments: Any, **more: Any) -> Any:
        points, break_connection = self._points, self._connection.close

        class WatchedCursor(psycopg2.extensions.cursor):
            def execute(self, query: Any, arguments: Any = None) -> Any:
                return self._watched(query, super().execute, arguments)

            def copy_expert(self, query: Any, *rest: Any, **named: Any) -> Any:
                return self._watched(query, super().copy_expert, *rest, **named)

            def _watched(self, query: Any, act: Callable[..., Any], *rest: Any, **named: Any) -> Any:
                name = name_of(query)
                points.passing(name, Side.BEFORE, break_connection)
                result = act(query, *rest, **named)
                points.passing(name, Side.AFTER, break_connection)
                return result

        return self._connection.cursor(*arguments, cursor_factory=WatchedCursor, **more)

    def commit(self) -> None:
        self._points.passing(COMMIT, Side.BEFORE, self._connection.close)
        self._connection.commit()
        self._points.passing(COMMIT, Side.AFTER, self._connection.close)

    def __enter__(self) -> "Watched":
        self._connection.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if kind is not None:
            return self._connection.__exit__(kind, error, trace)
        try:
            self._points.passing(COMMIT, Side.BEFORE, self._connection.close)
        except psycopg2.Error as fault:
            with suppress(psycopg2.Error):
                self._connection.__exit__(type(fault), fault, fault.__traceback__)
            raise
        result = self._connection.__exit__(None, None, None)
        self._points.passing(COMMIT, Side.AFTER, self._connection.close)
        return result


def name_of(query: Any) -> str:
    """Return a short name of a statement: what it does, and to which table."""
    text = query.decode() if isinstance(query, bytes) else str(query)
    found = _STATEMENT.search(text)
    if found is None:
        return " ".join(text.split()[:2])
    verb, table = found[1].upper(), found[2]
    if verb == "SELECT":
        source = re.search(r"\bFROM\s+(\w+)", text)
        return f"SELECT {source[1] if source else table}"
    return f"{verb} {table}"


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(3)
