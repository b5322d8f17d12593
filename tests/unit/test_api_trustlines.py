"""Trustlines as their users see them."""

import pytest
from eth_utils.crypto import keccak

from graph.trustline import Trustline
from relay.addresses import trustline_id
from relay.store.rows import CursorPosition
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
    client,
    graphs,
    text,
)

CASH_URL = f"/api/v1/networks/{text(CASH)}"
YEAR = 31_536_000


def test_a_trustline_is_answered_with_everything_known_of_it() -> None:
    name = keccak(text=text(CASH) + text(ADA) + text(BO))
    assert client().get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json() == {
        "id": "0x" + name.hex(),
        "address": text(BO),
        "counterParty": text(BO),
        "user": text(ADA),
        "currencyNetwork": text(CASH),
        "balance": "-50",
        "given": "400",
        "received": "1000",
        "leftGiven": "450",
        "leftReceived": "950",
        "interestRateGiven": "200",
        "interestRateReceived": "100",
        "isFrozen": False,
    }


def test_the_other_side_sees_the_same_trustline_turned_around() -> None:
    api = client()
    mine = api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()
    theirs = api.get(f"{CASH_URL}/users/{text(BO)}/trustlines/{text(ADA)}").get_json()
    assert theirs["id"] == mine["id"]
    assert (theirs["address"], theirs["user"]) == (text(ADA), text(BO))
    assert (theirs["balance"], theirs["given"], theirs["received"]) == ("50", "1000", "400")
    assert (theirs["leftGiven"], theirs["leftReceived"]) == ("950", "450")
    assert (theirs["interestRateGiven"], theirs["interestRateReceived"]) == ("100", "200")


def test_the_list_of_a_user_holds_open_trustlines_by_the_others_address() -> None:
    api = client()
    listed = api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines").get_json()
    assert [line["address"] for line in listed] == [text(BO), text(DEE)]
    assert [line["isFrozen"] for line in listed] == [False, True]
    assert listed[0] == api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()


@pytest.mark.parametrize("user", [EVE, STRANGER])
def test_somebody_without_trustlines_has_an_empty_list(user: bytes) -> None:
    assert client().get(f"{CASH_URL}/users/{text(user)}/trustlines").get_json() == []


@pytest.mark.parametrize("pair", [(ADA, CY), (DEE, EVE), (ADA, ADA), (STRANGER, ADA)])
def test_a_trustline_that_is_not_there_is_told_in_zeros_as_wallets_expect(pair: tuple[bytes, bytes]) -> None:
    user, other = map(text, pair)
    answer = client().get(f"{CASH_URL}/users/{user}/trustlines/{other}")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "id": "0x" + trustline_id(CASH, *pair).hex(),
        "address": other,
        "counterParty": other,
        "user": user,
        "currencyNetwork": text(CASH),
        "balance": "0",
        "given": "0",
        "received": "0",
        "leftGiven": "0",
        "leftReceived": "0",
        "interestRateGiven": "0",
        "interestRateReceived": "0",
        "isFrozen": False,
    }


def test_the_list_of_a_network_holds_every_open_trustline_once() -> None:
    listed = client().get(f"{CASH_URL}/trustlines").get_json()
    pairs = [(line["user"], line["counterParty"]) for line in listed]
    assert pairs == [(text(ADA), text(BO)), (text(ADA), text(DEE)), (text(BO), text(CY))]


def test_the_list_of_a_user_goes_over_all_networks() -> None:
    listed = client().get(f"/api/v1/users/{text(CY)}/trustlines").get_json()
    assert [line["currencyNetwork"] for line in listed] == [text(CASH), text(FROZEN_NETWORK)]
    assert {line["address"] for line in listed} == {text(BO)}


def test_balances_contain_the_interest_up_to_the_present() -> None:
    networks = graphs([Trustline(ADA, BO, balance=1_000_000, rate_given=1000, mtime=NOW)])
    api = client(networks=networks, clock=lambda: NOW + YEAR)
    assert api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()["balance"] == "1105170"
    assert api.get(f"{CASH_URL}/users/{text(BO)}").get_json()["balance"] == "-1105170"


def test_a_clock_behind_the_chain_is_overruled_by_the_last_block() -> None:
    a_year_later = CursorPosition(200, bytes(32), NOW + YEAR)
    networks = graphs([Trustline(ADA, BO, balance=1_000_000, rate_given=1000, mtime=NOW)], block=a_year_later)
    api = client(networks=networks, clock=lambda: NOW)
    assert api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()["balance"] == "1105170"


def test_amounts_stay_exact_at_the_limits_of_the_contract() -> None:
    largest = 2**64 - 1
    line = Trustline(ADA, BO, balance=-largest, given=largest, received=largest, mtime=NOW)
    api = client(networks=graphs([line]))
    answer = api.get(f"{CASH_URL}/users/{text(ADA)}/trustlines/{text(BO)}").get_json()
    assert (answer["balance"], answer["leftGiven"], answer["leftReceived"]) == (
        "-18446744073709551615",
        "36893488147419103230",
        "0",
    )
