"""Asking for a way through a network."""

import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from graph.network import NetworkGraph, Rules
from graph.transfer import FeePayer, replay
from graph.trustline import Trustline
from relay.api.services import PlannedTransfer
from relay.store.reading import Changes
from tests.support.fake_services import (
    ADA,
    BO,
    CASH,
    CASH_INFO,
    CY,
    DEE,
    EVE,
    FROZEN_NETWORK,
    INDEXED,
    NOW,
    STRANGER,
    TRUSTLINES,
    FakeGas,
    client,
    graphs,
    text,
)

CASH_URL = f"/api/v1/networks/{text(CASH)}"
KINDS = ("path-info", "max-capacity-path-info", "close-trustline-path-info")


def ask(kind: str, sender: bytes, receiver: bytes, api: FlaskClient | None = None, **more: Any) -> TestResponse:
    body = {"from": text(sender), "to": text(receiver), **more}
    return (api or client()).post(f"{CASH_URL}/{kind}", json=body)


def test_the_cheapest_path_comes_with_its_fees_and_its_gas() -> None:
    assert ask("path-info", ADA, CY, value="400").get_json() == {
        "path": [text(ADA), text(BO), text(CY)],
        "fees": "5",
        "value": "400",
        "feePayer": "sender",
        "estimatedGas": 76_324,
    }


def test_the_receiver_can_pay_the_fees() -> None:
    answer = ask("path-info", ADA, CY, value="400", feePayer="receiver").get_json()
    assert (answer["feePayer"], answer["value"], answer["fees"]) == ("receiver", "400", "4")


@pytest.mark.parametrize("value", ["400", 400, "0400"])
def test_a_value_comes_as_text_or_as_a_number(value: str | int) -> None:
    answer = ask("path-info", ADA, CY, value=value, maxFees=5, maxHops="2").get_json()
    assert (answer["value"], answer["fees"]) == ("400", "5")


def test_null_and_unknown_fields_are_passed_over() -> None:
    nothing = {"maxFees": None, "maxHops": None, "feePayer": None, "extraData": None, "colour": "green"}
    assert ask("path-info", ADA, CY, value=1, **nothing).get_json()["path"] != []


def test_users_may_be_written_in_lower_case() -> None:
    body = {"from": text(ADA).lower(), "to": text(CY).lower(), "value": "1"}
    assert client().post(f"{CASH_URL}/path-info", json=body).get_json()["path"][0] == text(ADA)


def test_the_gas_is_estimated_from_the_path_the_trustlines_and_the_extra_data() -> None:
    gas = FakeGas()
    ask("path-info", ADA, CY, client(estimate_gas=gas), value=400, extraData="0x00Ff")
    (planned,) = gas.asked
    assert planned.transfer.path == (ADA, BO, CY)
    assert planned.transfer.amounts == (405, 400)
    assert planned.trustlines == TRUSTLINES[:2]
    assert (planned.network, planned.at, planned.extra_data) == (CASH_INFO, NOW, b"\x00\xff")


@pytest.mark.parametrize(
    ("sender", "receiver", "limits", "code", "figures"),
    [
        (STRANGER, ADA, {}, "unknown_sender", {}),
        (ADA, STRANGER, {}, "unknown_receiver", {}),
        (ADA, ADA, {}, "sender_is_receiver", {}),
        (ADA, EVE, {}, "not_connected", {}),
        (ADA, DEE, {}, "frozen", {}),
        (ADA, CY, {"value": 801}, "capacity", {"largestValue": "800"}),
        (ADA, CY, {"value": 801, "maxHops": 1}, "capacity", {"largestValue": "0"}),
        (ADA, CY, {"maxFees": 4}, "fees", {"cheapestFees": "5"}),
        (ADA, CY, {"maxHops": 1}, "hops", {"fewestHops": 2}),
        (ADA, CY, {"maxFees": 4, "maxHops": 1}, "fees", {"cheapestFees": "5", "fewestHops": 2}),
    ],
)
def test_where_there_is_no_path_the_answer_says_why_and_what_would_do(
    sender: bytes, receiver: bytes, limits: dict[str, int], code: str, figures: dict[str, Any]
) -> None:
    answer = ask("path-info", sender, receiver, **{"value": 400, **limits})
    assert answer.status_code == 200
    found = answer.get_json()
    sentence = found.pop("reasonMessage")
    assert all(str(figure) in sentence for figure in figures.values())
    assert found == {
        "path": [],
        "fees": "0",
        "value": str(limits.get("value", 400)),
        "feePayer": "sender",
        "estimatedGas": 0,
        "reason": code,
        **figures,
    }


