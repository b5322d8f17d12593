"""The past over REST: interest, mediation fees, sums, transfers, debts; contacts, ether and trustline events."""

import random
from typing import Any

import pytest

from graph.transfer import FeePayer
from graph.trustline import Trustline, pair_of
from relay.model import EventType
from relay.store.errors import DatabaseUnreachable
from relay.store.history_reading import END_OF_TIME, StoredDebt, StoredTransfer, Window
from tests.support.fake_services import (
    ADA,
    BO,
    CASH,
    CY,
    DEE,
    EVE,
    FROZEN_NETWORK,
    NOW,
    STRANGER,
    FakeEvents,
    FakeHistories,
    client,
    graphs,
    raising,
    text,
)

CASH_URL = f"/api/v1/networks/{text(CASH)}"
ADA_URL = f"{CASH_URL}/users/{text(ADA)}"
ENTRIES = [
    b'{"value":"-12","interestRate":1000,"timestamp":7},{"value":"3","interestRate":5,"timestamp":8}',
    b'{"value":"4","interestRate":5,"timestamp":9}',
]
HASH = "0x" + "0f" * 32


def listed(**changed: Any) -> tuple[Any, FakeHistories]:
    histories = FakeHistories(**changed)
    return client(histories=histories), histories


def test_interest_is_listed_trustline_by_trustline() -> None:
    api, histories = listed(entries=ENTRIES)
    entries = [
        {"value": "-12", "interestRate": 1000, "timestamp": 7},
        {"value": "3", "interestRate": 5, "timestamp": 8},
        {"value": "4", "interestRate": 5, "timestamp": 9},
    ]
    line = {"accruedInterests": entries, "user": text(ADA), "counterparty": text(BO)}
    assert api.get(f"{ADA_URL}/interests").get_json() == [line]
    assert api.get(f"{ADA_URL}/interests/{text(BO)}").get_json() == line
    everything = Window(0, END_OF_TIME)
    assert histories.asked == [(CASH, ADA, None, everything), (CASH, ADA, BO, everything)]


def test_a_trustline_without_interest_has_an_empty_list_and_a_user_none_at_all() -> None:
    api, _ = listed()
    assert api.get(f"{ADA_URL}/interests").get_json() == []
    answer = api.get(f"{ADA_URL}/interests/{text(BO)}").get_json()
    assert answer == {"accruedInterests": [], "user": text(ADA), "counterparty": text(BO)}


def test_mediation_fees_are_listed() -> None:
    api, _ = listed(entries=[b'{"value":"1"},{"value":"2"}'])
    answer = api.get(f"{ADA_URL}/mediation-fees/")
    assert answer.get_json() == {
        "mediationFees": [{"value": "1"}, {"value": "2"}],
        "user": text(ADA),
        "network": text(CASH),
    }
    assert answer.headers["X-Trustlines-Block"] == "100"


@pytest.mark.parametrize(
    ("query", "window"),
    [
        ("", Window(0, END_OF_TIME)),
        ("?startTime=5", Window(5, END_OF_TIME)),
        ("?endTime=9", Window(0, 9)),
        ("?startTime=5&endTime=9", Window(5, 9)),
    ],
)
def test_lists_may_be_limited_to_a_time_span(query: str, window: Window) -> None:
    api, histories = listed()
    for path in ("interests", "mediation-fees"):
        assert api.get(f"{ADA_URL}/{path}{query}").status_code == 200
    assert [asked[-1] for asked in histories.asked] == [window] * 2


@pytest.mark.parametrize("query", ["startTime=x", "endTime=-1", "endTime=1.5", "startTime=99999999999999999999"])
@pytest.mark.parametrize("path", ["interests", "mediation-fees", f"transferredSums/{text(BO)}"])
def test_a_time_that_is_none_is_refused(path: str, query: str) -> None:
    api, _ = listed()
    answer = api.get(f"{ADA_URL}/{path}?{query}")
    assert answer.status_code == 422
    assert "Time" in answer.get_json()["message"]


def test_transfers_are_summed_up_until_now() -> None:
    api, histories = listed(total=2**70)
    answer = api.get(f"{ADA_URL}/transferredSums/{text(BO)}?startTime=4").get_json()
    assert answer == {
        "sender": text(ADA),
        "receiver": text(BO),
        "startTime": 4,
        "endTime": NOW,
        "value": str(2**70),
    }
    assert histories.asked == [(CASH, ADA, BO, Window(4, NOW))]
    assert api.get(f"{ADA_URL}/transferredSums/{text(BO)}?endTime=9").get_json()["endTime"] == 9


