"""Events of tokens, wrapped ether, exchanges and identities: what is stored is what their contracts logged."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from web3 import Web3

from relay.addresses import Address, parse_address
from relay.chain.contract_events import IDENTITY_TOPICS
from relay.chain.node import Node
from relay.contracts import (
    ContractKind,
    ExchangeEvent,
    ExchangeEventType,
    IdentityEventType,
    TokenEvent,
    TokenEventType,
)
from relay.devnet.anvil import Anvil
from relay.devnet.postgres import create_database, drop_database
from relay.index.verify_contracts import ContractVerifier
from relay.store.connection import Pool
from relay.store.contract_reading import TOKEN_KINDS, ContractFilter, ContractReader, events_query
from relay.store.rows import CursorPosition
from relay.store.stretch import Stretch
from tests.support.contract_life import ContractLife, logged
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

SEED = int(os.environ.get("TEST_SEED", "20261120"))
EVENTS = ("token_events", "exchange_events", "identity_events")


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3) -> ContractLife:
    life = ContractLife(chain, web3, SEED)
    life.act(30)
    return life


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    """Another fresh database, to compare with."""
    yield create_database(postgres_url, "contracts")
    drop_database(postgres_url, "contracts")


def stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    found = dump(url)
    return {table: found[table] for table in EVENTS}


def rows(url: str, query: str) -> list[Any]:
    pool = Pool(url)
    try:
        with pool.snapshot() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        pool.close()


class Index:
    """An index over a database, one step at a time."""

    def __init__(self, node: Node, url: str, life: ContractLife, *, with_contracts: bool, **options: Any) -> None:
        self.life = life
        self.writer = open_writer(url)
        contracts = life.contracts if with_contracts else {}
        self.indexer = make_indexer(node, self.writer, life.networks, contracts=contracts, **options)
        self.indexer.prepare()

    def finish(self) -> None:
        while self.indexer.step() is not None:
            pass

    def end(self) -> None:
        self.writer.close()


@pytest.mark.parametrize("batch_blocks", [1, 7, 2000])
def test_after_any_mix_of_transactions_all_logs_are_stored(
    node: Node, database_url: str, life: ContractLife, batch_blocks: int
) -> None:
    for _ in range(2):
        life.act(15)
        synchronise(node, database_url, life.networks, life.contracts, batch_blocks=batch_blocks)
        found = stored(database_url)
        assert found == logged(life)
        assert all(found[table] for table in EVENTS)
    kinds = {row[2] for table in EVENTS for row in stored(database_url)[table]}
    assert kinds == {*TokenEventType, *ExchangeEventType, *IdentityEventType}


def test_events_add_up_to_what_the_contracts_say(node: Node, database_url: str, life: ContractLife) -> None:
    maker, taker = life.people[:2]
    order = life.order(maker)
    assert life.fill(order, 100, taker)
    assert life.fill(order, 7, taker)
    arguments = (order.addresses, order.values, 30)
    assert life.send(life.exchange, "cancelOrder", *arguments, sender=maker)
    synchronise(node, database_url, life.networks, life.contracts)
    reader = ContractReader(Pool(database_url))
    key = life.hash_of(order)
    for kind, user, told in (
        ("LogFill", taker, life.exchange.functions.filled(key).call()),
        ("LogCancel", maker, life.exchange.functions.cancelled(key).call()),
    ):
        wanted = ContractFilter((ContractKind.EXCHANGE,), user=parse_address(user), types=(kind,))
        amounts = [
            e.taker_amount for e in reader.events(wanted) if isinstance(e, ExchangeEvent) and e.order_hash == key
        ]
        assert sum(amounts) == told > 0
    ether = parse_address(life.ether.address)
    for person in life.people:
        user = parse_address(person)
        listed = reader.events(ContractFilter(TOKEN_KINDS, contract=ether, user=user))
        balance, passed_on = 0, set()
        for event in listed:
            assert isinstance(event, TokenEvent)
            place = (event.origin.block_number, event.origin.log_index)
            if event.type == "Transfer":
                # What is handed on is unwrapped on its way, and a Withdrawal by whoever did it comes right after.
                passed_on.add((place[0], place[1] + 1))
                balance -= event.value * (event.sender == user)
            elif event.type == "Deposit":
                balance += event.value
            elif event.type == "Withdrawal" and place not in passed_on:
                balance -= event.value
        assert balance == life.ether.functions.balanceOf(person).call()


@pytest.mark.parametrize("batch_blocks", [1, 9])
def test_an_index_ended_after_any_step_continues_to_the_same_database(
    node: Node, database_url: str, second_url: str, life: ContractLife, batch_blocks: int
) -> None:
    life.act(10)
    while True:
        index = Index(node, database_url, life, with_contracts=True, batch_blocks=batch_blocks * 10)
        step = index.indexer.step()
        index.end()
        if step is None:
            break
    synchronise(node, second_url, life.networks, life.contracts)
    assert dump(database_url) == dump(second_url)


def test_contracts_that_come_later_catch_up_while_networks_are_followed(
    node: Node, database_url: str, second_url: str, life: ContractLife
) -> None:
    index = Index(node, database_url, life, with_contracts=False, batch_blocks=8)
    index.finish()
    assert all(not found for found in stored(database_url).values())
    index.indexer.follow(life.contracts)
    turns = 0
    while turns < 200:
        turns += 1
        life.act(1)
        step = index.indexer.step()
        assert step is not None
        assert step.block.number == step.head
        served = rows(database_url, "SELECT count(*) FROM contracts WHERE is_served")[0][0]
        if served == len(life.contracts):
            break
    assert turns > 8, "it took more than a batch for each"
    index.finish()
    index.end()
    synchronise(node, second_url, life.networks, life.contracts)
    assert dump(database_url) == dump(second_url)
    assert stored(database_url) == logged(life)


def test_what_is_not_wanted_any_more_stays_and_goes_on_when_it_is_again(
    node: Node, database_url: str, life: ContractLife
) -> None:
    token = parse_address(life.token.address)
    index = Index(node, database_url, life, with_contracts=True)
    index.finish()
    index.indexer.follow({address: kind for address, kind in life.contracts.items() if address != token})
    reader = ContractReader(Pool(database_url))
    assert token not in reader.addresses(TOKEN_KINDS)
    life.act(10)
    index.finish()
    index.indexer.follow(life.contracts)
    index.finish()
    index.end()
    assert reader.addresses(TOKEN_KINDS) == [parse_address(life.ether.address), token]
    assert stored(database_url) == logged(life)


def test_an_address_of_another_kind_begins_anew(node: Node, database_url: str, life: ContractLife) -> None:
    ether = parse_address(life.ether.address)
    index = Index(node, database_url, life, with_contracts=True)
    index.finish()
    index.indexer.follow({**life.contracts, ether: ContractKind.TOKEN})
    index.finish()
    index.end()
    reader = ContractReader(Pool(database_url))
    found = reader.events(ContractFilter((ContractKind.TOKEN,), contract=ether))
    assert {event.type.value for event in found} == {"Transfer", "Approval"}


def test_an_address_without_a_contract_is_asked_for_again_and_holds_nothing_up(
    chain: Anvil, node: Node, database_url: str, life: ContractLife, caplog: pytest.LogCaptureFixture
) -> None:
    nobody: Address = b"\x77" * 20
    index = Index(node, database_url, life, with_contracts=True)
    index.indexer.follow({**life.contracts, nobody: ContractKind.TOKEN})
    index.finish()
    index.end()
    assert stored(database_url) == logged(life)
    assert nobody not in ContractReader(Pool(database_url)).addresses(TOKEN_KINDS)
    assert sum("there is no contract at" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("batch_blocks", [1, 5])
def test_a_reorg_undoes_events_and_keeps_what_readers_saw(
    chain: Anvil, node: Node, database_url: str, second_url: str, life: ContractLife, batch_blocks: int
) -> None:
    index = Index(node, database_url, life, with_contracts=True, batch_blocks=batch_blocks)
    index.finish()
    before = stored(database_url)
    snapshot = chain.rpc("evm_snapshot")
    life.act(25)
    index.finish()
    undone = {
        table: [row for row in found if row not in before[table]] for table, found in stored(database_url).items()
    }
    assert all(undone.values()), "there is something to be undone in every table"
    assert chain.rpc("evm_revert", snapshot)
    life.act(6)
    index.finish()
    index.end()
    assert stored(database_url) == logged(life)
    withdrawn = rows(
        database_url,
        "SELECT block_number, log_index, type, transaction_hash, transaction_index, sender, receiver, value "
        "FROM withdrawn_token_events",
    )
    assert sorted(withdrawn, key=repr) == undone["token_events"]
    ((count,),) = rows(database_url, "SELECT count(*) FROM withdrawn_exchange_events")
    assert count == len(undone["exchange_events"])
    synchronise(node, second_url, life.networks, life.contracts)
    assert dump(database_url) == dump(second_url)


def test_a_reorg_by_the_node_itself_is_followed(
    chain: Anvil, node: Node, database_url: str, life: ContractLife
) -> None:
    index = Index(node, database_url, life, with_contracts=True)
    life.act(6)
    index.finish()
    old = node.head()
    chain.rpc("anvil_reorg", 4, [])
    replaced = node.block(old.number)
    assert replaced is not None
    assert replaced.hash != old.hash
    index.finish()
    index.end()
    assert stored(database_url) == logged(life)


@pytest.mark.parametrize("steps", [1, 3, 6, 10])
def test_a_reorg_while_contracts_catch_up_sets_them_back(
    chain: Anvil, node: Node, database_url: str, second_url: str, life: ContractLife, steps: int
) -> None:
    index = Index(node, database_url, life, with_contracts=False, batch_blocks=20)
    index.finish()
    snapshot = chain.rpc("evm_snapshot")
    life.act(8)
    index.indexer.follow(life.contracts)
    for _ in range(steps):
        index.indexer.step()
    assert chain.rpc("evm_revert", snapshot)
    life.act(4)
    index.finish()
    index.end()
    synchronise(node, second_url, life.networks, life.contracts)
    assert dump(database_url) == dump(second_url)
    assert stored(database_url) == logged(life)


def test_contracts_that_only_look_like_identities_stop_nothing(
    node: Node, database_url: str, life: ContractLife
) -> None:
    sender = life.people[0]
    for topic in sorted(IDENTITY_TOPICS):
        # PUSH32 topic, PUSH1 0, PUSH1 0, LOG1: the right topic on a log that lacks all the rest.
        receipt = life.send_raw(None, "0x7f" + topic.hex() + "60006000a1", sender)
        assert receipt["logs"][0]["topics"][0] == topic
    synchronise(node, database_url, life.networks, life.contracts, batch_blocks=1)
    known = stored(database_url)["identity_events"]
    assert {row[5] for row in known} <= {wallet.identity for wallet in life.wallets}
    assert known


def test_events_are_read_anew_when_that_is_ordered(
    node: Node, database_url: str, life: ContractLife, second_url: str
) -> None:
    synchronise(node, database_url, life.networks, life.contracts)
    writer = open_writer(database_url)
    with writer.transaction() as transaction:
        ids = [contract.id for contract in transaction.contracts()]
        transaction._cursor.execute("DELETE FROM token_events WHERE type = 'Transfer'")
        transaction._cursor.execute("UPDATE identity_events SET succeeded = NOT succeeded")
        transaction.set_contract_repair_wanted(ids, wanted=True)
    indexer = make_indexer(node, writer, life.networks, contracts=life.contracts)
    indexer.prepare()
    indexer.repair()
    writer.close()
    synchronise(node, second_url, life.networks, life.contracts)
    assert dump(database_url) == dump(second_url)


def test_verification_names_every_event_that_is_not_the_chains_and_no_other(
    node: Node, database_url: str, life: ContractLife
) -> None:
    synchronise(node, database_url, life.networks, life.contracts)
    reader = ContractReader(Pool(database_url))
    head = node.head()
    block = CursorPosition(head.number, head.hash, head.timestamp)

    def differences() -> list[str]:
        return [str(difference) for difference in ContractVerifier(node, reader, 7).differences(block)]

    assert differences() == []
    token, fill, execution = (stored(database_url)[table][-1] for table in EVENTS)
    with open_writer(database_url).transaction() as transaction:
        where = "WHERE (block_number, log_index) = (%s, %s)"
        transaction._cursor.execute(f"DELETE FROM token_events {where}", token[:2])
        transaction._cursor.execute(f"UPDATE exchange_events SET maker_amount = 1 {where}", fill[:2])
        transaction._cursor.execute(f"UPDATE identity_events SET log_index = 99 {where}", execution[:2])
    found = differences()
    assert len(found) == 4
    for row in (token, fill, execution):
        assert sum(f"log {row[1]} of block {row[0]}:" in line for line in found) == 1
    assert sum("the chain nothing" in line for line in found) == 1


def test_the_events_of_a_user_among_those_of_many_are_found_by_an_index(
    node: Node, database_url: str, life: ContractLife
) -> None:
    synchronise(node, database_url, life.networks, life.contracts)
    writer = open_writer(database_url)
    with writer.transaction(is_long=True) as transaction:
        (contract,) = (one for one in transaction.contracts() if one.kind is ContractKind.TOKEN)
        transaction._cursor.execute(
            "INSERT INTO token_events SELECT %s, -n, 0, 'Transfer', ''::bytea, 0, "
            "decode(md5((n %% 20000)::text) || '00000000', 'hex'), decode(md5(n::text) || '00000000', 'hex'), 1 "
            "FROM generate_series(1, 100000) n",
            (contract.id,),
        )
    writer.analyse()
    writer.close()
    user = parse_address(life.people[0])
    pool = Pool(database_url)
    for newest in (None, 20):
        wanted = ContractFilter(TOKEN_KINDS, parse_address(life.token.address), user)
        query, parameters = events_query(wanted, [contract.id], Stretch(is_forward=False, most=newest))
        with pool.snapshot() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT TEXT) {query}", parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "token_events_of_sender" in plan
        assert "token_events_of_receiver" in plan
        assert "Seq Scan on token_events" not in plan
    newest_ones = ContractReader(pool).events(ContractFilter(TOKEN_KINDS, user=user, newest=5))
    assert newest_ones == ContractReader(pool).events(ContractFilter(TOKEN_KINDS, user=user))[-5:]
    pool.close()