def test_the_largest_value_goes_through_and_one_more_does_not() -> None:
    answer = ask("max-capacity-path-info", ADA, CY).get_json()
    assert answer == {"capacity": "800", "path": [text(ADA), text(BO), text(CY)]}
    assert ask("path-info", ADA, CY, value=answer["capacity"]).get_json()["path"] == answer["path"]
    assert ask("path-info", ADA, CY, value=int(answer["capacity"]) + 1).get_json()["path"] == []


def test_the_largest_value_is_zero_within_too_few_hops() -> None:
    answer = ask("max-capacity-path-info", ADA, CY, maxHops=1).get_json()
    assert (answer["capacity"], answer["path"], answer["reason"]) == ("0", [], "hops")


# Two ways from Ada to Cy, over Bo (800 at the most) and over Eve (500), and over Dee a third that costs nothing.
MESH = (
    *TRUSTLINES[:2],
    Trustline(ADA, EVE, given=500, received=500, mtime=NOW),
    Trustline(CY, EVE, given=500, received=500, mtime=NOW),
    Trustline(ADA, DEE, balance=90, given=90, received=0, mtime=NOW),
    Trustline(CY, DEE, given=90, received=0, mtime=NOW),
)


def ask_mesh(value: int, gas: FakeGas | None = None, **more: Any) -> dict[str, Any]:
    api = client(networks=graphs(MESH), estimate_gas=gas or FakeGas())
    answer: dict[str, Any] = ask("path-info", ADA, CY, api, value=value, **more).get_json()
    return answer


@pytest.mark.parametrize(
    ("avoid", "mediator"), [([], DEE), ([DEE], BO), ([DEE, BO], EVE), ([ADA, CY, DEE, STRANGER], BO)]
)
def test_users_to_avoid_mediate_nothing_though_they_may_send_and_receive(
    avoid: list[bytes], mediator: bytes
) -> None:
    answer = ask_mesh(90, avoid=[text(user) for user in avoid])
    assert answer["path"] == [text(ADA), text(mediator), text(CY)]


def test_users_to_avoid_can_leave_no_path() -> None:
    answer = ask_mesh(90, avoid=[text(user).lower() for user in (BO, DEE, EVE)])
    assert (answer["path"], answer["reason"]) == ([], "not_connected")


def test_a_payment_too_large_for_a_path_comes_in_parts() -> None:
    gas = FakeGas()
    answer = ask_mesh(1000, gas, maxParts=16)
    parts = answer.pop("parts")
    assert len(parts) > 1
    assert all(set(part) == {"path", "value", "fees", "estimatedGas"} for part in parts)
    assert all((part["path"][0], part["path"][-1]) == (text(ADA), text(CY)) for part in parts)
    assert sum(int(part["value"]) for part in parts) == 1000
    assert answer == {
        "path": [],
        "value": "1000",
        "feePayer": "sender",
        "isProven": False,
        "fees": str(sum(int(part["fees"]) for part in parts)),
        "estimatedGas": 76_324 * len(parts),
    }
    assert [list(map(text, planned.transfer.path)) for planned in gas.asked] == [part["path"] for part in parts]


