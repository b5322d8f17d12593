"""What becomes of a transaction or meta-transaction, and its events while it is on its way."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import Kept
from tests.support.wallet_world import Person, World, amount, befriend, until

SECONDS = 10


@contextmanager
def blocks_held_back(world: World) -> Iterator[None]:
    """Let no block be mined."""
    world.chain.rpc("evm_setAutomine", False)
    try:
        yield
    finally:
        world.chain.rpc("evm_setAutomine", True)
        world.chain.mine()
        world.follow()


def status(person: Person, prepared: Kept) -> str:
    """The status of a prepared transaction or meta-transaction, as the client finds it by its own hash."""
    answer = person.call("transaction.getTxStatus", prepared["rawTx"])["status"]
    assert isinstance(answer, str)
    return answer


def test_a_transaction_is_pending_until_it_is_mined_and_then_a_success(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "BEER", 5, 5)
    prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, 2)
    assert status(one, prepared) == "not found"
    with blocks_held_back(world):
        transaction = one.confirm(prepared)
        assert status(one, prepared) == "pending"
    world.settle(transaction)
    assert status(one, prepared) == "success"


def test_a_transaction_nobody_sent_is_not_found(people: People) -> None:
    (one,) = people(1)
    assert one.call("transaction.getTxStatus", "0x" + "ab" * 32)["status"] == "not found"


def test_events_on_their_way_are_listed_as_sent(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 5, 5)
    prepared = one.prepare("payment.prepare", network, other.address, 2)
    with blocks_held_back(world):
        transaction = one.confirm(prepared)
        until("the node holds it", lambda: world.w3.eth.get_block("pending")["transactions"], world.log)
        for person, direction in ((one, "sent"), (other, "received")):
            (event,) = person.call("payment.get", network)
            assert (event["status"], event["direction"]) == ("sent", direction)
            assert (event["transactionHash"], event["amount"]) == (transaction, amount(2, 0))
    world.settle(transaction)
    (event,) = one.call("payment.get", network)
    assert event["status"] == "pending"


@pytest.mark.parametrize("kind", ["ethers"])
def test_a_transaction_that_the_contract_refuses_is_a_failure(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 5, 5)
    prepared = one.prepare("payment.prepare", network, other.address, 4)
    other.do("trustline.prepareUpdate", network, one.address, 1, 5)
    world.settle(one.confirm(prepared))
    assert status(one, prepared) == "failure"
    assert one.call("payment.get", network) == []
