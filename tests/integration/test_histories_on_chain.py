"""Interest, mediation fees and ways of transfers as derived from events, held against the contracts themselves."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import combinations, pairwise
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address, parse_address, to_checksum
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_contract, deploy_network, transact
from relay.devnet.postgres import create_database, drop_database
from relay.store.connection import Pool
from relay.store.history_reading import HistoryReader, StoredTransfer, Window
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer, synchronise

SEED = int(os.environ.get("TEST_SEED", "20261120"))
TERMS = NetworkTerms("Test", "TST", fee_divisor=10, custom_interests=True)
MONTH = 30 * 86_400

Interest = tuple[int, int, int]
"""Value, rate and timestamp of an entry."""

Mediation = tuple[int, str, str, str, int]
"""Value, from, to, transaction and timestamp of an entry."""


@pytest.fixture
def node(chain: Anvil) -> Node:
    return Node(chain.url)


@pytest.fixture
def network(web3: Web3) -> Contract:
    return deploy_network(web3, TERMS)


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    yield create_database(postgres_url, "second_histories")
    drop_database(postgres_url, "second_histories")


@contextmanager
def reading(url: str) -> Iterator[HistoryReader]:
    with closing(Pool(url)) as pool:
        yield HistoryReader(pool)


def address_of(network: Contract) -> Address:
    return parse_address(network.address)


class ContractsOwn:
    """The past as the contract tells it: its state before each transaction, its functions, the calls' inputs."""

    def __init__(self, w3: Web3, network: Contract, first: int) -> None:
        self.interests: dict[tuple[str, str], list[Interest]] = defaultdict(list)
        self.mediations: dict[str, list[Mediation]] = defaultdict(list)
        self.transfers: dict[bytes, tuple[Sequence[str], str, list[int]]] = {}
        functions = network.functions
        moved: dict[tuple[bytes, str, str], int] = {}
        for log in network.events.BalanceUpdate.get_logs(from_block=first):
            one, other, number = log["args"]["_from"], log["args"]["_to"], log["blockNumber"]
            before = functions.getAccount(one, other).call(block_identifier=number - 1)
            _, _, rate_given, rate_received, _, mtime, balance = before
            at = w3.eth.get_block(number)["timestamp"]
            grown = functions.calculateBalanceWithInterests(balance, mtime, at, rate_given, rate_received).call()
            rate = rate_given if balance > 0 else rate_received
            if grown != balance:
                self.interests[one, other].append((grown - balance, rate, at))
                self.interests[other, one].append((balance - grown, rate, at))
            moved[bytes(log["transactionHash"]), one, other] = grown - log["args"]["_value"]
        for log in network.events.Transfer.get_logs(from_block=first):
            transaction = bytes(log["transactionHash"])
            call, inputs = network.decode_function_input(w3.eth.get_transaction(log["transactionHash"])["input"])
            path = inputs["_path"]
            amounts = [moved[transaction, *hop] for hop in pairwise(path)]
            is_receiver = call.fn_name == "transferReceiverPays"
            if call.fn_name == "closeTrustlineByTriangularTransfer":
                is_receiver = path[1] == inputs["_otherParty"]
            assert log["args"]["_value"] == amounts[0 if is_receiver else -1], "the oracle must know what moved"
            fee_payer = "receiver" if is_receiver and len(path) > 2 else "sender"
            self.transfers[transaction] = (path, fee_payer, amounts)
            at = w3.eth.get_block(log["blockNumber"])["timestamp"]
            for payer, mediator, payee, came, left in zip(
                path, path[1:], path[2:], amounts, amounts[1:], strict=False
            ):
                entry = (came - left, payer, payee, "0x" + transaction.hex(), at)
                self.mediations[mediator].append(entry)


def pay(life: Life) -> None:
    """Send much money far."""
    path = life.random.sample(life.people, life.random.choice((2, 3, 4, 5)))
    name = life.random.choice(("transfer", "transferReceiverPays"))
    life.send(name, life.random.randrange(10**5), 10**6, path, b"memo", sender=path[0])


