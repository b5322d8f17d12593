"""Whatever is sent, it is answered in JSON and never by a fault of ours."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from relay.api.app import PREFIX, ROUTES
from relay.api.resources.transactions import Relay
from relay.chain.errors import NodeRefused
from relay.chain.relaying import Relaying
from tests.support.fake_services import ADA, BO, CASH, CY, DEE, STRANGER, client, text


class RefusingNode:
    """A node that takes nothing."""

    def send_raw_transaction(self, raw: bytes) -> bytes:
        raise NodeRefused("no", -32000)

    def transaction_known(self, transaction_hash: bytes) -> bool:
        return False


API = client(relaying=Relaying(RefusingNode(), 1337))
TEMPLATES = sorted({PREFIX + url for urls in ROUTES.values() for url in urls})

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
    st.sampled_from(["type", "fromBlock", "contractType", "maxParts"]) | anything,
    anything | small_numbers.map(str),
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


def check(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text
    # A doubled slash in a URL leads on to the one meant.
    if answer.status_code != 308:
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
    assert len(TEMPLATES) == 21
