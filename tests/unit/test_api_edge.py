"""What all answers have in common: tags and 304, compression, headers for browsers, ids."""

import gzip
import itertools
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from zstandard import ZstdDecompressor

from graph.trustline import Trustline
from relay.api.app import create_app
from relay.store.reading import Snapshot
from relay.sync.networks import Networks
from tests.support.fake_services import (
    ADA,
    BO,
    CASH,
    CASH_INFO,
    INDEXED,
    INDEXED_BLOCK,
    MAX_BODY_BYTES,
    NOW,
    TRUSTLINES,
    client,
    graphs,
    raising,
    services,
    text,
)

CASH_URL = f"/api/v1/networks/{text(CASH)}"
TRUSTLINES_URL = f"{CASH_URL}/trustlines"
BY_BLOCK = ["/api/v1/networks", CASH_URL, f"{CASH_URL}/users", f"{CASH_URL}/users/{text(ADA)}/contacts"]
ORIGIN = "https://wallet.example"


def many(count: int = 50) -> FlaskClient:
    """A client of a network with so many trustlines."""
    lines = [Trustline(bytes(18) + at.to_bytes(2, "big"), b"\xff" * 20, given=at) for at in range(1, count + 1)]
    return client(networks=graphs(lines))


def ask_again(api: FlaskClient, url: str, tag: str | None, **more: str) -> TestResponse:
    assert tag is not None
    return api.get(url, headers={"If-None-Match": tag, **more})


# Tags


