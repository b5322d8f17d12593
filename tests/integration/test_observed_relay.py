"""A relay with all that operators can see of it, full of secrets that none of it may tell."""

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from eth_account import Account
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from web3 import Web3

from relay.devnet.anvil import CHAIN_ID, Anvil, free_port
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from relay.ground import Unavailable, require_reporting
from relay.settings import build
from tests.support.chain_actions import Life
from tests.support.commands import assert_refused, run
from tests.support.delegating import write_keystore
from tests.support.running_relay import SECONDS, RunningRelay, running_relay, until
from tests.support.sinks import Sink, sink

CANARY = "c4n4ry"
"""Is part of every secret but one."""

SENTRY_KEY = "s3ntry"
"""Is told to Sentry, which knows by it who reports."""

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


@dataclass
class Observed:
    relay: RunningRelay
    network: str
    life: Life
    sink: Sink
    raw: str
    folder: Path
    secrets: list[str] = field(default_factory=list)

    def root(self, path: str, **more: Any) -> requests.Response:
        parts = urlsplit(self.relay.url(""))
        return requests.get(f"{parts.scheme}://{parts.netloc}{path}", timeout=SECONDS, **more)

    def figures(self) -> dict[str, dict[tuple[str, ...], float]]:
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.root("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
        return found

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.relay.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def observed(
    chain: Anvil, web3: Web3, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    network = deploy_network(web3, CASH, "CurrencyNetwork")
    life = Life(chain, web3, network, seed=3)
    ada, bo = life.people[:2]
    assert life.send("updateTrustline", bo, 1000, 1000, 0, 0, False, sender=ada)
    assert life.send("updateTrustline", ada, 1000, 1000, 0, 0, False, sender=bo)
    account = Account.create()
    write_keystore(folder, account.key.hex(), f"{CANARY}-keystore")
    (folder / "webhook-secret.txt").write_text(f"{CANARY}-webhook\n")
    (folder / "token.txt").write_text(f"{CANARY}-metrics\n")
    url = create_database(postgres_url, "observed")
    database = f"{url}{'&' if urlsplit(url).query else '?'}password={CANARY}-database"
    with sink() as reports:
        more = (
            '[logging]\nformat = "json"\nlevel = "DEBUG"\naccess = true\n[messaging]\nenable = true\n'
            '[push_notification]\nenable = true\nsender = "webhook"\nmax_attempts = 1\n'
            f'webhook_url = "http://u:{CANARY}@127.0.0.1:{free_port()}/{CANARY}"\n'
            'webhook_secret_path = "webhook-secret.txt"\n'
            '[account]\nkeystore_path = "keystore.json"\nkeystore_password_path = "password.txt"\n'
            "[faucet]\nenable = true\n"
            f'[sentry]\ndsn = "http://{SENTRY_KEY}@127.0.0.1:{reports.port}/1"\n'
            f'[telemetry]\notlp_endpoint = "http://u:{CANARY}@127.0.0.1:{reports.port}"\n'
            '[operations]\nmetrics_token_path = "token.txt"\n'
        )
        node = chain.url.replace("http://", f"http://user:{CANARY}@")
        urls = f'{node}?key={CANARY}", "http://user:{CANARY}@127.0.0.1:{free_port()}/{CANARY}'
        with running_relay(
            folder, urls, database, network.address, more, environment={"OTEL_BSP_SCHEDULE_DELAY": "100"}
        ) as relay:
            until("the users are known", lambda: relay.get("/networks").json()[0]["numUsers"] == 2)
            poor = {"nonce": 0, "gas": 21_000, "gasPrice": 10**9, "to": ada, "value": 1, "chainId": CHAIN_ID}
            raw = "0x" + bytes(account.sign_transaction({**poor, "data": "0x" + "ab" * 120}).raw_transaction).hex()
            yield Observed(relay, network.address, life, reports, raw, folder)
    drop_database(postgres_url, "observed")


def test_it_is_ready_where_it_stands_at_the_head(observed: Observed) -> None:
    assert observed.root("/health").json() == {"alive": True}
    answer = until("it is ready", lambda: observed.root("/ready") if observed.root("/ready").ok else None)
    assert answer.json().items() >= {"ready": True, "lagBlocks": 0, "block": answer.json()["head"]}.items()


def test_every_figure_has_a_type_and_words_and_stands_in_the_documentation(observed: Observed) -> None:
    observed.relay.get("/networks")
    text = observed.root("/metrics").text
    documented = set(re.findall(r"`((?:trustlines|process)_\w+)`", OPERATIONS))
    samples = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}
    for kind in ("HELP", "TYPE"):
        described = set(re.findall(rf"^# {kind} (\w+) \S", text, re.MULTILINE))
        assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples} <= described
        assert described <= documented
    named_by_the_database = set(re.findall(r"^\| (`.*?`) \|.*\| DB:", OPERATIONS, re.MULTILINE))
    for name in re.findall(r"\w+", " ".join(named_by_the_database)):
        assert name in samples, "a figure that is read from the database is always there"


