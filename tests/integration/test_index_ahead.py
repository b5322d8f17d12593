"""Fetching the next stretch while one is written: what comes of it when chain or node change meanwhile."""

from collections.abc import Iterator, Sequence

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address
from relay.chain.errors import NodeUnreachable
from relay.chain.node import Node
from relay.chain.wire import Log
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network
from relay.devnet.postgres import create_database, drop_database
from relay.index.indexer import Indexer, Step
from relay.store.connection import Pool
from tests.integration.test_index_on_chain import SEED, address_of
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)
BATCH = 6


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "ahead")
    drop_database(postgres_url, "ahead")


@pytest.fixture
def network(web3: Web3) -> Contract:
    return deploy_network(web3, TERMS, "CurrencyNetwork")


class Asked(Node):
    """A node that notes which ranges of logs it is asked for, and is gone when told so."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.ranges: list[tuple[int, int]] = []
        self.fails_from: int | None = None

    def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
        self.ranges.append((first, last))
        if self.fails_from is not None and first >= self.fails_from:
            raise NodeUnreachable("the node is gone")
        return super().logs(addresses, first, last)


class Backfill:
    """An index at work on a chain that is long already."""

    def __init__(self, url: str, asked: Asked, network: Contract, depth: int) -> None:
        self._writer = open_writer(url)
        self.node = asked
        self.indexer: Indexer = make_indexer(
            asked, self._writer, [address_of(network)], batch_blocks=BATCH, finality_depth=depth
        )
        self.indexer.prepare()

    def step(self) -> Step:
        step = self.indexer.step()
        assert step is not None
        return step

    def finish(self) -> None:
        while self.indexer.step() is not None:
            pass
        self._writer.close()


def test_a_step_leaves_the_next_stretch_ready(
    chain: Anvil, web3: Web3, network: Contract, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(30)
    backfill = Backfill(database_url, Asked(chain.url), network, depth=3)
    first = backfill.step().block.number
    assert [asked for _, asked in backfill.node.ranges] == [first, first + BATCH]
    assert backfill.step().block.number == first + BATCH
    # Each range was asked for once.
    assert len(set(backfill.node.ranges)) == len(backfill.node.ranges) == 3
    backfill.finish()
    synchronise(backfill.node, second_url, [address_of(network)], finality_depth=3)
    assert dump(database_url) == dump(second_url)


@pytest.mark.parametrize("depth", [3, 1000])
@pytest.mark.parametrize("kept", [0, 3])
def test_what_was_fetched_ahead_of_a_reorg_is_not_written(
    chain: Anvil, web3: Web3, network: Contract, database_url: str, second_url: str, depth: int, kept: int
) -> None:
    """The chain is replaced right above what is written, or within what was fetched ahead."""
    life = Life(chain, web3, network, SEED)
    life.act(4)
    snapshots = {}
    start = web3.eth.block_number
    for number in range(start, start + 3 * BATCH):
        snapshots[number] = chain.rpc("evm_snapshot")
        life.act(1)
        while web3.eth.block_number <= number:
            chain.mine()
    head = web3.eth.block_number
    backfill = Backfill(database_url, Asked(chain.url), network, depth)
    while (written := backfill.step().block.number) < start + BATCH // 2:
        pass
    assert written + kept < head
    assert chain.rpc("evm_revert", snapshots[min(n for n in snapshots if n >= written + kept)])
    branch = web3.eth.block_number
    before = web3.eth.get_block(branch)["hash"]
    life = Life(chain, web3, network, SEED + 1)
    life.act(12)
    while web3.eth.block_number < head + 2:
        chain.mine()
    assert web3.eth.get_block(branch)["hash"] == before
    step = backfill.step()
    assert step.undone == 0
    backfill.finish()
    synchronise(backfill.node, second_url, [address_of(network)], finality_depth=depth)
    assert dump(database_url) == dump(second_url)


def test_a_node_that_fails_ahead_fails_the_next_step_and_not_this_one(
    chain: Anvil, web3: Web3, network: Contract, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(30)
    backfill = Backfill(database_url, Asked(chain.url), network, depth=3)
    first, *_ = (backfill.step().block.number,)
    backfill.node.fails_from = first + BATCH + 1
    second = backfill.step().block.number
    assert second == first + BATCH
    with pytest.raises(NodeUnreachable, match="gone"):
        backfill.indexer.step()
    backfill.node.fails_from = None
    assert backfill.step().block.number == second + BATCH
    backfill.finish()
    synchronise(backfill.node, second_url, [address_of(network)], finality_depth=3)
    assert dump(database_url) == dump(second_url)


@pytest.mark.parametrize(("threshold", "is_analysed"), [(10, True), (10_000, False)])
def test_after_filling_in_many_events_the_database_knows_its_tables(
    chain: Anvil, web3: Web3, network: Contract, database_url: str, threshold: int, is_analysed: bool
) -> None:
    Life(chain, web3, network, SEED).act(30)
    synchronise(Node(chain.url), database_url, [address_of(network)], batch_blocks=BATCH, analyse_after=threshold)
    pool = Pool(database_url)
    with pool.snapshot() as cursor:
        cursor.execute("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'events'")
        assert cursor.fetchone() == (is_analysed,)
    pool.close()
