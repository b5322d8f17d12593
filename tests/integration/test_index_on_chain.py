"""The index against a real chain: what it writes is what the contracts say, whatever happened on the way."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract

from graph.network import NetworkGraph
from relay.addresses import Address, parse_address, to_checksum
from relay.chain.errors import NodeRefused, NotANetwork
from relay.chain.network import read_users
from relay.chain.node import Node
from relay.chain.wire import Log
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from relay.index.errors import OtherChain, PastFinality
from relay.index.ledger import TRUSTLINE_EVENTS
from relay.model import Block, EventType
from relay.store.connection import Pool
from relay.store.event_reading import EventFilter, EventReader
from relay.store.migrate import migrate
from relay.store.reading import StateReader
from relay.store.writing import Writer
from relay.sync.networks import Networks
from tests.support.chain_actions import Life, accounts
from tests.support.indexing import dump, load_networks, make_indexer, open_writer, synchronise

SEED = int(os.environ.get("TEST_SEED", "20261120"))
TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def network(web3: Web3) -> Contract:
    return deploy_network(web3, TERMS, "CurrencyNetwork")


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    """Another fresh database, to compare with."""
    yield create_database(postgres_url, "second")
    drop_database(postgres_url, "second")


def address_of(network: Contract) -> Address:
    return parse_address(network.address)


def graph_of(url: str, network: Contract) -> NetworkGraph:
    with load_networks(url).reading(address_of(network)) as graph:
        return graph


def trustlines_as_accounts(graph: NetworkGraph) -> dict[tuple[str, str], list[Any]]:
    """Every trustline from both sides, in the shape of getAccount."""
    found = {}
    for line in graph.trustlines():
        for user in line.pair:
            view = line.seen_by(user)
            found[to_checksum(user), to_checksum(view.other)] = [
                view.given,
                view.received,
                view.rate_given,
                view.rate_received,
                view.is_frozen,
                line.mtime,
                view.balance,
            ]
    return found


def assert_equals_contract(url: str, node: Node, network: Contract, people: list[str]) -> None:
    networks = load_networks(url)
    assert networks.block is not None
    head = node.head()
    assert (networks.block.number, networks.block.hash) == (head.number, head.hash)
    with networks.reading(address_of(network)) as graph:
        ours, contracts = trustlines_as_accounts(graph), accounts(network, people, head.number)
        # Events do not tell whether a trustline that came to nothing kept its mtime; with a balance of zero
        # it says nothing.
        for pair in ours.keys() & contracts.keys():
            if contracts[pair][6] == 0 and ours[pair][5] == 0:
                contracts[pair][5] = 0
        assert ours == contracts
        assert graph.users == sorted(read_users(node, address_of(network)))


@pytest.mark.parametrize("batch_blocks", [1, 7, 2000])
def test_after_any_mix_of_transactions_every_trustline_equals_getaccount(
    chain: Anvil, web3: Web3, node: Node, database_url: str, batch_blocks: int
) -> None:
    rates = {1: 0, 7: 1500, 2000: 0}[batch_blocks]
    terms = NetworkTerms("Any", "ANY", fee_divisor=10, default_interest_rate=rates, custom_interests=not rates)
    network = deploy_network(web3, terms, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED + batch_blocks)
    for _ in range(4):
        life.act(40)
        synchronise(node, database_url, [address_of(network)], batch_blocks=batch_blocks)
        assert_equals_contract(database_url, node, network, life.people)


def test_an_index_ended_after_any_step_continues_to_the_same_database(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(60)
    while True:
        writer = open_writer(database_url)
        indexer = make_indexer(node, writer, [address_of(network)], batch_blocks=9)
        indexer.prepare()
        step = indexer.step()
        writer.close()
        if step is None:
            break
    synchronise(node, second_url, [address_of(network)])
    assert dump(database_url) == dump(second_url)


def test_a_step_that_fails_halfway_leaves_the_database_untouched(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    synchronise(node, database_url, [address_of(network)])
    before = dump(database_url)
    Life(chain, web3, network, SEED).act(10)
    writer = open_writer(database_url)
    with pytest.raises(ZeroDivisionError), writer.transaction() as transaction:  # noqa: PT012
        transaction.undo_after(0)
        transaction.set_position(Block(1, b"x" * 32, b"", 1 // 0), 0)
    writer.close()
    assert dump(database_url) == before


@pytest.mark.parametrize(("undone", "redone"), [(12, 20), (12, 12), (12, 3), (12, 0), (1, 0), (40, 40)])
def test_a_reorg_to_a_longer_equal_shorter_or_empty_chain_is_followed(
    chain: Anvil, web3: Web3, node: Node, database_url: str, second_url: str, undone: int, redone: int
) -> None:
    network = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED + undone * 100 + redone)
    life.act(30)
    follower = Following(database_url)
    mine_until(chain, node, node.head().number + 1)
    snapshot = chain.rpc("evm_snapshot")
    start = node.head().number
    life.act(undone)
    mine_until(chain, node, start + undone)
    synchronise(node, database_url, [address_of(network)])
    follower.catch_up()
    replaced = node.head()
    assert chain.rpc("evm_revert", snapshot)
    life.act(redone // 2)
    mine_until(chain, node, start + redone)
    now_there = node.block(replaced.number)
    assert now_there is None or now_there.hash != replaced.hash

    synchronise(node, database_url, [address_of(network)])

    follower.catch_up()
    synchronise(node, second_url, [address_of(network)])
    assert_equals_contract(database_url, node, network, life.people)
    assert dump(database_url) == dump(second_url)
    assert follower.sees(network) == graph_of(second_url, network).users


def test_users_and_trustlines_of_undone_blocks_are_gone_from_a_running_reader(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    one, other = life.people[:2]
    snapshot = chain.rpc("evm_snapshot")
    life.send("updateTrustline", other, 10, 20, 0, 0, False, sender=one)
    life.send("updateTrustline", one, 20, 10, 0, 0, False, sender=other)
    synchronise(node, database_url, [address_of(network)])
    follower = Following(database_url)
    assert len(follower.sees(network)) == 2
    chain.rpc("evm_revert", snapshot)
    chain.mine()
    synchronise(node, database_url, [address_of(network)])
    follower.catch_up()
    assert follower.sees(network) == []


def test_a_running_reader_equals_a_freshly_loaded_one_after_every_batch(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    life = Life(chain, web3, network, SEED + 1)
    synchronise(node, database_url, [address_of(network)])
    follower = Following(database_url)
    for _ in range(5):
        life.act(12)
        synchronise(node, database_url, [address_of(network)], batch_blocks=5)
        follower.catch_up()
        fresh = graph_of(database_url, network)
        with follower.networks.reading(address_of(network)) as graph:
            assert {line.pair: line for line in graph.trustlines()} == {
                line.pair: line for line in fresh.trustlines()
            }
            assert graph.users == fresh.users


def test_an_empty_network_is_served_with_nobody_in_it(node: Node, network: Contract, database_url: str) -> None:
    synchronise(node, database_url, [address_of(network)])
    networks = load_networks(database_url)
    assert networks.addresses() == [address_of(network)]
    assert networks.info(address_of(network)).name == "Test"
    assert graph_of(database_url, network).users == []


def test_an_address_without_a_network_is_refused_by_name(node: Node, database_url: str) -> None:
    with pytest.raises(NotANetwork, match="0x1111111111111111111111111111111111111111"):
        synchronise(node, database_url, [b"\x11" * 20])


def test_a_network_added_later_is_read_from_its_beginning(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str, second_url: str
) -> None:
    added = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, added, SEED)
    life.act(30)
    synchronise(node, database_url, [address_of(network)])
    reader = Following(database_url)
    synchronise(node, database_url, [address_of(network), address_of(added)], batch_blocks=6)
    reader.catch_up()
    assert reader.networks.addresses() == [address_of(network), address_of(added)]
    assert_equals_contract(database_url, node, added, life.people)
    life.act(10)
    synchronise(node, database_url, [address_of(network), address_of(added)])
    assert_equals_contract(database_url, node, added, life.people)
    synchronise(node, second_url, [address_of(network), address_of(added)])
    assert dump(database_url)["events"] == dump(second_url)["events"]
    assert dump(database_url)["trustlines"] == dump(second_url)["trustlines"]


def test_a_network_added_while_blocks_were_replaced_is_read_once_these_are_undone(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str, second_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    life.act(10)
    snapshot = chain.rpc("evm_snapshot")
    life.act(10)
    synchronise(node, database_url, [address_of(network)])
    follower = Following(database_url)
    chain.rpc("evm_revert", snapshot)
    added = deploy_network(web3, TERMS, "CurrencyNetwork")
    newcomers = Life(chain, web3, added, SEED)
    newcomers.act(20)
    both = [address_of(network), address_of(added)]
    synchronise(node, database_url, both)
    follower.catch_up()
    synchronise(node, second_url, both)
    assert_equals_contract(database_url, node, network, life.people)
    assert_equals_contract(database_url, node, added, newcomers.people)
    assert dump(database_url) == dump(second_url)
    assert follower.sees(network) == graph_of(second_url, network).users


def test_a_network_no_longer_configured_is_no_longer_served(
    web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    other = deploy_network(web3, TERMS, "CurrencyNetwork")
    synchronise(node, database_url, [address_of(network), address_of(other)])
    reader = Following(database_url)
    synchronise(node, database_url, [address_of(other)])
    reader.catch_up()
    assert reader.networks.addresses() == [address_of(other)]


def test_a_network_that_starts_frozen_is_frozen_until_it_says_otherwise(
    chain: Anvil, web3: Web3, node: Node, database_url: str
) -> None:
    network = deploy_network(web3, TERMS, "CurrencyNetworkOwnable")
    address = address_of(network)
    synchronise(node, database_url, [address])
    assert graph_of(database_url, network).is_frozen
    snapshot = chain.rpc("evm_snapshot")
    transact(web3, network.functions.unfreezeNetwork())
    synchronise(node, database_url, [address])
    assert not graph_of(database_url, network).is_frozen
    chain.rpc("evm_revert", snapshot)
    chain.mine()
    synchronise(node, database_url, [address])
    assert graph_of(database_url, network).is_frozen


def test_read_late_a_network_that_started_frozen_is_known_to_have_been(
    chain: Anvil, web3: Web3, node: Node, database_url: str
) -> None:
    network = deploy_network(web3, TERMS, "CurrencyNetworkOwnable")
    snapshot = chain.rpc("evm_snapshot")
    transact(web3, network.functions.unfreezeNetwork())
    synchronise(node, database_url, [address_of(network)])
    chain.rpc("evm_revert", snapshot)
    chain.mine()
    synchronise(node, database_url, [address_of(network)])
    assert graph_of(database_url, network).is_frozen


def test_a_database_ahead_of_a_reset_chain_says_so_and_is_rebuilt_on_request(
    anvil_binary: str, database_url: str
) -> None:
    with Anvil(anvil_binary, timestamp=1_700_000_000) as before:
        web3 = Web3(Web3.HTTPProvider(before.url))
        network = deploy_network(web3, TERMS, "CurrencyNetwork")
        Life(before, web3, network, SEED).act(20)
        synchronise(Node(before.url), database_url, [address_of(network)])
    with Anvil(anvil_binary, timestamp=1_700_000_001) as after:
        with pytest.raises(OtherChain, match="another chain with id 1337"):
            synchronise(Node(after.url), database_url, [address_of(network)])
        web3 = Web3(Web3.HTTPProvider(after.url))
        network = deploy_network(web3, TERMS, "CurrencyNetwork")
        writer = open_writer(database_url)
        with writer.transaction() as transaction:
            transaction.erase()
        writer.close()
        synchronise(Node(after.url), database_url, [address_of(network)])
        assert_equals_contract(database_url, Node(after.url), network, [])


def test_a_chain_that_differs_below_finality_stops_the_index_with_advice(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    snapshot = chain.rpc("evm_snapshot")
    chain.rpc("anvil_mine", hex(30))
    synchronise(node, database_url, [address_of(network)], finality_depth=10)
    before = dump(database_url)
    chain.rpc("evm_revert", snapshot)
    chain.rpc("evm_increaseTime", 1000)
    chain.rpc("anvil_mine", hex(40))
    with pytest.raises(PastFinality, match="tl-relay index --rebuild"):
        synchronise(node, database_url, [address_of(network)], finality_depth=10)
    assert dump(database_url) == before


def test_only_one_index_writes_and_another_takes_over_when_it_ends(database_url: str) -> None:
    first = open_writer(database_url)
    second = Writer(database_url, silence_seconds=60)
    assert not second.try_lock()
    first.close()
    assert second.try_lock()
    second.close()


def test_a_node_that_limits_its_answers_is_asked_for_less(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(60)

    class Limited(Node):
        def logs(self, addresses: Any, first: int, last: int) -> list[Log]:
            if last - first + 1 > 5:
                raise NodeRefused("query returned more than 5 blocks", -32005)
            return super().logs(addresses, first, last)

    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)], asked=Limited(chain.url))
    indexer.prepare()
    while indexer.step() is not None:
        pass
    writer.close()
    synchronise(node, second_url, [address_of(network)])
    assert dump(database_url) == dump(second_url)

    # So it is for the history of a network that comes later.
    added = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, added, SEED)
    life.act(30)
    both = [address_of(network), address_of(added)]
    synchronise(node, second_url, [address_of(network)])
    synchronise(node, second_url, both)
    synchronise(node, database_url, [address_of(network)])
    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, both, asked=Limited(chain.url))
    indexer.prepare()
    while indexer.step() is not None:
        pass
    writer.close()
    assert_equals_contract(database_url, node, added, life.people)
    assert dump(database_url) == dump(second_url)


def test_a_node_that_sends_no_timestamps_with_its_logs_is_asked_for_headers(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str, second_url: str
) -> None:
    Life(chain, web3, network, SEED).act(40)

    class Older(Node):
        def logs(self, addresses: Any, first: int, last: int) -> list[Log]:
            return [undated(log) for log in super().logs(addresses, first, last)]

    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)], asked=Older(chain.url), finality_depth=3)
    indexer.prepare()
    while indexer.step() is not None:
        pass
    writer.close()
    synchronise(node, second_url, [address_of(network)], finality_depth=3)
    assert dump(database_url) == dump(second_url)


def test_events_are_listed_as_they_happened(
    chain: Anvil, web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    life = Life(chain, web3, network, SEED)
    life.act(60)
    synchronise(node, database_url, [address_of(network)])
    pool = Pool(database_url)
    reader = EventReader(pool)
    listed = reader.events(EventFilter(types=list(EventType), network=address_of(network)))
    pool.close()
    logs = node.logs([address_of(network)], 0, node.head().number)
    assert [(event.block_number, event.log_index) for event in listed] == [
        (log.block_number, log.log_index) for log in logs
    ]
    assert {event.type for event in listed} >= {*TRUSTLINE_EVENTS, EventType.TRANSFER, EventType.ONBOARD}
    assert all(
        (event.block_hash, event.timestamp, event.transaction_hash)
        == (log.block_hash, log.block_timestamp, log.transaction_hash)
        for event, log in zip(listed, logs, strict=True)
    )


class Following:
    """A reader that starts before anything is indexed and from then on follows the feed."""

    def __init__(self, url: str) -> None:
        migrate(url)
        self.networks = Networks()
        self._reader = StateReader(Pool(url))
        self._load()

    def catch_up(self) -> None:
        changes = self._reader.changes_since(self.networks.commit, self.networks.ids())
        assert changes is not None
        if not self.networks.apply(changes):
            self._load()

    def _load(self) -> None:
        with self._reader.snapshot() as snapshot:
            self.networks.load(snapshot)

    def sees(self, network: Contract) -> list[Address]:
        with self.networks.reading(address_of(network)) as graph:
            return graph.users


def mine_until(chain: Anvil, node: Node, number: int) -> None:
    while node.head().number < number:
        chain.mine()


def undated(log: Log) -> Log:
    return replace(log, block_timestamp=None)
