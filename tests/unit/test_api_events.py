"""Lists of events."""

from typing import Any

import pytest

from relay.model import Event, EventType, Terms
from relay.store.event_reading import EventFilter
from tests.support.fake_services import ADA, BO, CASH, CY, INDEXED_BLOCK, NOW, FakeEvents, client, text

CASH_URL = f"/api/v1/networks/{text(CASH)}"
TERMS = Terms(given=20_000, received=10_000, rate_given=-5, rate_received=100, is_frozen=True)
USUAL_TYPES = (
    EventType.TRUSTLINE_UPDATE,
    EventType.TRUSTLINE_UPDATE_REQUEST,
    EventType.TRUSTLINE_UPDATE_CANCEL,
    EventType.TRANSFER,
)


def event(
    kind: EventType, sender: bytes | None = ADA, receiver: bytes | None = BO, block: int = 42, **more: Any
) -> Event:
    return Event(
        network=CASH,
        type=kind,
        block_number=block,
        block_hash=b"\xb1" * 32,
        timestamp=NOW,
        transaction_hash=b"\x71" * 32,
        transaction_index=0,
        log_index=3,
        sender=sender,
        receiver=receiver,
        **more,
    )


COMMON = {
    "networkAddress": text(CASH),
    "blockNumber": 42,
    "blockHash": "0x" + "b1" * 32,
    "timestamp": NOW,
    "status": "confirmed",
    "transactionId": "0x" + "71" * 32,
    "transactionHash": "0x" + "71" * 32,
    "logIndex": 3,
}
USERS = {"from": text(ADA), "to": text(BO)}
TERMS_ANSWER = {
    "given": "20000",
    "received": "10000",
    "interestRateGiven": "-5",
    "interestRateReceived": "100",
    "isFrozen": True,
}


@pytest.mark.parametrize(
    ("found", "particulars"),
    [
        (
            event(EventType.TRANSFER, value=2**64 - 1, extra_data=b"\x00hi"),
            {**USERS, "amount": "18446744073709551615", "extraData": "0x006869"},
        ),
        (event(EventType.TRANSFER, value=0, extra_data=b""), {**USERS, "amount": "0", "extraData": "0x"}),
        (event(EventType.TRUSTLINE_UPDATE, terms=TERMS), {**USERS, **TERMS_ANSWER}),
        (event(EventType.TRUSTLINE_UPDATE_REQUEST, terms=TERMS), {**USERS, **TERMS_ANSWER, "transfer": "0"}),
        (
            event(EventType.TRUSTLINE_UPDATE_REQUEST, terms=TERMS, value=-25),
            {**USERS, **TERMS_ANSWER, "transfer": "-25"},
        ),
        (event(EventType.TRUSTLINE_UPDATE_CANCEL), USERS),
        (event(EventType.BALANCE_UPDATE, value=-7), {**USERS, "amount": "-7"}),
        (event(EventType.DEBT_UPDATE, value=25_000), {**USERS, "debt": "25000"}),
        (event(EventType.ONBOARD), USERS),
        (event(EventType.NETWORK_FREEZE, None, None), {}),
        (event(EventType.NETWORK_UNFREEZE, None, None), {}),
    ],
    ids=lambda value: value.type.value if isinstance(value, Event) else "",
)
def test_an_event_has_the_attributes_of_its_type_and_no_others(
    found: Event, particulars: dict[str, object]
) -> None:
    answer = client(events=FakeEvents([found])).get(f"{CASH_URL}/events").get_json()
    assert answer == [{**COMMON, "type": found.type.value, **particulars}]


