"""What the simulations start from."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from relay.devnet.anvil import Anvil
from relay.devnet.postgres import EmbeddedPostgres
from tests.conftest import or_skip
from tests.simulation.faults import NodeFault
from tests.simulation.simulation import Simulation
from tests.simulation.world import GENESIS

SEED = int(os.environ.get("TEST_SEED", "20261120"))

SIEVES_LOGS = find_spec("relay.chain.bloom") is not None
"""Whether the index sees by the headers that logs are missing."""

NOT_YET = frozenset() if SIEVES_LOGS else frozenset({NodeFault.LATE_LOGS, NodeFault.LAGGING})
"""What the index does not withstand; a test of its own says so."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A database server of our own, to be restarted and crashed."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("simulation") / "data", durable=False)
    or_skip(server.start)
    yield server
    server.stop()


@pytest.fixture
def world(anvil_binary: str, server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Simulation]:
    """A chain of our own, and a simulation with it."""
    with Anvil(anvil_binary, timestamp=GENESIS) as anvil:
        simulation = Simulation(SEED, anvil, server, tmp_path, NOT_YET)
        yield simulation
        simulation.close()