def test_figures_follow_what_happens(observed: Observed) -> None:
    before = observed.figures()
    ada, bo = observed.life.people[:2]
    with observed.relay.stream("events") as stream:
        stream.ask("subscribe", event="all", user=bo)
        assert until("it is open", lambda: observed.figures()["trustlines_stream_connections"][()] == 1)
        assert observed.figures()["trustlines_stream_subscriptions"][()] == 1
        assert observed.life.send("transfer", 5, 5, [ada, bo], b"", sender=ada)
        stream.events(3)
    body = {"from": ada, "to": bo, "value": "7"}
    assert observed.relay.post(f"/networks/{observed.network}/path-info", json=body).json()["path"]
    # What the database tells is kept for a second.
    indexed = before["trustlines_index_events_total"][()]
    until("it is indexed", lambda: observed.figures()["trustlines_index_events_total"][()] > indexed)
    after = observed.figures()

    def more(name: str, *labels: str) -> float:
        return after[name][labels] - before.get(name, {}).get(labels, 0.0)

    assert more("trustlines_stream_notifications_total", "events") == 3
    assert more("trustlines_searches_total", "path_info", "found") == 1
    route = "/api/v1/networks/<address:network>/path-info"
    assert more("trustlines_http_requests_total", "POST", route, "200") == 1
    assert after["trustlines_index_running"][()] == 1
    assert after["trustlines_index_lag_blocks"][()] == 0
    assert after["trustlines_node_up"] == {("0",): 1.0, ("1",): 0.0}
    roles = {label for labels in after["trustlines_process_role"] for label in labels if not label.isdigit()}
    assert roles == {"api", "index"}
    assert len(after["process_resident_memory_bytes"]) == 2
    assert all(value > 10**7 for value in after["process_resident_memory_bytes"].values())
    (graphs,) = after["trustlines_graph_block"].values()
    assert graphs == after["trustlines_index_block"][()]


