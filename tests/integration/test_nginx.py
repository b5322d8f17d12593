"""nginx with the shipped file in front of a relay that runs, as operators have it."""

import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from web3 import Web3
from websockets.sync.client import connect

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from tests.conftest import or_skip
from tests.support.chain_actions import Life
from tests.support.load_balancer import Front, fronting, nginx_binary
from tests.support.running_relay import SECONDS, RunningRelay, Stream, running_relay, until

HOST = "relay.example"
LISTS_PER_MINUTE = 10


@dataclass
class Site:
    """The relay behind nginx."""

    front: Front
    relay: RunningRelay
    life: Life
    network: str

    def ask(self, path: str, method: str = "GET", **more: Any) -> requests.Response:
        headers = {"Host": HOST} | more.pop("headers", {})
        return requests.request(
            method,
            self.front.https + path,
            verify=str(self.front.certificate),
            timeout=SECONDS,
            headers=headers,
            **more,
        )


@pytest.fixture(scope="module")
def site(chain: Anvil, web3: Web3, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    or_skip(nginx_binary)
    folder = tmp_path_factory.mktemp("fronted")
    network = deploy_network(web3, CASH, "CurrencyNetwork")
    life = Life(chain, web3, network, seed=5)
    database = create_database(postgres_url, "fronted")
    (folder / "token").write_text("a token of operators")
    (folder / "token").chmod(0o600)
    more = (
        '[rest]\nclient_header = "X-Forwarded-For"\n[admin]\ntoken_path = "token"\n'
        f"[limits]\nlists_per_minute = {LISTS_PER_MINUTE}\n"
    )
    with running_relay(folder, chain.url, database, network.address, more) as relay:
        until("the network is served", lambda: relay.get("/networks").json())
        with fronting(folder, relay.ports[0], HOST) as front:
            yield Site(front, relay, life, network.address)
    drop_database(postgres_url, "fronted")


def test_the_api_is_reached_by_tls_with_the_headers_of_both(site: Site) -> None:
    answer = site.ask("/api/v1/networks")
    assert (answer.status_code, answer.json()[0]["address"]) == (200, site.network)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "nginx", "without a version"
    assert site.ask("/health").json() == {"alive": True}
    again = site.ask("/api/v1/networks", headers={"If-None-Match": answer.headers.get("ETag", "")})
    assert again.status_code == (304 if "ETag" in answer.headers else 200)
    assert site.ask("/api/v1/docs").headers["Content-Type"].startswith("text/html")


def test_plain_http_leads_to_tls(site: Site) -> None:
    url = f"{site.front.http}/api/v1/networks?a=b"
    answer = requests.get(url, timeout=SECONDS, allow_redirects=False, headers={"Host": HOST})
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{HOST}/api/v1/networks?a=b"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/api/v1/admin", "/api/v1/admin/nodes", "/api/v1/admin/bans/x/stream", "/"),
        *("//metrics", "/./metrics", "/api/v1/%61dmin/nodes", "/api/v1//admin/nodes", "/api/v1/x/../admin/nodes"),
        *("/api/v1/admin%2fnodes", "/api/v1/streams/../admin/nodes", "/api/v1/streams/%2e%2e/admin/nodes"),
    ],
)
def test_what_is_for_operators_is_not_there(site: Site, path: str) -> None:
    session = requests.Session()
    session.verify = str(site.front.certificate)
    request = session.prepare_request(requests.Request("GET", site.front.https, headers={"Host": HOST}))
    # As it stands: the library would tidy it up.
    request.url = site.front.https + path
    request.headers["Authorization"] = "Bearer a token of operators"
    answer = session.send(request, timeout=SECONDS, allow_redirects=False)
    assert answer.status_code == 404
    assert "nginx" in answer.text, "the relay was not even asked"


def test_the_relay_itself_would_have_answered(site: Site) -> None:
    headers = {"Authorization": "Bearer a token of operators"}
    assert requests.get(site.relay.url("/admin/nodes"), headers=headers, timeout=SECONDS).status_code == 200


def test_a_websocket_is_carried_over_tls(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.front.certificate))
    url = site.front.https.replace("https", "wss") + "/api/v1/streams/events"
    with connect(url, ssl=context, proxy=None, server_hostname=HOST, open_timeout=SECONDS) as socket:
        stream = Stream(socket)
        ada, bo = site.life.people[:2]
        stream.ask("subscribe", event="all", user=ada)
        assert site.life.send("updateTrustline", bo, 1000, 1000, 0, 0, False, sender=ada)
        (event,) = stream.events(1)
        assert event["type"] == "TrustlineUpdateRequest"


def test_server_sent_events_arrive_at_once(site: Site) -> None:
    cy, dee = site.life.people[2:4]
    with site.ask(f"/api/v1/users/{cy}/events/stream", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines).startswith(b"retry: ")
        assert site.life.send("updateTrustline", dee, 1000, 1000, 0, 0, False, sender=cy)
        began = time.monotonic()
        data = next(line for line in lines if line.startswith(b"data: "))
        assert b"TrustlineUpdateRequest" in data
        assert time.monotonic() - began < 5


def test_too_large_bodies_are_refused(site: Site) -> None:
    url = f"/api/v1/networks/{site.network}/path-info"
    assert site.ask(url, "POST", data=b" " * 140_000).status_code == 413
    assert site.ask(url, "POST", json={}).status_code == 422


def test_a_client_cannot_say_who_it_is(site: Site) -> None:
    """Who asks for lists too often is refused, whatever addresses it claims to come from."""
    url = f"/api/v1/networks/{site.network}/events"
    answers = [site.ask(url, headers={"X-Forwarded-For": f"10.0.0.{number}"}) for number in range(25)]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert re.fullmatch(r"[0-9a-f]{32}", refused.headers["X-Request-ID"]), "nginx gives ids, clients do not"
