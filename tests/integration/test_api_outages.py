"""What the API says while the real node or the real database cannot be reached."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from relay.api.app import create_app
from relay.chain.node import Node
from relay.chain.relaying import Relaying
from relay.devnet.anvil import CHAIN_ID, free_port
from relay.store.connection import Pool
from relay.store.pages import EventPages
from tests.support.fake_services import ADA, CASH, CY, INDEXED_BLOCK, MAX_BODY_BYTES, services, text

SIGNED = (
    # The example of EIP-155 itself, which is signed for chain 1.
    "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
    "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
    "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)


@pytest.fixture
def port() -> int:
    """A port at which nobody listens."""
    return free_port()


@pytest.fixture
def api(port: int) -> FlaskClient:
    node = Node(f"http://name:secret@127.0.0.1:{port}", timeout=2)
    cut_off = replace(
        services(),
        node=node,
        gas_price=node.gas_price,
        relaying=Relaying(node, 1),
        events=EventPages(Pool(f"postgresql://name:secret@127.0.0.1:{port}/relay"), lists_expected=True),
    )
    return create_app(cut_off, max_body_bytes=MAX_BODY_BYTES).test_client()


@pytest.mark.parametrize(
    ("path", "body", "who"),
    [
        (f"users/{text(ADA)}/tx-infos", None, "node"),
        ("relay", {"rawTransaction": SIGNED}, "node"),
        (f"networks/{text(CASH)}/events", None, "database"),
        (f"users/{text(ADA)}/events", None, "database"),
    ],
)
def test_what_needs_the_missing_part_says_so_and_when_to_try_again(
    api: FlaskClient, port: int, path: str, body: dict[str, str] | None, who: str
) -> None:
    url = f"/api/v1/{path}"
    answer = api.get(url) if body is None else api.post(url, json=body)
    assert answer.status_code == 503
    assert answer.get_json()["message"] == f"the {who} cannot be reached at the moment"
    assert answer.get_json()["code"] == f"{who}_unreachable"
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret" not in answer.text
    assert str(port) not in answer.text


def test_what_needs_only_the_graph_goes_on_and_says_its_block(api: FlaskClient) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": "400"}
    path = api.post(f"/api/v1/networks/{text(CASH)}/path-info", json=body)
    assert len(path.get_json()["path"]) == 3
    assert path.headers["X-Trustlines-Block"] == str(INDEXED_BLOCK)
    assert api.get("/api/v1/blocknumber").get_json() == INDEXED_BLOCK


def test_a_transaction_that_is_wrong_is_refused_without_the_node(api: FlaskClient) -> None:
    node_of_ours = replace(services(), relaying=Relaying(Node("http://127.0.0.1:1"), CHAIN_ID))
    elsewhere = create_app(node_of_ours, max_body_bytes=MAX_BODY_BYTES).test_client()
    answer = elsewhere.post("/api/v1/relay", json={"rawTransaction": SIGNED})
    assert answer.status_code == 422
    assert "chain 1," in answer.get_json()["message"]
    assert api.post("/api/v1/relay", json={"rawTransaction": "0x"}).status_code == 422
