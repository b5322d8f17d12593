"""Whatever goes wrong, the answer is JSON with a message, and says nothing of the inside."""

import io
import json
import logging
from typing import Any

import pytest
from werkzeug.test import TestResponse

from relay.store.errors import DatabaseBusy, DatabaseUnreachable, SchemaMismatch
from tests.support.fake_services import ADA, CASH, CY, MAX_BODY_BYTES, FakeEvents, client, raising, text

CASH_URL = f"/api/v1/networks/{text(CASH)}"
PATH_INFO = f"{CASH_URL}/path-info"
AWAY = "the database cannot be reached at the moment", "database_unreachable"
BODY = {"from": text(ADA), "to": text(CY), "value": 1}


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/networks", f"{CASH_URL}/nobody/", "/%00"],
)
def test_an_unknown_route_is_answered_in_json(path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/json"
    assert answer.get_json()["message"] == "there is nothing at this URL"
    assert answer.get_json()["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "SING"])
def test_a_method_that_a_url_does_not_take_is_refused_with_those_it_does(method: str) -> None:
    answer = client().open("/api/v1/networks", method=method, json={})
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert answer.get_json()["message"]


def test_a_wallet_in_a_browser_may_ask_from_anywhere() -> None:
    preflight = client().options(PATH_INFO, headers={"Origin": "https://wallet.example"})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    for answer in (client().get("/api/v1/networks"), client().get("/nothing")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "X-Trustlines-Block" in answer.headers["Access-Control-Expose-Headers"]


def test_a_post_route_cannot_be_got() -> None:
    answer = client().get(PATH_INFO)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jso"]
)
@pytest.mark.parametrize("path", [PATH_INFO, "/api/v1/relay"])
def test_a_body_that_is_not_declared_as_json_is_refused(path: str, content_type: str | None) -> None:
    answer = client().post(path, data=b"{}", content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.get_json()["message"]


def test_a_charset_beside_the_content_type_does_no_harm() -> None:
    answer = client().post(PATH_INFO, json=BODY, content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b'{"a": NaN}', b'"\\ud800"', b"[" * 100_000, b"{}{}", b"\x00"]
)
def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    answer = client().post(PATH_INFO, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "no JSON" in answer.get_json()["message"]


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"text"', b"true", b"[{}]"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    answer = client().post(PATH_INFO, data=body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith("body: ")


class BreakingStream(io.BytesIO):
    """A body whose transfer breaks the protocol, as a server reports it."""

    def readinto(self, buffer: Any) -> int:
        raise RuntimeError("Invalid chunk terminator")


def post_in_chunks(body: io.BytesIO) -> TestResponse:
    """POST a body without a stated length, the way servers hand on a chunked one."""
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return client().post(PATH_INFO, input_stream=body, content_type="application/json", environ_overrides=chunked)


def test_a_body_in_chunks_is_read() -> None:
    assert post_in_chunks(io.BytesIO(json.dumps(BODY).encode())).status_code == 200


@pytest.mark.parametrize("filling", [b" ", b"x"])
def test_a_body_in_chunks_above_the_limit_is_refused(filling: bytes) -> None:
    body = json.dumps(BODY).encode() + filling * MAX_BODY_BYTES
    assert post_in_chunks(io.BytesIO(body)).status_code == 413


def test_a_body_that_breaks_off_is_the_clients_fault() -> None:
    answer = post_in_chunks(BreakingStream())
    assert answer.status_code == 400
    assert "cannot be read" in answer.get_json()["message"]


@pytest.mark.parametrize(
    ("fault", "told", "code"),
    [
        (DatabaseUnreachable("host 10.0.0.8"), *AWAY),
        (DatabaseBusy("x"), "the database has too much to do at the moment", "database_busy"),
        (SchemaMismatch("x"), *AWAY),
    ],
)
def test_a_database_that_fails_is_told_without_its_address_and_logged(
    fault: Exception, told: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client(events=FakeEvents(fault=fault)).get(f"{CASH_URL}/events")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["message"] == told
    assert answer.get_json()["code"] == code
    assert "10.0.0.8" not in answer.text
    assert str(fault) in caplog.text


def test_what_needs_only_the_graph_goes_on_without_the_database() -> None:
    api = client(events=FakeEvents(fault=DatabaseUnreachable("gone")))
    assert api.get(f"{CASH_URL}/users").status_code == 200


def test_an_internal_error_says_nothing_of_the_inside_and_is_logged_under_its_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = client(estimate_gas=raising(RuntimeError("secret of the inside")))
    with caplog.at_level(logging.ERROR):
        answer = api.post(PATH_INFO, json=BODY)
    assert answer.status_code == 500
    identifier = answer.headers["X-Request-ID"]
    assert answer.get_json()["message"] == f"internal error; it is logged under the request id {identifier}"
    assert answer.get_json()["requestId"] == identifier
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert record.__dict__["request_id"] == identifier
    assert "secret of the inside" in caplog.text
    assert "Traceback" in caplog.text


def test_every_answer_carries_an_id_of_its_own() -> None:
    api = client()
    answers = [api.get("/api/v1/networks"), api.get("/api/v1/networks"), api.get("/nothing")]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 3


def test_the_id_that_a_proxy_gave_is_kept() -> None:
    answer = client().get("/api/v1/networks", headers={"X-Request-ID": "f3a9.proxy-1:22_b"})
    assert answer.headers["X-Request-ID"] == "f3a9.proxy-1:22_b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", "<script>", 'a"b', "a;b"])
def test_an_id_that_is_none_is_replaced(given: str) -> None:
    answer = client().get("/api/v1/networks", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] not in {"", given}


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.9", "*/*", "application/json", "x", ""])
def test_json_is_answered_whatever_the_client_would_like(accept: str) -> None:
    answer = client().get("/api/v1/networks", headers={"Accept": accept})
    assert (answer.status_code, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize("path", ["networks", f"users/{text(ADA)}/events", "nothing", f"networks/{text(ADA)}"])
def test_head_answers_as_get_does_without_the_body(path: str) -> None:
    api = client()
    got, head = api.get(f"/api/v1/{path}"), api.head(f"/api/v1/{path}")
    assert head.status_code == got.status_code
    assert head.data == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


@pytest.mark.parametrize(("path", "method"), [("/api/v1/networks", "GET"), (PATH_INFO, "POST")])
def test_options_says_what_a_url_takes(path: str, method: str) -> None:
    answer = client().options(path)
    assert answer.status_code == 200
    assert method in answer.headers["Allow"].split(", ")
