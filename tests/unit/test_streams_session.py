"""What is said over a stream: calls, answers, subscriptions, whatever carries them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from relay.addresses import Address, to_checksum
from relay.streams.hub import End, Hub, Kind, News, Receipt, Subscription
from relay.streams.rpc import notification
from relay.streams.session import MOST_SUBSCRIPTIONS, Session

ADA, BO = bytes([0xA1]) * 20, bytes([0xB2]) * 20


class Outlet:
    """Notes what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def tell(self, subscription: Subscription, news: News) -> None:
        cursor = news.cursor if subscription.wants_cursors else None
        self.sent.append(json.loads(notification(subscription.id, news.event, cursor)))

    def has_room(self) -> bool:
        return True

    def allow(self, size: int) -> None:
        self.sent.append(("allow", size))

    def end(self, why: End) -> None:
        self.sent.append(why)

    def respond(self, text: bytes, receipt: Receipt | None) -> None:
        self.sent.append(json.loads(text))
        if receipt is not None:
            receipt.arrived()

    def hold(self) -> None:
        self.sent.append("hold")

    def release(self) -> None:
        self.sent.append("release")


def session(kind: Kind = Kind.EVENTS, missed: Any = None) -> tuple[Session, Hub, Outlet]:
    hub, outlet = Hub(), Outlet()
    return Session(kind, hub, outlet, missed), hub, outlet


def say(found: Session, data: Any) -> None:
    asyncio.run(found.receive(data if isinstance(data, str) else json.dumps(data)))


def subscribe(user: Address = ADA, number: Any = 1) -> dict[str, Any]:
    params = {"event": "all", "user": to_checksum(user)}
    return {"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": number}


def test_notifications_wait_until_the_answer_to_the_subscription_is_read() -> None:
    found, _, outlet = session()
    say(found, subscribe())
    hold, answer, release = outlet.sent
    assert (hold, release) == ("hold", "release")
    assert answer == {"jsonrpc": "2.0", "result": answer["result"], "id": 1}
    assert int(answer["result"], 16) >= 0


def test_a_subscriber_is_told_of_its_user_only() -> None:
    found, hub, outlet = session()
    say(found, subscribe(ADA))
    number = outlet.sent[1]["result"]
    hub.publish(
        [News((Kind.EVENTS, BO), b"{}"), News((Kind.MESSAGES, ADA), b"{}"), News((Kind.EVENTS, ADA), b"[7]")]
    )
    assert outlet.sent[3:] == [{"jsonrpc": "2.0", "method": f"subscription_{number}", "params": {"event": [7]}}]


def test_the_last_word_has_the_cursors_of_what_was_sent_and_none_where_some_was_not() -> None:
    found, hub, outlet = session()
    say(found, subscribe(ADA))
    number = outlet.sent[1]["result"]
    hub.publish([News((Kind.EVENTS, ADA), b"[7]", cursor="here")])
    for is_all_sent, cursors in ((True, {number: "here"}), (False, {})):
        word = json.loads(found.last_word(End("slow_reader", "because"), is_all_sent=is_all_sent))
        assert (word["method"], word["params"]) == (
            "end",
            {"code": "slow_reader", "message": "because", "cursors": cursors},
        )


def test_the_end_of_a_connection_ends_its_subscriptions() -> None:
    found, hub, _ = session()
    say(found, [subscribe(ADA), subscribe(BO, 2)])
    assert sorted(hub.users(Kind.EVENTS)) == [ADA, BO]
    found.close()
    assert hub.is_empty


