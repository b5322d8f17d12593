"""Whether a relay is ready is told within two seconds, whatever becomes of its database."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from web3 import Web3
from werkzeug.test import Client, TestResponse

from relay.addresses import parse_address
from relay.api.app import create_app
from relay.chain.node import Node
from relay.clients import Clients
from relay.devnet.anvil import Anvil, free_port
from relay.devnet.deploy import NetworkTerms, deploy_network
from relay.model import Block
from relay.observing import observed
from relay.settings import build
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.status import IndexState, IndexStatus
from relay.store.vitals import Vitals, VitalsReader
from tests.support.chain_actions import Life
from tests.support.fake_services import INDEXED_BLOCK, MAX_BODY_BYTES, NOW, services
from tests.support.indexing import make_indexer, open_writer

HERE = {"REMOTE_ADDR": "127.0.0.1"}


def client(database_url: str) -> Client:
    """Return a client of a relay whose graphs are there, over a database of any kind."""
    parts = services()
    settings = build({"database": {"url": database_url}}, Path())
    app = create_app(parts, max_body_bytes=MAX_BODY_BYTES)
    return Client(observed(settings, app, parts.networks, lambda: (), Clients()))


def quickly(asking: Client, path: str) -> TestResponse:
    start = time.monotonic()
    answer = asking.get(path, environ_overrides=HERE)
    assert time.monotonic() - start < 2, path
    return answer


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=16)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def vitals(database_url: str) -> Iterator[VitalsReader]:
    migrate(database_url)
    with closing(Pool(database_url)) as pool:
        yield VitalsReader(pool)


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_database_that_hangs_or_is_gone_is_told_in_time_and_hides_no_figures(
    silent_port: int, *, is_silent: bool
) -> None:
    asking = client(f"postgresql://relay:secret@127.0.0.1:{silent_port if is_silent else free_port()}/relay")
    for _ in range(3):
        answer = quickly(asking, "/ready")
        assert answer.status_code == 503
        assert [reason["code"] for reason in answer.get_json()["reasons"]] == ["database"]
        assert answer.get_json()["block"] == INDEXED_BLOCK
        assert "secret" not in answer.text
        figures = quickly(asking, "/metrics")
        assert "\ntrustlines_database_up 0.0\n" in figures.text
        assert "\ntrustlines_http_requests_in_progress " in figures.text
        assert quickly(asking, "/health").status_code == 200


def test_who_waits_for_a_hanging_database_waits_once(silent_port: int) -> None:
    asking = client(f"postgresql://relay@127.0.0.1:{silent_port}/relay")
    quickly(asking, "/ready")
    start = time.monotonic()
    for _ in range(50):
        assert asking.get("/ready").status_code == 503
    assert time.monotonic() - start < 1


def test_a_relay_is_ready_once_the_index_has_said_where_the_head_is(database_url: str) -> None:
    migrate(database_url)
    asking = client(database_url)
    assert [reason["code"] for reason in quickly(asking, "/ready").get_json()["reasons"]] == ["index"]
    writer = open_writer(database_url)
    try:
        head = Block(INDEXED_BLOCK, bytes(32), bytes(32), NOW)
        writer.report(IndexStatus("here:1", IndexState.FOLLOWING, head=head, final_number=3))
        time.sleep(1.1)  # so long an answer is kept
        assert quickly(asking, "/ready").status_code == 200
        far = Block(INDEXED_BLOCK + 100, bytes(32), bytes(32), NOW + 1000)
        writer.report(IndexStatus("here:1", IndexState.BACKFILLING, head=far, final_number=3))
        time.sleep(1.1)
        answer = quickly(asking, "/ready")
        assert answer.status_code == 503
        assert [reason["code"] for reason in answer.get_json()["reasons"]] == ["lag"]
        assert answer.get_json().items() >= {"lagBlocks": 100, "lagSeconds": 990.0}.items()
        assert "\ntrustlines_index_running 1.0\n" in quickly(asking, "/metrics").text
    finally:
        writer.close()


def test_nothing_is_known_of_a_database_that_nobody_wrote_to(vitals: VitalsReader) -> None:
    found = vitals.read()
    assert found == Vitals(
        state=None,
        report_age=None,
        head=None,
        head_timestamp=None,
        block=None,
        block_timestamp=None,
        final=None,
        feed_position=1,
        has_writer=False,
        networks=0,
        joining=0,
        followers=0,
        slowest=None,
        own_waiting=0,
        users_waiting=0,
        push_waiting=0,
        push_oldest_seconds=0.0,
        push_given_up=0,
        totals={},
    )


def test_events_and_reorgs_are_counted_and_a_rebuild_forgets_none(
    chain: Anvil, web3: Web3, database_url: str, vitals: VitalsReader
) -> None:
    terms = NetworkTerms("Test", "TST", fee_divisor=100, custom_interests=True)
    network = deploy_network(web3, terms, "CurrencyNetwork")
    life = Life(chain, web3, network, seed=4)
    writer = open_writer(database_url)
    try:
        indexer = make_indexer(Node(chain.url), writer, [parse_address(network.address)], finality_depth=20)
        indexer.prepare()

        def index() -> dict[str, int]:
            while indexer.step() is not None:
                pass
            return vitals.read().totals

        life.act(5)
        first = index()
        assert first["events"] > 0
        assert set(first) == {"events"}
        for depth in (3, 1):
            before = chain.rpc("evm_snapshot")
            for _ in range(depth):
                chain.rpc("evm_mine")
            index()
            chain.rpc("evm_revert", before)
            for _ in range(depth + 1):
                chain.rpc("evm_increaseTime", 7)
                chain.rpc("evm_mine")
            told = index()
        assert told == {"events": first["events"], "reorgs": 2, "undone_blocks": 4, "deepest_reorg": 3}
        found = vitals.read()
        assert (found.networks, found.has_writer, found.block) == (1, True, chain_head(web3))
        with writer.transaction() as transaction:
            transaction.erase()
        assert vitals.read().totals == told
    finally:
        writer.close()


def chain_head(web3: Web3) -> int:
    return int(web3.eth.block_number)
