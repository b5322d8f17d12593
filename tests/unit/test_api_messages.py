"""Messages over the API: what is handed on, what is refused and how."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.clients import Clients
from relay.messaging.errors import MailboxFull, NotProven, TooLarge, TooMany
from relay.messaging.proof import Proof
from tests.support.fake_services import ADA, BO, client, text

URL = f"/api/v1/messages/{text(ADA)}"


class Mailbox:
    """Takes everything, or fails."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.taken: list[Any] = []

    def post(self, receiver: bytes, body: str, kind: str | None, *, client: str, proof: Proof | None) -> None:
        if self.fault is not None:
            raise self.fault
        self.taken.append((receiver, body, kind, client, proof))


def test_a_message_is_handed_on_with_where_it_came_from() -> None:
    mailbox = Mailbox()
    answer = client(messaging=mailbox).post(URL, json={"message": "hi", "type": None, "more": 1})
    assert (answer.status_code, answer.get_json()) == (200, "Ok")
    assert mailbox.taken == [(ADA, "hi", None, "127.0.0.1", None)]


def test_behind_a_proxy_the_last_of_its_entries_is_the_place() -> None:
    mailbox = Mailbox()
    api = client(messaging=mailbox, clients=Clients("X-Forwarded-For"))
    for forwarded, place in (("6.6.6.6, 10.0.0.9", "10.0.0.9"), ("", "127.0.0.1")):
        api.post(URL, json={"message": "hi"}, headers={"X-Forwarded-For": forwarded})
        assert mailbox.taken.pop()[3] == place


def test_a_proof_is_handed_on_whole() -> None:
    mailbox = Mailbox()
    proof = {"sender": text(BO), "timestamp": 5, "signature": "0x" + "01" * 65}
    client(messaging=mailbox).post(URL, json={"message": "hi"} | proof)
    assert mailbox.taken[0][4] == Proof(BO, 5, bytes([1]) * 65)


@pytest.mark.parametrize(
    ("fault", "status"),
    [(TooLarge("x"), 413), (TooMany("x"), 429), (MailboxFull("x"), 429), (NotProven("x"), 403)],
)
def test_a_refusal_has_its_status_and_says_why(fault: Exception, status: int) -> None:
    answer = client(messaging=Mailbox(fault)).post(URL, json={"message": "hi"})
    assert (answer.status_code, answer.get_json()["message"]) == (status, "x")


def test_without_messaging_there_is_no_such_route() -> None:
    assert client().post(URL, json={"message": "hi"}).status_code == 404


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=200) | st.lists(st.integers(), max_size=2)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["message", "type", "sender", "timestamp", "signature"]) | st.text(max_size=5), ANYTHING
    )
)
def test_no_body_brings_the_api_down(body: dict[str, Any]) -> None:
    mailbox = Mailbox()
    answer = client(messaging=mailbox).post(URL, data=json.dumps(body), content_type="application/json")
    assert answer.status_code in (200, 400, 422)
    assert (answer.status_code == 200) == bool(mailbox.taken)
