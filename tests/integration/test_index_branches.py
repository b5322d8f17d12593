"""Reorgs at the edges: what is final, a node that is behind, and what readers are told of withdrawn events."""

from collections.abc import Iterator
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.chain.network import read_network
from relay.chain.node import Node
from relay.chain.wire import Log
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from relay.index.errors import NodeBehind, PastFinality
from relay.index.finality import FinalityRule
from relay.index.indexer import Indexer, Options
from relay.model import Block
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.writing import FEED_KEPT
from tests.integration.test_index_on_chain import SEED, Following, address_of, mine_until
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def network(web3: Web3) -> Contract:
    return deploy_network(web3, TERMS, "CurrencyNetwork")


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "branches")
    drop_database(postgres_url, "branches")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    pool = Pool(url)
    with pool.snapshot() as cursor:
        cursor.execute(query)
        found = cursor.fetchall()
    pool.close()
    return found


class Late(Node):
    """One of several nodes, that has not come further than some block."""

    limit: int | None = None

    def head(self) -> Block:
        head = super().head()
        if self.limit is None or head.number <= self.limit:
            return head
        block = self.block(self.limit)
        assert block is not None
        return block


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_node_that_is_behind_is_waited_for_and_taken_for_no_reorg(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    life.act(10)
    late = Late(chain.url)
    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)], asked=late, shorter_chain_seconds=3600.0)
    indexer.prepare()
    while indexer.step() is not None:
        pass
    before = dump(database_url)
    late.limit = node.head().number - 4
    for _ in range(3):
        with pytest.raises(NodeBehind, match="waiting for the node to catch up"):
            indexer.step()
    assert dump(database_url) == before
    late.limit = None
    life.act(3)
    assert indexer.step() is not None
    writer.close()
    assert dump(database_url)["cursor"][0][0] == node.head().number


def test_a_chain_that_stays_shorter_is_believed_after_a_while(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str, second_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    snapshot = chain.rpc("evm_snapshot")
    life.act(8)
    clock, writer = Clock(), open_writer(database_url)
    options = Options(shorter_chain_seconds=5.0)
    indexer = Indexer(
        node, writer, [address_of(network)], lambda a, first: read_network(node, a, first), options, clock
    )
    indexer.prepare()
    while indexer.step() is not None:
        pass
    longer = node.head().number
    assert chain.rpc("evm_revert", snapshot)
    assert node.head().number < longer
    with pytest.raises(NodeBehind):
        indexer.step()
    clock.now = 4.9
    with pytest.raises(NodeBehind):
        indexer.step()
    clock.now = 5.1
    step = indexer.step()
    assert step is not None
    assert step.undone == longer - node.head().number
    while indexer.step() is not None:
        pass
    writer.close()
    synchronise(node, second_url, [address_of(network)])
    assert dump(database_url) == dump(second_url)


def test_a_reorg_down_to_the_final_block_is_followed_and_a_deeper_one_is_not(
    chain: Anvil, network: Contract, node: Node, database_url: str, second_url: str
) -> None:
    addresses = [address_of(network)]
    chain.rpc("anvil_mine", hex(20))
    final = chain.rpc("evm_snapshot")
    chain.rpc("anvil_mine", hex(10))
    synchronise(node, database_url, addresses, finality_depth=10)
    assert chain.rpc("evm_revert", final)
    final = chain.rpc("evm_snapshot")
    chain.rpc("evm_increaseTime", 100)
    chain.rpc("anvil_mine", hex(10))
    synchronise(node, database_url, addresses, finality_depth=10)
    synchronise(node, second_url, addresses, finality_depth=10)
    assert dump(database_url) == dump(second_url)
    chain.rpc("anvil_mine", hex(1))
    synchronise(node, database_url, addresses, finality_depth=10)
    before = dump(database_url)
    assert chain.rpc("evm_revert", final)
    chain.rpc("evm_increaseTime", 200)
    chain.rpc("anvil_mine", hex(15))
    with pytest.raises(PastFinality, match="tl-relay index --rebuild"):
        synchronise(node, database_url, addresses, finality_depth=10)
    assert dump(database_url) == before


def test_what_a_shorter_chain_makes_replaceable_again_is_stored_again(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str, second_url: str
) -> None:
    """Its final block lies lower, and the headers from there on are those that the next reorg needs."""
    addresses = [address_of(network)]
    life = Life(chain, web3, network, SEED)
    life.act(5)
    mine_until(chain, node, node.head().number + 30)
    lower = chain.rpc("evm_snapshot")
    mine_until(chain, node, node.head().number + 5)
    upper = chain.rpc("evm_snapshot")
    mine_until(chain, node, node.head().number + 10)
    synchronise(node, database_url, addresses, finality_depth=12)
    assert chain.rpc("evm_revert", upper)
    synchronise(node, database_url, addresses, finality_depth=12)
    synchronise(node, second_url, addresses, finality_depth=12)
    assert dump(database_url) == dump(second_url)
    assert chain.rpc("evm_revert", lower)
    chain.rpc("evm_increaseTime", 50)
    life.act(8)
    synchronise(node, database_url, addresses, finality_depth=12)
    synchronise(node, second_url, addresses, finality_depth=12)
    assert dump(database_url) == dump(second_url)


def test_the_node_s_own_final_block_is_what_counts(
    chain: Anvil, network: Contract, node: Node, database_url: str
) -> None:
    mine_until(chain, node, 150)
    finalized = node.finalized()
    assert finalized is not None
    assert 0 < finalized.number < node.head().number
    synchronise(node, database_url, [address_of(network)], finality_depth=5, finality=FinalityRule.NODE)
    assert dump(database_url)["cursor"][0][3] == finalized.number
    kept = {row[0] for row in dump(database_url)["blocks"]}
    assert set(range(finalized.number, node.head().number + 1)) <= kept


def test_logs_that_a_range_lacks_are_found_by_what_the_headers_say(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(40)
    head = node.head().number

    class Lagging(Node):
        """Answers a range as one that has not come to the last blocks: with what it has, and without a word."""

        def logs(self, addresses: Any, first: int, last: int) -> list[Log]:
            return [log for log in super().logs(addresses, first, last) if log.block_number < head - 10]

    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)], asked=Lagging(chain.url))
    indexer.prepare()
    while indexer.step() is not None:
        pass
    writer.close()
    synchronise(node, second_url, [address_of(network)])
    assert dump(database_url) == dump(second_url)
    assert max(row[0] for row in dump(database_url)["events"]) >= head - 10


