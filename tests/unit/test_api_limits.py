"""How often a client may ask, by what answering costs."""

from collections.abc import Mapping

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from relay.api.admission import Cost
from relay.api.limits import Buckets, Limits, Rate
from relay.api.resources import networks, transactions
from relay.api.routes import PREFIX, ROUTES, rate_of
from relay.clients import Clients
from relay.delegate.errors import CapReached
from relay.messaging.errors import MailboxFull, TooMany
from relay.sync.networks import Networks
from tests.support.fake_services import ADA, CASH, CY, FakeEvents, client, raising, text

CASH_URL = f"{PREFIX}/networks/{text(CASH)}"
PATH = f"{CASH_URL}/path-info"
QUESTION = {"from": text(ADA), "to": text(CY), "value": 1}


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(
    per_minute: Mapping[Rate, int], clock: Clock | None = None, burst: int = 60, **more: object
) -> FlaskClient:
    return client(limits=Limits(per_minute, burst, clock or Clock()), **more)


# Buckets


def test_as_many_as_accrue_in_the_burst_may_come_at_once_and_then_one_by_one() -> None:
    clock = Clock()
    buckets = Buckets(per_minute=60, burst_seconds=3, clock=clock)
    assert [buckets.take("a").wait for _ in range(4)] == [0, 0, 0, pytest.approx(1)]
    clock.now += 1
    assert [buckets.take("a").wait for _ in range(2)] == [0, pytest.approx(1)]
    clock.now += 100
    assert [buckets.take("a").left for _ in range(4)] == [2, 1, 0, 0]


def test_one_client_takes_nothing_from_another() -> None:
    buckets = Buckets(1, 60, Clock())
    assert [buckets.take(name).wait == 0 for name in ("a", "b", "a")] == [True, True, False]