def interests(url: str, network: Contract, user: str, window: Window = Window()) -> dict[str, list[Interest]]:  # noqa: B008
    with reading(url) as histories:
        found = histories.interests(address_of(network), parse_address(user), None, window)
    return {
        to_checksum(other): [
            (int(each["value"]), each["interestRate"], each["timestamp"])
            for each in json.loads(b"[" + b",".join(pieces) + b"]")
        ]
        for other, pieces in found
    }


def mediations(url: str, network: Contract, user: str, window: Window = Window()) -> list[Mediation]:  # noqa: B008
    with reading(url) as histories:
        pieces = histories.mediation_fees(address_of(network), parse_address(user), window)
    found = json.loads(b"[" + b",".join(pieces) + b"]")
    return [
        (int(each["value"]), each["from"], each["to"], each["transactionHash"], each["timestamp"])
        for each in found
    ]


def assert_equals_contract(
    url: str, w3: Web3, network: Contract, people: Sequence[str], first: int
) -> ContractsOwn:
    own = ContractsOwn(w3, network, first)
    for user in people:
        told = {other: own.interests[user, other] for other in people if own.interests[user, other]}
        assert interests(url, network, user) == told
        assert mediations(url, network, user) == own.mediations[user]
    with reading(url) as histories:
        for transaction, (path, fee_payer, amounts) in own.transfers.items():
            (found,) = histories.transfers_of(transaction)
            assert ([to_checksum(user) for user in found.path], found.fee_payer, list(found.amounts)) == (
                path,
                fee_payer,
                amounts,
            )
    return own


@pytest.mark.parametrize("batch_blocks", [3, 2000])
@pytest.mark.parametrize("rate", [0, 1500])
def test_whatever_people_do_the_past_is_told_as_the_contract_computes_it(
    chain: Anvil, web3: Web3, node: Node, database_url: str, batch_blocks: int, rate: int
) -> None:
    terms = NetworkTerms("Any", "ANY", fee_divisor=10, default_interest_rate=rate, custom_interests=not rate)
    first = web3.eth.block_number + 1
    network = deploy_network(web3, terms, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED + batch_blocks + rate)
    for pair in combinations(life.people, 2):
        befriend(web3, network, *pair, rate=rate or life.random.choice((1, 900, 2000)))
    for _ in range(2):
        for _ in range(6):
            life.act(5)
            chain.rpc("evm_increaseTime", life.random.randrange(MONTH))
            for _ in range(5):
                pay(life)
        synchronise(node, database_url, [address_of(network)], batch_blocks=batch_blocks)
    own = assert_equals_contract(database_url, web3, network, life.people, first)
    assert sum(map(len, own.interests.values())) > 10
    assert any(len(path) > 3 for path, _, _ in own.transfers.values())
    assert {fee_payer for _, fee_payer, _ in own.transfers.values()} == {"sender", "receiver"}


@pytest.mark.parametrize(("undone", "redone"), [(12, 20), (25, 25), (25, 3)])
def test_after_a_reorg_the_past_is_that_of_the_new_branch(
    chain: Anvil, web3: Web3, node: Node, database_url: str, second_url: str, undone: int, redone: int
) -> None:
    network = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED + undone + redone)
    for pair in combinations(life.people, 2):
        befriend(web3, network, *pair)
    for _ in range(20):
        chain.rpc("evm_increaseTime", MONTH)
        pay(life)
    snapshot = chain.rpc("evm_snapshot")
    for _ in range(undone):
        pay(life)
    life.act(3)
    writer = open_writer(database_url)
    indexer = make_indexer(node, writer, [address_of(network)], batch_blocks=11)
    indexer.prepare()
    while indexer.step() is not None:
        pass
    replaced = dump(database_url)
    chain.rpc("evm_revert", snapshot)
    chain.rpc("evm_increaseTime", MONTH)
    for _ in range(redone):
        pay(life)
    while indexer.step() is not None:
        pass
    writer.close()
    synchronise(node, second_url, [address_of(network)])
    found = dump(database_url)
    assert found == dump(second_url)
    assert found["transfers"] != replaced["transfers"]
    assert found["interests"] != replaced["interests"]


