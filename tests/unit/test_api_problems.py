"""Errors that programs can rely on: stable codes, the members of RFC 9457, each parameter at fault by name."""

from typing import Any

import pytest
from werkzeug.exceptions import HTTPException

from relay.api import faults
from relay.chain.errors import MalformedTransaction, NodeMisbehaved, NodeRefused, NodeUnreachable, WrongChain
from relay.problems import KINDS, code_of, problem
from relay.sync.networks import Networks
from tests.support.fake_services import (
    ADA,
    CASH,
    CY,
    FROZEN_NETWORK,
    MAX_BODY_BYTES,
    FakeHistories,
    FakeRelaying,
    client,
    text,
)

CASH_URL = f"/api/v1/networks/{text(CASH)}"
BODY = {"from": text(ADA), "to": text(CY), "value": 1}
HASH = "0x" + "07" * 32


def test_an_error_has_the_members_of_rfc_9457_beside_the_message() -> None:
    answer = client().get(f"/api/v1/networks/{text(ADA)}", headers={"X-Request-ID": "abc-1"})
    message = f"no currency network {text(ADA)} is served here"
    assert answer.status_code == 404
    assert answer.content_type == "application/json"
    assert answer.get_json() == {
        "message": message,
        "code": "unknown_network",
        "status": 404,
        "type": "/api/v1/docs/errors#unknown_network",
        "title": KINDS["unknown_network"].title,
        "detail": message,
        "instance": f"/api/v1/networks/{text(ADA)}",
        "requestId": "abc-1",
    }


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("application/problem+json, application/json;q=0.9", "application/problem+json"),
        ("application/json, application/problem+json", "application/json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_media_type_of_problems_is_for_those_who_prefer_it(accept: str, media_type: str) -> None:
    answer = client().get("/api/v1/nothing", headers={"Accept": accept})
    assert answer.content_type == media_type
    assert "Accept" in answer.vary
    assert answer.get_json(force=True)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "nothing", {}, 404, "not_found"),
        ("GET", f"networks/{text(ADA)}/users", {}, 404, "unknown_network"),
        ("GET", "networks/0x12", {}, 404, "malformed_address"),
        ("GET", f"networks/{text(CASH).swapcase().replace('X', 'x', 1)}", {}, 404, "wrong_checksum"),
        ("DELETE", "networks", {}, 405, "method_not_allowed"),
        ("POST", "relay", {"data": b"{"}, 415, "unsupported_media_type"),
        ("POST", "relay", {"data": b"{", "content_type": "application/json"}, 400, "not_json"),
        ("POST", "relay", {"json": {"rawTransaction": "0" * MAX_BODY_BYTES}}, 413, "body_too_large"),
        ("POST", f"networks/{text(FROZEN_NETWORK)}/path-info", {"json": BODY}, 400, "network_frozen"),
        ("GET", f"networks/{text(CASH)}/events?fromBlock=x", {}, 422, "validation_failed"),
        ("GET", f"transfers?transactionHash={HASH}", {}, 404, "unknown_transfer"),
        ("GET", f"transfers?blockHash={HASH}&logIndex=0", {}, 400, "part_of_no_transfer"),
    ],
)
def test_the_code_tells_the_cause(method: str, path: str, more: dict[str, Any], status: int, code: str) -> None:
    histories = FakeHistories(at={(bytes([7]) * 32, 0): None})
    answer = client(histories=histories).open(f"/api/v1/{path}", method=method, **more)
    told = answer.get_json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert told["type"].endswith(f"#{code}")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (NodeRefused("nonce too low", -32000), 409, "node_refused"),
        (MalformedTransaction("no RLP"), 422, "malformed_transaction"),
        (WrongChain(1, 1337), 422, "wrong_chain"),
        (NodeUnreachable("http://10.0.0.9"), 503, "node_unreachable"),
        (NodeMisbehaved("x"), 502, "node_failed"),
        (ValueError("x"), 500, "internal_error"),
    ],
)
def test_why_a_transaction_is_not_taken_is_told_by_a_code(fault: Exception, status: int, code: str) -> None:
    answer = client(relaying=FakeRelaying(fault)).post("/api/v1/relay", json={"rawTransaction": "0x00"})
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_loading_is_told_from_other_reasons_to_come_again() -> None:
    answer = client(networks=Networks()).get("/api/v1/networks")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "loading")


def test_every_parameter_at_fault_is_named_with_what_is_wrong_with_it() -> None:
    body = {"from": text(ADA), "value": "-1", "avoid": [text(CY), text(ADA), "0x1"]}
    answer = client().post(f"{CASH_URL}/path-info", json=body)
    told = answer.get_json()
    assert {each["field"] for each in told["errors"]} == {"to", "value", "avoid.2"}
    assert told["message"] == "; ".join(f"{each['field']}: {each['message']}" for each in told["errors"])


def test_a_body_that_is_no_object_is_at_fault_as_a_whole() -> None:
    answer = client().post(f"{CASH_URL}/path-info", json=[1])
    assert [each["field"] for each in answer.get_json()["errors"]] == ["body"]


def test_a_fault_that_concerns_no_parameter_names_none() -> None:
    assert "errors" not in client().get("/api/v1/nothing").get_json()


@pytest.mark.parametrize("path", ["/ä b", "/%3Cscript%3E", "/a%23b?c=d", "/%ff", "/%E2%80%A8"])
def test_the_instance_is_a_path_as_urls_have_it(path: str) -> None:
    instance = client().get(path).get_json()["instance"]
    assert instance.isascii()
    assert not set(instance) & set(' <>"#?')


def test_every_fault_of_the_api_has_a_code_that_is_explained_and_the_status_that_is_told() -> None:
    known = [each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, HTTPException)]
    coded = [each for each in known if hasattr(each, "error_code")]
    assert len(coded) > 20
    for fault in coded:
        assert KINDS[fault.error_code].status == fault.code, fault


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_a_code(status: int) -> None:
    code = code_of(status)
    assert code in KINDS
    told = problem(status, code, "x")
    assert told["status"] == status
    assert told["title"]


def test_a_code_that_is_not_explained_has_a_type_that_promises_nothing() -> None:
    assert problem(418, "teapot", "x")["type"] == "about:blank"
    assert problem(418, "teapot", "x")["title"] == "I'm a Teapot"
    assert problem(599, "odd", "x")["title"] == "Error"