def test_a_request_can_be_followed_by_its_id_through_answer_log_and_trace(observed: Observed) -> None:
    url = observed.relay.url(f"/networks/{observed.network}/events")
    answer = requests.get(url, headers={"X-Request-ID": "find-me"}, timeout=SECONDS)
    assert answer.headers["X-Request-ID"] == "find-me"

    def lines() -> list[dict[str, Any]]:
        return [line for line in observed.lines() if line.get("request_id") == "find-me"]

    line = until("the line is there", lines)[-1]
    assert line["logger"] == "relay.access"
    assert line["route"] == "/api/v1/networks/<address:network>/events"
    assert line["block"] == answer.headers["X-Trustlines-Block"]

    def spans() -> dict[str, Any]:
        found = {}
        for body in observed.sink.bodies("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        if any(pair.value.string_value == "find-me" for pair in span.attributes):
                            found[span.name] = span
        return found

    found = until("the trace is there", lambda: spans() if len(spans()) >= 2 else None)
    route = "GET /api/v1/networks/<address:network>/events"
    assert set(found) == {route, "database"}
    assert found["database"].parent_span_id == found[route].span_id
    assert found["database"].trace_id == found[route].trace_id


def test_faults_reach_sentry_and_no_secret_leaves_the_relay_by_log_report_or_answer(observed: Observed) -> None:
    relay, bo = observed.relay, observed.life.people[1]
    answers = [
        # The sender has no ether, so the node refuses it in words of its own.
        relay.post("/relay", json={"rawTransaction": observed.raw}),
        relay.post("/relay", json={"rawTransaction": observed.raw[:-2]}),
        relay.post("/request-ether", json={"address": Account.create().address}),
        relay.get(f"/networks/{observed.network}/events?token={CANARY}&fromBlock={CANARY}"),
        requests.put(relay.url(f"/pushnotifications/{bo}/token/{CANARY}-device"), timeout=SECONDS),
        relay.post(f"/messages/{bo}", json={"message": f"{CANARY} in a message"}),
        observed.root("/metrics", headers={"Authorization": f"Bearer {CANARY}-metrics"}),
        observed.root("/metrics", headers={"Authorization": f"Bearer {CANARY}-wrong"}),
        observed.root("/ready"),
    ]
    assert [answer.status_code for answer in answers] == [409, 422, 503, 422, 200, 200, 200, 200, 200]
    envelopes = until(
        "the push was given up",
        lambda: [body for body in observed.sink.bodies("/api/1/envelope") if b"gave up push" in body],
    )
    time.sleep(0.5)  # for whatever else comes
    reported = b"\n".join(body for _, body in observed.sink.taken)
    event = json.loads(envelopes[0].splitlines()[2])
    assert event["release"].startswith("tl-relay@")
    assert not {"user", "request", "server_name", "extra", "breadcrumbs"} & event.keys()
    log = relay.log.read_text()
    told = "\n".join(answer.text for answer in answers)
    assert CANARY not in log
    assert SENTRY_KEY not in log + told
    assert CANARY.encode() not in reported
    assert CANARY not in told.replace(f"fromBlock: {CANARY}", "")
    for text in (log, reported.decode("utf-8", "replace"), told):
        assert observed.raw[2:] not in text
        assert observed.raw[-64:] not in text


@pytest.mark.parametrize(
    ("command", "section", "module", "extra"),
    [
        ("serve", '[sentry]\ndsn = "https://key@sentry.example/1"', "sentry_sdk", "sentry"),
        ("index", '[telemetry]\notlp_endpoint = "http://127.0.0.1:4318"', "opentelemetry", "otel"),
    ],
)
def test_an_extra_that_is_missing_is_one_sentence(
    command: str, section: str, module: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text("raise ModuleNotFoundError('not installed')")
    config = tmp_path / "relay.toml"
    config.write_text(f"[rest]\nport = {free_port()}\n{section}\n")
    path = ":".join([str(tmp_path), *(entry for entry in sys.path if entry)])
    result = run(command, "--config", config, PYTHONPATH=path)
    assert_refused(result, f"pip install 'trustlines-credit-relay[{extra}]'")


def test_what_cannot_be_told_is_one_sentence_that_repeats_no_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    for section, said in (
        ({"sentry": {"dsn": f"https://{CANARY}@sentry.example/"}}, "[sentry] dsn: "),
        ({"operations": {"metrics_token_path": "not-there.txt"}}, "[operations] metrics_token_path: "),
        ({"operations": {"metrics_token_path": "empty.txt"}}, "[operations] metrics_token_path: "),
    ):
        with pytest.raises(Unavailable) as fault:
            require_reporting(build(section, tmp_path))
        assert str(fault.value).startswith(said)
        assert CANARY not in str(fault.value)
    (tmp_path / "token.txt").write_text("well\n")
    well = {
        "sentry": {"dsn": "https://key@sentry.example/1"},
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318"},
        "operations": {"metrics_token_path": "token.txt"},
    }
    require_reporting(build(well, tmp_path))
