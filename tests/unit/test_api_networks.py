"""Networks, their users, and what these can spend."""

import pytest

from relay.store.reading import Snapshot
from relay.sync.networks import Networks
from tests.support.fake_services import ADA, BO, CASH, CY, DEE, EVE, FROZEN_NETWORK, STRANGER, client, text

CASH_URL = f"/api/v1/networks/{text(CASH)}"
CASH_ANSWER = {
    "name": "Cäsh",
    "abbreviation": "CASH",
    "address": "0xC0B33D88C704455075a0724AA167a286da778DDE",
    "decimals": 4,
    "numUsers": 5,
    "capacityImbalanceFeeDivisor": 100,
    "defaultInterestRate": "0",
    "interestRateDecimals": 2,
    "customInterests": True,
    "preventMediatorInterests": False,
    "isFrozen": False,
}


def test_the_list_describes_every_network_in_full() -> None:
    answer = client().get("/api/v1/networks")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    first, second = answer.get_json()
    assert first == CASH_ANSWER
    assert (second["abbreviation"], second["isFrozen"], second["defaultInterestRate"]) == ("ICE", True, "1000")


def test_a_relay_that_has_indexed_nothing_lists_no_network_and_names_no_block() -> None:
    nothing = Networks()
    nothing.load(Snapshot(None, 0, [], lambda _: None))
    answer = client(networks=nothing).get("/api/v1/networks")
    assert answer.get_json() == []
    assert "X-Trustlines-Block" not in answer.headers


def test_a_network_is_described_as_in_the_list() -> None:
    assert client().get(CASH_URL).get_json() == CASH_ANSWER


def test_text_that_is_not_ascii_travels_as_utf_8() -> None:
    assert '"Cäsh"'.encode() in client().get(CASH_URL).data


def test_everybody_who_ever_had_a_trustline_is_a_user() -> None:
    assert client().get(f"{CASH_URL}/users").get_json() == [text(user) for user in (ADA, BO, CY, DEE, EVE)]


def test_the_sums_of_a_user_count_every_credit_line_and_show_frozen_balances_apart() -> None:
    assert client().get(f"{CASH_URL}/users/{text(ADA)}").get_json() == {
        "balance": "-50",
        "frozenBalance": "30",
        "given": "460",
        "received": "1090",
        "leftGiven": "510",
        "leftReceived": "1040",
    }


@pytest.mark.parametrize("user", [EVE, STRANGER])
def test_somebody_without_trustlines_has_zeros(user: bytes) -> None:
    answer = client().get(f"{CASH_URL}/users/{text(user)}")
    assert answer.status_code == 200
    assert set(answer.get_json().values()) == {"0"}


def test_what_a_user_can_spend_is_the_credit_left_on_unfrozen_trustlines() -> None:
    assert client().get(f"{CASH_URL}/users/{text(ADA)}/spendable").get_json() == "950"
    assert client().get(f"{CASH_URL}/users/{text(STRANGER)}/spendable").get_json() == "0"


def test_what_a_user_can_send_another_counts_the_fees() -> None:
    # Bo can pass 800 on to Cy: 300 that Cy owes for free, 500 at a fee of 1 %, put on top of what Ada sends.
    assert client().get(f"{CASH_URL}/users/{text(ADA)}/spendables/{text(CY)}").get_json() == "800"
    assert client().get(f"{CASH_URL}/users/{text(CY)}/spendables/{text(ADA)}").get_json() == "396"


@pytest.mark.parametrize("other", [DEE, STRANGER, ADA])
def test_nothing_can_be_sent_where_no_way_leads(other: bytes) -> None:
    assert client().get(f"{CASH_URL}/users/{text(ADA)}/spendables/{text(other)}").get_json() == "0"


def test_nothing_can_be_sent_in_a_frozen_network() -> None:
    url = f"/api/v1/networks/{text(FROZEN_NETWORK)}/users/{text(ADA)}/spendables/{text(BO)}"
    assert client().get(url).get_json() == "0"


def test_the_version_names_the_relay() -> None:
    assert client().get("/api/v1/version").get_json() == "relay/v1.2.3"


@pytest.mark.parametrize(
    "path", ["networks", f"networks/{text(CASH)}/users/{text(ADA)}", "blocknumber", f"users/{text(ADA)}/tx-infos"]
)
def test_a_slash_at_the_end_changes_nothing(path: str) -> None:
    api = client()
    assert api.get(f"/api/v1/{path}/").get_json() == api.get(f"/api/v1/{path}").get_json()


def test_addresses_are_read_in_lower_case_and_answered_with_their_checksum() -> None:
    answer = client().get(f"/api/v1/networks/{text(CASH).lower()}")
    assert answer.get_json()["address"] == text(CASH)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0xc0B33D88C704455075a0724AA167a286da778DDE", "checksum"),
        ("0xC0B33D88C704455075A0724AA167A286DA778DDE", "checksum"),
        ("0xc0b33d88c704455075a0724aa167a286da778dd", "not an address"),
        ("c0b33d88c704455075a0724aa167a286da778dde", "not an address"),
        ("0xc0b33d88c704455075a0724aa167a286da778dg0", "not an address"),
        ("%00", "not an address"),
        ("%ff%fe", "not an address"),
        ("0xc0b33d88c704455075a0724aa167a286da778dde%00", "not an address"),
        ("' OR 1=1 --", "not an address"),
    ],
)
@pytest.mark.parametrize("url", ["networks/{}", f"networks/{text(CASH)}/users/{{}}", "users/{}/tx-infos"])
def test_what_is_no_address_in_the_url_is_not_found_and_the_answer_says_why(
    url: str, address: str, said: str
) -> None:
    answer = client().get("/api/v1/" + url.format(address))
    assert answer.status_code == 404
    assert said in answer.get_json()["message"]


@pytest.mark.parametrize(
    "below", ["", "/users", f"/users/{text(ADA)}", f"/users/{text(ADA)}/spendable", "/trustlines", "/events"]
)
def test_a_network_that_is_not_served_is_not_found(below: str) -> None:
    answer = client().get(f"/api/v1/networks/{text(STRANGER)}{below}")
    assert answer.status_code == 404
    assert text(STRANGER) in answer.get_json()["message"]


def test_every_answer_names_the_block_it_was_computed_at() -> None:
    api = client()
    for path in ("version", "networks", f"networks/{text(CASH)}/users", "nothing/here"):
        assert api.get(f"/api/v1/{path}").headers["X-Trustlines-Block"] == "100"
