"""The events of a single trustline, contacts, and the ether of a user."""

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import ClientError
from tests.support.wallet_world import World, amount, befriend, pay


def test_a_trustline_has_its_own_history(world: World, people: People) -> None:
    one, other, third = people(3)
    network = world.networks["CASH"]
    befriend(one, other, "CASH", 10, 20)
    befriend(one, third, "CASH", 1, 1)
    one.do("trustline.prepareUpdate", network, other.address, 30, 30)
    one.do("trustline.prepareCancelTrustlineUpdate", network, other.address)
    pay(one, other, "CASH", 0.5)
    history = one.call("trustline.getEvents", network, other.address)
    assert {event["counterParty"] for event in history} == {other.address}
    assert [(event["type"], event["direction"]) for event in history] == [
        ("TrustlineUpdateRequest", "sent"),
        ("TrustlineUpdate", "sent"),
        ("TrustlineUpdateRequest", "sent"),
        ("TrustlineUpdateCancel", "sent"),
        ("BalanceUpdate", "sent"),
    ]
    seen_by_other = other.call("trustline.getEvents", network, one.address)
    assert [event["direction"] for event in seen_by_other] == ["received"] * 5


def test_the_balance_updates_of_a_trustline_follow_its_balance(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 10, 20)
    first = pay(one, other, "BEER", 3)
    pay(one, other, "BEER", 4)
    updates = one.call("trustline.getTrustlineBalanceUpdates", network, other.address)
    assert [update["amount"] for update in updates] == [amount(-3, 0), amount(-7, 0)]
    later = {"fromBlock": first["blockNumber"] + 1}
    (update,) = other.call("trustline.getTrustlineBalanceUpdates", network, one.address, later)
    assert update["amount"]["raw"] == "-7", "the balance as the event's sender sees it"


def test_contacts_are_those_one_has_a_trustline_with(world: World, people: People) -> None:
    one, other, third = people(3)
    befriend(one, other, "BEER", 1, 1)
    befriend(third, one, "BEER", 1, 1)
    assert set(one.call("contact.getAll", world.networks["BEER"])) == {other.address, third.address}
    assert one.call("contact.getAll", world.networks["HOU"]) == []


def test_the_ether_of_a_user_is_told_in_wei(world: World, people: People) -> None:
    (one,) = people(1)
    world.give_ether(one.address, 1_234_567_890_123_456_789)
    assert one.call("user.getBalance") == amount(1_234_567_890_123_456_789, 18)


def test_what_is_no_network_has_no_history(world: World, people: People) -> None:
    one, other = people(2)
    with pytest.raises(ClientError, match=r"404|seems not to be a network"):
        one.call("trustline.getEvents", other.address, other.address)