@given(st.integers(1, 5000), st.integers(1, 600), st.lists(st.floats(0, 30), max_size=60))
def test_who_waits_as_long_as_told_is_answered_and_nobody_gets_more_than_the_rate(
    per_minute: int, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    buckets = Buckets(per_minute, burst, clock)
    answered = 0
    for pause in pauses:
        clock.now += pause
        taken = buckets.take("a")
        if taken.wait:
            clock.now += taken.wait
            assert buckets.take("a").wait == 0
        answered += 1
    assert answered <= buckets.size + (clock.now - 1000) * per_minute / 60 + 1e-3


def test_of_any_number_of_clients_those_heard_of_last_are_remembered() -> None:
    buckets = Buckets(1, 60, Clock(), most_clients=100)
    for number in range(1000):
        assert buckets.take(f"2001:db8:0:{number:x}::/64").wait == 0
    assert len(buckets) == 100
    assert buckets.take("2001:db8:0:3e7::/64").wait > 0


# Requests


def test_without_limits_anything_goes_and_nothing_is_said_of_limits() -> None:
    for api in (client(), limited(dict.fromkeys(Rate, 0))):
        answers = [api.get(CASH_URL) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[-1].headers


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    clock = Clock()
    api = limited({Rate.READING: 2}, clock)
    first, _, refused = (api.get(CASH_URL) for _ in range(3))
    assert first.headers["RateLimit-Policy"] == '"reading";q=2;w=60'
    assert first.headers["RateLimit"] == '"reading";r=1;t=30'
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "30"
    assert refused.headers["RateLimit"] == '"reading";r=0;t=60'
    assert "RateLimit" in refused.headers["Access-Control-Expose-Headers"]
    assert refused.headers["Cache-Control"] == "no-store"
    assert "reading" in refused.get_json()["message"]
    clock.now += int(refused.headers["Retry-After"])
    assert api.get(CASH_URL).status_code == 200


def test_each_class_has_its_own_limit() -> None:
    api = limited({Rate.SEARCHES: 1, Rate.READING: 10})
    assert [api.post(PATH, json=QUESTION).status_code for _ in range(2)] == [200, 429]
    assert api.get(CASH_URL).status_code == 200
    assert api.get(f"{CASH_URL}/trustlines").status_code == 200


def test_what_is_refused_is_not_read() -> None:
    events = FakeEvents()
    api = limited({Rate.LISTS: 1, Rate.SEARCHES: 1}, events=events)
    for _ in range(3):
        api.get(f"{CASH_URL}/events")
    assert len(events.asked) == 1
    api.post(PATH, data=b"{")
    assert api.post(PATH, data=b"{").status_code == 429


def test_urls_that_are_none_count_as_reading() -> None:
    api = limited({Rate.READING: 1})
    assert [api.get(f"{PREFIX}/nothing").status_code for _ in range(2)] == [404, 429]


def test_browsers_that_ask_before_they_ask_are_not_counted() -> None:
    api = limited({Rate.READING: 1, Rate.SENDING: 1, Rate.SEARCHES: 1})
    preflight = {"Origin": "https://wallet.example", "Access-Control-Request-Method": "POST"}
    assert {api.options(PATH, headers=preflight).status_code for _ in range(5)} == {204}
    assert {api.options(PATH).status_code for _ in range(5)} == {200}


def test_what_stands_outside_of_the_api_is_not_counted() -> None:
    api = limited({Rate.READING: 1})
    assert {api.get("/health").status_code for _ in range(5)} <= {200, 404}


def test_clients_behind_a_trusted_proxy_are_told_apart_and_nobody_else_can_pretend_to_be_another() -> None:
    api = limited({Rate.READING: 1}, clients=Clients("X-Forwarded-For"))

    def ask(told: str, connected: str) -> int:
        return api.get(
            CASH_URL, headers={"X-Forwarded-For": told}, environ_base={"REMOTE_ADDR": connected}
        ).status_code

    assert [ask("203.0.113.7", "127.0.0.1"), ask("203.0.113.8", "127.0.0.1")] == [200, 200]
    assert ask("203.0.113.7", "127.0.0.1") == 429
    assert [ask(f"203.0.113.{at}", "198.51.100.1") for at in (50, 51)] == [200, 429]


def test_a_network_of_64_bits_is_one_client() -> None:
    api = limited({Rate.READING: 1})
    asked = [api.get(CASH_URL, environ_base={"REMOTE_ADDR": f"2001:db8::{at:x}"}).status_code for at in (1, 2)]
    assert asked == [200, 429]


def test_a_relay_that_is_loading_counts_too() -> None:
    api = limited({Rate.READING: 1}, networks=Networks())
    assert [api.get(CASH_URL).status_code for _ in range(2)] == [503, 429]


# Classes


def test_every_search_list_and_write_is_in_a_class_of_its_own() -> None:
    assert rate_of(networks.NetworkList, "GET") is Rate.READING
    assert rate_of(networks.NetworkList, "HEAD") is Rate.READING
    assert rate_of(transactions.Relay, "POST") is Rate.SENDING
    assert rate_of(None, "GET") is Rate.READING
    for resource, route in ROUTES.items():
        ends = route.urls[0].rstrip("/").rpartition("/")[2]
        if "path-info" in ends:
            assert rate_of(resource, "POST") is Rate.SEARCHES
        if ends in ("events", "dump", "image", "interests", "mediation-fees"):
            assert rate_of(resource, "GET") is Rate.LISTS
        if (
            any(hasattr(resource, method) for method in ("post", "put", "delete"))
            and route.cost is not Cost.SEARCH
        ):
            assert rate_of(resource, "POST") is Rate.SENDING


# Limits that there are beside


class Mailbox:
    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def post(self, *_: object, **__: object) -> None:
        raise self._fault


@pytest.mark.parametrize("fault", [TooMany("x"), MailboxFull("x")])
def test_too_many_messages_may_be_sent_again_later(fault: Exception) -> None:
    answer = client(messaging=Mailbox(fault)).post(f"{PREFIX}/messages/{text(ADA)}", json={"message": "hi"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_a_cap_of_the_day_says_when_the_next_one_begins() -> None:
    class Faucet:
        give = staticmethod(raising(CapReached("x", 4321)))

    answer = client(faucet=Faucet()).post(f"{PREFIX}/request-ether", json={"address": text(ADA)})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "4321")
