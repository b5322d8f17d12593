"""The local world for tests: one PostgreSQL, one chain and one village for the whole run, started when asked for.

A machine that cannot have them (no network to fetch anvil, an unknown platform) skips the tests that need them,
with the reason in the summary; under ``CI=true`` that is a failure.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from web3 import Web3

from relay.devnet.anvil import Anvil, install_anvil, tools_directory
from relay.devnet.errors import Unavailable
from relay.devnet.plan import GENESIS
from relay.devnet.postgres import EmbeddedPostgres, create_database, drop_database
from relay.devnet.village import Village, catch_up, populate

Part = TypeVar("Part")

_DRAWN = pytest.StashKey[list[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what a process that ran some of the tests has to say of them."""
    node.config.stash.setdefault(_DRAWN, []).extend(getattr(node, "workeroutput", {}).get("drawn", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what random tests drew and by which seed."""
    for line in config.stash.get(_DRAWN, []):
        terminalreporter.write_line(line)


def or_skip(get: Callable[[], Part]) -> Part:
    """Get a part of the local world; what the machine cannot have is skipped aloud, and fails under CI."""
    try:
        return get()
    except Unavailable as error:
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(f"needed under CI: {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server in which databases may be made: TEST_POSTGRES_URL, or one of our own."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", durable=False)
    or_skip(server.start)
    yield server.url
    server.stop()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, empty database for one test."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name)
    drop_database(postgres_url, name)


@pytest.fixture(scope="session")
def anvil_binary() -> str:
    """The path of the anvil binary, installed if need be."""
    return str(or_skip(lambda: install_anvil(tools_directory())))


@pytest.fixture(scope="session")
def anvil(anvil_binary: str) -> Iterator[Anvil]:
    """A chain with id 1337 that all tests share and that mines every transaction at once."""
    with Anvil(anvil_binary) as node:
        yield node


@pytest.fixture(scope="session")
def w3(anvil: Anvil) -> Web3:
    """A web3 connection to the shared chain, whose ten dev accounts are unlocked."""
    return Web3(Web3.HTTPProvider(anvil.url))


@pytest.fixture(scope="session")
def village_chain(anvil_binary: str) -> Iterator[Anvil]:
    """The chain of the village, apart from the one that tests deploy to; who changes it, snapshots and reverts."""
    with Anvil(anvil_binary, timestamp=GENESIS) as node:
        yield node


@pytest.fixture(scope="session")
def village_w3(village_chain: Anvil) -> Web3:
    """A web3 connection to the chain of the village."""
    return Web3(Web3.HTTPProvider(village_chain.url))


@pytest.fixture(scope="session")
def village(village_chain: Anvil, village_w3: Web3) -> Village:
    """The village after its first year, its chain's clock at the present."""
    populated = populate(village_chain, village_w3)
    catch_up(village_chain)
    return populated