def test_each_part_meets_the_trustlines_as_the_parts_before_left_them() -> None:
    gas = FakeGas()
    ask_mesh(1000, gas, maxParts=16)
    network = NetworkGraph(Rules(fee_divisor=100), MESH)
    for planned in gas.asked:
        transfer = planned.transfer
        assert replay(network, transfer.path, transfer.value, FeePayer.SENDER, NOW) == transfer
        hops = list(pairwise(transfer.path))
        assert planned.trustlines == tuple(network.trustline(*hop) for hop in hops)
        for line, payer, amount in zip(planned.trustlines, transfer.path, transfer.amounts, strict=False):
            change = -amount if payer == line.lower else amount
            network.apply(replace(line, balance=line.balance + change))


def test_a_payment_that_fits_one_path_is_the_same_with_and_without_parts() -> None:
    alone = ask_mesh(90)
    in_parts = ask_mesh(90, maxParts="5")
    (part,) = in_parts.pop("parts")
    assert in_parts == alone
    assert part == {name: alone[name] for name in ("path", "value", "fees", "estimatedGas")}
    assert ask_mesh(90, maxParts=1) == alone


def test_what_can_be_spent_in_parts_goes_through_and_one_more_does_not() -> None:
    api = client(networks=graphs(MESH))

    def spendable(query: str) -> str:
        url = f"{CASH_URL}/users/{text(ADA)}/spendables/{text(CY)}{query}"
        answer: str = api.get(url).get_json()
        return answer

    assert spendable("") == spendable("?maxParts=1") == "800"
    assert spendable("?maxParts=2") == "1295"
    largest = int(spendable("?maxParts=16"))
    assert largest == 1385
    answer = ask_mesh(largest, maxParts=16)
    assert sum(int(part["value"]) for part in answer["parts"]) == largest
    too_much = ask_mesh(largest + 1, maxParts=16)
    assert (too_much["parts"], too_much["path"], too_much["fees"]) == ([], [], "0")
    assert (too_much["reason"], too_much["largestValue"]) == ("capacity", str(largest))
    assert str(largest) in too_much["reasonMessage"]


@pytest.mark.parametrize("parts", ["0", "17", "", "x", "1.0", "-1"])
def test_a_wrong_number_of_parts_is_refused_by_name(parts: str) -> None:
    url = f"{CASH_URL}/users/{text(ADA)}/spendables/{text(CY)}?maxParts={parts}"
    for answer in (client().get(url), ask("path-info", ADA, CY, value=1, maxParts=parts)):
        assert answer.status_code == 422
        message = "maxParts: expected a whole number from 1 to 16, in decimal digits"
        assert answer.get_json()["message"] == message


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("alternatives", 11, "alternatives"),
        ("alternatives", True, "alternatives"),
        ("maxParts", 1.5, "maxParts"),
        ("avoid", text(BO), "avoid"),
        ("avoid", {}, "avoid"),
        ("avoid", [text(BO), "Bo"], "avoid.1"),
        ("avoid", [None], "avoid.0"),
        ("avoid", [[text(BO)]], "avoid.0"),
    ],
)
def test_a_bad_option_is_refused_by_name(field: str, value: Any, place: str) -> None:
    answer = ask("path-info", ADA, CY, value=1, **{field: value})
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{place}: ")


def test_alternatives_come_by_fees_and_begin_with_the_path() -> None:
    gas = FakeGas()
    answer = ask_mesh(90, gas, alternatives="10")
    alternatives = answer.pop("alternatives")
    assert [[*map(str, way["path"])] for way in alternatives] == [
        [text(ADA), text(mediator), text(CY)] for mediator in (DEE, BO, EVE)
    ]
    assert [way["fees"] for way in alternatives] == ["0", "1", "1"]
    assert all(way["estimatedGas"] == 76_324 for way in alternatives)
    assert answer == ask_mesh(90)
    assert answer["path"] == alternatives[0]["path"]
    for planned in gas.asked:
        network = NetworkGraph(Rules(fee_divisor=100), MESH)
        assert planned.trustlines == tuple(network.trustline(*hop) for hop in pairwise(planned.transfer.path))