def befriend(w3: Web3, network: Contract, one: str, other: str, rate: int = 1000) -> None:
    terms = (10**6, 10**6, rate, rate, False)
    transact(w3, network.functions.updateTrustline(other, *terms), Web3.to_checksum_address(one))
    transact(w3, network.functions.updateTrustline(one, *terms), Web3.to_checksum_address(other))


class Ways:
    """Transactions of four people who all have trustlines, and what is told of their transfers."""

    def __init__(self, chain: Anvil, w3: Web3, node: Node, url: str, network: Contract) -> None:
        self.chain, self.w3, self.node, self.url, self.network = chain, w3, node, url, network
        self.people = w3.eth.accounts[1:5]
        for number, one in enumerate(self.people):
            for other in self.people[:number]:
                befriend(w3, network, one, other)

    def names(self, letters: str) -> list[str]:
        return [self.people["abcd".index(letter)] for letter in letters]

    def told(self, call: Any, sender: str) -> list[StoredTransfer]:
        (sender,) = self.names(sender)
        return self.told_of(transact(self.w3, call, Web3.to_checksum_address(sender))["transactionHash"])

    def told_of(self, transaction: bytes) -> list[StoredTransfer]:
        synchronise(self.node, self.url, [address_of(self.network)])
        with reading(self.url) as histories:
            return histories.transfers_of(bytes(transaction))

    def shown(self, transfer: StoredTransfer) -> tuple[str, str, tuple[int, ...]]:
        letters = "".join("abcd"[self.people.index(to_checksum(user))] for user in transfer.path)
        return letters, transfer.fee_payer.value, transfer.amounts

    def balance(self, one: str, other: str) -> int:
        return int(self.network.functions.balance(*self.names(one + other)).call())


@pytest.fixture
def ways(chain: Anvil, web3: Web3, node: Node, database_url: str, network: Contract) -> Ways:
    return Ways(chain, web3, node, database_url, network)


def test_nothing_can_be_transferred_too(ways: Ways) -> None:
    transfer = ways.network.functions.transfer(0, 0, ways.names("abcd"), b"\x05")
    (found,) = ways.told(transfer, "a")
    assert ways.shown(found) == ("abcd", "sender", (0, 0, 0))
    assert (found.value, found.fees, found.extra_data) == (0, (0, 0), b"\x05")


@pytest.mark.parametrize("path", ["abac", "acbc", "aba", "abca", "abcbd", "abab"])
def test_a_path_may_pass_somebody_twice(ways: Ways, path: str) -> None:
    (found,) = ways.told(ways.network.functions.transfer(100, 1000, ways.names(path), b""), "a")
    shown, fee_payer, amounts = ways.shown(found)
    assert (shown, fee_payer, amounts[-1]) == (path, "sender", 100)
    assert list(amounts) == sorted(amounts, reverse=True)
    (found,) = ways.told(ways.network.functions.transferReceiverPays(100, 1000, ways.names(path), b""), "a")
    shown, fee_payer, amounts = ways.shown(found)
    assert (shown, amounts[0]) == (path, 100)
    # Where all went back what had come, there are no fees that would tell.
    assert fee_payer == "receiver" or path == path[::-1] or amounts[0] == amounts[-1]


def test_an_authorised_third_party_is_not_part_of_the_way(ways: Ways) -> None:
    transact(ways.w3, ways.network.functions.addAuthorizedAddress(ways.names("d")[0]), ways.names("a")[0])
    (found,) = ways.told(ways.network.functions.transferFrom(100, 1000, ways.names("abc"), b""), "d")
    assert ways.shown(found) == ("abc", "sender", (112, 100))


def test_a_debt_that_is_claimed_runs_from_who_owes(ways: Ways) -> None:
    transact(ways.w3, ways.network.functions.increaseDebt(ways.names("d")[0], 500), ways.names("a")[0])
    (found,) = ways.told(ways.network.functions.debitTransfer(300, 1000, ways.names("abd"), b""), "d")
    assert ways.shown(found) == ("abd", "receiver", (300, 270))
    with reading(ways.url) as histories:
        (debt,) = histories.debts(parse_address(ways.names("d")[0]))
        assert (debt.other, debt.value) == (parse_address(ways.names("a")[0]), 200)
        (debt,) = histories.debts(parse_address(ways.names("a")[0]))
        assert (debt.other, debt.value) == (parse_address(ways.names("d")[0]), -200)


