"""Lists of a user's events in currency networks."""

from tests.e2e.conftest import People
from tests.support.wallet_world import World, amount, befriend, pay


def test_the_events_of_a_user_tell_their_story_in_order(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 10, 20)
    one.do("trustline.prepareUpdate", network, other.address, 30, 30)
    other.do("trustline.prepareCancelTrustlineUpdate", network, one.address)
    receipt = pay(one, other, "BEER", 3)
    story = one.call("event.get", network)
    assert [(event["type"], event["direction"]) for event in story] == [
        ("TrustlineUpdateRequest", "sent"),
        ("TrustlineUpdate", "sent"),
        ("TrustlineUpdateRequest", "sent"),
        ("TrustlineUpdateCancel", "received"),
        ("Transfer", "sent"),
    ]
    transfer = story[-1]
    assert transfer["amount"] == amount(3, 0)
    assert transfer["blockNumber"] == receipt["blockNumber"]
    assert transfer["transactionHash"] == "0x" + receipt["transactionHash"].hex().removeprefix("0x")
    assert transfer["blockHash"] == "0x" + receipt["blockHash"].hex().removeprefix("0x")
    assert transfer["timestamp"] == world.w3.eth.get_block(receipt["blockNumber"])["timestamp"]
    assert transfer["user"] == one.address
    assert transfer["counterParty"] == other.address
    assert transfer["status"] == "pending"


def test_events_are_chosen_by_type_and_first_block(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 10, 20)
    first = pay(one, other, "BEER", 1)
    second = pay(one, other, "BEER", 2)
    amounts = [event["amount"]["value"] for event in other.call("event.get", network, {"type": "Transfer"})]
    assert amounts == ["1", "2"]
    later = one.call("event.get", network, {"fromBlock": second["blockNumber"]})
    assert [event["blockNumber"] for event in later] == [second["blockNumber"]]
    assert len(one.call("payment.get", network, {"fromBlock": first["blockNumber"]})) == 2


def test_events_over_all_networks_have_each_networks_decimals(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "BEER", 10, 20)
    befriend(one, other, "CASH", 10, 20)
    pay(one, other, "CASH", 0.5)
    everything = other.call("event.getAll")
    assert [event["networkAddress"] for event in everything] == [world.networks["BEER"]] * 2 + [
        world.networks["CASH"]
    ] * 3
    assert [event["given"]["decimals"] for event in everything[:4]] == [0, 0, 4, 4]
    assert everything[-1]["amount"] == amount(5000, 4)
    transfers = other.call("event.getAll", {"type": "Transfer"})
    assert transfers == everything[-1:]


def test_events_become_confirmed_with_their_depth(world: World, people: People) -> None:
    one, other = people(2)
    one.do("trustline.prepareUpdate", world.networks["BEER"], other.address, 1, 1)
    assert one.call("event.getAll")[0]["status"] == "pending"
    for _ in range(5):
        world.chain.mine()
    world.follow()
    assert one.call("event.getAll")[0]["status"] == "confirmed"
