"""What the benchmark of the index runs on: the generated chain, a Postgres of its own, the relay's commands."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
from psycopg2.extensions import parse_dsn

from benchmarks.chain_generator import Chain, made
from benchmarks.chain_plan import Plan
from relay.addresses import to_checksum
from relay.devnet.anvil import Anvil, free_port, install_anvil, tools_directory
from relay.devnet.errors import tail
from relay.devnet.postgres import EmbeddedPostgres
from relay.devnet.process import Child, start_child
from relay.settings.model import NodeSettings
from relay.store.connection import Connection

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
TICK_SECONDS = 0.01
OPERATION = ("schema_migrations", "index_status", "followers", "network_choices")
"""Tables that say nothing about the chain."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A database that an index has filled up to the head.

    ``seconds`` are those from the start of its process to there, ``writing_seconds`` those since it took the
    writer's lock.
    """

    url: str
    seconds: float
    writing_seconds: float


class World:
    """Everything lies in a folder that goes away at the end; what is asked for is started then."""

    def __init__(self, plan: Plan, progress: Callable[[str, int, int], None]) -> None:
        self.plan = plan
        self.progress = progress
        self._binary = install_anvil(tools_directory())
        self.folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
        self._server: EmbeddedPostgres | None = None
        self._chain: Chain | None = None
        self._indexed: Indexed | None = None
        self._names = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def chain(self) -> Chain:
        """The generated chain."""
        if self._chain is None:
            self._chain = made(self.plan, self._binary, CACHE, self.progress)
        return self._chain

    @property
    def server(self) -> EmbeddedPostgres:
        """A Postgres that keeps what it has committed, as in service."""
        if self._server is None:
            # The server may run as another user than we do.
            self.folder.chmod(0o755)
            self._server = EmbeddedPostgres(self.folder / "postgres").start()
        return self._server

    @contextmanager
    def node(self) -> Iterator[Anvil]:
        """Run the chain from its generated state; what is added to it is lost at the end."""
        with Anvil(self._binary, load=self.chain.state, log=self.folder / f"{self._name('anvil')}.log") as anvil:
            yield anvil

    def database(self, template: str | None = None) -> str:
        """Return the URL of a new database, empty or a copy of another one that nobody uses."""
        name = self._name("bench")
        if template is None:
            return self.server.create_database(name)
        with connected(self.server.url) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {parse_dsn(template)['dbname']}")
        return self.server.database_url(name)

    def drop(self, url: str) -> None:
        """Remove a database."""
        self.server.drop_database(parse_dsn(url)["dbname"])

    def config(self, database: str, node: Anvil, **more: Any) -> Path:
        """Write settings and return their file; ``more`` by key: port, poll_seconds, heads_url ..."""
        folder = self.folder / self._name("settings")
        folder.mkdir()
        content = {"networks": [to_checksum(self.chain.network)]}
        (folder / "addresses.json").write_text(json.dumps(content), encoding="ascii")
        sections = {"rest": ("port", "processes"), "index": ("poll_seconds", "batch_blocks")}
        lines = ["[database]", f'url = "{database}"', "[logging]", 'level = "WARNING"']
        lines += ["[node]", f'urls = ["{node.url}"]']
        if "heads_url" in more:
            lines.append(f'heads_url = "{more["heads_url"]}"')
        for section, names in sections.items():
            lines += [f"[{section}]", *(f"{name} = {more[name]}" for name in names if name in more)]
        path = folder / "relay.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    @contextmanager
    def running(self, *command: str, config: Path) -> Iterator[Child]:
        """Run a command of ``tl-relay`` until the end of the block.

        Raises:
            RuntimeError: if it ended by itself before.

        """
        words = [sys.executable, "-m", "relay.cli", *command, "--config", str(config)]
        child = self.start(command[0], words, plain_environment())
        try:
            yield child
            if not child.is_running():
                raise RuntimeError(f"tl-relay {command[0]} ended: {tail(child.log)}")
        finally:
            child.stop()

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        """Start any command; it does not outlive this process."""
        log = self.folder / f"{self._name(name)}.log"
        return start_child(name, command, log, environment=environment)

    def fill(self, url: str, node: Anvil, to: int | None = None, **settings: Any) -> Indexed:
        """Run ``tl-relay index`` until a block is reached, by default the head, and end it."""
        reached = to or self.chain.head
        config = self.config(url, node, **settings)
        start = time.perf_counter()
        with self.running("index", config=config) as child:
            writing = self.until(lambda: int(is_written_to(url)), 1, child, "the index")
            end = self.until(lambda: cursor_of(url), reached, child, "the index")
        return Indexed(url, end - start, end - writing)

    def indexed(self) -> Indexed:
        """Return a database filled up to the generated head, to be copied; the first that was filled counts."""
        if self._indexed is None:
            with self.node() as node:
                self.keep(self.fill(self.database(), node))
        assert self._indexed is not None
        return self._indexed

    def keep(self, filled: Indexed) -> None:
        """Note a database that was filled up to the head, for `indexed`."""
        self._indexed = filled

    def until(self, number: Callable[[], int | None], wanted: int, child: Child, what: str) -> float:
        """Return the time at which a block number was reached; raises RuntimeError if the process ends before."""
        while True:
            found = number()
            if found is not None and found >= wanted:
                return time.perf_counter()
            if not child.is_running():
                raise RuntimeError(f"{what} ended: {tail(child.log)}")
            self.progress(what, found or 0, wanted)
            time.sleep(TICK_SECONDS)

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what}_{self._names}"


def has_heads_url() -> bool:
    """Say whether the relay can be told a node that announces new blocks."""
    return any(setting.name == "heads_url" for setting in fields(NodeSettings))


def heads_url(node: Anvil) -> str:
    """Return the WebSocket URL of a chain."""
    return f"ws://127.0.0.1:{node.port}"


def plain_environment(**more: str) -> dict[str, str]:
    """Return our environment without what would set the relay or libpq."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TL_RELAY_", "PG"))}
    kept.pop("DATABASE_URL", None)
    return kept | more


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect, every statement a transaction of its own."""
    connection: Connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


def ask(url: str, question: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the rows that answer a query."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return cursor.fetchall()


def cursor_of(url: str) -> int | None:
    """Return the number of the block that an index has come to, None before there is one."""
    with suppress(psycopg2.errors.UndefinedTable):
        rows = ask(url, "SELECT block_number FROM cursor")
        return int(rows[0][0]) if rows else None
    return None


def is_written_to(url: str) -> bool:
    """Say whether an index has become the writer of a database, so that it is about to fill it."""
    question = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    return bool(ask(url, question)[0][0])


def tables(url: str) -> list[str]:
    """Return the names of the tables that hold what came from the chain."""
    rows = ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [name for (name,) in rows if name not in OPERATION]


def free() -> int:
    """Return a port that nobody uses."""
    return free_port()
