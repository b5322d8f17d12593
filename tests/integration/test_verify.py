"""Verification: the database against the contracts at one block, and what is done about differences."""

from collections.abc import Sequence

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network, transact
from relay.index.verify import Contents, Difference, Verifier
from relay.store.connection import Pool, connect
from relay.store.reading import StateReader
from tests.integration.test_index_on_chain import SEED, Following, address_of, assert_equals_contract
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def life(chain: Anvil, web3: Web3) -> Life:
    life = Life(chain, web3, deploy_network(web3, TERMS, "CurrencyNetwork"), SEED)
    life.act(50)
    one, other = life.people[:2]
    life.send("updateTrustline", other, 77, 88, 0, 0, False, sender=one)
    life.send("updateTrustline", one, 88, 77, 0, 0, False, sender=other)
    return life


def differences(node: Node, url: str) -> list[Difference]:
    pool = Pool(url)
    with StateReader(pool).snapshot() as snapshot:
        found = list(Verifier(node).differences(Contents.of(snapshot)))
    pool.close()
    return found


def tamper(url: str, *statements: str) -> None:
    connection = connect(url)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            assert cursor.rowcount > 0
    connection.close()


def repair(node: Node, url: str, networks: Sequence[Contract]) -> None:
    writer = open_writer(url)
    with writer.transaction() as transaction:
        transaction.set_repair_wanted([network.id for network in transaction.networks()], wanted=True)
    indexer = make_indexer(node, writer, [address_of(network) for network in networks], batch_blocks=7)
    indexer.prepare()
    indexer.repair()
    writer.close()


def test_a_database_that_was_left_alone_has_no_differences(node: Node, life: Life, database_url: str) -> None:
    synchronise(node, database_url, [address_of(life._network)])
    assert differences(node, database_url) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE trustlines SET balance = balance + 1 WHERE given = 77 OR received = 77", "balance="),
        ("UPDATE trustlines SET given = given + 1 WHERE given = 77 OR received = 77", "given="),
        ("DELETE FROM trustlines WHERE given = 77 OR received = 77", "trustline"),
        ("UPDATE networks SET is_frozen = true", "frozen"),
        (
            "INSERT INTO trustlines SELECT network_id, '\\x01'::bytea, higher, 5, 6, 7, 0, 0, false, 0 "
            "FROM trustlines LIMIT 1",
            "user",
        ),
    ],
)
def test_whatever_differs_is_told_and_mended_from_the_events_of_the_chain(
    node: Node, life: Life, database_url: str, statement: str, said: str
) -> None:
    synchronise(node, database_url, [address_of(life._network)])
    intact, reader = dump(database_url), Following(database_url)
    tamper(database_url, statement.replace("'\\x01'", "decode('" + "01" * 20 + "', 'hex')").replace("::bytea", ""))
    found = differences(node, database_url)
    assert found
    assert all(difference.network == address_of(life._network) for difference in found)
    assert any(said in str(difference) for difference in found)
    repair(node, database_url, [life._network])
    assert differences(node, database_url) == []
    assert dump(database_url) == intact
    reader.catch_up()
    assert reader.sees(life._network)


def test_lost_and_forged_events_are_mended_too(node: Node, life: Life, database_url: str) -> None:
    synchronise(node, database_url, [address_of(life._network)])
    intact = dump(database_url)
    tamper(
        database_url,
        "DELETE FROM events WHERE (block_number, log_index) IN "
        "(SELECT block_number, log_index FROM events ORDER BY random() LIMIT 5)",
        "UPDATE events SET value = value + 1 WHERE type = 'Transfer'",
    )
    repair(node, database_url, [life._network])
    assert dump(database_url) == intact
    assert_equals_contract(database_url, node, life._network, life.people)


def test_a_reader_has_the_old_state_or_the_repaired_one(node: Node, life: Life, database_url: str) -> None:
    synchronise(node, database_url, [address_of(life._network)])
    tamper(database_url, "UPDATE trustlines SET balance = 12345 WHERE given = 77 OR received = 77")
    reader = Following(database_url)
    repair(node, database_url, [life._network])
    reader.catch_up()
    with reader.networks.reading(address_of(life._network)) as graph:
        assert 12345 not in [abs(line.balance) for line in graph.trustlines()]


def test_what_no_event_tells_stays_a_difference(web3: Web3, node: Node, database_url: str) -> None:
    """The test contract sets accounts at will, and tells nobody of their balances."""
    network = deploy_network(web3, TERMS, "TestCurrencyNetwork")
    one, other = web3.eth.accounts[1:3]
    transact(web3, network.functions.setAccount(one, other, 100, 200, 0, 0, False, 1_600_000_000, 55))
    synchronise(node, database_url, [address_of(network)])
    (difference,) = differences(node, database_url)
    assert "balance=0" in difference.ours
    assert "55" in difference.chains
    repair(node, database_url, [network])
    assert len(differences(node, database_url)) == 1
