"""One simulation: a world, a database, index processes and a reader that follows, through rounds of trouble."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import singledispatchmethod
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg2

from relay.addresses import to_checksum
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.postgres import PORT, EmbeddedPostgres, create_database, drop_database
from relay.store.connection import Pool, connect
from relay.store.errors import StoreError
from relay.store.migrate import migrate
from relay.store.reading import FeedListener, StateReader
from relay.sync.follower import Follower
from relay.sync.networks import Networks
from tests.simulation import compare
from tests.simulation.faults import Act, DatabaseFault, NodeFault, Side, Trap
from tests.simulation.harness import IndexProcesses
from tests.simulation.proxy import DatabaseProxy, NodeProxy, wait_until
from tests.simulation.schedule import (
    AddNetwork,
    DatabaseTrouble,
    Drawing,
    Grow,
    Kill,
    NodeTrouble,
    NodeWell,
    Pause,
    Reorg,
    Round,
    Standby,
    Step,
)
from tests.simulation.world import GENESIS, Network, Way, World
from tests.support.indexing import load_networks, synchronise

FINALITY_DEPTHS = {"depth": 128, "node": 64}
"""How far below the highest head blocks may be replaced, by the setting: anvil's ``finalized`` lies 64 deep."""

SHORTER_CHAIN_SECONDS = 0.3

CATCH_UP_SECONDS = 30.0
NODE_TIMEOUT_SECONDS = 1.0
POLL_SECONDS = 0.05
ATTEMPTS = 25
"""How many reorgs may go by until an index comes by a statement that not every reorg needs, as one of debts."""
GRACE_SECONDS = 0.1
"""How long after its last commit a process may take to come by what follows it."""

STATEMENTS = (
    "COMMIT",
    "SELECT cursor",
    "SELECT networks",
    "DELETE FROM events",
    "DELETE FROM blocks",
    "DELETE FROM trustlines",
    "INSERT INTO trustlines",
    "INSERT INTO blocks",
    "INSERT INTO feed",
    "INSERT INTO cursor",
    "COPY events",
    "COPY token_events",
    "COPY identity_events",
    "DELETE FROM token_events",
    "INSERT INTO withdrawn_token_events",
    "UPDATE networks",
    "NOTIFY tl_relay_feed",
)
"""Where traps are set by name; others are set by number."""


class Failure(AssertionError):
    """A promise was broken; the text says by what and how to see it again."""


class WorldLost(Exception):
    """The chain of this simulation cannot be used any more, by no fault of the index."""


@dataclass
class Tally:
    """What a simulation has done."""

    rounds: int = 0
    reorgs: int = 0
    deepest: int = 0
    kills: int = 0
    losses: int = 0
    node_faults: Counter[NodeFault] = field(default_factory=Counter)
    samples: int = 0
    points: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, {self.reorgs} reorgs (deepest {self.deepest}), {self.kills} kills, "
            f"{self.losses} database losses, {sum(self.node_faults.values())} wrong answers of "
            f"{len(self.node_faults)} kinds, {self.samples} states sampled, caught up within {self.slowest:.1f} s"
        )


