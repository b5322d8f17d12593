"""Gifts of ether: capped by address and in all, whoever asks and however many at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from tests.support.delegating import Delegating, World, delegating, new_wallet
from tests.support.faulty_node import FaultyNode
from tests.support.identity_world import deploy_identity_world

GIFT = 10**15
LEFT_AT_START = 10**21


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


class Clock:
    """The time in Unix seconds, as we say; first early in a day."""

    def __init__(self) -> None:
        now = int(time.time())
        self.now = now - now % 86_400 + 3600

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node() -> list[FaultyNode]:
    """What stands between the relay and its node, once there is a relay."""
    return []


@pytest.fixture
def relay(
    world: World, database_url: str, tmp_path: Path, clock: Clock, node: list[FaultyNode]
) -> Iterator[Delegating]:
    """A relay that gives at most three times to one address, and a little more than twenty times in all."""
    faucet = {
        "enable": True,
        "amount": GIFT,
        "enough": GIFT,
        "per_address_and_day": 3 * GIFT,
        "per_day": 21 * GIFT,
    }

    def between(real: Node) -> FaultyNode:
        node.append(FaultyNode(real))
        return node[0]

    with delegating(
        world, database_url, tmp_path, start=False, clock=clock, through=between, faucet=faucet
    ) as served:
        yield served


def ask(relay: Delegating, address: str) -> tuple[int, Any]:
    return relay.post("request-ether", {"address": address})


def balance(relay: Delegating, address: str) -> int:
    return relay.balance(address)


def test_who_has_nothing_is_given_once_and_who_has_enough_nothing(relay: Delegating) -> None:
    address = Account.create().address
    status, transaction = ask(relay, address)
    assert (status, balance(relay, address)) == (200, GIFT)
    assert relay.ask(f"transactions/{transaction}/status")["status"] == "success"
    relay.tend()
    assert ask(relay, address) == (200, None)
    assert balance(relay, address) == GIFT


def test_a_gift_on_its_way_is_not_given_twice(relay: Delegating, world: World) -> None:
    address = Account.create().address
    world.anvil.rpc("evm_setAutomine", False)
    try:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: ask(relay, address), range(24)))
    finally:
        world.anvil.rpc("evm_setAutomine", True)
        world.anvil.mine()
    assert {status for status, _ in answers} == {200}
    assert len({transaction for _, transaction in answers}) == 1
    assert balance(relay, address) == GIFT


def test_who_asks_while_another_request_gives_is_told_of_that_gift(
    relay: Delegating, world: World, node: list[FaultyNode]
) -> None:
    address, others = Account.create().address, []

    def give_meanwhile(method: str, params: list[Any]) -> None:
        if method == "eth_getBalance" and params == [address.lower(), "pending"]:
            node[0].obey()
            others.append(ask(relay, address))

    world.anvil.rpc("evm_setAutomine", False)
    try:
        node[0].interfere = give_meanwhile
        answer = ask(relay, address)
    finally:
        world.anvil.rpc("evm_setAutomine", True)
        world.anvil.mine()
    assert answer[1] is not None
    assert [answer] == others
    assert balance(relay, address) == GIFT


def test_who_spends_what_was_given_is_given_no_more_than_the_cap_of_a_day(
    relay: Delegating, world: World, clock: Clock
) -> None:
    address = Account.create().address
    answers = []
    for _ in range(4):
        world.anvil.rpc("anvil_setBalance", address, "0x0")
        answers.append(ask(relay, address))
        relay.tend()
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    assert "as a day allows" in answers[3][1]["message"]
    clock.now += 86_400
    assert ask(relay, address)[0] == 200


def test_ten_thousand_requests_from_fresh_addresses_cost_no_more_than_the_cap(
    relay: Delegating, clock: Clock
) -> None:
    before = balance(relay, relay.account.address)
    seed = Account.create().address[2:34].lower()
    people = [f"0x{seed}{number:08x}" for number in range(10_000)]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda person: ask(relay, person), people))
    assert {status for status, _ in answers} == {200, 429}
    relay.tend()
    given = [person for person, (status, _) in zip(people, answers, strict=True) if status == 200]
    assert 15 <= len(given) <= 20
    assert before - balance(relay, relay.account.address) <= 21 * GIFT
    assert {balance(relay, person) for person in given} == {GIFT}
    clock.now += 86_400
    assert ask(relay, people[-1])[0] == 200


def test_identities_are_given_ether_too(relay: Delegating) -> None:
    wallet = new_wallet(relay)
    relay.tend()
    assert ask(relay, wallet.address)[0] == 200
    assert balance(relay, wallet.address) == GIFT
    assert relay.ask(f"identities/{wallet.address}")["balance"] == str(GIFT)


def test_a_contract_that_takes_no_ether_is_refused(relay: Delegating, world: World) -> None:
    before = balance(relay, relay.account.address)
    status, answer = ask(relay, world.network.address)
    assert (status, "does not take ether" in answer["message"]) == (400, True)
    assert balance(relay, relay.account.address) == before


def test_an_account_without_ether_gives_none_and_blocks_nothing(relay: Delegating, world: World) -> None:
    world.anvil.rpc("anvil_setBalance", relay.account.address, hex(GIFT // 2))
    status, answer = ask(relay, Account.create().address)
    assert (status, "not enough ether" in answer["message"]) == (503, True)
    world.anvil.rpc("anvil_setBalance", relay.account.address, hex(LEFT_AT_START))
    assert ask(relay, Account.create().address)[0] == 200
