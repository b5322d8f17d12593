"""What happens is told while it happens: each kind of event, to both sides, once."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import Stream
from tests.support.wallet_world import Person, World, amount, befriend, pay

STREAM = "event.updateStream"
KINDS = ("TrustlineUpdateRequest", "TrustlineUpdate", "TrustlineUpdateCancel", "Transfer")


@pytest.fixture
def pair(people: People) -> Iterator[tuple[Person, Person, Stream, Stream]]:
    """Two people who listen."""
    one, other = people(2)
    streams = [person.subscribe(STREAM) for person in (one, other)]
    yield one, other, *streams
    for stream in streams:
        stream.close()


Pair = tuple[Person, Person, Stream, Stream]


def test_requests_and_updates_of_a_trustline_are_told(world: World, pair: Pair) -> None:
    one, other, ones, others = pair
    befriend(one, other, "CASH", 1.5, 2)
    for stream, person, partner, direction in ((ones, one, other, "sent"), (others, other, one, "received")):
        for kind in ("TrustlineUpdateRequest", "TrustlineUpdate"):
            event = stream.next(kind)
            assert event["networkAddress"] == world.networks["CASH"]
            assert (event["user"], event["counterParty"]) == (person.address, partner.address)
            assert event["direction"] == direction
            assert (event["given"], event["received"]) == (amount(15_000, 4), amount(20_000, 4))


def test_a_cancelled_request_is_told(world: World, pair: Pair) -> None:
    one, other, ones, others = pair
    network = world.networks["BEER"]
    one.do("trustline.prepareUpdate", network, other.address, 1, 1)
    other.do("trustline.prepareCancelTrustlineUpdate", network, one.address)
    assert ones.next("TrustlineUpdateCancel")["direction"] == "received"
    assert others.next("TrustlineUpdateCancel")["direction"] == "sent"


def test_a_payment_is_told_with_what_it_carries(world: World, pair: Pair) -> None:
    one, other, ones, others = pair
    befriend(one, other, "BEER", 10, 20)
    receipt = pay(one, other, "BEER", 3, paymentRequestId="0xaabb")
    for stream in (ones, others):
        event = stream.next("Transfer")
        assert (event["from"], event["to"], event["amount"]) == (one.address, other.address, amount(3, 0))
        assert event["paymentRequestId"] == "0xaabb"
        assert event["blockNumber"] == receipt["blockNumber"]


def test_a_change_of_a_balance_is_told_to_each_side_as_it_sees_it(world: World, pair: Pair) -> None:
    one, other, ones, others = pair
    befriend(one, other, "BEER", 10, 20)
    pay(one, other, "BEER", 3)
    for stream, person, partner, balance in ((ones, one, other, -3), (others, other, one, 3)):
        event = next_with_balance(stream, "BalanceUpdate", balance)
        given, received = (10, 20) if person is one else (20, 10)
        assert (event["from"], event["to"]) == (person.address, partner.address)
        assert (event["user"], event["counterParty"]) == (person.address, partner.address)
        assert (event["given"], event["received"]) == (amount(given, 0), amount(received, 0))
        assert event["leftGiven"] == amount(given - balance, 0)
        assert event["leftReceived"] == amount(received + balance, 0)
        assert event["networkAddress"] == world.networks["BEER"]


def test_the_totals_in_a_network_are_told(world: World, people: People) -> None:
    one, other, third = people(3)
    befriend(one, other, "BEER", 10, 20)
    befriend(one, third, "BEER", 1, 2)
    stream = one.subscribe(STREAM)
    pay(one, other, "BEER", 3)
    event = next_with_balance(stream, "NetworkBalance", -3)
    assert (event["user"], event["networkAddress"]) == (one.address, world.networks["BEER"])
    assert (event["given"], event["received"]) == (amount(11, 0), amount(22, 0))
    assert (event["leftGiven"], event["leftReceived"]) == (amount(14, 0), amount(19, 0))
    stream.close()


def test_a_mediator_is_told_of_changed_balances_only(world: World, people: People) -> None:
    one, mediator, other = people(3)
    befriend(one, mediator, "BEER", 10, 10)
    befriend(mediator, other, "BEER", 10, 10)
    stream = mediator.subscribe(STREAM)
    pay(one, other, "BEER", 4)
    told = [stream.next(), *stream.rest()]
    assert "Transfer" not in {event["type"] for event in told}
    balances = {event["counterParty"]: event["balance"] for event in told if event["type"] == "BalanceUpdate"}
    assert balances == {one.address: amount(4, 0), other.address: amount(-4, 0)}
    stream.close()


def test_each_event_is_told_once_and_in_order(world: World, pair: Pair) -> None:
    one, other, ones, _ = pair
    befriend(one, other, "BEER", 100, 100)
    for value in range(1, 6):
        pay(one, other, "BEER", value)
    told = [ones.next(), *ones.rest(1)]
    transfers = [event["amount"]["value"] for event in told if event["type"] == "Transfer"]
    assert transfers == ["1", "2", "3", "4", "5"]
    places = [(event["blockNumber"], event["logIndex"]) for event in told if event["type"] in KINDS]
    assert places == sorted(set(places))


def test_who_does_not_take_part_is_told_nothing(world: World, people: People) -> None:
    one, other, third = people(3)
    stream = third.subscribe(STREAM)
    befriend(one, other, "BEER", 1, 1)
    assert stream.rest(1) == []
    stream.close()


def test_what_a_stream_tells_is_what_the_list_of_events_holds(world: World, pair: Pair) -> None:
    one, other, ones, _ = pair
    befriend(one, other, "CASH", 1, 1)
    pay(one, other, "CASH", 0.5)
    told = [event for event in (ones.next(), *ones.rest(1)) if event["type"] in KINDS]
    assert told == one.call("event.getAll")


def next_with_balance(stream: Stream, kind: str, balance: int) -> dict[str, object]:
    """Pass over the notifications of a trustline's opening, where its balance is still 0."""
    while True:
        event = stream.next(kind)
        if event["balance"]["raw"] == str(balance):
            return event
