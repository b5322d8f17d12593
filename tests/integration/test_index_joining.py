"""Networks that come while others are followed."""

from collections.abc import Iterator

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address, parse_address
from relay.chain.node import Node
from relay.chain.registry import registered_networks
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_contract, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from relay.index.indexer import Indexer
from relay.store.writing import Writer
from tests.integration.test_index_on_chain import SEED, Following, address_of, assert_equals_contract, graph_of
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    """Another fresh database, to compare with."""
    yield create_database(postgres_url, "joined")
    drop_database(postgres_url, "joined")


@pytest.fixture
def first(chain: Anvil, web3: Web3) -> Life:
    return Life(chain, web3, deploy_network(web3, TERMS, "CurrencyNetwork"), SEED)


@pytest.fixture
def added(chain: Anvil, web3: Web3, first: Life) -> Life:
    """A network with a history of some thirty blocks, which nobody follows yet."""
    life = Life(chain, web3, deploy_network(web3, TERMS, "CurrencyNetwork"), SEED + 1)
    life.act(30)
    return life


def network_of(life: Life) -> Contract:
    return life._network


def addresses(*lives: Life) -> list[Address]:
    return [address_of(network_of(life)) for life in lives]


class Index:
    """An index over a database, one step at a time."""

    def __init__(self, node: Node, url: str, *lives: Life, batch_blocks: int = 2000) -> None:
        self.writer: Writer = open_writer(url)
        self.indexer: Indexer = make_indexer(node, self.writer, addresses(*lives), batch_blocks=batch_blocks)
        self.indexer.prepare()

    def finish(self) -> None:
        while self.indexer.step() is not None:
            pass

    def end(self) -> None:
        self.writer.close()


def test_a_new_network_is_read_bit_by_bit_while_the_others_are_followed(
    node: Node, database_url: str, second_url: str, first: Life, added: Life
) -> None:
    index, reader = Index(node, database_url, first, batch_blocks=4), Following(database_url)
    index.finish()
    index.indexer.serve(addresses(first, added))
    served_at = None
    for turn in range(60):
        first.act(1)
        step = index.indexer.step()
        assert step is not None
        reader.catch_up()
        assert reader.networks.block is not None
        if step.joining == 0 and len(reader.networks.addresses()) == 2:
            served_at = turn
            break
        # The others are at the head all the time, and the new one is not seen half read.
        assert reader.networks.block.number == step.head
        assert reader.networks.addresses() == addresses(first)
    assert served_at is not None
    assert served_at >= 5
    index.finish()
    index.end()
    reader.catch_up()
    assert reader.sees(network_of(added)) == graph_of(database_url, network_of(added)).users
    assert_equals_contract(database_url, node, network_of(added), added.people)
    synchronise(node, second_url, addresses(first, added))
    assert dump(database_url) == dump(second_url)


def test_only_the_network_that_came_is_loaded(node: Node, database_url: str, first: Life, added: Life) -> None:
    first.act(10)
    index, reader = Index(node, database_url, first), Following(database_url)
    index.finish()
    reader.catch_up()
    with reader.networks.reading(addresses(first)[0]) as graph:
        before = graph
    index.indexer.serve(addresses(first, added))
    index.finish()
    index.end()
    reader.catch_up()
    with reader.networks.reading(addresses(first)[0]) as graph:
        assert graph is before
    assert reader.sees(network_of(added)) == graph_of(database_url, network_of(added)).users


def test_ended_after_any_batch_it_goes_on_where_it_was(
    node: Node, database_url: str, second_url: str, first: Life, added: Life
) -> None:
    synchronise(node, database_url, addresses(first))
    ends = 0
    while True:
        index = Index(node, database_url, first, added, batch_blocks=4)
        step = index.indexer.step()
        index.end()
        if step is None:
            break
        ends += 1
    assert ends > 5
    synchronise(node, second_url, addresses(first, added))
    assert dump(database_url) == dump(second_url)


@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_a_reorg_while_it_is_read_sets_it_back_like_everything_else(
    chain: Anvil, node: Node, database_url: str, second_url: str, first: Life, added: Life, steps: int
) -> None:
    index = Index(node, database_url, first, batch_blocks=5)
    index.finish()
    snapshot = chain.rpc("evm_snapshot")
    before = node.head()
    first.act(6)
    added.act(6)
    index.finish()
    index.indexer.serve(addresses(first, added))
    for _ in range(steps):
        index.indexer.step()
    assert chain.rpc("evm_revert", snapshot)
    chain.rpc("evm_increaseTime", 77)
    added.act(8)
    after = node.block(before.number + 1)
    assert after is not None
    index.finish()
    index.end()
    synchronise(node, second_url, addresses(first, added))
    assert dump(database_url) == dump(second_url)
    assert_equals_contract(database_url, node, network_of(added), added.people)