class Simulation:
    """Runs rounds; everything it starts ends with it."""

    def __init__(
        self,
        seed: int,
        anvil: Anvil,
        server: EmbeddedPostgres,
        directory: Path,
    ) -> None:
        """Set the world up. ``anvil`` and ``server`` are running, and nobody else uses them."""
        self.seed = seed
        self.drawing = Drawing(seed, STATEMENTS)
        self.tally = Tally()
        self._server = server
        self._directory = directory
        self._closing = ExitStack()
        self._finality = ("depth", "node")[seed % 2]
        self.world = World(anvil, FINALITY_DEPTHS[self._finality])
        self._closing.callback(self.world.close)
        self._node = Node(anvil.url)
        self.node_proxy = NodeProxy(anvil.port, f"{seed}/proxy")
        self._closing.callback(self.node_proxy.close)
        self._database_proxy = DatabaseProxy(self._socket_path)
        self._closing.callback(self._database_proxy.close)
        self._name = f"simulation_{seed}"
        create_database(server.url, self._name)
        self._closing.callback(drop_database, server.url, self._name)
        self.index = IndexProcesses(directory)
        self._closing.callback(self.index.stop)
        self._served: list[Network] = list(self.world.networks)
        self._write_addresses()
        migrate(self.direct_url)
        self._pool = Pool(self.proxied_url)
        self._closing.callback(self._pool.close)
        self.networks = Networks()
        self._follower = Follower(
            StateReader(self._pool), self.networks, lambda: FeedListener(self.proxied_url), retry_seconds=0.1
        )
        self._follower.start()
        self._closing.callback(self._follower.stop)
        self._sampler = compare.Sampler(self.direct_url, self.networks)
        self._closing.callback(self._sampler.stop)
        self._database_trouble_until: tuple[float, Callable[[], None]] | None = None

    @property
    def direct_url(self) -> str:
        """The database's URL, no proxy in between."""
        return urlsplit(self._server.url)._replace(path="/" + self._name).geturl()

    @property
    def proxied_url(self) -> str:
        """The database's URL for the index and its readers."""
        user = urlsplit(self._server.url).username or ""
        port = self._database_proxy.port
        return f"postgresql://{quote(user)}@127.0.0.1:{port}/{self._name}?sslmode=disable&gssencmode=disable"

    def run_round(self, number: int) -> Round:
        """Run one round; raises Failure."""
        drawn = self.drawing.round(number)
        self.run(drawn)
        self.tally.rounds += 1
        self._count()
        return drawn

    def run(self, drawn: Round) -> None:
        """Run the steps of a round, end their causes and compare everything; raises Failure."""
        with self._failures_in_full(drawn):
            self._revive()
            for at, step in enumerate(drawn.steps):
                self._end_trouble_in_time()
                self._carry_out(step, random.Random(f"{self.seed}/{drawn.number}/{at}"))
                self._revive()
            self._heal()
            self._require_caught_up()
            self._require_equal()

    def kill_everywhere(self, batch_blocks: int = 2000) -> tuple[set[str], set[str]]:
        """Kill an index before and after each statement and commit on its way through a reorg.

        It begins anew each time, with other blocks to undo. A statement that it comes by several times kills it at
        the first and at the last of them. Returns the points where it died, and those it was not seen to come by
        again.
        """
        numbers = count()
        self._start_into_reorg(None, next(numbers), batch_blocks)
        died, missed = set(), set()
        for point, times in sorted(self.index.points_of_last().items()):
            side, name = point.split(" ", 1)
            for ordinal in sorted({1, times}):
                trap = Trap(Act.DIE, Side(side), name, ordinal)
                # The next reorg may need fewer of these statements than the first did.
                if any(self._start_into_reorg(trap, next(numbers), batch_blocks) for _ in range(ATTEMPTS)):
                    died.add(point)
                elif ordinal == 1:
                    missed.add(point)
        self.run(Round(next(numbers), ()))
        self._count()
        return died, missed

    def _start_into_reorg(self, trap: Trap | None, number: int, batch_blocks: int) -> bool:
        """Replace blocks and start an index, which then undoes them; return whether its trap has killed it."""
        drawn = Round(number, (Reorg(Way.ROLLBACK, 4, 4, 5), Kill(trap, batch_blocks)))
        with self._failures_in_full(drawn):
            self.index.kill()
            self._carry_out(drawn.steps[0], random.Random(f"{self.seed}/everywhere/{number}"))
            self._carry_out(drawn.steps[1], random.Random(0))
            wanted = self.world.head, self.world.head_hash
            is_over = wait_until(
                lambda: not self.index.alive() or self._stored_block() == wanted, CATCH_UP_SECONDS
            )
            assert is_over, "the index neither died nor reached the head"
            if trap is not None and trap.side is Side.AFTER:
                wait_until(lambda: not self.index.alive(), GRACE_SECONDS)
            self._look()
            return not self.index.alive()

    def _look(self) -> None:
        with closing(connect(self.direct_url)) as connection, connection.cursor() as cursor:
            compare.look(cursor)

    def close(self) -> None:
        """End everything."""
        self._closing.close()

    @contextmanager
    def _failures_in_full(self, what: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._world_is_intact():
                raise WorldLost(f"seed {self.seed}: anvil has forgotten its contracts, in {what}") from error
            raise Failure(
                f"seed {self.seed}, in {what}\n"
                f"{type(error).__name__}: {error}\n"
                f"again: make soak SEED={self.seed}\n"
                f"the index's log ends:\n{self.index.tail()}"
            ) from error

    def _world_is_intact(self) -> bool:
        try:
            return self.world.is_intact()
        except Exception:
            return False

    @singledispatchmethod
    def _carry_out(self, step: Step, chance: random.Random) -> None:
        raise NotImplementedError(step)

    @_carry_out.register
    def _(self, step: Grow, chance: random.Random) -> None:
        self.world.grow(step.blocks, step.density, chance)

    @_carry_out.register
    def _(self, step: Reorg, chance: random.Random) -> None:
        def between() -> None:
            time.sleep(chance.choice((0.0, 0.0, 0.1, 0.3)))

        self.world.reorganise(step.way, step.depth, step.blocks, step.density, chance, between)

    @_carry_out.register
    def _(self, step: NodeTrouble, chance: random.Random) -> None:
        self.node_proxy.misbehave(step.fault, step.share, step.size)

    @_carry_out.register
    def _(self, step: NodeWell, chance: random.Random) -> None:
        self.node_proxy.heal()

    @_carry_out.register
    def _(self, step: Pause, chance: random.Random) -> None:
        time.sleep(step.seconds)

    @_carry_out.register
    def _(self, step: Kill, chance: random.Random) -> None:
        self.index.kill()
        self._start(step)

    @_carry_out.register
    def _(self, step: Standby, chance: random.Random) -> None:
        self._start(Kill(None, step.batch_blocks))

    @_carry_out.register
    def _(self, step: AddNetwork, chance: random.Random) -> None:
        if self.world.added not in self._served:
            self._served.append(self.world.added)
            self._write_addresses()
            if step.trap is not None:
                self.index.kill()
                self._start(Kill(step.trap, 17))

    @_carry_out.register
    def _(self, step: DatabaseTrouble, chance: random.Random) -> None:
        self._end_database_trouble()
        self.tally.losses += 1
        match step.fault:
            case DatabaseFault.TERMINATED:
                self._terminate_backends()
            case DatabaseFault.CUT:
                self._database_proxy.cut()
            case DatabaseFault.RESTARTED:
                self._server.stop()
                time.sleep(step.seconds)
                self._server.start()
            case DatabaseFault.CRASHED:
                self._crash()
                time.sleep(step.seconds)
                self._sampler.forget()
                self._server.start()
            case DatabaseFault.REFUSED:
                self._database_proxy.refuse()
                self._lasting(step.seconds, self._database_proxy.heal)
            case DatabaseFault.STALLED:
                self._database_proxy.stall()
                self._lasting(step.seconds, self._database_proxy.heal)
            case DatabaseFault.STALLED_AND_CUT:
                self._database_proxy.stall()
                self._lasting(step.seconds, self._cut_and_heal)

    def _lasting(self, seconds: float, end: Callable[[], None]) -> None:
        self._database_trouble_until = time.monotonic() + seconds, end

    def _end_trouble_in_time(self) -> None:
        if self._database_trouble_until is not None and time.monotonic() > self._database_trouble_until[0]:
            self._end_database_trouble()

    def _end_database_trouble(self) -> None:
        if self._database_trouble_until is not None:
            end = self._database_trouble_until[1]
            self._database_trouble_until = None
            end()

    def _cut_and_heal(self) -> None:
        self._database_proxy.cut()
        self._database_proxy.heal()

    def _crash(self) -> None:
        """End the server as a power loss would: no process of it gets to say goodbye."""
        child = self._server.child
        assert child is not None
        child.process.kill()
        self._server.stop()

    def _terminate_backends(self) -> None:
        with closing(psycopg2.connect(self._server.url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                (self._name,),
            )

    def _start(self, step: Kill) -> None:
        self.index.start(
            {
                "TL_RELAY_NODE_URLS": self.node_proxy.url,
                "TL_RELAY_NODE_TIMEOUT_SECONDS": NODE_TIMEOUT_SECONDS,
                "TL_RELAY_DATABASE_URL": self.proxied_url,
                "TL_RELAY_INDEX_POLL_SECONDS": POLL_SECONDS,
                "TL_RELAY_INDEX_FINALITY": self._finality,
                "TL_RELAY_INDEX_FINALITY_DEPTH": FINALITY_DEPTHS["depth"],
                "TL_RELAY_INDEX_SHORTER_CHAIN_SECONDS": SHORTER_CHAIN_SECONDS,
                "TL_RELAY_INDEX_BATCH_BLOCKS": step.batch_blocks,
                "TL_RELAY_RELAY_ADDRESSES_FILEPATH": self._directory / "addresses.json",
                "TL_RELAY_DELEGATE_ENABLE": "true",
                "TL_RELAY_EXCHANGE_ENABLE": "true",
            },
            step.trap,
        )

    def _revive(self) -> None:
        if not self.index.alive():
            self._start(Kill(None, 17))

    def _heal(self) -> None:
        self.node_proxy.heal()
        self._end_database_trouble()
        self._database_proxy.heal()

    def _require_caught_up(self) -> None:
        began = time.monotonic()
        wanted = self.world.head, self.world.head_hash
        stands: list[object] = []

        def has_caught_up() -> bool:
            self._revive()
            stored, reader = self._stored_block(), self.networks.block
            stands[:] = [stored, reader and (reader.number, reader.hash.hex())]
            return stored == wanted and reader is not None and (reader.number, reader.hash) == wanted

        def serves_all() -> bool:
            self._revive()
            return len(self.networks.addresses()) == len(self._served)

        is_there = wait_until(has_caught_up, CATCH_UP_SECONDS) and wait_until(serves_all, CATCH_UP_SECONDS)
        assert is_there, (
            f"{CATCH_UP_SECONDS:g} s after the last trouble the chain stands at {wanted[0]} {wanted[1].hex()}, "
            f"database and reader at {stands}"
        )
        self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)

    def _stored_block(self) -> tuple[int, bytes] | None:
        try:
            with closing(connect(self.direct_url)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT block_number, block_hash FROM cursor")
                return cursor.fetchone()
        except (StoreError, psycopg2.Error):
            return None

    def _require_equal(self) -> None:
        self.index.require_no_surprise()
        self._sampler.require_consistent(self.world.known)
        fresh_name = f"{self._name}_fresh"
        fresh_url = create_database(self._server.url, fresh_name)
        try:
            addresses = [network.address for network in self._served]
            depth = FINALITY_DEPTHS["depth"]
            synchronise(self._node, fresh_url, addresses, self.world.contracts, finality_depth=depth)
            kept_from = self.world.highest - FINALITY_DEPTHS[self._finality] + 1
            followed = compare.dump(self.direct_url, kept_from)
            unlike = compare.differences(
                followed, compare.dump(fresh_url, kept_from), ("the database", "a fresh one")
            )
            assert not unlike, f"the database is not what a fresh synchronisation makes:\n{unlike}"
            reader, fresh = compare.graphs(self.networks), compare.graphs(load_networks(fresh_url))
        finally:
            drop_database(self._server.url, fresh_name)
        assert reader == fresh, "the graphs that followed are not those of a fresh database"
        on_chain, told = compare.comparable(self.world.accounts(self._served)), compare.accounts(reader)
        assert told == on_chain, "the graphs are not what the contracts say: " + compare.unlike(told, on_chain)
        frozen = self.world.are_frozen(self._served)
        assert [reader[network.address][0] for network in self._served] == frozen, "other networks are frozen"

    def _count(self) -> None:
        tally = self.tally
        tally.reorgs, tally.deepest = self.world.reorgs, self.world.deepest
        tally.kills, tally.samples = self.index.kills, self._sampler.taken
        tally.node_faults = Counter(self.node_proxy.injected)
        tally.points = self.index.points()

    def _write_addresses(self) -> None:
        path = self._directory / "addresses.json"
        written = path.with_suffix(".new")
        document = {"networks": [to_checksum(network.address) for network in self._served]}
        written.write_text(json.dumps({**document, **self.world.address_file()}))
        written.replace(path)

    def _socket_path(self) -> str:
        (directory,) = parse_qs(urlsplit(self._server.url).query)["host"]
        return f"{directory}/.s.PGSQL.{PORT}"


@contextmanager
def simulation(seed: int, anvil_binary: str, directory: Path) -> Iterator[Simulation]:
    """Start a chain, a database server and a simulation between them; all of it ends with the block."""
    with (
        Anvil(anvil_binary, timestamp=GENESIS) as anvil,
        EmbeddedPostgres(directory / "data", durable=False) as server,
    ):
        running = Simulation(seed, anvil, server, directory)
        with closing(running):
            yield running
