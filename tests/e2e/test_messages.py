"""Messages between users: delivered while one listens, kept until one does; wallets get what was sent, opened."""

from tests.e2e.conftest import People
from tests.support.wallet_world import World, amount, befriend

STREAM = "messaging.messageStream"


def test_a_payment_request_is_delivered_live(world: World, people: People) -> None:
    one, other = people(2)
    stream = other.subscribe(STREAM)
    sent = one.call("messaging.paymentRequest", world.networks["CASH"], other.address, 1.5, "tea")
    received = stream.next("PaymentRequest")
    assert received["amount"] == sent["amount"] == amount(15_000, 4)
    assert (received["from"], received["to"], received["direction"]) == (one.address, other.address, "received")
    assert (received["id"], received["subject"]) == (sent["id"], "tea")
    stream.close()


def test_what_was_missed_is_delivered_once_and_in_order(people: People) -> None:
    one, other = people(2)
    one.call("messaging.sendUsernameToCounterparty", "Ada", other.address)
    one.call("messaging.paymentRequestDecline", other.address, "0x1234", "no")
    one.call("messaging.paymentRequestCancel", other.address, "0x1235", "never mind")
    stream = other.subscribe(STREAM)
    assert stream.next("Username")["username"] == "Ada"
    decline = stream.next("PaymentRequestDecline")
    assert (decline["id"], decline["subject"]) == ("0x1234", "no")
    assert stream.next("PaymentRequestCancel")["subject"] == "never mind"
    assert stream.rest() == []
    stream.close()
    again = other.subscribe(STREAM)
    assert again.rest() == []
    again.close()


def test_what_was_delivered_live_is_not_missed(people: People) -> None:
    one, other = people(2)
    stream = other.subscribe(STREAM)
    one.call("messaging.sendUsernameToCounterparty", "Ada", other.address)
    assert stream.next("Username")["username"] == "Ada"
    # Who goes at once may be told again: that it was read the relay hears a moment later.
    assert stream.rest(seconds=2) == []
    stream.close()
    again = other.subscribe(STREAM)
    assert again.rest() == []
    again.close()


def test_a_message_arrives_at_nobody_else(people: People) -> None:
    one, other, third = people(3)
    stream = third.subscribe(STREAM)
    one.call("messaging.sendUsernameToCounterparty", "Ada", other.address)
    assert stream.rest() == []
    stream.close()


def test_a_payment_carries_a_message_that_names_it(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "BEER", 10, 10)
    stream = other.subscribe(STREAM)
    prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, 1, {"addTransferId": True})
    world.settle(one.call("payment.confirmPayment", prepared, "for the tea"))
    message = stream.next("PaymentMessage")
    assert (message["transferId"], message["subject"]) == (prepared.value["transferId"], "for the tea")
    (event,) = other.call("payment.get", world.networks["BEER"])
    assert event["transferId"] == message["transferId"]
    stream.close()
