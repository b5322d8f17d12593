"""A chain of a test module's own, where tests move the clock, replace blocks or count on who came before."""

from collections.abc import Iterator

import pytest
from web3 import Web3

from relay.devnet.anvil import Anvil


@pytest.fixture(scope="module")
def chain(anvil_binary: str) -> Iterator[Anvil]:
    """A new chain with id 1337 that the tests of one module share."""
    with Anvil(anvil_binary) as anvil:
        yield anvil


@pytest.fixture(scope="module")
def web3(chain: Anvil) -> Web3:
    """A web3 connection to the module's chain."""
    return Web3(Web3.HTTPProvider(chain.url))
