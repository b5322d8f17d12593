"""From a new block to an answer of the API that knows it, with polling and with a node that announces blocks.

The time begins when a listener of our own hears of the block over WebSocket. Measured alone: the same notice, one
getLogs of that block, and one commit of as many rows.
"""

import io
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.chain_generator import Narrator, Rpc, hexed
from benchmarks.chain_plan import Story, Transaction
from benchmarks.index_client import Client
from benchmarks.index_world import World, connected, free, has_heads_url, heads_url
from benchmarks.report import Report, Row
from benchmarks.timing import Times
from relay.addresses import to_checksum
from relay.devnet.anvil import Anvil
from relay.settings import Settings
from relay.store.connection import Connection

UNCOUNTED = 5
PATIENCE_SECONDS = 30.0
PROBE_SECONDS = 0.001
MOST_TIMES, MOST_MILLISECONDS = 1.3, 150


class Listener:
    """Hears of new blocks over WebSocket, in a thread of its own, and may act on each at once."""

    def __init__(self, node: Anvil, act: Callable[[int], None] = lambda _: None) -> None:
        self._act = act
        self._heard: dict[int, float] = {}
        self._done: dict[int, float] = {}
        self._changed = threading.Condition()
        self._socket: ClientConnection = connect(heads_url(node))
        self._socket.send(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
        )
        self._socket.recv()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def heard(self, number: int) -> float:
        """Return when a block was announced, waiting for it; RuntimeError if it never is."""
        return self._when(self._heard, number)

    def done(self, number: int) -> float:
        """Return when it had been acted on."""
        return self._when(self._done, number)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._thread.join(5)

    def _when(self, times: dict[int, float], number: int) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: number in times, PATIENCE_SECONDS):
                raise RuntimeError(f"block {number} was not announced, or what follows on it failed")
            return times[number]

    def _listen(self) -> None:
        try:
            for message in self._socket:
                now = time.perf_counter()
                number = int(json.loads(message)["params"]["result"]["number"], 16)
                with self._changed:
                    self._heard[number] = now
                    self._changed.notify_all()
                self._act(number)
                with self._changed:
                    self._done[number] = time.perf_counter()
                    self._changed.notify_all()
        except ConnectionClosed:
            pass


def run(world: World, report: Report, *, blocks: int, is_decisive: bool) -> None:
    """Measure alone, with polling and with announcements."""
    alone = _alone(world, report, blocks)
    for which, value in (("median", alone.median), ("99th percentile", alone.p99)):
        report.add(Row(f"notice, one getLogs and one commit, alone, {which}", value, "ms"))
    poll_seconds = Settings().index.poll_seconds
    polling = _relay(world, report, blocks, pause=poll_seconds)
    name = f"block to visible in the API, polling every {poll_seconds:g} s"
    for which, value, bound in (
        ("median", polling.median, alone.median),
        ("99th percentile", polling.p99, alone.p99),
    ):
        report.add(Row(f"{name}, {which}", value, "ms", {}, bound, value / bound))
    if not has_heads_url():
        report.note(
            "This relay cannot listen to announcements of blocks ([node] heads_url): those rows are left out."
        )
        return
    woken = _relay(world, report, blocks, pause=0.05, is_woken=True)
    name = "block to visible in the API, woken by the node"
    ratio = woken.p99 / alone.p99
    target = f"at most {MOST_TIMES} times alone, and under {MOST_MILLISECONDS} ms"
    met = (ratio <= MOST_TIMES and woken.p99 < MOST_MILLISECONDS) if is_decisive else None
    report.add(Row(f"{name}, 99th percentile", woken.p99, "ms", {}, alone.p99, ratio, target, met))
    report.add(Row(f"{name}, median", woken.median, "ms", {}, alone.median, woken.median / alone.median))


