"""The OpenAPI document held against a relay that runs: by a request for each operation, and by random ones."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from relay.api.openapi.document import load_examples
from relay.devnet.postgres import create_database, drop_database
from tests.support.described_world import Ask, Player, a_described_world, live
from tests.support.openapi import Described
from tests.support.wallet_world import World

WITHOUT_EXAMPLE = {
    *("getDump", "getImage", "getOpenApi", "getPage", "getErrorPage", "getPageFile"),
    *("openEvents", "openMessages", "openUserEvents", "openNetworkUserEvents", "getTransactionInfo2"),
}
"""What answers no JSON, is long enough by itself, or is another name of what has one."""

CHECKS = {
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "unsupported_method"),
    *("response_headers_conformance", "response_schema_conformance"),
}
"""What is asked of each answer, whatever was sent."""


@pytest.fixture(scope="module")
def world(anvil_binary: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = create_database(postgres_url, "described")
    with a_described_world(anvil_binary, database, tmp_path_factory.mktemp("described")) as running:
        yield running
    drop_database(postgres_url, "described")


@pytest.fixture(scope="module")
def asks(world: World) -> dict[str, Ask]:
    return live(world)


@pytest.fixture(scope="module")
def described(world: World) -> Described:
    return Player(world).described


def test_each_operation_answers_as_it_is_described(
    world: World, asks: dict[str, Ask], described: Described
) -> None:
    operations = {operation.id: operation for operation in described.operations()}
    assert set(operations) - set(asks) == WITHOUT_EXAMPLE
    for name, ask in asks.items():
        answer = Player(world).play(operations[name], ask)
        url = answer.url.removeprefix(world.url)
        media_type = answer.headers["Content-Type"]
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert described.faults(operations[name].method, url, 200, media_type, answer.json()) == [], name
        assert answer.json() not in ([], {}), f"{name} has nothing to show"


def test_the_examples_are_those_that_this_world_gives(asks: dict[str, Ask]) -> None:
    recorded = load_examples()
    assert set(recorded) == set(asks), "make them anew: python -m tests.support.described_world"
    for name, ask in asks.items():
        assert set(recorded[name].get("parameters", {})) == set(ask.parameters), name
        assert set(recorded[name].get("body") or {}) == set(ask.body or {}), name


def test_nothing_is_found_by_requests_that_nobody_expects(world: World, asks: dict[str, Ask]) -> None:
    url = world.url
    values = {str(value) for ask in asks.values() for value in ask.parameters.values()}
    # Most random requests are to be about something that exists.
    for form, length in (("address", 42), ("hash", 66)):
        schemathesis.openapi.format(form, st.sampled_from(sorted(each for each in values if len(each) == length)))
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20_180_706,
            "base-url": url,
            "parameters": {
                "path.network": world.networks["CASH"],
                "path.token": world.addresses.unw_eth,
                "path.exchange": world.addresses.exchange,
            },
            "checks": {"enabled": False, **{check: {"enabled": True} for check in CHECKS}},
            "generation": {"max-examples": 3, "deterministic": True},
            "phases": {"coverage": {"unexpected-methods": ["patch"]}, "stateful": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config).exclude(
        path_regex="/streams?(/|$)"
    )
    answers, faults = 0, []
    for event in engine.from_schema(schema).execute():
        match event:
            case ScenarioFinished():
                answers += len(event.recorder.interactions)
                faults += [
                    f"{event.recorder.label}: {check.name}: {check.failure_info and check.failure_info.failure}"
                    for checks in event.recorder.checks.values()
                    for check in checks
                    if check.status is not Status.SUCCESS
                ]
            case NonFatalError() | FatalError():
                faults.append(str(event))
    assert faults == []
    assert answers > 500
