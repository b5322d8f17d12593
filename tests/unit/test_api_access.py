"""Who may do what: made from the list of all routes, so that none is forgotten."""

import logging
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import Unauthorized

from relay.addresses import Address
from relay.admin.orders import Orders
from relay.admin.service import Administration
from relay.api.app import create_app
from relay.api.operators import Operators
from relay.api.resources import (
    contracts,
    delegation,
    devices,
    documentation,
    events,
    exchange,
    histories,
    messages,
    networks,
    paths,
    pictures,
    transactions,
    trustlines,
)
from relay.api.resources.admin import OperatorResource
from relay.api.resources.base import ApiResource
from relay.api.routes import PREFIX, ROUTES
from relay.chain.nodes import NodeState
from relay.store.admin import AdminStore, Ban, Part, Pause
from relay.sync.networks import Networks
from tests.support.fake_services import ADA, MAX_BODY_BYTES, services, text

TOKEN = "a-token=that+nobody/guesses-0815=="
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

PUBLIC_READS: set[type[ApiResource]] = {
    documentation.OpenApi,
    documentation.Page,
    documentation.ErrorPage,
    documentation.PageFile,
    transactions.Version,
    transactions.BlockNumber,
    transactions.TransactionInfo,
    transactions.Balance,
    networks.NetworkList,
    networks.NetworkDetails,
    networks.UserList,
    networks.UserDetails,
    networks.Spendable,
    networks.Contacts,
    trustlines.NetworkTrustlines,
    trustlines.UserTrustlines,
    trustlines.TrustlineDetails,
    trustlines.UserTrustlinesEverywhere,
    paths.SpendableTo,
    events.NetworkEvents,
    events.NetworkUserEvents,
    events.TrustlineEvents,
    histories.Interests,
    histories.TrustlineInterests,
    histories.MediationFees,
    histories.TransferredSum,
    histories.Transfers,
    histories.Debts,
    pictures.Dump,
    pictures.Image,
    delegation.TransactionStatus,
    delegation.Factories,
    delegation.IdentityDetails,
    delegation.MetaTransactionStatus,
    exchange.Exchanges,
    exchange.WrappedEther,
    exchange.OrderBookOfPair,
    exchange.Orders,
    exchange.OrderDetails,
    contracts.UserEvents,
    contracts.Tokens,
    contracts.TokenEvents,
    contracts.TokenUserEvents,
    contracts.TokenBalance,
    contracts.ExchangeEvents,
    contracts.ExchangeUserEvents,
    contracts.AllExchangesUserEvents,
    contracts.DelegationFees,
}
"""Answer GET only, and tell what is public on the chain."""

PUBLIC_OTHERS: dict[type[ApiResource], tuple[str, str]] = {
    paths.TransferPath: ("POST", "a question with a body; nothing changes"),
    paths.CapacityPath: ("POST", "a question with a body; nothing changes"),
    paths.ClosingPath: ("POST", "a question with a body; nothing changes"),
    delegation.MetaTransactionFees: ("POST", "a question with a body; nothing changes"),
    transactions.Relay: ("POST", "the sender signed the transaction, and pays for it"),
    delegation.RelayMetaTransaction: ("POST", "the identity's owner signed it; what it may cost is capped"),
    delegation.IdentityList: ("POST", "the owner signed for the identity; the number in a day is capped"),
    delegation.RequestEther: ("POST", "for test chains, off unless configured; gifts are capped"),
    messages.Messages: (
        "POST",
        "as wallets in the field do; numbers are bounded, proofs can be required",
    ),
    devices.Device: ("PUT DELETE", "as wallets in the field do; the device's token is what must be known"),
    exchange.OrderSubmission: ("POST", "the maker signed the order; numbers and rates are bounded"),
}
"""Answer to other methods, though nobody is asked who they are: which, and why they may."""