def _alone(world: World, report: Report, blocks: int) -> Times:
    database = world.database(template=world.indexed().url)
    with world.node() as node, connected(database) as connection:
        commit = _committer(connection)
        rpc = Rpc(node.url)

        def follow(number: int) -> None:
            asked = {"fromBlock": hex(number), "toBlock": hex(number), "address": [hexed(world.chain.network)]}
            commit(number, len(rpc.one("eth_getLogs", asked)))

        listener = Listener(node, follow)
        times = []
        for number, _ in _new_blocks(world, report, node, blocks, 0.05, "notice, getLogs and commit alone"):
            times.append((listener.done(number) - listener.heard(number)) * 1000)
        listener.close()
        rpc.close()
    world.drop(database)
    return Times(tuple(times[UNCOUNTED:]))


def _committer(connection: Connection) -> Callable[[int, int], None]:
    """Return what writes so many rows of events, and a cursor, in one transaction: the least there is to do."""
    sample = io.StringIO()
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY (SELECT * FROM events ORDER BY block_number DESC LIMIT 100) TO STDOUT", sample)
        cursor.execute("CREATE TABLE alone (LIKE events)")
        cursor.execute("CREATE TABLE alone_at (number bigint)")
        cursor.execute("INSERT INTO alone_at VALUES (0)")
    lines = sample.getvalue().splitlines(keepends=True)
    connection.autocommit = False

    def commit(number: int, rows: int) -> None:
        with connection.cursor() as cursor:
            cursor.copy_expert("COPY alone FROM STDIN", io.StringIO("".join(lines[:rows])))
            cursor.execute("UPDATE alone_at SET number = %s", (number,))
        connection.commit()

    return commit


def _relay(world: World, report: Report, blocks: int, *, pause: float, is_woken: bool = False) -> Times:
    """Run index and API, and measure until the API answers with what a new block changed."""
    database = world.database(template=world.indexed().url)
    what = "block to visible, woken" if is_woken else "block to visible, polling"
    times = []
    with world.node() as node:
        port = free()
        more = {"heads_url": heads_url(node)} if is_woken else {}
        config = world.config(database, node, port=port, **more)
        with world.running("index", config=config), world.running("serve", config=config):
            client, listener = Client(port), Listener(node)
            client.until_ready("/networks")
            for number, path in _new_blocks(world, report, node, blocks, pause, what):
                before = None
                while True:
                    block, balance = client.json(path)
                    if block is not None and block >= number:
                        break
                    before = balance["balance"]
                    time.sleep(PROBE_SECONDS)
                seen = time.perf_counter()
                if before == balance["balance"]:
                    raise RuntimeError(f"the API says that it knows block {number}, but not what it changed")
                times.append((seen - listener.heard(number)) * 1000)
            listener.close()
            client.close()
    world.drop(database)
    return Times(tuple(times[UNCOUNTED:]))


def _new_blocks(
    world: World, report: Report, node: Anvil, blocks: int, pause: float, what: str
) -> Iterator[tuple[int, str]]:
    """Mine blocks of one transfer each, after a pause of random length; yield each one's number and a path.

    The path is that of a trustline whose balance the block has changed.
    """
    rng = random.Random(world.plan.seed)  # noqa: S311 - pauses, no secrets
    rpc = Rpc(node.url)
    narrator = Narrator(rpc, world.chain.network)
    network = to_checksum(world.chain.network)
    head = int(rpc.one("eth_blockNumber"), 16)
    told = itertools.islice(Story(world.plan).transfers(), blocks + UNCOUNTED)
    for done, transfer in enumerate(told):
        narrator.send([transfer])
        time.sleep(rng.uniform(0, pause))
        narrator.mine()
        head += 1
        yield head, f"/networks/{network}/users/{_user(transfer, 0)}/trustlines/{_user(transfer, 1)}"
        report.progress(what, done, blocks + UNCOUNTED)
    rpc.close()


def _user(transfer: Transaction, place: int) -> str:
    path = transfer.arguments[2]
    assert isinstance(path, list)
    return to_checksum(path[place])
