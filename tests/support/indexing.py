"""Running the real index step by step, and looking at everything it wrote."""

from collections.abc import Sequence
from typing import Any

from relay.addresses import Address
from relay.chain.network import find_contract, read_network
from relay.chain.node import Node
from relay.contracts import NO_CONTRACTS, WantedContracts
from relay.index.finality import FinalityRule
from relay.index.indexer import Indexer, Options
from relay.index.source import ChainNode
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.reading import StateReader
from relay.store.writing import Writer
from relay.sync.networks import Networks

TABLES = {
    "chain": "chain_id, genesis_hash",
    "cursor": "block_number, block_hash, timestamp, final_number",
    "networks": "address, name, symbol, decimals, fee_divisor, default_interest_rate, custom_interests, "
    "prevent_mediator_interests, first_block, is_frozen, is_served",
    "blocks": "number, hash, timestamp",
    "events": "block_number, log_index, type::text, transaction_hash, transaction_index, sender, receiver, value, "
    "given, received, rate_given, rate_received, is_frozen, closes, extra_data",
    "trustlines": "lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime",
    "debts": "lower, higher, debt",
    "interests": "lower, higher, page, blocks, times, sizes, entries",
    "mediations": "mediator, page, blocks, times, sizes, entries",
    "transfers": "block_number, log_index, first_index, receiver_pays, path, amounts",
    "contracts": "kind, address, is_served",
    "token_events": "block_number, log_index, type, transaction_hash, transaction_index, sender, receiver, value",
    "exchange_events": "block_number, log_index, type, transaction_hash, transaction_index, order_hash, maker, "
    "taker, fee_recipient, maker_token, taker_token, maker_amount, taker_amount, maker_fee, taker_fee",
    "identity_events": "block_number, log_index, type, transaction_hash, transaction_index, identity, meta_hash, "
    "succeeded, value, recipient, currency_network",
}


def open_writer(url: str) -> Writer:
    """Bring the schema up to date and become the writer."""
    migrate(url)
    writer = Writer(url, silence_seconds=60)
    assert writer.try_lock()
    return writer


def make_indexer(
    node: Node,
    writer: Writer,
    networks: Sequence[Address],
    asked: ChainNode | None = None,
    contracts: WantedContracts = NO_CONTRACTS,
    **options: Any,
) -> Indexer:
    """Return an indexer; ``asked`` stands before the node for blocks and logs. A given depth is the finality."""
    if "finality_depth" in options:
        options.setdefault("finality", FinalityRule.DEPTH)
    return Indexer(
        asked or node,
        writer,
        networks,
        lambda address, first: read_network(node, address, first),
        Options(**options),
        contracts=contracts,
        find_contract=lambda address: find_contract(node, address, options.get("first_block")),
    )


def synchronise(
    node: Node, url: str, networks: Sequence[Address], contracts: WantedContracts = NO_CONTRACTS, **options: Any
) -> int:
    """Run an index to the head, as a process that starts and ends; return the number of steps."""
    writer = open_writer(url)
    try:
        indexer = make_indexer(node, writer, networks, contracts=contracts, **options)
        indexer.prepare()
        steps = 0
        while indexer.step() is not None:
            steps += 1
        return steps
    finally:
        writer.close()


def dump(url: str) -> dict[str, list[Any]]:
    """Return what the index wrote, row by row, in an order of their own."""
    pool = Pool(url)
    try:
        with pool.snapshot() as cursor:
            found = {}
            for table, columns in TABLES.items():
                cursor.execute(f"SELECT {columns} FROM {table}")
                # By all columns: two networks may have the same users.
                found[table] = sorted(cursor.fetchall(), key=repr)
            return found
    finally:
        pool.close()


def load_networks(url: str) -> Networks:
    """Return the graphs as a new API process has them."""
    pool = Pool(url)
    networks = Networks()
    with StateReader(pool).snapshot() as snapshot:
        networks.load(snapshot)
    pool.close()
    return networks