class FakeStore:
    """Remembers what was decided."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def pauses(self) -> list[Pause]:
        return [Pause(Part.INDEX, datetime(2026, 1, 2, tzinfo=UTC), "me")]

    def pause(self, part: Part, by: str) -> bool:
        self.done.append(("pause", part, by))
        return True

    def resume(self, part: Part) -> bool:
        self.done.append(("resume", part))
        return False

    def bans(self) -> list[Ban]:
        return [Ban(ADA, "spam", datetime(2026, 1, 2, tzinfo=UTC), "me")]

    def ban(self, address: Address, reason: str, by: str) -> bool:
        self.done.append(("ban", address, reason, by))
        return True

    def unban(self, address: Address) -> bool:
        self.done.append(("unban", address))
        return True

    def revoke_token(self, token: str) -> int:
        self.done.append(("revoke", token))
        return 2

    def prune_messages(self, older_than_seconds: int | None, user: Address | None) -> int:
        self.done.append(("prune", older_than_seconds, user))
        return 3

    def ask_to_reconnect(self) -> None:
        self.done.append(("reconnect",))


class World:
    """An API with operators over a store that is played."""

    def __init__(self, **changed: Any) -> None:
        self.store, self.now = FakeStore(), 0.0
        administration = Administration(cast("AdminStore", self.store), self._nodes)
        operators = Operators(TOKEN, lambda: self.now)
        self.services = services(operators=operators, administration=administration, **changed)
        self.app = create_app(self.services, max_body_bytes=MAX_BODY_BYTES)
        self.client: FlaskClient = self.app.test_client()

    def _nodes(self) -> Sequence[NodeState]:
        return [NodeState("http://node:8545", True, None, 7)]

    def ask(self, method: str, path: str, token: str | None = TOKEN, **more: Any) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.client.open(f"{PREFIX}{path}", method=method, headers=headers, **more)


def operator_urls() -> list[str]:
    """Every URL for operators, filled in."""
    return [
        url.replace("<part>", "index").replace("<address:banned>", text(ADA))
        for resource, route in ROUTES.items()
        if issubclass(resource, OperatorResource)
        for url in route.urls
    ]


def test_every_route_is_declared_as_public_or_as_the_operators() -> None:
    operators = {resource for resource in ROUTES if issubclass(resource, OperatorResource)}
    declared = PUBLIC_READS | PUBLIC_OTHERS.keys()
    assert not declared & operators
    assert not PUBLIC_READS & PUBLIC_OTHERS.keys()
    assert set(ROUTES) - operators == declared, "a route is declared nowhere, or a declared one is gone"


def test_public_routes_take_no_other_methods_than_declared() -> None:
    for resource in PUBLIC_READS:
        assert resource.methods == {"GET"}, resource
    for resource, (methods, reason) in PUBLIC_OTHERS.items():
        assert resource.methods == set(methods.split()), resource
        assert reason


def test_operators_are_those_below_one_prefix() -> None:
    for resource, route in ROUTES.items():
        for url in route.urls:
            assert url.startswith("/admin/") == issubclass(resource, OperatorResource), url


def test_there_is_something_to_be_refused() -> None:
    assert len(operator_urls()) >= 8


WRONG: dict[str, dict[str, Any]] = {
    "no token": {},
    "a wrong token": {"headers": {"Authorization": f"Bearer {TOKEN}x"}},
    "a piece of it": {"headers": {"Authorization": f"Bearer {TOKEN[:-1]}"}},
    "another scheme": {"headers": {"Authorization": f"Token {TOKEN}"}},
    "a password": {"auth": ("operator", TOKEN)},
    "no scheme": {"headers": {"Authorization": TOKEN}},
    "an empty one": {"headers": {"Authorization": "Bearer "}},
    "another header": {"headers": {"X-Authorization": f"Bearer {TOKEN}"}},
    "a cookie": {"headers": {"Cookie": f"Authorization=Bearer {TOKEN}"}},
    "in the query": {"query_string": {"token": TOKEN, "access_token": TOKEN, "Authorization": f"Bearer {TOKEN}"}},
    "in the body": {"json": {"token": TOKEN, "access_token": TOKEN}},
    "a NUL": {"headers": {"Authorization": f"Bearer {TOKEN}\0"}},
    "twice": {"headers": {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"}},
}


@pytest.mark.parametrize("how", WRONG)
def test_every_operator_route_is_refused_without_the_right(how: str) -> None:
    world = World()
    for method, url in product(METHODS, [*operator_urls(), "/admin/nothing-here", "/admin"]):
        world.now += 1000
        answer = world.client.open(f"{PREFIX}{url}", method=method, **WRONG[how])
        assert answer.status_code == 401, (url, answer.text)
        assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
        assert TOKEN not in answer.text
    assert world.store.done == []


@pytest.mark.parametrize(
    "path",
    ["//admin/nodes", "/./admin/nodes", "/x/../admin/nodes", "/ADMIN/nodes", "/%61dmin/nodes", "/admin//nodes"],
)
def test_no_spelling_of_a_url_leads_around_it(path: str) -> None:
    answer = World().client.get(f"{PREFIX}{path}", follow_redirects=True)
    assert answer.status_code in (401, 404)


def test_without_a_token_configured_there_is_nothing() -> None:
    api = create_app(services(), max_body_bytes=MAX_BODY_BYTES).test_client()
    for url in operator_urls():
        for method in METHODS:
            answer = api.open(f"{PREFIX}{url}", method=method, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code == 404


def test_public_routes_ask_for_no_token() -> None:
    assert World().ask("GET", "/networks", token=None).status_code == 200


def test_who_guesses_is_soon_not_listened_to_and_logged_without_what_they_guessed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, guess = World(), "guess-0123456789"
    with caplog.at_level(logging.WARNING, "relay.admin"):
        statuses = [world.ask("GET", "/admin/bans", guess).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert "refused 127.0.0.1 with a wrong token: GET /api/v1/admin/bans" in caplog.text
    assert guess not in caplog.text
    too_many = world.ask("GET", "/admin/bans")
    assert too_many.status_code == 429, "even the right one, or it could be guessed all the same"
    assert int(too_many.headers["Retry-After"]) > 0
    world.now += 61
    assert world.ask("GET", "/admin/bans").status_code == 200
    other = world.client.get(f"{PREFIX}/admin/bans", environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert other.status_code == 401


PREFLIGHT = {"Origin": "https://wallet.example", "Access-Control-Request-Method": "DELETE"}


def test_a_refusal_says_the_same_whether_there_is_something_or_not() -> None:
    """Neither text nor headers tell strangers which URLs there are, or what they take."""
    world, told = World(), set()
    for method, url in product(METHODS, [*operator_urls(), "/admin/nothing-here", "/admin/bans/0x12"]):
        world.now += 1000
        answer = world.client.open(f"{PREFIX}{url}", method=method, headers={"X-Request-ID": "same"})
        headers = {name: value for name, value in answer.headers if name != "Content-Length"}
        assert "Allow" not in headers
        text_of_it = answer.text.replace(f"{PREFIX}{url}", "URL")
        told.add((answer.status_code, method == "HEAD" or text_of_it, tuple(sorted(headers.items()))))
    assert len(told) == 2, "one for HEAD, one for all others"


def test_a_browser_that_asks_before_learns_nothing_either() -> None:
    world = World()
    answers = {
        tuple(sorted((name, value) for name, value in answer.headers if name != "X-Request-ID"))
        for url in (*operator_urls(), "/admin/nothing-here", "/networks", "/nothing")
        for answer in [world.client.options(f"{PREFIX}{url}", headers=PREFLIGHT)]
    }
    assert len(answers) == 1, "the same everywhere"
    assert not any("Authorization" in value for _, value in answers.pop()), "no script brings the operators' token"


def test_nothing_that_strangers_are_answered_names_what_operators_said_or_did() -> None:
    """Every public URL, with and without sense, while somebody is banned and a part stands still."""
    world = World()
    secrets = ("spam", "by me", TOKEN, "node:8545")
    values = {"address:network": text(ADA), "hash:transaction_hash": "0x" + "0" * 64}
    for resource, route in ROUTES.items():
        if issubclass(resource, OperatorResource):
            continue
        for url in route.urls:
            filled = re.sub(r"<([^>]+)>", lambda part: values.get(part[1], text(ADA)), url)
            for method in METHODS:
                answer = world.client.open(f"{PREFIX}{filled}", method=method)
                body = answer.get_data().decode("utf-8", "replace")
                assert not [secret for secret in secrets if secret in body], (method, filled)


def test_many_who_guess_at_once_are_counted_one_by_one() -> None:
    operators, app = (
        Operators(TOKEN, lambda: 0.0, most_failures=10**9),
        create_app(services(), max_body_bytes=MAX_BODY_BYTES),
    )
    faults: list[Exception] = []

    def guess(place: int) -> None:
        for number in range(3000):
            with app.test_request_context(headers={"Authorization": "Bearer guess"}):
                try:
                    operators.require(f"10.{place}.{number // 256}.{number % 256}")
                except Unauthorized:
                    pass
                except Exception as error:
                    faults.append(error)

    threads = [threading.Thread(target=guess, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_operators_see_nodes_pauses_and_bans() -> None:
    world = World()
    assert world.ask("GET", "/admin/nodes").get_json() == [
        {"url": "http://node:8545", "isUsed": True, "head": 7, "fault": None}
    ]
    (pause,) = world.ask("GET", "/admin/pauses").get_json()
    assert pause == {"part": "index", "since": "2026-01-02T00:00:00+00:00", "by": "me"}
    (ban,) = world.ask("GET", "/admin/bans").get_json()
    assert (ban["address"], ban["reason"]) == (text(ADA), "spam")


def test_what_operators_do_is_done_and_logged_with_who_and_what(caplog: pytest.LogCaptureFixture) -> None:
    world, who = World(), "an operator at 127.0.0.1"
    with caplog.at_level(logging.INFO, "relay.admin"):
        assert world.ask("PUT", "/admin/pauses/delegate").get_json() == {"hasChanged": True}
        assert world.ask("DELETE", "/admin/pauses/index").get_json() == {"hasChanged": False}
        assert world.ask("PUT", f"/admin/bans/{text(ADA)}", json={"reason": "spam"}).status_code == 200
        assert world.ask("DELETE", f"/admin/bans/{text(ADA)}").status_code == 200
        revoked = world.ask("POST", "/admin/push-tokens/revoke", json={"token": "device-token-long-enough"})
        assert revoked.get_json() == {"removed": 2}
        pruned = world.ask("POST", "/admin/messages/prune", json={"olderThanSeconds": 60, "user": text(ADA)})
        assert pruned.get_json() == {"removed": 3}
        assert world.ask("POST", "/admin/nodes/reconnect").get_json()[0]["isUsed"]
    assert world.store.done == [
        ("pause", Part.DELEGATE, who),
        ("resume", Part.INDEX),
        ("ban", ADA, "spam", who),
        ("unban", ADA),
        ("revoke", "device-token-long-enough"),
        ("prune", 60, ADA),
        ("reconnect",),
    ]
    for said in ("pauses the delegate", "bans 0x", "spam", "removes 3 messages to 0x", "revokes the push token"):
        assert f"{who} {said}" in caplog.text or said in caplog.text
    assert caplog.text.count(who) == 7
    assert "device-token-long-enough" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/admin/pauses/everything", None, 404),
        ("PUT", "/admin/bans/0x12", {}, 404),
        ("POST", "/admin/messages/prune", {}, 422),
        ("POST", "/admin/messages/prune", {"olderThanSeconds": -1}, 422),
        ("POST", "/admin/push-tokens/revoke", {"token": "a\0b"}, 422),
        ("PATCH", "/admin/nodes", None, 405),
    ],
)
def test_mistakes_of_operators_change_nothing(method: str, path: str, body: Any, status: int) -> None:
    world = World()
    answer = world.ask(method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == status
    assert world.store.done == []


def test_operators_get_in_while_the_networks_are_still_loading() -> None:
    world = World(networks=Networks())
    assert world.ask("GET", "/networks").status_code == 503
    assert world.ask("GET", "/admin/bans").status_code == 200
    assert world.ask("GET", "/admin/bans", token=None).status_code == 401


def test_orders_hold_nobody_back_until_there_are_some() -> None:
    orders = Orders()
    orders.require_delegate()
    orders.require_welcome(ADA)
    assert not orders.is_paused(Part.INDEX)
