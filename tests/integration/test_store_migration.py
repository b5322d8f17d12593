"""A database of an earlier version comes along with what it holds."""

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from relay.store.connection import Connection, connect
from relay.store.feed import Commit
from relay.store.migrate import available, migrate
from tests.integration.test_index_on_chain import SEED, Following, address_of
from tests.support.chain_actions import Life
from tests.support.indexing import dump, synchronise

TERMS = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)
FIRST = {
    "chain": "chain_id, genesis_hash",
    "cursor": "block_number, block_hash, timestamp",
    "networks": "address, name, symbol, decimals, fee_divisor, default_interest_rate, custom_interests, "
    "prevent_mediator_interests, first_block, starts_frozen, is_frozen, is_proxied, is_served",
    "blocks": "number, hash, timestamp",
    "events": "block_number, log_index, network_id, type, transaction_hash, transaction_index, sender, receiver, "
    "value, given, received, rate_given, rate_received, is_frozen, closes, extra_data",
    "trustlines": "network_id, lower, higher, balance, given, received, rate_given, rate_received, is_frozen, "
    "mtime",
}
"""The tables of version 1 and their columns."""


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def network(web3: Web3) -> Contract:
    return deploy_network(web3, TERMS, "CurrencyNetwork")


def version_one(url: str, source: str) -> None:
    """Make a database of version 1 that holds what a newer one does."""
    (_, name, script), *_ = available()
    with_schema = connect(url)
    with with_schema, with_schema.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE schema_migrations "
            "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute(script)
        cursor.execute("INSERT INTO schema_migrations (version, name) VALUES (1, %s)", (name,))
    copy(connect(source), with_schema)
    with with_schema, with_schema.cursor() as cursor:
        cursor.execute(
            "INSERT INTO feed (network_id, lower, higher, block_number, block_hash) "
            "SELECT network_id, lower, higher, 1, '' FROM trustlines"
        )
    with_schema.close()


def copy(source: Connection, target: Connection) -> None:
    for table, columns in FIRST.items():
        with source.cursor() as reading, target, target.cursor() as writing:
            names = columns.replace("type,", "type::text,")
            reading.execute(f"SELECT {names} FROM {table}")
            for row in reading.fetchall():
                writing.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(row))})", row)
    source.close()


@pytest.mark.parametrize("finality_depth", [128, 5])
def test_what_was_indexed_stays_and_the_index_goes_on_from_there(
    chain: Anvil,
    web3: Web3,
    node: Node,
    network: Contract,
    database_url: str,
    postgres_url: str,
    finality_depth: int,
) -> None:
    addresses = [address_of(network)]
    life = Life(chain, web3, network, SEED)
    life.act(30)
    one, other = web3.eth.accounts[1:3]
    transact(web3, network.functions.increaseDebt(other, 50), one)
    chain.rpc("anvil_mine", hex(10))
    source = create_database(postgres_url, "newer")
    try:
        synchronise(node, source, addresses, finality_depth=finality_depth)
        version_one(database_url, source)
        assert migrate(database_url) == [name for _, name, _ in available()[1:]]
        reader = Following(database_url)
        assert reader.sees(network)
        assert not dump(database_url)["transfers"]
        synchronise(node, database_url, addresses, finality_depth=finality_depth)
        assert dump(database_url) == dump(source)
        assert dump(database_url)["transfers"], "what earlier versions did not keep is made up for"
        snapshot = chain.rpc("evm_snapshot")
        life.act(4)
        for url in (database_url, source):
            synchronise(node, url, addresses, finality_depth=finality_depth)
        chain.rpc("evm_revert", snapshot)
        chain.rpc("evm_increaseTime", 10)
        life.act(3)
        for url in (database_url, source):
            synchronise(node, url, addresses, finality_depth=finality_depth)
        reader.catch_up()
        assert dump(database_url) == dump(source)
    finally:
        drop_database(postgres_url, "newer")


def test_readers_of_the_earlier_version_load_everything_anew(
    node: Node, network: Contract, chain: Anvil, web3: Web3, database_url: str, postgres_url: str
) -> None:
    Life(chain, web3, network, SEED).act(10)
    source = create_database(postgres_url, "newer")
    try:
        synchronise(node, source, [address_of(network)])
        version_one(database_url, source)
    finally:
        drop_database(postgres_url, "newer")
    connection = connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(position) FROM feed")
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    migrate(database_url)
    reader = Following(database_url)
    assert reader._reader.changes_since(Commit(row[0]), reader.networks.ids()) is None
    assert reader._reader.changes_since(reader.networks.commit, reader.networks.ids()) is not None