@pytest.mark.parametrize(("payer", "path", "fee_payer"), [("a", "acba", "sender"), ("b", "abca", "receiver")])
def test_closing_in_a_triangle_is_a_transfer_to_oneself(ways: Ways, payer: str, path: str, fee_payer: str) -> None:
    other = "b" if payer == "a" else "a"
    ways.told(ways.network.functions.transfer(1000, 0, ways.names(payer + other), b""), payer)
    ways.chain.rpc("evm_increaseTime", MONTH)
    (friend,) = ways.names("b")
    call = ways.network.functions.closeTrustlineByTriangularTransfer(friend, 10**6, ways.names(path))
    (found,) = ways.told(call, "a")
    shown, payer_told, amounts = ways.shown(found)
    assert (shown, payer_told) == (path, fee_payer)
    assert found.value == amounts[0 if fee_payer == "receiver" else -1] > 1000, "a month's interest on top"
    assert (len(found.fees), sum(found.fees) > 0) == (2, True)


def test_closing_directly_and_closing_nothing(ways: Ways) -> None:
    ways.told(ways.network.functions.transfer(1000, 0, ways.names("ba"), b""), "b")
    (friend,) = ways.names("b")
    (found,) = ways.told(ways.network.functions.closeTrustlineByDirectTransfer(friend, 0, 10**6), "a")
    assert ways.shown(found)[0] == "ab"
    assert ways.told(ways.network.functions.closeTrustline(ways.names("c")[0]), "a") == []


def test_interest_applied_is_listed_but_no_transfer(ways: Ways) -> None:
    ways.told(ways.network.functions.transfer(1000, 0, ways.names("ab"), b""), "a")
    ways.chain.rpc("evm_increaseTime", 12 * MONTH)
    one, other = ways.names("ab")
    assert ways.told(ways.network.functions.applyInterests(other), "a") == []
    interest = ways.balance("b", "a") - 1000
    (entry,) = interests(ways.url, ways.network, other)[one]
    assert entry[:2] == (interest, 1000)
    assert interest > 90
    assert ways.told(ways.network.functions.applyInterests(other), "a") == []
    assert len(interests(ways.url, ways.network, one)[other]) == 1


def test_a_change_of_rates_applies_the_interest_of_the_old_rate(ways: Ways) -> None:
    ways.told(ways.network.functions.transfer(1000, 0, ways.names("ab"), b""), "a")
    ways.chain.rpc("evm_increaseTime", 12 * MONTH)
    befriend(ways.w3, ways.network, *ways.names("ab"), rate=2000)
    ways.chain.rpc("evm_increaseTime", 12 * MONTH)
    assert ways.told(ways.network.functions.applyInterests(ways.names("b")[0]), "a") == []
    entries = interests(ways.url, ways.network, ways.names("a")[0])[ways.names("b")[0]]
    assert [rate for _, rate, _ in entries] == [1000, 2000]
    assert sum(value for value, _, _ in entries) == -(ways.balance("b", "a") - 1000)


def test_a_transfer_that_comes_with_an_acceptance_is_one(
    web3: Web3, node: Node, network: Contract, database_url: str
) -> None:
    second = deploy_network(web3, TERMS, "CurrencyNetworkV2")
    one, other = web3.eth.accounts[1:3]
    update = second.get_function_by_signature("updateTrustline(address,uint64,uint64,int16,int16,bool,int72)")
    transact(web3, update(other, 1000, 1000, 0, 0, False, 50), one)
    receipt = transact(web3, update(one, 1000, 1000, 0, 0, False, -50), other)
    synchronise(node, database_url, [address_of(second)])
    with reading(database_url) as histories:
        (found,) = histories.transfers_of(bytes(receipt["transactionHash"]))
    assert (found.path, found.amounts) == ((parse_address(one), parse_address(other)), (50,))