def test_alternatives_are_as_many_as_asked_for_within_the_limits() -> None:
    assert len(ask_mesh(90, alternatives=2)["alternatives"]) == 2
    assert len(ask_mesh(90, alternatives=5, maxFees=0)["alternatives"]) == 1
    assert len(ask_mesh(90, alternatives=5, avoid=[text(BO)])["alternatives"]) == 2
    assert "alternatives" not in ask_mesh(90, alternatives=0)


def test_where_no_path_carries_the_whole_there_are_no_alternatives() -> None:
    assert ask_mesh(2000, alternatives=3)["alternatives"] == []
    assert ask_mesh(1000, alternatives=3, maxParts=4)["alternatives"] == []


def test_only_what_is_not_proven_to_be_the_best_says_so() -> None:
    assert "isProven" not in ask_mesh(90, maxParts=4, alternatives=3)
    assert ask_mesh(1000, maxParts=4)["isProven"] is False
    url = f"{CASH_URL}/users/{text(ADA)}/spendables/{text(CY)}"
    api = client(networks=graphs(MESH))
    assert "X-Trustlines-Proven" not in api.get(url).headers
    assert api.get(f"{url}?maxParts=4").headers["X-Trustlines-Proven"] == "false"


def test_once_the_time_is_up_the_best_found_so_far_is_answered() -> None:
    api = client(networks=graphs(MESH), search_until=lambda: 1e-9)
    url = f"{CASH_URL}/users/{text(ADA)}/spendables/{text(CY)}?maxParts=4"
    answer = api.get(url)
    assert answer.get_json() == "800"
    assert answer.headers["X-Trustlines-Proven"] == "false"
    found = ask("path-info", ADA, CY, api, value=90, alternatives=3).get_json()
    assert (len(found["alternatives"]), found["isProven"]) == (1, False)
    refused = ask("path-info", ADA, CY, api, value=1000, maxParts=4).get_json()
    assert (refused["reason"], refused["parts"]) == ("search_budget_spent", [])


def test_options_that_are_null_are_not_there() -> None:
    assert ask_mesh(90, avoid=None, maxParts=None, alternatives=None) == ask_mesh(90)


TRIANGLE = (*TRUSTLINES[:2], Trustline(ADA, CY, given=500, received=500, mtime=NOW))


def test_a_debt_is_settled_over_a_cycle_of_which_the_sender_pays_the_fees() -> None:
    answer = ask("close-trustline-path-info", ADA, BO, client(networks=graphs(TRIANGLE))).get_json()
    assert answer == {
        "path": [text(ADA), text(CY), text(BO), text(ADA)],
        "fees": "2",
        "value": "50",
        "feePayer": "sender",
    }


def test_a_claim_is_settled_over_a_cycle_of_which_the_receiver_pays_the_fees() -> None:
    answer = ask("close-trustline-path-info", BO, ADA, client(networks=graphs(TRIANGLE))).get_json()
    assert (answer["feePayer"], answer["value"]) == ("receiver", "50")
    assert answer["path"] == [text(BO), text(ADA), text(CY), text(BO)]


