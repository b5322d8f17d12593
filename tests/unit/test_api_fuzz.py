"""Whatever is sent, it is answered in JSON and never by a fault of ours."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from graph.trustline import Trustline
from relay.api.resources.transactions import Relay
from relay.api.routes import PREFIX, ROUTES
from relay.chain.errors import NodeRefused
from relay.chain.relaying import Relaying
from tests.support.fake_services import ADA, BO, CASH, CY, DEE, NOW, STRANGER, client, graphs, text


class RefusingNode:
    """A node that takes nothing."""

    def send_raw_transaction(self, raw: bytes) -> bytes:
        raise NodeRefused("no", -32000)

    def transaction_known(self, transaction_hash: bytes) -> bool:
        return False


API = client(relaying=Relaying(RefusingNode(), 1337))
TEMPLATES = sorted({PREFIX + url for route in ROUTES.values() for url in route.urls})

anything = st.text(max_size=30) | st.sampled_from(
    ["", "null", "NaN", "-1", "1e9", "0x", "%00", "../", "'--", "🌱"]
)
addresses = st.sampled_from([text(user) for user in (CASH, ADA, BO, CY, DEE, STRANGER)])
url_parts = addresses | anything.filter(bool)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | anything | addresses,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["from", "to", "value", "maxFees", "maxHops", "feePayer", "extraData", "rawTransaction"]
) | st.sampled_from(["avoid", "maxParts", "alternatives"])
small_numbers = st.integers(0, 17) | st.integers(0, 17).map(str)
bodies = st.dictionaries(names | anything, json_values | st.lists(addresses) | small_numbers, max_size=8)
queries = st.dictionaries(
    st.sampled_from(["type", "fromBlock", "contractType", "maxParts", "startTime", "endTime"])
    | st.sampled_from(["limit", "cursor", "order", "toBlock", "since", "until"])
    | st.sampled_from(["transactionHash", "blockHash", "logIndex", "format"])
    | anything,
    anything | small_numbers.map(str) | st.just("0x" + "0f" * 32),
    max_size=4,
)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Draw a URL of a route, its parameters filled with addresses or with anything else."""
    url: str = draw(st.sampled_from(TEMPLATES))
    while "<" in url:
        before, _, rest = url.partition("<")
        url = before + quote(draw(url_parts), safe="") + rest.partition(">")[2]
    return url


OTHER_FORMS = {"text/csv", "text/html", "text/css", "text/javascript"}


def check(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text
    # A doubled slash in a URL leads on to the one meant.
    if answer.status_code != 308 and (answer.status_code != 200 or answer.mimetype not in OTHER_FORMS):
        answered = orjson.loads(answer.data)
        assert answer.status_code == 200 or isinstance(answered["message"], str)
    assert answer.headers["X-Request-ID"]


@settings(max_examples=400, deadline=None)
@given(urls(), queries)
def test_no_url_and_no_query_brings_the_api_down(url: str, query: dict[str, str]) -> None:
    check(API.get(f"{url}?{urlencode(query, errors='surrogatepass')}"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_no_path_of_any_bytes_brings_the_api_down(path: bytes) -> None:
    check(API.get(f"{PREFIX}/{quote(path)}"))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(["path-info", "max-capacity-path-info", "close-trustline-path-info", "relay"]), bodies)
def test_no_body_brings_the_api_down(route: str, body: dict[str, Any]) -> None:
    whole = {"from": text(ADA), "to": text(CY), "value": "1", **body}
    url = f"{PREFIX}/relay" if route == "relay" else f"{PREFIX}/networks/{text(CASH)}/{route}"
    check(API.post(url, data=json.dumps(whole), content_type="application/json"))


LINES = (
    Trustline(ADA, BO, balance=-50, given=400, received=1000, mtime=NOW),
    Trustline(BO, CY, balance=300, given=700, received=500, mtime=NOW),
    Trustline(ADA, DEE, balance=30, given=60, received=90, mtime=NOW),
    Trustline(CY, DEE, given=400, received=80, mtime=NOW),
    Trustline(BO, DEE, balance=-20, given=50, received=60, mtime=NOW),
)
MESHED = client(networks=graphs(LINES))
limits = st.none() | st.integers(0, 12)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 1000) | st.sampled_from([0, 2**64 - 1]),
    st.fixed_dictionaries(
        {
            "feePayer": st.sampled_from(["sender", "receiver"]),
            "maxFees": limits,
            "maxHops": limits,
            "avoid": st.lists(addresses, max_size=2),
            "maxParts": st.integers(1, 16),
            "alternatives": st.integers(0, 10),
        }
    ),
)
def test_whatever_options_go_together_the_answer_holds_together(value: int, options: dict[str, Any]) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": value, **options}
    answered = MESHED.post(f"{PREFIX}/networks/{text(CASH)}/path-info", json=body)
    assert answered.status_code == 200
    answer = answered.get_json()
    parts, alternatives = answer.get("parts"), answer.get("alternatives")
    allowed = 2**64 if options["maxFees"] is None else options["maxFees"]
    ways = [*(parts or []), *(alternatives or [])]

    assert (parts is None) == (options["maxParts"] == 1)
    assert (alternatives is None) == (options["alternatives"] == 0)
    assert len(parts or []) <= options["maxParts"]
    assert len(alternatives or []) <= options["alternatives"]
    assert int(answer["fees"]) <= allowed
    assert ("reason" in answer) == (not answer["path"] and not parts)
    assert ("reason" in answer) == ("reasonMessage" in answer)
    if parts:
        assert sum(int(part["value"]) for part in parts) == value
        assert sum(int(part["fees"]) for part in parts) == int(answer["fees"])
        assert answer["path"] == (parts[0]["path"] if len(parts) == 1 else [])
    if alternatives and parts is None:
        assert alternatives[0]["path"] == answer["path"]
    for way in ways:
        assert not set(way["path"][1:-1]) & set(options["avoid"])
        assert options["maxHops"] is None or len(way["path"]) - 1 <= options["maxHops"]
        assert int(way["fees"]) <= allowed


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["path-info", "relay"]))
def test_no_bytes_as_a_body_bring_the_api_down(body: bytes, route: str) -> None:
    url = f"{PREFIX}/relay" if route == "relay" else f"{PREFIX}/networks/{text(CASH)}/{route}"
    check(API.post(url, data=body, content_type="application/json"))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["Accept", "X-Request-ID", "Content-Type", "Content-Length", "Host"]), anything
    )
)
def test_no_header_brings_the_api_down(headers: dict[str, str]) -> None:
    sent = {name: value.encode("ascii", "ignore").decode() for name, value in headers.items()}
    visible = {name: "".join(filter(str.isprintable, value)) for name, value in sent.items()}
    check(API.get(f"{PREFIX}/networks", headers=visible))


def test_the_fuzz_knows_every_route() -> None:
    assert Relay in ROUTES
    assert len(TEMPLATES) == 68
