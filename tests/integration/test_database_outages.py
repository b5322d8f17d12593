"""A database that ends, hangs or is cut off: a refusal within two seconds, and answers again within five."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from flask import Flask
from psycopg2.extensions import make_dsn, parse_dsn
from web3 import Web3
from werkzeug.test import Client

from relay import app, ground, indexing
from relay.api.app import create_app
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import CASH as NETWORK
from relay.devnet.deploy import deploy_network
from relay.devnet.postgres import EmbeddedPostgres, create_database
from relay.settings import build
from relay.store.connection import Pool
from relay.store.errors import DatabaseUnreachable, StoreError
from relay.store.guard import Guard, servers_of
from relay.store.migrate import migrate
from relay.store.operating import OperatingPool
from relay.store.operations import WritingPool
from relay.store.pages import EventPages
from tests.conftest import or_skip
from tests.support.fake_services import ADA, CASH, CY, INDEXED_BLOCK, MAX_BODY_BYTES, services, text
from tests.support.swallowing_proxy import SwallowingProxy

REFUSED_WITHIN = 2.0 + 0.5
"""Seconds: what is promised, and what a busy machine adds."""
BACK_WITHIN = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of our own, which nobody else misses."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", durable=False)
    or_skip(server.start)
    yield server
    server.stop()


@pytest.fixture
def url(server: EmbeddedPostgres, request: pytest.FixtureRequest) -> str:
    url = create_database(server.url, f"outage_{abs(hash(request.node.name))}")
    migrate(url)
    return url


@contextmanager
def guarded(url: str) -> Iterator[tuple[Flask, Guard, Pool]]:
    """An API whose events come from the database, with a guard over it."""
    guard = Guard(url)
    pool = Pool(url, size=4, guard=guard)
    api = create_app(
        replace(services(), events=EventPages(pool, lists_expected=False)), max_body_bytes=MAX_BODY_BYTES
    )
    yield api, guard, pool
    pool.close()
    guard.close()


@contextmanager
def hanging(server: EmbeddedPostgres) -> Iterator[None]:
    """Stop all processes of the server, without ending them."""
    assert server.child is not None
    main = psutil.Process(server.child.pid)
    family = [main, *main.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            os.kill(process.pid, signal.SIGCONT)


def ask_for_events(api: Flask) -> tuple[int, float]:
    """Return the status of an answer from the database, and the seconds it took."""
    began = time.monotonic()
    answer = api.test_client().get(f"/api/v1/networks/{text(CASH)}/events")
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        # Who waited for a connection that others wait with in vain is told that there was none.
        assert answer.get_json()["message"].startswith("the database ")
    return answer.status_code, time.monotonic() - began


def ask_at_once(api: Flask, number: int) -> list[tuple[int, float]]:
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda _: ask_for_events(api), range(number)))


def back_after(act: Callable[[], object]) -> float:
    """Return the seconds until something succeeds again."""
    began = time.monotonic()
    while time.monotonic() - began < 4 * BACK_WITHIN:
        try:
            act()
        except StoreError:
            time.sleep(0.05)
        else:
            break
    return time.monotonic() - began


def assert_refused_soon(api: Flask) -> None:
    # More than there are connections, and then one after the other.
    for status, seconds in [*ask_at_once(api, 10), ask_for_events(api), ask_for_events(api)]:
        assert status == 503
        assert seconds < REFUSED_WITHIN


def assert_graph_answers(api: Flask) -> None:
    body = {"from": text(ADA), "to": text(CY), "value": "400"}
    began = time.monotonic()
    answer = api.test_client().post(f"/api/v1/networks/{text(CASH)}/path-info", json=body)
    assert len(answer.get_json()["path"]) == 3
    assert answer.headers["X-Trustlines-Block"] == str(INDEXED_BLOCK)
    assert time.monotonic() - began < 1


def assert_back(api: Flask, pool: Pool) -> None:
    def ask() -> None:
        with pool.snapshot() as cursor:
            cursor.execute("SELECT 1")

    assert back_after(ask) < BACK_WITHIN
    assert {status for status, _ in ask_at_once(api, 10)} == {200}


def test_a_server_that_hangs_is_given_up_soon_and_used_again_soon(server: EmbeddedPostgres, url: str) -> None:
    with guarded(url) as (api, _, pool):
        assert ask_for_events(api)[0] == 200
        with hanging(server):
            assert_refused_soon(api)
            assert_graph_answers(api)
        assert_back(api, pool)


def test_a_server_that_hangs_before_anything_was_asked_is_given_up_as_soon(
    server: EmbeddedPostgres, url: str
) -> None:
    with guarded(url) as (api, _, pool):
        with hanging(server):
            assert_refused_soon(api)
        assert_back(api, pool)


def test_what_was_under_way_when_the_server_began_to_hang_is_ended(server: EmbeddedPostgres, url: str) -> None:
    with guarded(url) as (_, guard, pool):
        for kind in (pool, WritingPool(url, 2, guard=guard), OperatingPool(url, 2, guard=guard)):
            outcomes: list[object] = []
            begun = threading.Event()

            def ask(kind: Pool = kind, outcomes: list[object] = outcomes, begun: threading.Event = begun) -> None:
                try:
                    with kind.snapshot() as cursor:
                        cursor.execute("SELECT 1")
                        begun.set()
                        cursor.execute("SELECT pg_sleep(30)")
                except DatabaseUnreachable as error:
                    outcomes.append(error)

            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            assert begun.wait(10)
            with hanging(server):
                thread.join(REFUSED_WITHIN)
                assert [type(outcome) for outcome in outcomes] == [DatabaseUnreachable]
            assert back_after(guard.require) < BACK_WITHIN


def test_a_query_that_takes_long_is_none_that_hangs(url: str) -> None:
    with guarded(url) as (_, _, pool), pool.snapshot() as cursor:
        cursor.execute("SELECT pg_sleep(2.5), 7")
        row = cursor.fetchone()
        assert row is not None
        assert row[1] == 7


def test_a_way_that_swallows_everything_is_given_up_and_old_connections_with_it(url: str) -> None:
    proxy = SwallowingProxy(url)
    with guarded(proxy.url) as (api, _, pool):
        assert {status for status, _ in ask_at_once(api, 4)} == {200}
        proxy.swallow()
        assert_refused_soon(api)
        assert_graph_answers(api)
        proxy.pass_on()
        # The connections from before stay silent: were one of them used, this would take long.
        assert_back(api, pool)
    proxy.close()


def test_of_two_servers_the_first_may_swallow_everything(url: str) -> None:
    proxy = SwallowingProxy(url)
    proxy.swallow()
    well, silent = parse_dsn(url), parse_dsn(proxy.url)
    places = {name: f"{silent[name]},{well.get(name, '')}" for name in ("host", "port")}
    with guarded(make_dsn(**(well | places))) as (_, guard, pool):
        for _ in range(2):
            with pool.snapshot() as cursor:
                cursor.execute("SELECT 1")
        assert guard.generation == 0, "the second one answers"
    assert [parse_dsn(server).get("port", "") for server in servers_of(make_dsn(**(well | places)))] == [
        silent["port"],
        well.get("port", ""),
    ]
    proxy.close()


def test_a_server_that_ends_and_starts_again(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        url = create_database(server.url, "relay")
        migrate(url)
        with guarded(url) as (api, _, pool):
            assert ask_for_events(api)[0] == 200
            server.stop()
            assert_refused_soon(api)
            assert_graph_answers(api)
            with EmbeddedPostgres(tmp_path / "data", durable=False):
                assert_back(api, pool)


@contextmanager
def whole_relay(url: str, chain: Anvil, network: str) -> Iterator[Client]:
    """Index and API as the composition root makes them, in this process."""
    settings = build(
        {
            "relay": {"networks": [network]},
            "node": {"urls": [chain.url]},
            "database": {"url": url},
            "index": {"poll_seconds": 0.1},
            "messaging": {"enable": True},
        },
        None,
    )
    node, stopping = ground.open_node(settings), threading.Event()
    index = indexing.build_index(settings, settings.relay.networks, node, stopping)
    thread = threading.Thread(target=index.run, daemon=True)
    thread.start()
    api = app.build_api(settings, node, CHAIN_ID)
    try:
        client = Client(api)
        deadline = time.monotonic() + 30
        while not knows_networks(client) or client.get(PATH).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield client
    finally:
        stopping.set()
        thread.join()
        api.stop()  # type: ignore[attr-defined]


def knows_networks(client: Client) -> bool:
    answer = client.get("/api/v1/networks")
    return answer.status_code == 200 and answer.get_json() != []


PATH = "/api/v1/blocknumber"


def test_a_whole_relay_refuses_what_needs_the_database_goes_on_with_the_rest_and_comes_back(
    server: EmbeddedPostgres, url: str, chain: Anvil, web3: Web3
) -> None:
    network = deploy_network(web3, NETWORK, "CurrencyNetwork").address
    with whole_relay(url, chain, network) as client:

        def statuses() -> list[int]:
            found = []
            for method, path, body in (
                ("GET", f"networks/{network}/events", None),
                ("GET", f"users/{text(ADA)}/debts", None),
                ("POST", f"messages/{text(ADA)}", {"message": "hello"}),
            ):
                began = time.monotonic()
                found.append(client.open(f"/api/v1/{path}", method=method, json=body).status_code)
                assert time.monotonic() - began < REFUSED_WITHIN, path
            return found

        def block() -> int:
            answer = client.get("/api/v1/networks")
            assert answer.status_code == 200
            return int(answer.headers["X-Trustlines-Block"])

        assert statuses() == [200] * 3
        with hanging(server):
            for _ in range(2):
                assert statuses() == [503] * 3
                assert block() >= 0
            # Longer than anything waits for: nothing may have ended for good.
            time.sleep(4)
            assert statuses() == [503] * 3
        began = time.monotonic()
        while statuses() != [200] * 3:
            assert time.monotonic() - began < BACK_WITHIN
        chain.rpc("evm_mine")
        while block() < web3.eth.block_number:
            assert time.monotonic() - began < 20, "new blocks are followed again"
            time.sleep(0.1)
