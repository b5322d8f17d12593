"""Payments with the client: paths, who pays the fees, and what goes along with a payment."""

from itertools import pairwise

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import ClientError
from tests.support.wallet_world import Person, World, amount, befriend, pay


def chain_of(people: People, symbol: str, count: int) -> list[Person]:
    """Make people of whom each has a trustline with the next."""
    row = people(count)
    for one, other in pairwise(row):
        befriend(one, other, symbol, 1000, 1000)
    return row


def balance(one: Person, other: Person, symbol: str) -> int:
    line = one.call("trustline.get", one.world.networks[symbol], other.address)
    return int(line["balance"]["raw"])


def test_a_neighbour_is_paid_directly_and_without_fees(world: World, people: People) -> None:
    one, other = chain_of(people, "CASH", 2)
    prepared = one.prepare("payment.prepare", world.networks["CASH"], other.address, 1.5)
    assert prepared.value["path"] == [one.address, other.address]
    assert prepared.value["maxFees"] == amount(0, 4)
    world.settle(one.confirm(prepared))
    assert (balance(one, other, "CASH"), balance(other, one, "CASH")) == (-15_000, 15_000)


def test_the_sender_pays_the_fees_on_top(world: World, people: People) -> None:
    one, mediator, other = chain_of(people, "CASH", 3)
    prepared = one.prepare("payment.prepare", world.networks["CASH"], other.address, 100, {"feePayer": "sender"})
    assert prepared.value["feePayer"] == "sender"
    # A thousandth of the imbalance that the mediator sees, which is value and fee together: 1/999 of the value.
    assert prepared.value["maxFees"] == amount(1002, 4)
    world.settle(one.confirm(prepared))
    assert balance(one, mediator, "CASH") == -1_001_002
    assert balance(other, mediator, "CASH") == 1_000_000


def test_the_receiver_pays_the_fees_out_of_what_is_sent(world: World, people: People) -> None:
    one, mediator, other = chain_of(people, "CASH", 3)
    prepared = one.prepare("payment.prepare", world.networks["CASH"], other.address, 100, {"feePayer": "receiver"})
    assert prepared.value["feePayer"] == "receiver"
    assert prepared.value["maxFees"] == amount(1000, 4)
    world.settle(one.confirm(prepared))
    assert balance(one, mediator, "CASH") == -1_000_000
    assert balance(other, mediator, "CASH") == 999_000


def test_a_limit_of_hops_or_fees_is_kept(world: World, people: People) -> None:
    one, _, other = chain_of(people, "CASH", 3)
    for limit in ({"maximumHops": 1}, {"maximumFees": 1001}):
        with pytest.raises(ClientError, match="Could not find a path with enough capacity"):
            one.call("payment.prepare", world.networks["CASH"], other.address, 100, limit)
    pay(one, other, "CASH", 100, maximumHops=2, maximumFees=1002)


def test_more_than_the_credit_lines_carry_finds_no_path(world: World, people: People) -> None:
    one, other = chain_of(people, "BEER", 2)
    with pytest.raises(ClientError, match="Could not find a path with enough capacity"):
        one.call("payment.prepare", world.networks["BEER"], other.address, 1001)


def test_the_largest_amount_can_be_paid_and_not_more(world: World, people: People) -> None:
    one, mediator, other = chain_of(people, "CASH", 3)
    network = world.networks["CASH"]
    largest = one.call("payment.getMaxAmountAndPathInNetwork", network, other.address)
    assert largest["path"] == [one.address, mediator.address, other.address]
    value = int(largest["amount"]["raw"])
    assert value + (value - 1) // 999 + 1 <= 10_000_000 < value + 1 + value // 999 + 1
    with pytest.raises(ClientError, match="Could not find a path"):
        one.call("payment.prepare", network, other.address, (value + 1) / 10_000)
    pay(one, other, "CASH", value / 10_000)
    nothing = one.call("payment.getMaxAmountAndPathInNetwork", network, people(1)[0].address)
    assert nothing == {"amount": amount(0, 4), "path": []}


def test_extra_data_arrives_with_the_payment(world: World, people: People) -> None:
    one, other = chain_of(people, "BEER", 2)
    pay(one, other, "BEER", 1, extraData="0x1234")
    (event,) = other.call("payment.get", world.networks["BEER"])
    assert (event["extraData"], event["amount"]) == ("0x1234", amount(1, 0))
    assert (event["transferId"], event["paymentRequestId"], event["remainingData"]) == (None, None, None)


def test_a_payment_names_the_request_it_answers_and_its_own_id(world: World, people: People) -> None:
    one, other = chain_of(people, "BEER", 2)
    options = {"paymentRequestId": "0xaabb", "addTransferId": True, "remainingData": "0xcc"}
    prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, 2, options)
    world.settle(one.confirm(prepared))
    for person, direction in ((one, "sent"), (other, "received")):
        (event,) = person.call("payment.get", world.networks["BEER"])
        assert event["direction"] == direction
        assert event["paymentRequestId"] == "0xaabb"
        assert event["transferId"] == prepared.value["transferId"]
        assert event["remainingData"] == "0xcc"


def test_a_payment_request_link_names_network_payee_and_amount(world: World, people: People) -> None:
    (one,) = people(1)
    link = one.call("payment.createRequest", world.networks["CASH"], {"amount": 1.5, "subject": "tea"})
    assert link == f"trustlines://paymentrequest/{world.networks['CASH']}/{one.address}/1.5?subject=tea"


def test_ether_is_sent(world: World, people: People) -> None:
    one, other = people(2)
    world.give_ether(one.address)
    before = world.w3.eth.get_balance(other.address)
    one.do("payment.prepareEth", other.address, 0.25)
    assert world.w3.eth.get_balance(other.address) - before == 25 * 10**16


def test_a_path_avoids_who_would_lose_interest(world: World, people: People) -> None:
    """In a network that prevents mediators from losing interest the path found is one the contract accepts."""
    one, loser, fair, other = people(4)
    befriend(one, loser, "FAV", 100, 100, interestRateGiven=0, interestRateReceived=0)
    befriend(loser, other, "FAV", 100, 100, interestRateGiven=5, interestRateReceived=5)
    befriend(one, fair, "FAV", 100, 100, interestRateGiven=5, interestRateReceived=5)
    befriend(fair, other, "FAV", 100, 100, interestRateGiven=5, interestRateReceived=5)
    prepared = one.prepare("payment.prepare", world.networks["FAV"], other.address, 10)
    assert prepared.value["path"] == [one.address, fair.address, other.address]
    assert world.settle(one.confirm(prepared))["status"] == 1
