"""What users are told of an event is what the REST API lists."""

from dataclasses import replace

import pytest

from relay.model import Event, EventType, Terms
from relay.store.happenings import Happenings
from relay.streams.composing import compose
from relay.streams.payloads import of_event
from tests.support.fake_services import ADA, BO, CASH, CY, NOW, STRANGER, FakeEvents, client, graphs, text

TRANSFER = Event(
    network=CASH,
    type=EventType.TRANSFER,
    block_number=97,
    block_hash=bytes([1]) * 32,
    timestamp=NOW - 60,
    transaction_hash=bytes([2]) * 32,
    transaction_index=0,
    log_index=3,
    sender=ADA,
    receiver=BO,
    value=2**64 - 1,
    extra_data=b"memo",
)
UPDATE = replace(
    TRANSFER,
    type=EventType.TRUSTLINE_UPDATE,
    value=None,
    extra_data=None,
    terms=Terms(5, 6, -7, 8, False),
    block_number=90,
)
CANCEL = replace(TRANSFER, type=EventType.TRUSTLINE_UPDATE_CANCEL, value=None, extra_data=None)


@pytest.mark.parametrize("event", [TRANSFER, UPDATE, CANCEL], ids=lambda event: event.type)
@pytest.mark.parametrize("user", [ADA, BO])
def test_an_event_is_told_as_it_is_listed(event: Event, user: bytes) -> None:
    listed = client(events=FakeEvents(found=[event])).get(f"/api/v1/users/{text(user)}/events").get_json()
    assert [of_event(event, 100, user)] == listed


def test_events_come_before_balances_and_totals() -> None:
    happened = Happenings(1, 100, [TRANSFER], [(CASH, (ADA, BO)), (CASH, (BO, CY))])
    told = list(compose(happened, graphs(), lambda user: user in (ADA, BO)))
    assert [(user, payload["type"]) for user, payload in told] == [
        (ADA, "Transfer"),
        (BO, "Transfer"),
        (ADA, "BalanceUpdate"),
        (BO, "BalanceUpdate"),
        (BO, "BalanceUpdate"),
        (ADA, "NetworkBalance"),
        (BO, "NetworkBalance"),
    ]


def test_who_pays_oneself_is_told_once() -> None:
    happened = Happenings(1, 100, [replace(TRANSFER, receiver=ADA)], [])
    assert len(list(compose(happened, graphs(), lambda _: True))) == 1


def test_balances_are_those_of_the_rest_api() -> None:
    api = client()
    happened = Happenings(1, 100, [], [(CASH, (ADA, BO))])
    (_, balance), (_, totals) = compose(happened, graphs(), lambda user: user == ADA)
    line = api.get(f"/api/v1/networks/{text(CASH)}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()
    assert all(
        line[name] == balance[name] for name in ("balance", "given", "received", "leftGiven", "leftReceived")
    )
    assert api.get(f"/api/v1/networks/{text(CASH)}/users/{text(ADA)}").get_json().items() <= totals.items()


def test_a_trustline_that_is_closed_is_told_as_nothing() -> None:
    happened = Happenings(1, 100, [], [(CASH, tuple(sorted((ADA, STRANGER))))])
    (_, balance), _ = compose(happened, graphs(), lambda user: user == ADA)
    assert {balance[name] for name in ("balance", "given", "received", "leftGiven", "leftReceived")} == {"0"}


def test_a_network_that_is_not_served_any_more_is_passed_over() -> None:
    assert list(compose(Happenings(1, 100, [], [(STRANGER, (ADA, BO))]), graphs(), lambda _: True)) == []
