"""Requests that two servers could understand differently: ours reads them as strictly as it can, or not at all."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from relay.problems import KINDS
from tests.support.running_service import Service, rest_of, serving

HIDDEN = b"GET /echo?hidden HTTP/1.1\r\n\r\n"
"""What must not be taken for a request where it is meant to be a body."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), processes=1) as service:
        yield service


def answers(data: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Return the answers that stand in what a connection said: status, headers, and body if it is JSON."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        body, data = data[:length], data[length:]
        found.append((int(first.split(" ")[1]), headers, json.loads(body) if body else None))
    return found


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /echo HTTP/1.1", b"Host: relay", *lines, b"", body])


AMBIGUOUS: dict[str, bytes] = {
    "both lengths": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "both, the other way round": post(
        b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + HIDDEN
    ),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: 33", body=HIDDEN),
    "the same length twice": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello" + HIDDEN),
    "a list of lengths": post(b"Content-Length: 5, 5", body=b"hello" + HIDDEN),
    "a signed length": post(b"Content-Length: +5", body=b"hello" + HIDDEN),
    "a negative length": post(b"Content-Length: -5", body=b"hello" + HIDDEN),
    "a length in hex": post(b"Content-Length: 0x5", body=b"hello" + HIDDEN),
    "a length with an underscore": post(b"Content-Length: 1_0", body=b"hello" + HIDDEN),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551617", body=b"h" + HIDDEN),
    "an empty length": post(b"Content-Length: ", body=HIDDEN),
    "chunked not last": post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n" + HIDDEN),
    "chunked twice": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + HIDDEN
    ),
    "another coding": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN),
    "a coding with a tab before it": post(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + HIDDEN),
    "a space before the colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a folded header": post(b"Transfer-Encoding:", b" chunked", b"X: a", b" b", body=b"0\r\n\r\n" + HIDDEN),
    "a line without a colon": post(b"Content-Length", body=HIDDEN),
    "a NUL in a header": post(b"X: a\0b", body=HIDDEN),
    "a bare carriage return in a header": post(b"X: a\rContent-Length: 5", body=b"hello" + HIDDEN),
    "bare line feeds": b"POST /echo HTTP/1.1\nHost: relay\nContent-Length: 5\n\nhello" + HIDDEN,
    "a bare line feed after a chunk": post(b"Transfer-Encoding: chunked", body=b"5\nhello\n0\n\n" + HIDDEN),
    "a chunk size in words": post(b"Transfer-Encoding: chunked", body=b"zz\r\nhello\r\n0\r\n\r\n" + HIDDEN),
    "a negative chunk size": post(b"Transfer-Encoding: chunked", body=b"-5\r\nhello\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size beyond 64 bits": post(
        b"Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello\r\n0\r\n\r\n" + HIDDEN
    ),
    "a chunk longer than it says": post(b"Transfer-Encoding: chunked", body=b"2\r\nhello\r\n0\r\n\r\n" + HIDDEN),
    "HTTP/0.9": b"GET /echo\r\n\r\n" + HIDDEN,
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "HTTP/1.2": b"GET /echo HTTP/1.2\r\n\r\n" + HIDDEN,
    "a method that is none": b"GE\0T /echo HTTP/1.1\r\n\r\n" + HIDDEN,
    "a tunnel": b"CONNECT node:8545 HTTP/1.1\r\nHost: node:8545\r\n\r\n" + HIDDEN,
    "a tunnel by way of WebSocket": (
        b"CONNECT node:8545 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + HIDDEN
    ),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_not_read(service: Service, how: str) -> None:
    told = answers(service.say(AMBIGUOUS[how]))
    assert "hidden" not in str(told)
    *others, (status, headers, problem) = told
    assert (status, others) == (400, [])
    assert headers["connection"] == "close", "what follows is anybody's guess"
    assert problem["code"] == "bad_request"
    assert problem["requestId"] == headers["x-request-id"]
    assert headers["x-content-type-options"] == "nosniff"


def test_chunks_and_a_length_that_are_clear_are_read(service: Service) -> None:
    chunks = b"5;name=value\r\nhello\r\n0\r\n\r\n"
    for body in (post(b"Content-Length: 5", body=b"hello"), post(b"Transfer-Encoding: chunked", body=chunks)):
        (told, hidden) = answers(service.say(body + HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        assert (told[0], told[2]["body"]) == (200, "hello")
        assert hidden[2]["query"] == "hidden", "an honest second request"


def test_what_stands_behind_a_body_passes_for_no_header(service: Service) -> None:
    trailers = b"X-Forwarded-For: 10.0.0.1\r\nAuthorization: Bearer guess\r\n\r\n"
    whole = post(b"Transfer-Encoding: chunked", b"Connection: close", body=b"5\r\nhello\r\n0\r\n" + trailers)
    ((status, _, told),) = answers(service.say(whole))
    assert (status, told["body"], told["length"]) == (200, "hello", "5")
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_AUTHORIZATION"} & told["environ"].keys()


@pytest.mark.parametrize("part", [b"1;" + b"x" * 1000 + b"\r\nx\r\n", b"0\r\n" + b"X: y\r\n" * 1000])
def test_framing_beyond_measure_is_refused(service: Service, part: bytes) -> None:
    with service.connect() as client:
        client.sendall(post(b"Transfer-Encoding: chunked"))
        client.sendall(part * (500_000 // len(part)))
        assert rest_of(client).startswith(b"HTTP/1.1 400 "), "it is not taken for ever"


def test_a_url_with_a_host_in_it_means_the_path(service: Service) -> None:
    first = b"GET http://node:8545/echo?a=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"
    ((status, _, told),) = answers(service.say(first))
    assert (status, told["query"]) == (200, "a=1"), "nobody is asked on behalf of a client"


@pytest.mark.parametrize("url", [b"http://node:8545", b"*", b"node:8545", b"/\xff", b"//", b"http://"])
def test_a_url_that_is_none_is_refused_or_answered_like_any(service: Service, url: bytes) -> None:
    said = service.say(b"OPTIONS " + url + b" HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    ((status, _, _),) = answers(said)
    assert status in (200, 400)


def test_wishes_for_http_2_change_nothing_though_they_come_by_the_hundred(service: Service) -> None:
    wish = (
        b"GET /echo HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    )
    told = answers(service.say(wish.replace(b"HTTP2-Settings\r\nU", b"HTTP2-Settings, close\r\nU")))
    assert [status for status, _, _ in told] == [200]
    *ones, last = answers(service.say(wish * 3000))
    assert {status for status, _, _ in ones} <= {200}
    assert not service.says("Traceback"), "its stack is not exhausted"
    assert last[0] in (200, 429)


def test_too_many_requests_in_one_go_are_answered_as_far_as_bounds_go(service: Service) -> None:
    told = answers(service.say(b"GET /slow?0.001 HTTP/1.1\r\n\r\n" * 5000))
    statuses = [status for status, _, _ in told]
    assert statuses[-1] == 429
    assert set(statuses[:-1]) == {200}
    assert len(statuses) > 50
    assert told[-1][2]["code"] in KINDS


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 20 + b"\r\n", 431, "headers_too_large"),
    ],
)
def test_heads_are_bounded(service: Service, request_bytes: bytes, status: int, code: str) -> None:
    ((found, headers, problem),) = answers(service.say(request_bytes))
    assert (found, problem["code"]) == (status, code)
    assert problem["requestId"] == headers["x-request-id"]


def test_who_waits_to_be_told_to_go_on_and_does_not_is_refused_once(service: Service) -> None:
    broken = post(b"Expect: 100-continue", b"Transfer-Encoding: chunked", body=b"zz\r\n")
    ((status, _, _),) = answers(service.say(broken))
    assert status == 400
    assert not service.says("Traceback")


def test_a_compressed_body_is_not_unpacked(service: Service) -> None:
    body = b"\x1f\x8b\x08\0\0\0\0\0"
    whole = post(b"Content-Encoding: gzip", b"Connection: close", b"Content-Length: %d" % len(body), body=body)
    ((status, _, told),) = answers(service.say(whole))
    assert (status, told["body"].encode("latin-1")) == (200, body)


def test_the_service_is_as_well_as_before(service: Service) -> None:
    with service.connect() as client:
        client.sendall(b"GET /echo?last HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b"last" in rest_of(client)
    assert len(service.workers()) == 1
