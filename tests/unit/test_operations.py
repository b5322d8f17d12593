"""/health, /ready and /metrics: at the root of the port, whatever becomes of the API behind them."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from relay.api.app import create_app
from relay.api.bounded import NotAnswered
from relay.api.operations import Admission, Operations
from relay.api.readiness import LagLimits, Readiness
from relay.chain.nodes import NodeState
from relay.store.vitals import Vitals
from relay.sync.networks import Networks
from relay.telemetry import build_info
from tests.support.fake_services import MAX_BODY_BYTES, raising, services
from tests.unit.test_readiness import WELL

NODES = (
    NodeState("http://10.0.0.5:8545", is_used=True, fault=None, head=120),
    NodeState("http://10.0.0.6:8545", is_used=False, fault="it is silent", head=None),
)

DEFAULT = Admission()
HERE = {"REMOTE_ADDR": "127.0.0.1"}


def client(admission: Admission | None = DEFAULT, vitals: Any = lambda: WELL, **changed: Any) -> Client:
    parts = services(**changed)
    return Client(
        Operations(
            create_app(parts, max_body_bytes=MAX_BODY_BYTES),
            Readiness(parts.networks, vitals, LagLimits()),
            vitals=vitals,
            nodes=lambda: NODES,
            build=build_info("1.2.3", is_compiled=True),
            admission=admission,
        )
    )


def figures(asking: Client) -> dict[tuple[str, ...], float]:
    answer = asking.get("/metrics", environ_overrides=HERE)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def never() -> Vitals:
    raise AssertionError("nothing is asked for that")


def test_a_process_is_alive_without_asking_anybody_even_while_it_loads() -> None:
    answer = client(vitals=never, networks=Networks()).get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"alive": True})


def test_who_is_not_ready_says_why_and_when_to_ask_again() -> None:
    loading = client(networks=Networks())
    assert loading.get("/api/v1/networks").status_code == 503
    answer = loading.get("/ready")
    assert answer.status_code == 503
    assert [reason["code"] for reason in answer.get_json()["reasons"]] == ["loading"]
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Cache-Control"] == "no-store"


def test_who_is_ready_says_at_which_block() -> None:
    answer = client().get("/ready")
    assert answer.status_code == 200
    assert answer.get_json()["block"] == answer.get_json()["head"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_a_probe_may_ask_for_the_head_alone_and_change_nothing(path: str) -> None:
    asking = client()
    head = asking.head(path, environ_overrides=HERE)
    assert (head.status_code, head.data) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    refused = asking.post(path)
    assert refused.status_code == 405
    assert refused.headers["Allow"] == "GET, HEAD"


def test_everything_else_is_the_api_s() -> None:
    assert client().get("/api/v1/version").get_json() == "relay/v1.2.3"
    for path in ("/health/", "/metrics/x", "/api/v1/metrics", "/healthy"):
        assert client().get(path).status_code == 404, path


def test_figures_that_are_switched_off_are_not_there() -> None:
    assert client(admission=None).get("/metrics", environ_overrides=HERE).status_code == 404


@pytest.mark.parametrize(
    ("address", "headers", "is_told"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("10.0.0.7", {}, False),
        ("2001:db8::1", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, False),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, False),
        ("127.0.0.1", {"X-Real-IP": "203.0.113.9"}, False),
    ],
)
def test_by_default_figures_are_told_to_this_machine_and_not_by_way_of_a_proxy(
    address: str, headers: dict[str, str], is_told: bool
) -> None:
    answer = client().get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == (200 if is_told else 403)
    if not is_told:
        told = answer.get_json()
        assert (told["code"], told["status"], told["message"]) == ("forbidden", 403, told["detail"])
        assert b"trustlines_" not in answer.data


def test_other_networks_can_be_told_and_whoever_sends_the_token() -> None:
    asking = client(admission=Admission(networks=("10.0.0.0/8",), token="pässword".encode()))
    place = {"REMOTE_ADDR": "10.9.9.9"}
    assert asking.get("/metrics", environ_overrides=place).status_code == 200
    place = {"REMOTE_ADDR": "203.0.113.9"}
    assert asking.get("/metrics", environ_overrides=place).status_code == 403
    for given, status in (
        ("Bearer pässword", 200),
        ("bearer pässword ", 200),
        ("Bearer passwort", 403),
        ("Basic pässword", 403),
        ("Bearer", 403),
        ("Bearer ", 403),
    ):
        sent = given.encode("utf-8").decode("latin-1")
        overrides = {**place, "HTTP_AUTHORIZATION": sent, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
        assert asking.get("/metrics", environ_overrides=overrides).status_code == status, given


def test_figures_tell_how_the_index_the_feed_and_the_nodes_are() -> None:
    told = figures(client())
    assert told["trustlines_ready",] == 1
    assert told["trustlines_database_up",] == 1
    assert told["trustlines_index_head_block",] == WELL.head
    assert told["trustlines_index_state", "following"] == 1
    assert told["trustlines_index_state", "stopped"] == 0
    assert told["trustlines_index_reorgs_total",] == 1
    assert told["trustlines_index_deepest_reorg_blocks",] == 3
    assert told["trustlines_api_feed_behind",] == 2
    assert told["trustlines_transactions_waiting", "users"] == 4
    assert (told["trustlines_node_up", "0"], told["trustlines_node_up", "1"]) == (1, 0)
    assert told["trustlines_node_head_block", "0"] == 120
    assert "10.0.0." not in client().get("/metrics", environ_overrides=HERE).text, (
        "where nodes are is nobody's business"
    )


def test_without_a_database_all_other_figures_are_told() -> None:
    told = figures(client(vitals=raising(NotAnswered("hangs"))))
    assert told["trustlines_database_up",] == 0
    assert told["trustlines_ready",] == 0
    assert told["trustlines_node_up", "0"] == 1
    assert not any(name[0].startswith("trustlines_index") for name in told)
