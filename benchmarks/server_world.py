"""What the benchmark of the server measures: the relay, the predecessor and an empty view, over the same chain."""

import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from psycopg2.extensions import parse_dsn

from benchmarks.index_client import Client
from benchmarks.index_predecessor import Ethindex, PredecessorAbsent
from benchmarks.index_world import World, connected, free, plain_environment
from benchmarks.networks import CreditNetwork
from relay.addresses import to_checksum
from relay.devnet.anvil import Anvil
from relay.devnet.process import Child
from relay.store.rows import TRUSTLINE_COLUMNS

PROCESSES = 2
"""Server processes of the relay: as many as this machine, and the target, have cores."""

RELAY_COMMAND = "from relay.boot import main; main()"
GRAPH_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers on a port of 127.0.0.1."""

    port: int
    child: Child


@contextmanager
def relay(world: World, database: str, node: Anvil, *, processes: int = PROCESSES) -> Iterator[Served]:
    """Serve a database by ``tl-relay serve``."""
    port = free()
    config = world.config(database, node, port=port, processes=processes)
    with world.running("serve", config=config) as child:
        client = Client(port)
        client.until_ready(f"/networks/{to_checksum(world.chain.network)}")
        client.close()
        yield Served(port, child)


@contextmanager
def empty_view(world: World) -> Iterator[Served]:
    """Serve a Flask application with nothing but a view that returns two bytes, on the relay's own server."""
    port = free()
    words = [sys.executable, "-m", "benchmarks.server_empty", str(port), str(PROCESSES)]
    child = world.start("empty", words, plain_environment())
    try:
        client = Client(port)
        client.until_ready("/empty")
        client.close()
        yield Served(port, child)
    finally:
        child.stop()


class Predecessor:
    """The predecessor's index and server over the same chain, each in its own process."""

    def __init__(self, world: World, node: Anvil) -> None:
        """Index the chain; raises PredecessorAbsent."""
        self._world, self._node = world, node
        self._url = world.database()
        self._ethindex = Ethindex(world, self._url)
        self._ethindex.run(node)

    def adopt(self, network: CreditNetwork) -> None:
        """Add the trustlines of a network to what it will replay when its server starts."""
        lines = io.StringIO()
        address = to_checksum(self._world.chain.network)
        for lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime in network.rows:
            users = to_checksum(lower), to_checksum(higher)
            terms = {
                "_creditor": users[0],
                "_debtor": users[1],
                "_creditlineGiven": given,
                "_creditlineReceived": received,
                "_interestRateGiven": rate_given,
                "_interestRateReceived": rate_received,
                "_isFrozen": bool(is_frozen),
            }
            lines.write(f"{address}\tTrustlineUpdate\t{json.dumps(terms)}\t{mtime}\n")
            if balance:
                state = {"_from": users[0], "_to": users[1], "_value": balance}
                lines.write(f"{address}\tBalanceUpdate\t{json.dumps(state)}\t{mtime}\n")
        lines.seek(0)
        with connected(self._url) as connection, connection.cursor() as cursor:
            cursor.copy_expert("COPY graphfeed (address, eventname, args, timestamp) FROM STDIN", lines)

    @contextmanager
    def serving(self, until: str, wanted: bytes = b"") -> Iterator[Served]:
        """Run its server; hand it over when a path is answered with what is ``wanted``.

        Raises:
            PredecessorAbsent: if it does not come up.

        """
        port = free()
        folder = Path(tempfile.mkdtemp(dir=self._world.folder))
        config = folder / "config.toml"
        switched_off = ("delegate", "faucet", "exchange", "messaging", "push_notification")
        sections = [f"[{name}]\nenable = false" for name in switched_off]
        node = f'[node_rpc]\ntype = "http"\nhost = "127.0.0.1"\nport = {self._node.port}'
        sections += [f'[rest]\nhost = "127.0.0.1"\nport = {port}', node, "[tx_relay]\nenable = true"]
        config.write_text("\n".join(sections) + "\n", encoding="ascii")
        addresses = folder / "addresses.json"
        addresses.write_text(json.dumps({"networks": [to_checksum(self._world.chain.network)]}), encoding="ascii")
        given = parse_dsn(self._url)
        names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
        environment = plain_environment(**{name: given[key] for name, key in names.items()}, LC_ALL="C.UTF-8")
        environment["LOGLEVEL"] = "WARNING"
        # It leaves a file in its working directory, by which it would go on from there the next time.
        command = f"import os; os.chdir({str(folder)!r}); {RELAY_COMMAND}"
        words = [self._ethindex.python, "-I", "-c", command]
        words += ["--config", str(config), "--addresses", str(addresses)]
        child = self._world.start("predecessor", words, environment)
        try:
            client = Client(port)
            try:
                client.until_ready(until, GRAPH_SECONDS)
                _until_there(client, until, wanted)
            except RuntimeError as error:
                raise PredecessorAbsent(f"its server does not answer: {error}") from error
            finally:
                client.close()
            yield Served(port, child)
        finally:
            child.stop(patience=1)


def _until_there(client: Client, path: str, wanted: bytes) -> None:
    deadline = time.monotonic() + GRAPH_SECONDS
    while wanted not in client.get(path)[2]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"GET {path} never had what was waited for")
        time.sleep(0.5)


def replace_trustlines(url: str, network: CreditNetwork) -> None:
    """Put the trustlines of a network in the place of those in the relay's database, by COPY."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM networks LIMIT 1")
        (network_id,) = cursor.fetchone() or (0,)
        cursor.execute("TRUNCATE trustlines")
        lines = io.StringIO()
        for lower, higher, *numbers in network.rows:
            figures = "\t".join(str(int(number)) for number in numbers)
            lines.write(f"{network_id}\t\\\\x{lower.hex()}\t\\\\x{higher.hex()}\t{figures}\n")
        lines.seek(0)
        cursor.copy_expert(f"COPY trustlines ({TRUSTLINE_COLUMNS}) FROM STDIN", lines)
        cursor.execute("VACUUM ANALYZE trustlines")


def processes_of(server: Served) -> list[psutil.Process]:
    """Return all processes of a server."""
    parent = psutil.Process(server.child.process.pid)
    return [parent, *parent.children(recursive=True)]
