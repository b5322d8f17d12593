"""The published npm client as a user of a relay: one chain, one relay and one Node.js process for all tests."""

from collections.abc import Callable, Iterator

import pytest

from relay.devnet.anvil import Anvil, tools_directory
from relay.devnet.postgres import create_database, drop_database
from tests.conftest import or_skip
from tests.support.wallet_program import WalletProgram, build_program
from tests.support.wallet_types import faults
from tests.support.wallet_world import Person, World, a_world

KINDS = ("ethers", "identity")
"""The kinds of wallets with which the scenarios are played."""

People = Callable[[int], list[Person]]


@pytest.fixture(scope="package")
def world(anvil_binary: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A chain with contracts and a relay that serves all there is."""
    database = create_database(postgres_url, "e2e")
    with (
        Anvil(anvil_binary) as chain,
        a_world(chain, database, tmp_path_factory.mktemp("e2e")) as running,
    ):
        yield running
    drop_database(postgres_url, "e2e")


@pytest.fixture(scope="package")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WalletProgram]:
    """The Node.js process in which all wallets live."""
    command = or_skip(lambda: build_program(tools_directory()))
    with WalletProgram(command, faults, tmp_path_factory.mktemp("program") / "log") as running:
        yield running


@pytest.fixture(autouse=True)
def what_arrives_is_what_the_types_promise(program: WalletProgram) -> Iterator[None]:
    """Every answer and notification of a test fits the client's type declarations."""
    program.take_faults()
    yield
    program.assert_no_faults()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of wallet: every test that takes people is played with each."""
    return str(request.param)


@pytest.fixture
def people(program: WalletProgram, world: World, kind: str) -> People:
    """Make new users that can act."""

    def make(count: int) -> list[Person]:
        made = [Person(program, world, kind) for _ in range(count)]
        for person in made:
            person.settle_in()
        return made

    return make
