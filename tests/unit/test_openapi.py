"""The API describes itself: all that is served, nothing else, and every word of it explained."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from relay.api.app import create_app
from relay.api.openapi.document import load_examples
from relay.api.openapi.errors import BY_RESOURCE
from relay.api.openapi.glossary import GLOSSARY
from relay.api.routes import PREFIX
from relay.problems import KINDS
from tests.support.fake_services import ADA, BO, CASH, CY, MAX_BODY_BYTES, FakeHistories, services, text
from tests.support.openapi import METHODS, Described

SWITCHES = (
    *("pictures", "meta_transactions", "identities", "faucet", "statuses", "messaging", "devices", "order_book"),
    *("contracts", "token_balance", "administration"),
)
STREAMS = ("events", "messages")
CASH_URL = f"/networks/{text(CASH)}"


def app_with(*parts: str, **more: Any) -> Flask:
    """Return the application with some parts switched on, as far as its routes are concerned."""
    return create_app(services(**dict.fromkeys(parts, object()), **more), max_body_bytes=MAX_BODY_BYTES)


def document_of(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get(f"{PREFIX}/openapi.json").get_json()
    return found


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Return what the application serves, variables without their names."""
    return {
        (re.sub(r"<[^>]+>", "{}", rule.rule.removeprefix(PREFIX)), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(f"{PREFIX}/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def described_in(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (re.sub(r"{[^}]+}", "{}", path), method)
        for path, methods in document["paths"].items()
        for method in methods
        if method in METHODS
    }


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    return document_of(app_with(*SWITCHES, deploys_identities=True, streams=STREAMS))


def test_the_document_is_valid_openapi(everything: dict[str, Any]) -> None:
    assert everything["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(everything).iter_errors()] == []


@pytest.mark.parametrize("on", [(), ("messaging",), ("devices", "pictures"), SWITCHES])
def test_what_is_served_is_described_and_what_is_described_is_served(on: tuple[str, ...]) -> None:
    app = app_with(*on, deploys_identities=True)
    assert described_in(document_of(app)) == routes_of(app)


def test_streams_are_described_where_they_are_served(everything: dict[str, Any]) -> None:
    assert set(everything["paths"]) - set(document_of(app_with(*SWITCHES, deploys_identities=True))["paths"]) == {
        "/streams/events",
        "/streams/messages",
        "/users/{user}/events/stream",
        "/networks/{network}/users/{user}/events/stream",
    }


def test_every_operation_says_what_it_does_and_answers(everything: dict[str, Any]) -> None:
    tags = {tag["name"]: tag["description"] for tag in everything["tags"]}
    operations = list(Described(everything).operations())
    assert len({operation.id for operation in operations}) == len(operations) > 50
    for operation in operations:
        assert operation.content["summary"], operation.id
        assert all(tags[tag] for tag in operation.content["tags"]), operation.id
        assert {"200", "500", "503"} <= set(operation.content["responses"]) or "stream" in operation.path
        assert all(parameter["description"] for parameter in operation.content.get("parameters", ()))


def test_every_member_of_an_object_is_explained(everything: dict[str, Any]) -> None:
    silent = [
        f"{schema}.{name}"
        for schema, content in everything["components"]["schemas"].items()
        for name, shape in content.get("properties", {}).items()
        if not shape.get("description")
    ]
    assert silent == []
    assert all(content["description"] for content in everything["components"]["schemas"].values())


def test_the_glossary_explains_nothing_that_is_not_there(everything: dict[str, Any]) -> None:
    used = {
        shape["description"]
        for content in everything["components"]["schemas"].values()
        for shape in content.get("properties", {}).values()
    } | {
        parameter["description"]
        for operation in Described(everything).operations()
        for parameter in operation.content.get("parameters", ())
    }
    assert [word for word, meaning in GLOSSARY.items() if meaning not in used] == []


def test_the_errors_of_an_operation_are_those_of_its_url_its_parameters_and_its_work(
    everything: dict[str, Any],
) -> None:
    def codes(path: str, method: str) -> set[str]:
        responses = everything["paths"][path][method]["responses"]
        names = [response["$ref"].rpartition("/")[2] for response in responses.values() if "$ref" in response]
        return {code for name in names for code in name.split(".")[1:]}

    everywhere = {"internal_error", "loading", "network_elsewhere", "rate_limited"}
    assert codes("/version", "get") == everywhere
    assert codes("/networks/{network}", "get") - codes("/version", "get") == {
        *("not_found", "malformed_address", "wrong_checksum", "unknown_network")
    }
    assert {"network_frozen", "not_json", "validation_failed"} <= codes("/networks/{network}/path-info", "post")
    assert "network_frozen" not in codes("/networks/{network}/users/{user}", "get")
    assert {"validation_failed", "database_unreachable", "database_busy", "cursor_outdated"} <= codes(
        "/networks/{network}/events", "get"
    )
    assert {"node_refused", "wrong_chain"} <= codes("/relay", "post")


def test_every_code_that_is_announced_is_explained() -> None:
    assert {code for codes in BY_RESOURCE.values() for code in codes} <= set(KINDS)


def test_amounts_and_addresses_have_their_form(everything: dict[str, Any]) -> None:
    trustline = everything["components"]["schemas"]["Trustline"]["properties"]
    assert trustline["balance"] == {
        "type": "string",
        "pattern": "^-?[0-9]+$",
        "description": "What the other owes the user, interest included; negative where the user owes the other.",
    }
    assert trustline["counterParty"]["pattern"] == "^0x[0-9a-fA-F]{40}$"


def test_a_body_may_hold_null_for_what_it_need_not_have(everything: dict[str, Any]) -> None:
    described = Described(everything)
    question = {"$ref": "#/components/schemas/TransferQuestion"}
    body = {"from": text(ADA), "to": text(CY), "value": "1"}
    assert described.against(question, body | {"maxFees": None, "feePayer": None, "avoid": None}) == []
    assert described.against(question, body | {"value": 1, "feePayer": "receiver"}) == []
    assert described.against(question, body | {"value": None}) != []
    assert described.against(question, body | {"feePayer": "nobody"}) != []


def test_a_gift_that_is_not_needed_is_answered_by_null(everything: dict[str, Any]) -> None:
    answer = everything["paths"]["/request-ether"]["post"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["type"] == ["string", "null"]


def test_a_member_that_is_not_described_would_be_found(everything: dict[str, Any]) -> None:
    user = {"$ref": "#/components/schemas/User"}
    answer = app_with().test_client().get(f"{PREFIX}{CASH_URL}/users/{text(ADA)}").get_json()
    assert Described(everything).against(user, answer) == []
    assert Described(everything).against(user, answer | {"more": 1}) != []
    assert Described(everything).against(user, {}) != []


@pytest.mark.parametrize(
    "url",
    [
        *("/version", "/networks", CASH_URL, f"{CASH_URL}/users", f"{CASH_URL}/trustlines", "/blocknumber"),
        *(f"{CASH_URL}/users/{text(ADA)}{rest}" for rest in ("", "/spendable", "/contacts", "/trustlines")),
        *(f"{CASH_URL}/users/{text(ADA)}/{name}/{text(BO)}" for name in ("trustlines", "spendables", "interests")),
        *(f"/users/{text(ADA)}/{name}" for name in ("trustlines", "tx-infos", "txinfos", "balance", "debts")),
        *(f"{CASH_URL}/users/{text(ADA)}/{name}" for name in ("interests", "mediation-fees", "events")),
        *(f"/networks/{text(ADA)}", "/networks/0x1", f"{CASH_URL}/events?fromBlock=-1", f"{CASH_URL}/dump"),
        *("/docs", "/docs/", "/docs/errors", "/docs/page.js", "/docs/nothing", "/openapi.json", "/transfers"),
    ],
)
def test_what_is_answered_is_what_is_described(everything: dict[str, Any], url: str) -> None:
    answer = app_with(histories=FakeHistories()).test_client().get(PREFIX + url)
    value = answer.get_json() if answer.is_json else answer.text
    assert Described(everything).faults("GET", url, answer.status_code, answer.mimetype, value) == []


def test_every_example_is_an_answer_as_it_is_described(everything: dict[str, Any]) -> None:
    operations = {operation.id: operation.content for operation in Described(everything).operations()}
    for name, example in load_examples().items():
        operation = operations[name]
        content = operation["responses"]["200"]["content"]["application/json"]
        assert Described(everything).against(content["schema"], example["answer"]) == [], name
        assert content["example"] == example["answer"]
        if "body" in example:
            body = operation["requestBody"]["content"]["application/json"]
            assert Described(everything).against(body["schema"], example["body"]) == [], name


def test_the_document_is_sent_once_to_those_who_keep_it() -> None:
    client = app_with().test_client()
    first = client.get(f"{PREFIX}/openapi.json")
    again = client.get(f"{PREFIX}/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")


@pytest.mark.parametrize("url", ["/docs", "/docs/"])
def test_the_page_and_all_that_it_loads_come_from_here(url: str) -> None:
    client = app_with().test_client()
    page = client.get(PREFIX + url)
    assert page.mimetype == "text/html"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 6
    for link in loaded:
        assert link.startswith("data:") or client.get(urljoin(PREFIX + url, link)).status_code == 200
    assert not re.search(r"<script>|\bon\w+=", page.text)


def test_every_code_of_an_error_has_its_place_on_the_page_that_its_type_names() -> None:
    client = app_with().test_client()
    told = client.get(f"{PREFIX}/networks/{text(ADA)}").get_json()["type"]
    page, _, place = told.partition("#")
    explained = client.get(page).text
    assert f'id="{place}"' in explained
    assert set(re.findall(r'<tr id="(\w+)">', explained)) == set(KINDS)


def test_no_other_file_is_given_out() -> None:
    client = app_with().test_client()
    for name in ("examples.json", "..%2fconversion.py", "document.py", "swagger-ui-standalone-preset.js"):
        assert client.get(f"{PREFIX}/docs/{name}").status_code == 404
