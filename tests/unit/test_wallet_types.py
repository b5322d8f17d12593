"""The types against which the answers to the client are held notice what a wallet would stumble over."""

import json
from typing import Any

import pytest

from tests.support.wallet_types import faults

ADA = "0xA1A1a1a1A1A1A1A1A1a1a1a1a1a1A1A1a1A1a1a1"
BO = "0xb2b2b2b2b2B2b2B2B2b2b2B2B2b2B2B2b2b2b2b2"
HASH = "0x" + "ab" * 32
EVENT: dict[str, Any] = {
    "type": "Transfer",
    "timestamp": 1,
    "status": "pending",
    "transactionHash": HASH,
    "blockNumber": 1,
    "blockHash": HASH,
    "logIndex": 0,
    "networkAddress": ADA,
    "from": ADA,
    "to": BO,
    "user": ADA,
    "counterParty": BO,
    "direction": "sent",
    "amount": "5",
    "extraData": "0x",
}


def answered(path: str, answer: object, status: int = 200, method: str = "GET") -> list[str]:
    url = f"http://localhost:1/api/v1{path}"
    return faults({"method": method, "url": url, "status": status, "answer": answer})


def event_with(**changed: object) -> list[str]:
    event = {name: value for name, value in {**EVENT, **changed}.items() if value != "left out"}
    return answered(f"/users/{ADA}/events?type=Transfer", [event])


def test_an_event_as_promised_has_no_faults() -> None:
    assert event_with() == []
    assert event_with(anything_else=1) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"amount": 5}, "[0] (Transfer).amount is 5, not an amount"),
        ({"amount": None}, "[0] (Transfer).amount is None"),
        ({"amount": "5.0"}, "is '5.0', not an amount"),
        ({"amount": "left out"}, "[0] (Transfer) has no amount"),
        ({"logIndex": "0"}, "logIndex is '0', not a number"),
        ({"logIndex": True}, "logIndex is True, not a number"),
        ({"from": ADA.lower()}, "not an EIP-55 address"),
        ({"status": "mined"}, "status is 'mined', not one of 'sent'"),
        ({"type": "Payment"}, "has the type 'Payment'"),
        ({"unknown": {"deep": [None]}}, "unknown.deep[0] is null"),
        ({"blockHash": "left out"}, "has no blockHash"),
    ],
)
def test_what_is_not_promised_is_said(changed: dict[str, object], fault: str) -> None:
    (sentence,) = event_with(**changed)
    assert fault in sentence


def test_an_event_that_is_not_mined_needs_no_block() -> None:
    nowhere = dict.fromkeys(("blockNumber", "blockHash", "logIndex"), "left out")
    assert event_with(status="sent", **nowhere) == []


def test_an_answer_is_held_against_its_endpoint() -> None:
    assert answered(f"/users/{ADA}/balance", "12") == []
    assert answered(f"/users/{ADA}/balance", 12)
    assert answered("/request-ether", None, method="POST") == []
    assert answered("/networks", {})
    assert answered("/nowhere", 1)
    assert answered("/networks", {"message": "no"}, 404) == []
    assert answered("/networks", {"error": "no"}, 404)


def test_a_frame_is_held_against_its_stream() -> None:
    def frame(stream: str, **content: object) -> list[str]:
        text = json.dumps({"jsonrpc": "2.0", **content})
        return faults({"frame": text, "url": f"ws://localhost:1/api/v1/streams/{stream}"})

    assert frame("events", id=1, result="0x01") == []
    assert frame("events", method="subscription_0x01", params={"event": EVENT}) == []
    assert frame("events", method="subscription_0x01", params=[EVENT])
    message = {"message": "{}", "timestamp": 1}
    assert frame("messages", id=2, result=[message]) == []
    assert frame("messages", method="subscription_0x01", params={"event": {**message, "timestamp": None}})
    assert frame("messages", id=1, error={"code": -32601, "message": "unknown method"}) == []
    assert frame("messages", id=1, error="unknown method")
