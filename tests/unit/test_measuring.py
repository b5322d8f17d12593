"""Every request is counted and can be found in the log, by the template of its route and never by its URL."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.test import Client

from relay import telemetry
from relay.api.app import create_app
from relay.api.measuring import Measuring
from relay.logs import configure_logging
from relay.settings import LogFormat, LoggingSettings
from relay.store.errors import DatabaseUnreachable
from relay.sync.networks import Networks
from tests.support.fake_services import ADA, CASH, CY, INDEXED_BLOCK, MAX_BODY_BYTES, FakeEvents, services, text

NETWORK = "/api/v1/networks/<address:network>"


class Clock:
    """Goes so many seconds further whenever it is read."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def client(*, is_logging: bool = True, seconds: float = 0.0125, **changed: Any) -> Client:
    app = create_app(services(**changed), max_body_bytes=MAX_BODY_BYTES)
    return Client(Measuring(app, is_logging=is_logging, slow_seconds=5.0, clock=Clock(seconds)))


def counted(method: str, route: str, status: int) -> float:
    return telemetry.http_requests.labels(method, route, str(status))._value.get()


@pytest.fixture
def lines() -> Iterator[Any]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(LoggingSettings(format=LogFormat.JSON), stream)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


@contextmanager
def one_more(*labels: Any) -> Iterator[None]:
    before = counted(*labels)
    yield
    assert counted(*labels) == before + 1


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        (f"/api/v1/networks/{text(CASH)}", NETWORK, 200),
        (f"/api/v1/networks/{text(CY)}", NETWORK, 404),
        ("/api/v1/networks/nonsense", "none", 404),
        (f"/api/v1/networks/{text(CASH)}/path-info", f"{NETWORK}/path-info", 405),
        ("/wp-login.php", "none", 404),
    ],
)
def test_requests_are_counted_by_the_template_of_their_route(path: str, route: str, status: int) -> None:
    route = "none" if status == 405 else route
    with one_more("GET", route, status):
        assert client().get(path).status_code == status


def test_a_request_that_is_refused_before_it_is_looked_at_is_counted_by_its_route_too() -> None:
    with one_more("GET", "/api/v1/networks", 503):
        assert client(networks=Networks()).get("/api/v1/networks").status_code == 503


def test_methods_of_a_client_s_invention_make_no_figures_of_their_own() -> None:
    with one_more("other", "none", 405):
        client().open("/api/v1/networks", method="SING")


def test_a_line_of_the_log_tells_what_was_answered_and_not_the_url(lines: Any) -> None:
    answer = client().get(
        f"/api/v1/networks/{text(CASH)}/users/{text(ADA)}?token=canary",
        headers={"X-Request-ID": "from-the-proxy"},
        environ_overrides={"REMOTE_ADDR": "203.0.113.9"},
    )
    (line,) = lines()
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "relay.access",
        "message": "request",
        "request_id": "from-the-proxy",
        "method": "GET",
        "route": f"{NETWORK}/users/<address:user>",
        "status": 200,
        "duration_ms": 12.5,
        "bytes": str(len(answer.data)),
        "client": "203.0.113.9",
        "block": str(INDEXED_BLOCK),
    }


def test_without_being_asked_for_only_slow_requests_are_lines(lines: Any) -> None:
    client(is_logging=False).get("/api/v1/networks")
    assert lines() == []
    client(is_logging=False, seconds=5.5).get("/api/v1/networks")
    (line,) = lines()
    assert (line["level"], line["message"], line["duration_ms"]) == ("warning", "a slow request", 5500.0)
    assert telemetry.http_slow.labels("/api/v1/networks")._value.get() >= 1


def test_whatever_is_logged_during_a_request_carries_its_id(lines: Any) -> None:
    class Talkative(FakeEvents):
        def page(self, asked: Any) -> Any:
            logging.getLogger("relay.deep.inside").warning("looking")
            raise DatabaseUnreachable("away")

    answer = client(is_logging=False, events=Talkative()).get(f"/api/v1/networks/{text(CASH)}/events")
    logging.getLogger("relay.deep.inside").warning("afterwards")
    looking, refused, afterwards = lines()
    assert looking["request_id"] == refused["request_id"] == answer.headers["X-Request-ID"]
    assert "request_id" not in afterwards


def test_what_nobody_expects_is_counted_and_answered() -> None:
    with one_more("GET", f"{NETWORK}/events", 500):
        faulty = client(events=FakeEvents(fault=RuntimeError("a bug")))
        assert faulty.get(f"/api/v1/networks/{text(CASH)}/events").status_code == 500


def test_searches_are_counted_by_what_they_found() -> None:
    def found(kind: str, outcome: str) -> float:
        return telemetry.searches.labels(kind, outcome)._value.get()

    before = found("path_info", "found"), found("path_info", "capacity"), found("spendable", "found")
    url = f"/api/v1/networks/{text(CASH)}"
    for value in ("400", "400000"):
        client().post(f"{url}/path-info", json={"from": text(ADA), "to": text(CY), "value": value})
    client().get(f"{url}/users/{text(ADA)}/spendables/{text(CY)}")
    after = found("path_info", "found"), found("path_info", "capacity"), found("spendable", "found")
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_relayed_transactions_are_counted_by_what_became_of_them() -> None:
    def found(outcome: str) -> float:
        return telemetry.relayed_transactions.labels(outcome)._value.get()

    before = found("accepted")
    client().post("/api/v1/relay", json={"rawTransaction": "0x01"})
    assert found("accepted") == before + 1