def test_an_order_filled_moves_credit_both_ways_in_one_transaction(
    chain: Anvil, web3: Web3, node: Node, database_url: str
) -> None:
    exchange = deploy_contract(web3, "Exchange")
    made, taken = (deploy_network(web3, TERMS) for _ in range(2))
    maker, taker, mediator = web3.eth.accounts[1:4]
    for each in (made, taken):
        for person in (maker, taker):
            befriend(web3, each, person, mediator)
            transact(web3, each.functions.addAuthorizedAddress(exchange.address), person)
    nobody = "0x" + "00" * 20
    parties = [maker, nobody, made.address, taken.address, nobody]
    values = [500, 250, 0, 0, 4_000_000_000, 1]
    digest = exchange.functions.getOrderHash(parties, values).call()
    signature = bytes(web3.eth.sign(maker, data=digest))
    r, s, v = signature[:32], signature[32:64], signature[64]
    fill = exchange.functions.fillOrderTrustlines(
        parties, values, 250, [maker, mediator, taker], [taker, mediator, maker], v, r, s
    )
    receipt = transact(web3, fill, taker)
    synchronise(node, database_url, [address_of(made), address_of(taken)])
    with reading(database_url) as histories:
        found = histories.transfers_of(bytes(receipt["transactionHash"]))
    by_network = {to_checksum(each.network): each for each in found}
    assert [to_checksum(user) for user in by_network[made.address].path] == [maker, mediator, taker]
    assert [to_checksum(user) for user in by_network[taken.address].path] == [taker, mediator, maker]
    assert (by_network[made.address].amounts, by_network[taken.address].amounts) == ((556, 500), (278, 250))
    assert len(found) == 2
    for each, fee in ((made, 56), (taken, 28)):
        ((value, *_),) = mediations(database_url, each, mediator)
        assert value == fee


def test_a_transfer_is_found_by_each_of_its_events_and_by_no_other(ways: Ways) -> None:
    receipt = transact(
        ways.w3, ways.network.functions.transfer(100, 100, ways.names("abcd"), b""), ways.names("a")[0]
    )
    debt = transact(ways.w3, ways.network.functions.increaseDebt(ways.names("d")[0], 5), ways.names("a")[0])
    (expected,) = ways.told_of(receipt["transactionHash"])
    with reading(ways.url) as histories:
        for log in receipt["logs"]:
            assert histories.transfer_at(bytes(log["blockHash"]), log["logIndex"]) == expected
        (log,) = debt["logs"]
        assert histories.transfer_at(bytes(log["blockHash"]), log["logIndex"]) is None
        for block, index in ((bytes(log["blockHash"]), 1), (b"\x01" * 32, 0)):
            with pytest.raises(KeyError):
                histories.transfer_at(block, index)
        assert histories.transfers_of(bytes(debt["transactionHash"])) == []
        assert histories.transfers_of(b"\x01" * 32) == []


def test_time_spans_contain_both_their_ends(ways: Ways) -> None:
    times = []
    for _ in range(4):
        ways.chain.rpc("evm_increaseTime", MONTH)
        call = ways.network.functions.transfer(10_000, 10_000, ways.names("abc"), b"")
        receipt = transact(ways.w3, call, ways.names("a")[0])
        times.append(ways.w3.eth.get_block(receipt["blockNumber"])["timestamp"])
    ways.told_of(b"")
    one, mediator, other = ways.names("abc")
    end = Window().end
    for window, wanted in (
        (Window(), times),
        (Window(times[1], end), times[1:]),
        (Window(times[1] + 1, end), times[2:]),
        (Window(0, times[1]), times[:2]),
        (Window(0, times[1] - 1), times[:1]),
        (Window(times[1], times[2]), times[1:3]),
        (Window(times[3] + 1, end), []),
        (Window(times[2], times[1]), []),
    ):
        assert [entry[-1] for entry in mediations(ways.url, ways.network, mediator, window)] == wanted
        listed = interests(ways.url, ways.network, one, window).get(mediator, [])
        assert [entry[-1] for entry in listed] == [time for time in wanted if time != times[0]]
        with reading(ways.url) as histories:
            users = parse_address(one), parse_address(other)
            total = histories.transferred(address_of(ways.network), *users, window)
            assert total == 10_000 * len(wanted)
            assert histories.transferred(address_of(ways.network), *reversed(users), window) == 0