@pytest.mark.parametrize("url", [f"{CASH_URL}/users/{{}}/events", "/api/v1/users/{}/events"])
@pytest.mark.parametrize(("user", "other", "direction"), [(ADA, BO, "sent"), (BO, ADA, "received")])
def test_a_users_events_say_who_the_other_is_and_which_way_it_went(
    url: str, user: bytes, other: bytes, direction: str
) -> None:
    events = FakeEvents([event(EventType.TRANSFER, value=1, extra_data=b"")])
    (answer,) = client(events=events).get(url.format(text(user))).get_json()
    assert (answer["user"], answer["counterParty"], answer["direction"]) == (text(user), text(other), direction)
    assert (answer["from"], answer["to"]) == (text(ADA), text(BO))


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (1, "confirmed"),
        (INDEXED_BLOCK - 5, "confirmed"),
        (INDEXED_BLOCK - 4, "pending"),
        (INDEXED_BLOCK, "pending"),
        (INDEXED_BLOCK + 1, "pending"),
    ],
)
def test_an_event_is_confirmed_by_five_blocks_on_top_of_its_own(block: int, status: str) -> None:
    events = FakeEvents([event(EventType.ONBOARD, block=block)])
    (answer,) = client(events=events).get(f"{CASH_URL}/events").get_json()
    assert answer["status"] == status


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (f"networks/{text(CASH)}/events", EventFilter(USUAL_TYPES, CASH)),
        (f"networks/{text(CASH)}/users/{text(CY)}/events", EventFilter(USUAL_TYPES, CASH, CY)),
        (f"users/{text(CY)}/events", EventFilter(USUAL_TYPES, None, CY)),
        (f"networks/{text(CASH)}/events?fromBlock=12&colour=green", EventFilter(USUAL_TYPES, CASH, None, 12)),
        (f"networks/{text(CASH)}/events?type=Onboard", EventFilter((EventType.ONBOARD,), CASH)),
        (f"users/{text(CY)}/events?contractType=CurrencyNetwork", EventFilter(USUAL_TYPES, None, CY)),
        (
            f"users/{text(CY)}/events?contractType=CurrencyNetwork&type=Transfer&fromBlock=0",
            EventFilter((EventType.TRANSFER,), None, CY),
        ),
    ],
)
def test_only_the_events_asked_for_are_looked_up(path: str, wanted: EventFilter) -> None:
    events = FakeEvents()
    assert client(events=events).get(f"/api/v1/{path}").get_json() == []
    assert events.asked == [wanted]


@pytest.mark.parametrize(
    "query",
    [
        "contractType=Exchange",
        "contractType=Token",
        "contractType=UnwETH&type=Transfer",
        "type=LogFill",
        "type=Deposit",
    ],
)
def test_events_of_contracts_that_are_not_indexed_are_none(query: str) -> None:
    events = FakeEvents([event(EventType.TRANSFER, value=1)])
    answer = client(events=events).get(f"/api/v1/users/{text(ADA)}/events?{query}")
    assert (answer.status_code, answer.get_json()) == (200, [])
    assert events.asked == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=", "type"),
        ("type=transfer", "type"),
        ("type=Transfer%00", "type"),
        ("type='; DROP TABLE events; --", "type"),
        ("fromBlock=", "fromBlock"),
        ("fromBlock=-1", "fromBlock"),
        ("fromBlock=1.0", "fromBlock"),
        ("fromBlock=0x10", "fromBlock"),
        ("fromBlock=latest", "fromBlock"),
        ("fromBlock=%D9%A3", "fromBlock"),
        (f"fromBlock={2**64}", "fromBlock"),
        (f"fromBlock={'9' * 5000}", "fromBlock"),
    ],
)
@pytest.mark.parametrize(
    "path", [f"networks/{text(CASH)}", f"networks/{text(CASH)}/users/{text(ADA)}", f"users/{text(ADA)}"]
)
def test_a_bad_parameter_is_refused_by_name(path: str, query: str, field: str) -> None:
    answer = client().get(f"/api/v1/{path}/events?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("contractType=", "contractType"),
        ("contractType=currencynetwork", "contractType"),
        ("contractType=Exchange&type=TrustlineUpdate", "type"),
        ("contractType=CurrencyNetwork&type=LogFill", "type"),
    ],
)
def test_a_kind_of_contract_that_does_not_exist_or_has_no_such_event_is_refused(query: str, field: str) -> None:
    answer = client().get(f"/api/v1/users/{text(ADA)}/events?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{field}: ")


def test_a_network_has_only_events_of_networks() -> None:
    assert client().get(f"{CASH_URL}/events?type=LogFill").status_code == 422
