"""The predecessor's indexer, ``ethindex``, on the same chain and the same Postgres server."""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import parse_dsn

from benchmarks.index_world import World, ask, plain_environment
from relay.addresses import to_checksum
from relay.devnet.anvil import Anvil
from relay.devnet.errors import tail
from relay.devnet.process import Child

COMMAND = "from ethindex.cli import cli; cli()"
STEP_SECONDS = 60


class PredecessorAbsent(Exception):
    """There is no predecessor to ask; the message says why."""


@dataclass(frozen=True, slots=True)
class PredecessorIndexed:
    """What the predecessor made of the chain: seconds from its start to the head, events, bytes of its tables."""

    seconds: float
    events: int
    bytes: int


class Ethindex:
    """Its command line: ``createtables``, ``importabi``, ``runsync``, told the database by libpq's variables."""

    def __init__(self, world: World, url: str) -> None:
        python = os.environ.get("PEER_PYTHON")
        if not python:
            raise PredecessorAbsent("PEER_PYTHON is not set")
        self._world, self._url, self.python = world, url, python
        given = parse_dsn(url)
        names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
        places = {variable: given[name] for variable, name in names.items()}
        self._environment = plain_environment(**places, LC_ALL="C.UTF-8")
        self._addresses = world.folder / "predecessor.json"
        content = {"networks": [to_checksum(world.chain.network)]}
        self._addresses.write_text(json.dumps(content), encoding="ascii")

    def run(self, node: Anvil) -> PredecessorIndexed:
        """Index from nothing to the head.

        Raises:
            PredecessorAbsent: if it cannot be run.

        """
        self._finish("createtables")
        self._finish("importabi", "--addresses", str(self._addresses))
        start = time.perf_counter()
        child = self._start("runsync", "--jsonrpc", node.url)
        try:
            end = self._world.until(self._block, self._world.chain.head, child, "the predecessor's index")
        finally:
            child.stop(patience=1)
        (events,) = ask(self._url, "SELECT count(*) FROM events")[0]
        tables = ask(
            self._url,
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        )
        return PredecessorIndexed(end - start, events, int(tables[0][0]))

    def _block(self) -> int | None:
        with suppress(psycopg2.errors.UndefinedTable):
            rows = ask(self._url, "SELECT last_block_number FROM sync")
            return int(rows[0][0]) if rows else None
        return None

    def _start(self, *words: str) -> Child:
        # -I keeps this checkout out of the predecessor's sight.
        command = [self.python, "-I", "-c", COMMAND, *words]
        try:
            return self._world.start("ethindex", command, self._environment)
        except OSError as error:
            raise PredecessorAbsent(f"PEER_PYTHON cannot be run: {error.strerror}") from None

    def _finish(self, *words: str) -> None:
        child = self._start(*words)
        try:
            status = child.process.wait(STEP_SECONDS)
        finally:
            child.stop(patience=1)
        if status:
            raise PredecessorAbsent(f"ethindex {words[0]} failed: {' '.join(tail(child.log, 1).split())}")
