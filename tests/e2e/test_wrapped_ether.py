"""Ether is wrapped, handed on and unwrapped by the client."""

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import WalletProgram
from tests.support.wallet_world import ETHER, Person, World, amount


@pytest.fixture
def person(world: World, people: People) -> Person:
    (one,) = people(1)
    world.give_ether(one.address, 2 * ETHER)
    return one


@pytest.fixture
def receiver(program: WalletProgram, world: World) -> Person:
    """Somebody with a plain wallet: what arrives unwrapped costs an identity more gas than comes along with it."""
    other = Person(program, world, "ethers")
    other.settle_in()
    return other


def test_the_contract_that_wraps_ether_is_among_the_tokens(world: World, person: Person) -> None:
    assert person.call("relayProvider.fetchEndpoint", "tokens") == [world.addresses.unw_eth]


def test_the_contract_that_wraps_ether_is_told(world: World, person: Person) -> None:
    assert person.call("ethWrapper.getAddresses") == [world.addresses.unw_eth]


def test_ether_is_wrapped_and_unwrapped(world: World, person: Person) -> None:
    token = world.addresses.unw_eth
    assert person.call("ethWrapper.getBalance", token) == amount(0, 18)
    person.do("ethWrapper.prepDeposit", token, 1.25)
    assert person.call("ethWrapper.getBalance", token) == amount(125 * 10**16, 18)
    person.do("ethWrapper.prepWithdraw", token, 0.5)
    assert person.call("ethWrapper.getBalance", token) == amount(75 * 10**16, 18)


def test_wrapped_ether_that_is_handed_on_arrives_unwrapped(world: World, person: Person, receiver: Person) -> None:
    token, other = world.addresses.unw_eth, receiver
    before = world.w3.eth.get_balance(other.address)
    person.do("ethWrapper.prepDeposit", token, 1)
    person.do("ethWrapper.prepTransfer", token, other.address, 0.25)
    assert person.call("ethWrapper.getBalance", token) == amount(ETHER * 3 // 4, 18)
    assert other.call("ethWrapper.getBalance", token) == amount(0, 18)
    assert world.w3.eth.get_balance(other.address) == before + ETHER // 4


def test_the_events_of_wrapped_ether_tell_what_happened(world: World, person: Person, receiver: Person) -> None:
    token, other = world.addresses.unw_eth, receiver
    receipt = person.do("ethWrapper.prepDeposit", token, 1)
    person.do("ethWrapper.prepTransfer", token, other.address, 0.25)
    person.do("ethWrapper.prepWithdraw", token, 0.5)
    approval = [world.addresses.exchange, "0x07"]
    person.do("transaction.prepareContractTransaction", person.address, token, "UnwEth", "approve", approval)
    story = person.call("ethWrapper.getLogs", token)
    assert [(event["type"], event["amount"]["raw"]) for event in story] == [
        ("Deposit", str(ETHER)),
        ("Transfer", str(ETHER // 4)),
        ("Withdrawal", str(ETHER // 4)),
        ("Withdrawal", str(ETHER // 2)),
        ("Approval", "7"),
    ]
    assert {event["tokenAddress"] for event in story} == {token}
    assert story[0]["blockNumber"] == receipt["blockNumber"]
    assert (story[1]["from"], story[1]["to"], story[1]["direction"]) == (person.address, other.address, "sent")
    (deposit,) = person.call("ethWrapper.getLogs", token, {"type": "Deposit"})
    assert deposit == story[0]
    later = person.call("ethWrapper.getLogs", token, {"fromBlock": receipt["blockNumber"] + 1})
    assert later == story[1:]
    (received,) = other.call("ethWrapper.getLogs", token, {"type": "Transfer"})
    assert received["direction"] == "received"
    assert person.call("event.getAll", {"contractType": "UnwETH"}) == story