def test_the_feed_tells_which_events_were_withdrawn(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    one, other = life.people[:2]
    chain.mine()
    synchronise(node, database_url, [address_of(network)])
    ancestor = node.head().number
    snapshot = chain.rpc("evm_snapshot")
    life.send("updateTrustline", other, 10, 20, 0, 0, False, sender=one)
    life.send("updateTrustline", one, 20, 10, 0, 0, False, sender=other)
    synchronise(node, database_url, [address_of(network)])
    columns = "type::text, block_number, log_index, sender, receiver, given, transaction_hash"
    stood = rows(database_url, f"SELECT {columns} FROM events WHERE block_number > {ancestor} ORDER BY 2, 3")
    hashes = rows(database_url, f"SELECT DISTINCT hash FROM blocks WHERE number > {ancestor} ORDER BY 1")
    assert len(stood) >= 2
    reader = Following(database_url)
    chain.rpc("evm_revert", snapshot)
    chain.rpc("evm_increaseTime", 30)
    chain.mine()
    synchronise(node, database_url, [address_of(network)])
    (entry,) = rows(
        database_url, "SELECT position, undone_after, first_block FROM feed WHERE undone_after IS NOT NULL"
    )
    assert entry[1:] == (ancestor, ancestor + 1)
    withdrawn = f"SELECT {columns} FROM withdrawn_events WHERE feed_position = {entry[0]} ORDER BY 2, 3"
    assert rows(database_url, withdrawn) == stood
    assert set(rows(database_url, "SELECT DISTINCT block_hash FROM withdrawn_events")) <= set(hashes)
    reader.catch_up()
    assert reader.sees(network) == []


def test_withdrawn_events_are_forgotten_together_with_their_entry_on_the_feed(database_url: str) -> None:
    migrate(database_url)
    writer = open_writer(database_url)
    block = Block(5, b"h" * 32, b"", 0)
    with writer.transaction() as transaction:
        first = transaction.next_feed_position()
        transaction.announce_blocks(first, 5, block, 4, 1)
        transaction._cursor.execute(
            "INSERT INTO withdrawn_events (feed_position, block_number, log_index, network_id, type, "
            "transaction_hash, transaction_index, block_hash, timestamp) "
            "VALUES (%s, 5, 0, 1, 'Transfer', '', 0, '', 0)",
            (first,),
        )
    assert rows(database_url, "SELECT count(*) FROM withdrawn_events") == [(1,)]
    with writer.transaction() as transaction:
        transaction.announce_blocks(first + FEED_KEPT, 6, block, None, 0)
    writer.close()
    assert rows(database_url, "SELECT count(*) FROM withdrawn_events") == [(0,)]
    assert rows(database_url, "SELECT position FROM feed_horizon") == [(first,)]


def test_debts_are_kept_as_the_contract_tells_them_and_undone_like_the_rest(
    chain: Anvil, web3: Web3, network: Contract, node: Node, database_url: str
) -> None:
    addresses = [address_of(network)]
    people = sorted(web3.eth.accounts[1:4], key=str.lower)

    def owe(debtor: int, creditor: int, value: int) -> None:
        call = network.functions.increaseDebt(people[creditor], value)
        transact(web3, call, people[debtor])

    def stored() -> dict[tuple[str, str], int]:
        found = rows(database_url, "SELECT lower, higher, debt FROM debts WHERE debt <> 0")
        return {(Web3.to_checksum_address(low), Web3.to_checksum_address(high)): debt for low, high, debt in found}

    def told() -> dict[tuple[str, str], int]:
        pairs = [(people[a], people[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
        debts = {pair: network.functions.getDebt(*pair).call() for pair in pairs}
        return {pair: debt for pair, debt in debts.items() if debt}

    owe(0, 1, 70)
    owe(2, 0, 5)
    synchronise(node, database_url, addresses)
    assert stored() == told() == {(people[0], people[1]): 70, (people[0], people[2]): -5}
    snapshot = chain.rpc("evm_snapshot")
    owe(1, 0, 100)
    owe(1, 2, 8)
    synchronise(node, database_url, addresses)
    assert stored() == told()
    assert stored()[people[0], people[1]] == -30
    chain.rpc("evm_revert", snapshot)
    chain.mine()
    synchronise(node, database_url, addresses)
    assert stored() == told() == {(people[0], people[1]): 70, (people[0], people[2]): -5}
