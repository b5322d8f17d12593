"""Trustlines from the first request to the close, as the client does it."""

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import ClientError
from tests.support.wallet_world import World, amount, befriend, pay


def test_a_request_that_is_accepted_opens_a_trustline_seen_from_both_sides(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "CASH", 12.5, 7, interestRateGiven=2, interestRateReceived=1.5)
    network = world.networks["CASH"]
    seen = one.call("trustline.get", network, other.address)
    assert {name: seen[name] for name in seen if name != "id"} == {
        "address": other.address,
        "counterParty": other.address,
        "user": one.address,
        "currencyNetwork": network,
        "balance": amount(0, 4),
        "given": amount(125_000, 4),
        "received": amount(70_000, 4),
        "leftGiven": amount(125_000, 4),
        "leftReceived": amount(70_000, 4),
        "interestRateGiven": amount(200, 2),
        "interestRateReceived": amount(150, 2),
        "isFrozen": False,
    }
    mirrored = other.call("trustline.get", network, one.address)
    assert mirrored["id"] == seen["id"]
    assert mirrored["given"] == amount(70_000, 4)
    assert mirrored["interestRateReceived"] == amount(200, 2)


def test_a_request_alone_opens_nothing(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["CASH"]
    one.do("trustline.prepareUpdate", network, other.address, 1, 2)
    assert one.call("trustline.getAll", network) == []
    (request,) = other.call("trustline.getRequests", network)
    assert (request["from"], request["counterParty"], request["direction"]) == (
        one.address,
        one.address,
        "received",
    )
    assert (request["given"], request["received"]) == (amount(10_000, 4), amount(20_000, 4))
    assert request["transfer"] == amount(0, 4)


@pytest.mark.parametrize("canceller", ["who asked", "who was asked"])
def test_a_request_is_cancelled_by_either_side(world: World, people: People, canceller: str) -> None:
    one, other = people(2)
    network = world.networks["CASH"]
    one.do("trustline.prepareUpdate", network, other.address, 1, 2)
    actor, partner = (one, other) if canceller == "who asked" else (other, one)
    actor.do("trustline.prepareCancelTrustlineUpdate", network, partner.address)
    (cancel,) = actor.call("trustline.getTrustlineUpdateCancels", network)
    assert (cancel["from"], cancel["to"], cancel["direction"]) == (actor.address, partner.address, "sent")
    # What was cancelled can no longer be accepted: this is a new request.
    other.do("trustline.prepareAccept", network, one.address, 2, 1)
    assert one.call("trustline.getAll", network) == []


def test_a_trustline_is_raised_by_both_sides_and_lowered_by_one(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["HOU"]
    befriend(one, other, "HOU", 10, 10)
    befriend(one, other, "HOU", 15, 20)
    assert one.call("trustline.get", network, other.address)["received"] == amount(200_000, 4)
    one.do("trustline.prepareUpdate", network, other.address, 5, 20)
    line = other.call("trustline.get", network, one.address)
    assert (line["received"], line["given"]) == (amount(50_000, 4), amount(200_000, 4))
    updates = one.call("trustline.getUpdates", network)
    assert [update["given"]["value"] for update in updates] == ["10", "15", "5"]


def test_a_frozen_trustline_carries_no_payment_until_it_is_thawed(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["CASH"]
    rates = {"interestRateGiven": 0, "interestRateReceived": 0}
    befriend(one, other, "CASH", 100, 100, **rates)
    pay(one, other, "CASH", 10)
    befriend(one, other, "CASH", 100, 100, **rates, isFrozen=True)
    assert one.call("trustline.get", network, other.address)["isFrozen"] is True
    overview = one.call("currencyNetwork.getUserOverview", network, one.address)
    assert (overview["balance"], overview["frozenBalance"]) == (amount(0, 4), amount(-100_000, 4))
    with pytest.raises(ClientError, match="Could not find a path"):
        one.call("payment.prepare", network, other.address, 1)
    befriend(one, other, "CASH", 100, 100, **rates, isFrozen=False)
    pay(one, other, "CASH", 1)
    assert one.call("trustline.get", network, other.address)["balance"] == amount(-110_000, 4)


def test_accepting_a_trustline_moves_what_was_agreed(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["GIFT"]
    rates = {"interestRateGiven": 0, "interestRateReceived": 0}
    one.do("trustline.prepareUpdate", network, other.address, 10, 10, {**rates, "transfer": 2.5})
    (request,) = other.call("trustline.getRequests", network)
    assert request["transfer"] == amount(250, 2)
    other.do("trustline.prepareAccept", network, one.address, 10, 10, {**rates, "transfer": -2.5})
    assert one.call("trustline.get", network, other.address)["balance"] == amount(-250, 2)
    (transfer,) = one.call("payment.get", network)
    assert (transfer["from"], transfer["to"], transfer["amount"]) == (one.address, other.address, amount(250, 2))


def test_a_trustline_without_a_balance_is_closed_directly(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 10, 10)
    prepared = one.prepare("trustline.prepareClose", network, other.address)
    assert prepared.value["path"] == []
    world.settle(one.confirm(prepared))
    assert one.call("trustline.getAll", network) == []
    closing = one.call("trustline.getUpdates", network)[-1]
    assert (closing["given"]["raw"], closing["received"]["raw"]) == ("0", "0")


@pytest.mark.parametrize("debtor", [True, False], ids=["by who owes", "by whom is owed"])
def test_a_trustline_with_a_balance_is_closed_by_triangulation(world: World, people: People, debtor: bool) -> None:
    one, other, third = people(3)
    network = world.networks["CASH"]
    befriend(one, other, "CASH", 100, 100)
    befriend(other, third, "CASH", 100, 100)
    befriend(third, one, "CASH", 100, 100)
    pay(one, other, "CASH", 50, maximumHops=1)
    actor, partner = (one, other) if debtor else (other, one)
    prepared = actor.prepare("trustline.prepareClose", network, partner.address)
    path = prepared.value["path"]
    assert (path[0], path[-1], third.address in path) == (actor.address, actor.address, True)
    world.settle(actor.confirm(prepared))
    left = {line["counterParty"]: line for line in one.call("trustline.getAll", network)}
    assert set(left) == {third.address}
    assert left[third.address]["balance"]["raw"].startswith("-50")


def test_a_trustline_with_a_balance_and_no_way_round_cannot_be_closed(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "CASH", 100, 100)
    pay(one, other, "CASH", 50)
    with pytest.raises(ClientError, match="Could not find a path with enough capacity"):
        one.call("trustline.prepareClose", world.networks["CASH"], other.address)


def test_all_trustlines_of_a_user_are_listed_over_all_networks(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "CASH", 1, 1)
    befriend(one, other, "BEER", 2, 2)
    everywhere = one.call("trustline.getAllOfUser")
    assert {line["currencyNetwork"]: line["given"] for line in everywhere} == {
        world.networks["CASH"]: amount(10_000, 4),
        world.networks["BEER"]: amount(2, 0),
    }


def test_an_invitation_names_what_is_offered(world: World, people: People) -> None:
    (one,) = people(1)
    offer = {"creditlineGiven": 5, "creditlineReceived": 6}
    link = one.call("trustline.buildTrustlineRequestInviteLink", world.networks["CASH"], offer)
    assert link == f"trustlines://trustlinerequest/{world.networks['CASH']}/{one.address}/5/6/0/0"