@pytest.mark.parametrize(
    "path",
    ["interests", f"interests/{text(BO)}", "mediation-fees", f"transferredSums/{text(BO)}", "contacts"],
)
def test_an_unknown_network_has_no_past(path: str) -> None:
    api, _ = listed()
    answer = api.get(f"/api/v1/networks/{text(STRANGER)}/users/{text(ADA)}/{path}")
    assert answer.status_code == 404
    assert answer.get_json()["message"].startswith("no currency network")


TRANSFER = StoredTransfer(CASH, (ADA, BO, CY, DEE), 100, FeePayer.SENDER, (125, 112, 100), b"\x01\x02")
TOLD = {
    "currencyNetwork": text(CASH),
    "path": [text(ADA), text(BO), text(CY), text(DEE)],
    "value": "100",
    "feePayer": "sender",
    "totalFees": "25",
    "feesPaid": ["13", "12"],
    "extraData": "0x0102",
}


def test_a_transaction_tells_all_its_transfers() -> None:
    api, histories = listed(transfers=[TRANSFER, TRANSFER])
    assert api.get(f"/api/v1/transfers?transactionHash={HASH}").get_json() == [TOLD, TOLD]
    assert api.get(f"/api/v1/transfers/?transactionHash={HASH}").status_code == 200
    assert histories.asked == [bytes.fromhex(HASH[2:])] * 2


def test_an_event_tells_the_transfer_it_is_part_of() -> None:
    block = bytes.fromhex(HASH[2:])
    api, _ = listed(at={(block, 0): TRANSFER, (block, 3): None})
    assert api.get(f"/api/v1/transfers?blockHash={HASH}&logIndex=0").get_json() == [TOLD]
    outside = api.get(f"/api/v1/transfers?blockHash={HASH}&logIndex=3")
    assert (outside.status_code, "part of no transfer" in outside.get_json()["message"]) == (400, True)
    unknown = api.get(f"/api/v1/transfers?blockHash={HASH}&logIndex=4")
    assert (unknown.status_code, unknown.get_json()["message"]) == (404, f"no event 4 in a block {HASH} is known")


def test_an_unknown_transaction_is_not_found() -> None:
    api, _ = listed()
    answer = api.get(f"/api/v1/transfers?transactionHash={HASH}")
    assert answer.status_code == 404
    assert HASH in answer.get_json()["message"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"blockHash={HASH}",
        "logIndex=1",
        f"transactionHash={HASH}&logIndex=1",
        f"transactionHash={HASH}&blockHash={HASH}",
        f"transactionHash={HASH}&blockHash={HASH}&logIndex=1",
        "transactionHash=0x12",
        f"transactionHash={HASH[2:]}",
        f"blockHash={HASH}&logIndex=-1",
        f"blockHash={HASH}&logIndex=99999999999",
    ],
)
def test_a_wrong_mix_of_names_for_a_transfer_is_refused(query: str) -> None:
    api, histories = listed()
    assert api.get(f"/api/v1/transfers?{query}").status_code == 422
    assert histories.asked == []


def debts_of(user: bytes, *owed: StoredDebt, **changed: Any) -> Any:
    api = client(histories=FakeHistories(owed=list(owed)), **changed)
    return api.get(f"/api/v1/users/{text(user)}/debts").get_json()


def test_a_debt_is_told_with_the_way_to_claim_it() -> None:
    # Cy owes Bo 300 and Ada has given 950 more of Bo's credit; the line of Bo and Cy lets Cy pay Bo 200 more.
    (told,) = debts_of(CY, StoredDebt(CASH, ADA, 40))
    assert told == {
        "currencyNetwork": text(CASH),
        "debts": [
            {
                "debtor": text(ADA),
                "value": "40",
                "maximumClaimableValue": "40",
                "claimPath": [text(ADA), text(BO), text(CY)],
            }
        ],
    }


def test_who_owes_sees_the_debt_with_a_minus_and_the_same_way() -> None:
    (told,) = debts_of(ADA, StoredDebt(CASH, CY, -40))
    (debt,) = told["debts"]
    assert (debt["debtor"], debt["value"]) == (text(CY), "-40")
    assert debt["claimPath"] == [text(ADA), text(BO), text(CY)]


