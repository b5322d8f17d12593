"""Who signed what, how often something may be done, and what becomes of a message."""

import json

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import Address, parse_address, to_checksum
from relay.messaging.delivery import payload_of
from relay.messaging.limits import Rate
from relay.messaging.proof import Proof, fault_of, message_text
from relay.push.firebase import data_of
from relay.push.service import LONGEST_WAIT_SECONDS, Attempts
from relay.push.webhook import signature
from relay.store.messages import Message

NOW = 1_700_000_000
ME = Account.from_key("0x" + "11" * 32)
MY_ADDRESS = parse_address(ME.address)
IDENTITY, BO = bytes([9]) * 20, bytes([0xB2]) * 20
TEXT = message_text(1337, BO, "Message", "hello", NOW)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def sign(text: str = TEXT) -> bytes:
    return bytes(ME.sign_message(encode_defunct(text=text)).signature)


def nobody(_: Address) -> Address | None:
    return None


def test_the_text_that_is_signed_is_the_documented_one() -> None:
    assert (
        "Trustlines message\n"
        "chain: 1337\n"
        f"to: {to_checksum(BO)}\n"
        "type: Message\n"
        f"timestamp: {NOW}\n"
        "keccak256: 0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8"
    ) == TEXT


def test_an_account_proves_itself_and_the_owner_an_identity() -> None:
    assert fault_of(Proof(MY_ADDRESS, NOW, sign()), TEXT, NOW + 300, nobody) is None
    assert fault_of(Proof(IDENTITY, NOW, sign()), TEXT, NOW, lambda _: MY_ADDRESS) is None
    assert fault_of(Proof(IDENTITY, NOW, sign()), TEXT, NOW, lambda _: BO) is not None
    low = sign()[:64] + bytes([sign()[64] - 27])
    assert fault_of(Proof(MY_ADDRESS, NOW, low), TEXT, NOW, nobody) is None


def test_another_text_another_time_or_no_signature_prove_nothing() -> None:
    assert fault_of(Proof(MY_ADDRESS, NOW, sign("something else")), TEXT, NOW, nobody) is not None
    for now in (NOW - 301, NOW + 301):
        assert "timestamp" in str(fault_of(Proof(MY_ADDRESS, NOW, sign()), TEXT, now, nobody))
    r, s, v = sign()[:32], int.from_bytes(sign()[32:64], "big"), sign()[64]
    twin = r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    for wrong in (b"", bytes(65), b"\xff" * 65, sign()[:64] + b"\x05", twin):
        assert "malformed" in str(fault_of(Proof(MY_ADDRESS, NOW, wrong), TEXT, NOW, nobody))


def test_a_rate_lets_so_many_pass_and_recovers_with_time() -> None:
    now = 0.0
    rate = Rate(60, lambda: now)
    assert [rate.allows("a") for _ in range(61)] == [True] * 60 + [False]
    assert rate.allows("b")
    now = 2.0
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    assert all(Rate(0, lambda: 0.0).allows("a") for _ in range(1000))


def test_waits_grow_up_to_an_hour() -> None:
    attempts = Attempts(most=20, first_wait_seconds=2.0)
    assert [attempts.wait(failures) for failures in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert attempts.wait(19) == LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("body", ["hello", "[1]", "5", "{", '{"a": 1e999}'])
def test_a_message_that_is_no_object_stands_for_itself(body: str) -> None:
    told = payload_of(Message(1, BO, "Message", body, NOW))
    assert told == {"type": "Message", "message": body, "timestamp": NOW} or body.startswith('{"')


def test_a_webhook_is_signed_over_time_and_body() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
    assert (
        signature(b"secret", NOW, b"{}")
        == "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    )
    assert (
        signature(b"secret", NOW + 1, b"{}") != signature(b"secret", NOW, b"{}") != signature(b"other", NOW, b"{}")
    )


def test_firebase_gets_strings_that_fit() -> None:
    event = {"type": "Transfer", "blockHash": "0xab", "blockNumber": 7, "logIndex": 0, "transactionHash": "0xcd"}
    data = data_of("events", event)
    assert (
        data.items() >= {"eventType": "Transfer", "blockHash": "ab", "blockNumber": "7", "logIndex": "0"}.items()
    )
    assert all(isinstance(value, str) for value in data.values())
    large = data_of("messages", {"type": "Message", "message": "x" * 5000})
    assert large == {"eventType": "Message", "stream": "messages"}
    fits = data_of("messages", {"type": "Message", "message": "x" * 2000})
    assert fits == {"eventType": "Message", "stream": "messages", "message": "x" * 2000}


@given(
    st.dictionaries(st.sampled_from(["blockHash", "transactionHash", "logIndex", "event"]) | st.text(), st.text())
)
def test_what_a_message_says_of_itself_is_taken_for_no_event(inner: dict[str, str]) -> None:
    body = json.dumps(inner | {"blockHash": "x" * 5000})
    data = data_of("messages", payload_of(Message(1, BO, "Transfer", body, NOW)))
    assert set(data) <= {"eventType", "stream", "message", "event"}
    assert data["stream"] == "messages"
    assert sum(len(f"{name}{value}".encode()) for name, value in data.items()) <= 3500
