"""A process with a share of the networks answers for these, and leaves everything else to others."""

import pytest

from relay.api.routes import PREFIX, ROUTES
from relay.share import Share
from tests.support.fake_services import ADA, BO, CASH, FROZEN_NETWORK, client, text

OURS, THEIRS = f"{PREFIX}/networks/{text(CASH)}", f"{PREFIX}/networks/{text(FROZEN_NETWORK)}"
SHARE = Share.parse("e")
HASH = "0x" + 64 * "1"


def test_networks_of_the_share_are_answered_for_as_by_any_process() -> None:
    whole, part = client(), client(share=SHARE)
    for path in (
        "",
        "/users",
        f"/users/{text(ADA)}",
        f"/users/{text(ADA)}/trustlines",
        f"/users/{text(ADA)}/events",
    ):
        answer = part.get(OURS + path)
        assert answer.status_code == 200
        assert answer.get_json() == whole.get(OURS + path).get_json()
    body = {"from": text(ADA), "to": text(BO), "value": "1"}
    assert part.post(f"{OURS}/path-info", json=body).get_json() == whole.post(f"{OURS}/path-info", json=body).json


@pytest.mark.parametrize("path", ["", "/users", f"/users/{text(ADA)}/events", "/path-info"])
def test_networks_of_others_are_misdirected(path: str) -> None:
    answer = client(share=SHARE).open(THEIRS + path, method="POST" if path == "/path-info" else "GET", json={})
    assert answer.status_code == 421
    assert "another process" in answer.get_json()["message"]


def test_everything_that_names_no_network_is_misdirected_but_what_any_process_knows() -> None:
    part, whole = client(share=SHARE), client()
    for route in ROUTES.values():
        for url in route.urls:
            if "<address:network>" in url or url.startswith(("/docs", "/openapi.json")):
                continue
            filled = url.replace("<token>", "t").replace("<hash:", "<").replace("<address:", "<")
            for name in ("transaction_hash", "meta_hash", "order_hash"):
                filled = filled.replace(f"<{name}>", HASH)
            for name in ("user", "token", "exchange", "identity"):
                filled = filled.replace(f"<{name}>", text(ADA))
            answer = part.get(PREFIX + filled)
            if url in ("/version", "/blocknumber"):
                assert answer.get_json() == whole.get(PREFIX + filled).get_json()
            else:
                assert answer.status_code == 421, url


def test_what_is_found_nowhere_is_said_to_be_so() -> None:
    part = client(share=SHARE)
    assert part.get(f"{PREFIX}/networks/0x12/users").status_code == 404
    unknown = f"{PREFIX}/networks/0x{39 * '1'}e"
    assert part.get(unknown).status_code == 404
    assert part.get(unknown[:-1] + "f").status_code == 421