@pytest.mark.parametrize(
    ("user", "other", "limits", "value", "payer", "why"),
    [
        (ADA, CY, {}, "0", "sender", {"reason": "nothing_to_close"}),
        (ADA, STRANGER, {}, "0", "sender", {"reason": "unknown_receiver"}),
        (ADA, BO, {"maxFees": 1}, "50", "sender", {"reason": "fees", "cheapestFees": "2"}),
        (BO, ADA, {"maxHops": 2}, "50", "receiver", {"reason": "hops", "fewestHops": 3}),
    ],
)
def test_where_nothing_can_be_settled_the_answer_is_an_empty_path_and_what_is_left_to_settle(
    user: bytes, other: bytes, limits: dict[str, int], value: str, payer: str, why: dict[str, Any]
) -> None:
    api = client(networks=graphs(TRIANGLE))
    answer = ask("close-trustline-path-info", user, other, api, **limits).get_json()
    assert answer.pop("reasonMessage")
    assert answer == {"path": [], "fees": "0", "value": value, "feePayer": payer, **why}


@pytest.mark.parametrize("kind", KINDS)
def test_no_path_is_searched_in_a_frozen_network(kind: str) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": 1}
    answer = client().post(f"/api/v1/networks/{text(FROZEN_NETWORK)}/{kind}", json=body)
    assert answer.status_code == 400
    assert "frozen" in answer.get_json()["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_path_is_searched_in_an_unknown_network(kind: str) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": 1}
    assert client().post(f"/api/v1/networks/{text(STRANGER)}/{kind}", json=body).status_code == 404


NOT_WHOLE_NUMBERS = [
    True, False, 1.0, 1.5, -1, 2**64, 10**30, "", " 1", "+1", "-1", "1.0", "1e3", "0x10", "1_000", "٣",
    str(2**64), "9" * 5000, [], {}, [1], {"value": 1}, "NaN", "1\x00",
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_WHOLE_NUMBERS)
@pytest.mark.parametrize("field", ["value", "maxFees", "maxHops"])
def test_what_is_no_whole_number_below_two_to_the_64th_is_refused_by_name(field: str, value: Any) -> None:
    answer = ask("path-info", ADA, CY, **{"value": 1, field: value})
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("number", ["1e400", "1E3", "-0.0", "9" * 5000, str(2**64)])
def test_numbers_that_json_allows_and_we_do_not_are_refused(number: str) -> None:
    body = f'{{"from": "{text(ADA)}", "to": "{text(CY)}", "value": {number}}}'
    answer = client().post(f"{CASH_URL}/path-info", data=body, content_type="application/json")
    assert answer.status_code in {400, 422}


def test_the_largest_number_is_taken_at_its_word() -> None:
    for value in (2**64 - 1, str(2**64 - 1)):
        answer = ask("path-info", ADA, CY, value=value, maxFees=value, maxHops=value).get_json()
        assert (answer["value"], answer["reason"]) == (str(2**64 - 1), "capacity")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", None),
        ("from", "Ada"),
        ("from", 1),
        ("to", [text(CY)]),
        ("to", text(CY).lower().replace("c3", "C3")),
        ("value", None),
        ("feePayer", "nobody"),
        ("feePayer", 1),
        ("feePayer", ["sender"]),
        ("extraData", "hello"),
        ("extraData", "0x1"),
        ("extraData", "0xzz"),
        ("extraData", 0),
    ],
)
def test_a_bad_field_is_refused_by_name(field: str, value: Any) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": 1, field: value}
    answer = client().post(f"{CASH_URL}/path-info", json=body)
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{field}: ")


def test_every_bad_field_is_named() -> None:
    message = client().post(f"{CASH_URL}/path-info", json={"maxHops": "x"}).get_json()["message"]
    assert [part.split(":")[0] for part in message.split("; ")] == ["from", "to", "maxHops", "value"]


def test_the_graph_is_let_go_before_the_answer_is_put_together() -> None:
    networks = graphs()
    reached: list[bool] = []

    def estimate(_: PlannedTransfer) -> int:
        other = threading.Thread(target=networks.apply, args=(Changes(INDEXED, 0, [], []),), daemon=True)
        other.start()
        other.join(timeout=5)
        reached.append(not other.is_alive())
        return 1

    ask("path-info", ADA, CY, client(networks=networks, estimate_gas=estimate), value=1)
    assert reached == [True]