def test_a_network_whose_deployment_is_undone_is_gone_and_found_anew_when_it_comes_again(
    chain: Anvil, web3: Web3, node: Node, database_url: str, second_url: str, first: Life
) -> None:
    index = Index(node, database_url, first)
    index.finish()
    snapshot = chain.rpc("evm_snapshot")
    chain.mine()
    life = Life(chain, web3, deploy_network(web3, TERMS, "CurrencyNetwork"), SEED)
    life.act(10)
    index.indexer.serve(addresses(first, life))
    index.finish()
    reader = Following(database_url)
    assert reader.networks.addresses() == addresses(first, life)
    assert chain.rpc("evm_revert", snapshot)
    chain.rpc("evm_increaseTime", 5)
    chain.mine()
    index.finish()
    reader.catch_up()
    assert reader.networks.addresses() == addresses(first)
    index.end()
    renamed = NetworkTerms("Other", "OTH", fee_divisor=20, custom_interests=True)
    again = Life(chain, web3, deploy_network(web3, renamed, "CurrencyNetwork"), SEED)
    assert addresses(again) == addresses(life)
    again.act(10)
    synchronise(node, database_url, addresses(first, again))
    reader.catch_up()
    assert reader.networks.info(addresses(again)[0]).name == "Other"
    synchronise(node, second_url, addresses(first, again))
    assert dump(database_url) == dump(second_url)
    assert_equals_contract(database_url, node, network_of(again), again.people)


def test_whether_a_network_began_frozen_is_learnt_from_a_block_that_stays(
    chain: Anvil, web3: Web3, node: Node, database_url: str
) -> None:
    """It is read while an unfreezing that will be undone has just been mined, and is not indexed yet."""
    network = deploy_network(web3, TERMS, "CurrencyNetworkOwnable")
    snapshot = chain.rpc("evm_snapshot")
    transact(web3, network.functions.unfreezeNetwork())
    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)])
    indexer.prepare()
    chain.rpc("evm_revert", snapshot)
    chain.mine()
    chain.mine()
    while indexer.step() is not None:
        pass
    writer.close()
    assert graph_of(database_url, network).is_frozen


def test_a_network_not_wanted_for_a_while_catches_up_from_where_it_was_left(
    node: Node, database_url: str, second_url: str, first: Life, added: Life
) -> None:
    both = addresses(first, added)
    index, reader = Index(node, database_url, first, added), Following(database_url)
    index.finish()
    index.indexer.serve(addresses(first))
    added.act(10)
    index.finish()
    reader.catch_up()
    assert reader.networks.addresses() == addresses(first)
    index.indexer.serve(both)
    index.finish()
    index.end()
    reader.catch_up()
    assert set(reader.networks.addresses()) == set(both)
    assert reader.sees(network_of(added)) == graph_of(database_url, network_of(added)).users
    synchronise(node, second_url, both)
    assert dump(database_url) == dump(second_url)


def test_what_an_operator_chose_by_command_goes_before_what_is_configured(
    node: Node, database_url: str, first: Life, added: Life
) -> None:
    index, reader = Index(node, database_url, first), Following(database_url)
    index.finish()

    def choose(life: Life, *, is_wanted: bool) -> None:
        with index.writer.transaction() as transaction:
            transaction.choose(addresses(life)[0], is_wanted=is_wanted)
        index.indexer.serve(addresses(first))
        index.finish()
        reader.catch_up()

    choose(added, is_wanted=True)
    assert reader.networks.addresses() == addresses(first, added)
    choose(first, is_wanted=False)
    assert reader.networks.addresses() == addresses(added)
    choose(first, is_wanted=True)
    assert reader.networks.addresses() == addresses(first, added)
    index.end()


def test_an_address_without_a_network_does_not_keep_the_others_from_being_followed(
    node: Node, database_url: str, first: Life, caplog: pytest.LogCaptureFixture
) -> None:
    index = Index(node, database_url, first)
    index.finish()
    index.indexer.serve([*addresses(first), b"\x11" * 20])
    first.act(3)
    index.finish()
    index.end()
    assert_equals_contract(database_url, node, network_of(first), first.people)
    assert "0x1111111111111111111111111111111111111111" in caplog.text


def test_the_networks_of_a_registry_are_told(web3: Web3, node: Node, first: Life, added: Life) -> None:
    registry = deploy_contract(web3, "CurrencyNetworkRegistry")
    address = parse_address(registry.address)
    assert registered_networks(node, address) == []
    for life in (first, added):
        transact(web3, registry.functions.addCurrencyNetwork(network_of(life).address))
    assert registered_networks(node, address) == addresses(first, added)