def test_a_connection_holds_so_many_subscriptions_and_no_more() -> None:
    found, _, outlet = session()
    for number in range(MOST_SUBSCRIPTIONS + 1):
        say(found, subscribe(number=number))
    assert outlet.sent[-1]["error"]["code"] == -32000


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{", -32700),
        ("", -32700),
        ("[" * 100_000, -32700),
        ([], -32600),
        ([{}] * 51, -32600),
        ("5", -32600),
        ({"method": "subscribe", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "method": 5, "id": 1}, -32600),
        ({"jsonrpc": "2.0", "method": "subscribe", "id": [1]}, -32600),
        ({"jsonrpc": "2.0", "method": "__class__", "id": 1}, -32601),
        ({"jsonrpc": "2.0", "method": "subscribe", "params": ["all"], "id": 1}, -32602),
        ({"jsonrpc": "2.0", "method": "subscribe", "id": 1}, -32602),
        ({"jsonrpc": "2.0", "method": "subscribe", "params": {"event": "all", "user": 7}, "id": 1}, -32602),
        ({"jsonrpc": "2.0", "method": "unsubscribe", "params": {"id": 7}, "id": 1}, -32602),
    ],
)
def test_a_fault_has_its_code(said: Any, code: int) -> None:
    found, hub, outlet = session()
    say(found, said)
    (answer,) = outlet.sent
    assert answer["error"]["code"] == code
    assert isinstance(answer["error"]["message"], str)
    assert hub.is_empty


@pytest.mark.parametrize("number", ["a", "", 0, -7, 2**53, 1.5, None])
def test_an_id_comes_back_as_it_was_given(number: Any) -> None:
    found, _, outlet = session()
    say(found, subscribe(number=number))
    answer = outlet.sent[1]
    assert answer["id"] == number
    assert type(answer["id"]) is type(number)


@pytest.mark.parametrize("number", [True, [1], {"a": 1}])
def test_an_id_that_is_none_comes_back_as_null(number: Any) -> None:
    found, hub, outlet = session()
    say(found, subscribe(number=number))
    (answer,) = outlet.sent
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)
    assert hub.is_empty


def test_a_batch_of_notifications_is_not_answered_and_one_of_faults_is() -> None:
    found, _, outlet = session()
    say(found, [{"jsonrpc": "2.0", "method": "nonsense"}, {"jsonrpc": "2.0", "method": "nonsense"}])
    assert outlet.sent == []
    say(found, [1, {"jsonrpc": "2.0", "method": "nonsense", "id": 7}])
    (answers,) = outlet.sent
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(None, -32600), (7, -32601)]


@pytest.mark.parametrize(
    "said",
    [
        {"jsonrpc": "2.0", "method": "nonsense"},
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "?"}},
        {"jsonrpc": "2.0", "result": 1, "id": 1},
    ],
)
def test_what_wants_no_answer_gets_none(said: Any) -> None:
    found, _, outlet = session()
    say(found, said)
    assert outlet.sent == []


def test_a_batch_is_answered_in_its_order() -> None:
    found, _, outlet = session()
    say(found, [subscribe(number="a"), {"jsonrpc": "2.0", "method": "x"}, subscribe(number="b")])
    (answers,) = [entry for entry in outlet.sent if isinstance(entry, list)]
    assert [entry["id"] for entry in answers] == ["a", "b"]


def test_missed_messages_count_as_read_once_their_answer_has_arrived() -> None:
    arrived: list[str] = []

    async def missed(user: Address) -> tuple[Sequence[Any], Receipt]:
        return [{"user": user.hex()}], Receipt(lambda: arrived.append(user.hex()), lambda: None)

    found, _, outlet = session(Kind.MESSAGES, missed)
    params = {"type": "all", "user": to_checksum(ADA)}
    say(found, {"jsonrpc": "2.0", "method": "getMissedMessages", "params": params, "id": 3})
    assert outlet.sent == [{"jsonrpc": "2.0", "result": [{"user": ADA.hex()}], "id": 3}]
    assert arrived == [ADA.hex()]


def test_what_nobody_follows_is_reported_lost() -> None:
    lost: list[int] = []
    Hub().publish([News((Kind.MESSAGES, ADA), b"{}", Receipt(lambda: None, lambda: lost.append(1)))])
    assert lost == [1]


def test_a_notification_is_json_rpc_without_an_id() -> None:
    text = notification("0x1f", orjson.dumps({"type": "Transfer"}))
    assert json.loads(text) == {
        "jsonrpc": "2.0",
        "method": "subscription_0x1f",
        "params": {"event": {"type": "Transfer"}},
    }