def test_only_what_can_be_transferred_can_be_claimed() -> None:
    lines = [Trustline(ADA, BO, received=1000, mtime=NOW), Trustline(BO, CY, received=100, mtime=NOW)]
    (told,) = debts_of(CY, StoredDebt(CASH, ADA, 500), networks=graphs(lines))
    (debt,) = told["debts"]
    # Bo keeps 1 % of what it adds to its debt: of 102 two, so that 100 go on, which is all that Cy lets it owe.
    assert (debt["maximumClaimableValue"], debt["reason"]) == ("102", "capacity")
    assert debt["claimPath"] == [text(ADA), text(BO), text(CY)]
    assert "largest" in debt["reasonMessage"]


@pytest.mark.parametrize(
    ("debtor", "network", "reason"),
    [(EVE, CASH, "not_connected"), (STRANGER, CASH, "unknown_sender"), (ADA, FROZEN_NETWORK, "frozen")],
)
def test_a_debt_that_cannot_be_claimed_says_why(debtor: bytes, network: bytes, reason: str) -> None:
    (told,) = debts_of(CY, StoredDebt(network, debtor, 5))
    (debt,) = told["debts"]
    assert (debt["maximumClaimableValue"], debt["reason"]) == ("0", reason)
    assert "claimPath" not in debt


def test_once_the_time_of_an_answer_is_over_no_further_debt_is_searched_for() -> None:
    rng = random.Random(5)
    users = [rng.randbytes(20) for _ in range(3000)]
    pairs = {pair_of(*rng.sample(users, 2)) for _ in range(12_000)}
    networks = graphs([Trustline(*pair, given=rng.randrange(9), received=rng.randrange(9)) for pair in pairs])
    owed = [StoredDebt(CASH, other, 10**6) for other in [*users[1:50], STRANGER]]
    (told,) = debts_of(users[0], *owed, networks=networks, search_until=lambda: 1e-9)
    assert told["debts"][-1]["reason"] == "search_budget_spent"
    (told,) = debts_of(users[0], owed[-1], networks=networks)
    assert told["debts"][-1]["reason"] == "unknown_sender", "of itself it is told at once"


def test_a_network_that_is_no_longer_served_is_left_out() -> None:
    assert debts_of(CY, StoredDebt(STRANGER, ADA, 5)) == []
    assert debts_of(CY) == []


def test_contacts_are_those_with_an_open_trustline() -> None:
    api = client()
    assert api.get(f"{ADA_URL}/contacts").get_json() == [text(BO), text(DEE)]
    for user in (EVE, STRANGER):
        assert api.get(f"{CASH_URL}/users/{text(user)}/contacts").get_json() == []


def test_the_ether_of_a_user_is_told_as_text() -> None:
    api = client()
    assert api.get(f"/api/v1/users/{text(ADA)}/balance").get_json() == "2377634165348042492"
    assert api.get(f"/api/v1/users/{text(BO)}/balance").get_json() == "0"


def test_the_events_of_a_trustline_are_those_between_its_users() -> None:
    events = FakeEvents()
    api = client(events=events)
    url = f"{ADA_URL}/trustlines/{text(BO)}/events"
    assert api.get(f"{url}?fromBlock=5").get_json() == []
    (asked,) = events.asked
    assert (asked.network, asked.user, asked.other, asked.from_block) == (CASH, ADA, BO, 5)
    assert set(asked.types) == {
        EventType.TRUSTLINE_UPDATE_REQUEST,
        EventType.TRUSTLINE_UPDATE_CANCEL,
        EventType.TRUSTLINE_UPDATE,
        EventType.BALANCE_UPDATE,
    }
    assert api.get(f"{url}?type=BalanceUpdate").status_code == 200
    assert events.asked[-1].types == (EventType.BALANCE_UPDATE,)
    refused = api.get(f"{url}?type=Transfer")
    assert (refused.status_code, "BalanceUpdate" in refused.get_json()["message"]) == (422, True)


def test_a_database_that_is_away_is_no_empty_past() -> None:
    histories = FakeHistories()
    histories.mediation_fees = raising(DatabaseUnreachable("gone"))  # type: ignore[method-assign]
    answer = client(histories=histories).get(f"{ADA_URL}/mediation-fees")
    assert answer.status_code == 503