@pytest.mark.parametrize("url", BY_BLOCK)
def test_who_has_an_answer_that_follows_from_the_block_is_told_so_without_a_body(url: str) -> None:
    api = client()
    first = api.get(url)
    again = ask_again(api, url, first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control", "X-Trustlines-Block", "Access-Control-Allow-Origin"):
        assert again.headers[name] == first.headers[name]
    assert "Content-Type" not in again.headers
    assert "Content-Length" not in again.headers


def test_it_costs_nothing_to_tell() -> None:
    networks = graphs()
    api = client(networks=networks)
    tag = api.get(CASH_URL).headers["ETag"]
    # The network's graph cannot be read now; nobody does.
    networks.reading = raising(AssertionError("the graph was read"))  # type: ignore[method-assign]
    assert ask_again(api, CASH_URL, tag).status_code == 304


@pytest.mark.parametrize(
    "moved",
    [
        graphs(block=replace(INDEXED, hash=b"\1" * 32)),
        graphs(block=None),
        graphs(
            info=replace(CASH_INFO, is_frozen=True), block=replace(INDEXED, number=INDEXED_BLOCK + 1, hash=b"2")
        ),
    ],
)
def test_after_another_block_the_answer_is_whole_again(moved: Networks) -> None:
    tag = client().get(CASH_URL).headers["ETag"]
    again = ask_again(client(networks=moved), CASH_URL, tag)
    assert again.status_code == 200
    assert again.headers.get("ETag") != tag


def test_a_change_that_is_no_block_changes_the_tag_too() -> None:
    networks = graphs()
    api = client(networks=networks)
    tag = api.get("/api/v1/networks").headers["ETag"]
    networks.load(Snapshot(INDEXED, 1, [], lambda _: None))
    again = ask_again(api, "/api/v1/networks", tag)
    assert (again.status_code, again.get_json()) == (200, [])


def test_an_answer_during_which_the_state_moved_has_no_tag() -> None:
    class Moving(Networks):
        looks = itertools.count(1)

        @property
        def position(self) -> int:
            return next(self.looks)

    networks = Moving()
    vars(networks).update(vars(graphs()))
    answer = client(networks=networks).get(CASH_URL)
    assert answer.status_code == 200
    assert "ETag" not in answer.headers


def test_every_url_has_a_tag_of_its_own_and_every_version_too() -> None:
    tags = {client().get(url).headers["ETag"] for url in BY_BLOCK}
    tags |= {client().get(f"{CASH_URL}?a=1").headers["ETag"], client(version="2").get(CASH_URL).headers["ETag"]}
    assert len(tags) == len(BY_BLOCK) + 2


@pytest.mark.parametrize("told", ['"x", {}', '{}, "y"', ' W/"a,b" ,{}', "*"])
def test_one_tag_of_several_is_enough_and_a_star_means_any(told: str) -> None:
    api = client()
    tag = api.get(CASH_URL).headers["ETag"]
    assert ask_again(api, CASH_URL, told.format(tag)).status_code == 304
    assert ask_again(api, CASH_URL, told.format(tag.removeprefix("W/"))).status_code == 304


@pytest.mark.parametrize("told", ["", ",", '""', "W/", '"x"', 'W/"0"', "x" * 5000])
def test_tags_of_others_mean_nothing(told: str) -> None:
    assert ask_again(client(), CASH_URL, told).status_code == 200


def test_a_star_does_not_make_a_network_be_there() -> None:
    assert ask_again(client(), f"/api/v1/networks/{text(ADA)}", "*").status_code == 404


def test_a_long_answer_that_follows_from_more_than_the_block_is_tagged_by_what_it_says() -> None:
    api = many()
    first = api.get(TRUSTLINES_URL)
    assert ask_again(api, TRUSTLINES_URL, first.headers["ETag"]).status_code == 304
    assert many(51).get(TRUSTLINES_URL).headers["ETag"] != first.headers["ETag"]


def test_a_short_one_is_not() -> None:
    assert "ETag" not in client().get(f"{CASH_URL}/users/{text(ADA)}").headers


def test_interest_that_the_clock_brings_changes_the_tag() -> None:
    lines = [replace(line, rate_given=1000, rate_received=1000, balance=10**12) for line in TRUSTLINES]
    asked = [
        client(networks=graphs(lines), clock=lambda at=at: at).get(TRUSTLINES_URL) for at in (NOW, NOW + 9999)
    ]
    assert len({answer.headers["ETag"] for answer in asked}) == 2


def test_what_may_be_kept_is_asked_about_and_nothing_else_is_kept() -> None:
    api = client()
    assert api.get(CASH_URL).headers["Cache-Control"] == "no-cache"
    assert api.get("/api/v1/version").headers["Cache-Control"] == "no-cache"
    question = {"from": text(ADA), "to": text(BO), "value": 1}
    found = api.post(f"{CASH_URL}/path-info", json=question)
    assert found.status_code == 200
    for answer in (found, api.get("/nothing"), api.post(CASH_URL)):
        assert answer.headers["Cache-Control"] == "no-store"


# Compression


def unpacked(answer: TestResponse) -> bytes:
    match answer.headers.get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(answer.data)
        case "zstd":
            return ZstdDecompressor().decompressobj().decompress(answer.data)
        case None:
            return answer.data
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip;q=0.9", "gzip"),
        ("GZIP", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("", None),
        ("br", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip, identity;q=0", "gzip"),
        ("nonsense;;q=x,,", None),
    ],
)
def test_a_long_answer_is_packed_as_the_client_likes_it_best(accepted: str, coding: str | None) -> None:
    api = many()
    plain = api.get(TRUSTLINES_URL)
    packed = api.get(TRUSTLINES_URL, headers={"Accept-Encoding": accepted})
    assert packed.headers.get("Content-Encoding") == coding
    assert unpacked(packed) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_a_short_answer_is_not_worth_packing() -> None:
    answer = client().get(CASH_URL, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_table_is_packed_as_it_is_written(coding: str) -> None:
    api = many(3000)
    plain = api.get(f"{CASH_URL}/dump").data
    packed = api.get(f"{CASH_URL}/dump", headers={"Accept-Encoding": coding})
    assert unpacked(packed) == plain
    assert len(packed.data) < len(plain) / 2
    assert "Content-Length" not in packed.headers


def test_pictures_of_pixels_are_left_alone() -> None:
    answer = client(pictures=Picture(b"p" * 5000)).get(
        f"{CASH_URL}/image?format=png", headers={"Accept-Encoding": "gzip"}
    )
    assert (answer.headers.get("Content-Encoding"), len(answer.data)) == (None, 5000)
    drawn = client(pictures=Picture(b"s" * 5000)).get(f"{CASH_URL}/image", headers={"Accept-Encoding": "gzip"})
    assert drawn.headers["Content-Encoding"] == "gzip"
    assert drawn.headers["Vary"] == "Accept, Accept-Encoding"
    assert "style-src 'unsafe-inline'" in drawn.headers["Content-Security-Policy"]


class Picture:
    """Draws the same whatever there is."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn

    def picture(self, *_: object) -> bytes:
        return self._drawn


# HEAD


@pytest.mark.parametrize("url", [*BY_BLOCK, TRUSTLINES_URL, f"{CASH_URL}/dump", "/nothing", f"{CASH_URL}/image"])
@pytest.mark.parametrize("accepted", ["", "zstd"])
def test_head_is_get_without_the_body(url: str, accepted: str) -> None:
    api = client(networks=graphs(), pictures=Picture(b"s" * 5000))
    headers = {"Accept-Encoding": accepted, "X-Request-ID": "same"}
    got, asked = api.get(url, headers=headers), api.head(url, headers=headers)
    assert asked.data == b""
    assert asked.status_code == got.status_code
    assert dict(asked.headers) == dict(got.headers)


# Browsers


@pytest.mark.parametrize("url", [CASH_URL, "/api/v1/nothing", f"{CASH_URL}/path-info"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_browser_may_send_what_clients_send(url: str, method: str) -> None:
    wanted = ["content-type", "if-none-match", "x-request-id", "last-event-id", "x-trustlines-signature"]
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    answer = client(networks=Networks()).options(url, headers=asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(wanted) <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert int(answer.headers["Access-Control-Max-Age"]) > 600
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_scripts_may_read_the_headers_that_say_something() -> None:
    exposed = client().get("/nothing").headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Link", "Retry-After", "RateLimit", "X-Trustlines-Block", "X-Request-ID"} <= set(exposed)


def test_origins_can_be_restricted() -> None:
    api = create_app(services(), max_body_bytes=MAX_BODY_BYTES, cors_origins=[ORIGIN]).test_client()
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example", None), ("null", None)):
        preflight = api.options(CASH_URL, headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        for answer in (
            preflight,
            api.get(CASH_URL, headers={"Origin": origin}),
            api.get("/x", headers={"Origin": origin}),
        ):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in answer.headers["Vary"].split(", ")


@pytest.mark.parametrize("url", [CASH_URL, "/api/v1/nothing"])
def test_no_browser_is_to_make_anything_else_of_an_answer(url: str) -> None:
    headers = client().get(url).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Server" not in headers


def test_a_loading_relay_refuses_with_all_headers_and_lets_ask_for_options() -> None:
    api = client(networks=Networks())
    refused = api.get("/api/v1/networks")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.headers["X-Request-ID"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert api.options("/api/v1/networks").status_code == 200


def test_two_slashes_lead_to_the_url_with_one() -> None:
    answer = client().get("/api/v1//networks", headers={"Host": "relay.example"})
    assert answer.status_code == 308
    assert answer.headers["Location"] == "http://relay.example/api/v1/networks"
