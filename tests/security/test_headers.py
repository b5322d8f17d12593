"""Every kind of answer has the headers of a modern API, whichever part of the relay gives it."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests

from relay.common_headers import COMMON
from relay.problems import KINDS
from tests.support.described_world import Ask
from tests.support.hostile import TOKEN
from tests.support.wallet_world import SECONDS, World

POLICY = "Content-Security-Policy"


@dataclass(frozen=True)
class Kind:
    """A kind of answer: what is asked, and the status that is answered."""

    method: str
    path: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


API = "/api/v1"
KINDS_OF_ANSWERS: dict[str, Kind] = {
    "a success": Kind("GET", f"{API}/networks", 200),
    "its headers alone": Kind("HEAD", f"{API}/networks", 200),
    "what is known already": Kind("GET", f"{API}/networks", 304, {"If-None-Match": "*"}),
    "a compressed one": Kind("GET", f"{API}/openapi.json", 200, {"Accept-Encoding": "gzip"}),
    "the methods of a URL": Kind("OPTIONS", f"{API}/networks", 200),
    "a browser's question": Kind(
        "OPTIONS", f"{API}/relay", 204, {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    ),
    "nothing there": Kind("GET", f"{API}/nothing", 404),
    "nothing at the root": Kind("GET", "/", 404),
    "another method": Kind("PATCH", f"{API}/networks", 405),
    "no JSON": Kind("POST", f"{API}/relay", 400, {"Content-Type": "application/json"}, "{"),
    "another type": Kind("POST", f"{API}/relay", 415, {"Content-Type": "text/plain"}, "{}"),
    "a wrong parameter": Kind("POST", f"{API}/relay", 422, {"Content-Type": "application/json"}, "{}"),
    "too large a body": Kind("POST", f"{API}/relay", 413, {"Content-Type": "application/json"}, " " * 200_000),
    "two slashes": Kind("GET", f"{API}//networks", 308),
    "no right": Kind("GET", f"{API}/admin/bans", 401),
    "an operator's": Kind("GET", f"{API}/admin/bans", 200, {"Authorization": f"Bearer {TOKEN}"}),
    "the page": Kind("GET", f"{API}/docs", 200),
    "a file of the page": Kind("GET", f"{API}/docs/page.js", 200),
    "a picture": Kind("GET", f"{API}/networks/{{network}}/image", 200),
    "a table": Kind("GET", f"{API}/networks/{{network}}/dump", 200),
    "health": Kind("GET", "/health", 200),
    "readiness": Kind("GET", "/ready", 200),
    "figures": Kind("GET", "/metrics", 200),
    "figures behind a proxy": Kind("GET", "/metrics", 403, {"X-Forwarded-For": "10.0.0.1"}),
    "health by another method": Kind("POST", "/health", 405),
    "a stream without a handshake": Kind("GET", f"{API}/streams/events", 426),
    "a stream of nothing": Kind("GET", f"{API}/streams/nothing", 404),
    "events of nobody": Kind("GET", f"{API}/users/0x12/events/stream", 404),
    "events from nowhere": Kind("GET", f"{API}/users/{{user}}/events/stream?cursor=x", 422),
    "events by another method": Kind("POST", f"{API}/users/{{user}}/events/stream", 405),
    "the methods of events": Kind("OPTIONS", f"{API}/users/{{user}}/events/stream", 204),
    "the headers of events": Kind("HEAD", f"{API}/users/{{user}}/events/stream", 200),
    "events": Kind("GET", f"{API}/users/{{user}}/events/stream", 200),
}


@pytest.fixture(scope="module")
def values(world: World, asks: dict[str, Ask]) -> dict[str, str]:
    user = str(asks["getUserDetails"].parameters["user"])
    return {"network": world.networks["CASH"], "user": user}


@pytest.mark.parametrize("name", KINDS_OF_ANSWERS)
def test_every_answer_has_them(world: World, values: dict[str, str], name: str) -> None:
    kind = KINDS_OF_ANSWERS[name]
    url = f"http://127.0.0.1:{world.port}{kind.path.format(**values)}"
    headers = {"X-Request-ID": "mine-17"} | kind.headers
    with requests.request(
        kind.method,
        url,
        headers=headers,
        data=kind.body,
        timeout=SECONDS,
        allow_redirects=False,
        stream=kind.path.endswith("stream"),
    ) as answer:
        assert answer.status_code == kind.status, answer.text
        assert answer.headers["X-Request-ID"] == "mine-17"
        kept = answer.headers.get("Content-Type", "").startswith(("text/html", "image/svg"))
        for header, value in COMMON:
            assert header in answer.headers
            assert answer.headers[header] == value or (header == POLICY and kept)
        rules = answer.headers[POLICY].split("; ")
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(rules), "pages and pictures may have styles"
        assert not [rule for rule in rules if "unsafe" in rule and not rule.startswith("style-src ")]
        assert answer.headers["Cache-Control"]
        assert not {"Server", "X-Powered-By", "Set-Cookie"} & set(answer.headers)
        if kind.method == "HEAD":
            assert answer.content == b""
        elif kind.status >= 400:
            assert answer.headers["Content-Type"] == "application/json"
            told = answer.json()
            assert (told["status"], told["requestId"]) == (kind.status, "mine-17")
            assert told["code"] in KINDS
            assert told["message"] == told["detail"]
            assert told["instance"] == kind.path.format(**values).partition("?")[0]


def say(world: World, data: bytes) -> Iterator[bytes]:
    with socket.create_connection(("127.0.0.1", world.port), timeout=SECONDS) as client:
        client.sendall(data)
        while part := client.recv(65536):
            yield part


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_the_server_refuses_by_itself_has_them_too(world: World, data: bytes, status: int) -> None:
    head = b"".join(say(world, data)).partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    for header, value in COMMON:
        assert f"\r\n{header.lower()}: {value}" in head.replace(header, header.lower())
    assert re.search(r"\r\nx-request-id: [0-9a-f]{16}\b", head)
    assert "\r\ncache-control: no-store" in head


@pytest.mark.parametrize("given", ["a b", "x" * 200, "a;b", "a\tb", "\xff", "<script>", ""])
def test_an_id_that_could_be_more_than_one_is_not_repeated(world: World, given: str) -> None:
    data = f"GET /health HTTP/1.1\r\nX-Request-ID: {given}\r\nConnection: close\r\n\r\n".encode("latin-1")
    answer = b"".join(say(world, data)).decode("latin-1")
    assert re.search(r"\r\nx-request-id: [0-9a-f]{16}\r\n", answer)
