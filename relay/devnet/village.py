"""The village on a chain: the plan's people act it out, signing with their own keys.

The blocks follow from the seed alone: their times are the plan's, their transactions are sent in its order.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import NETWORKS, Addresses, contract_at, deploy_world
from relay.devnet.errors import DevnetError
from relay.devnet.plan import Act, Person, Plan, Scene, plan_village

ETHER = 10**18
GAS_LIMIT = 1_500_000
GAS_PRICE = 2 * 10**9
FIRST_BLOCKS_SECONDS = 60

Progress = Callable[[int, int], None]
"""Told how many of how many steps are done."""


@dataclass(frozen=True, slots=True)
class Village:
    """A populated chain: the plan it followed and the addresses of its contracts."""

    plan: Plan
    addresses: Addresses

    @property
    def networks(self) -> dict[str, ChecksumAddress]:
        """The addresses of the currency networks by symbol."""
        return network_addresses(self.addresses)

    def person(self, name: str) -> Person:
        """Return an inhabitant by name; KeyError if there is none."""
        return self.plan.person(name)


def network_addresses(addresses: Addresses) -> dict[str, ChecksumAddress]:
    """Return the addresses of the currency networks by symbol."""
    return {terms.symbol: address for terms, address in zip(NETWORKS, addresses.networks, strict=True)}


def no_progress(_done: int, _steps: int) -> None:
    """Tell nobody."""


def populate(node: Anvil, w3: Web3, seed: int = 1, progress: Progress = no_progress) -> Village:
    """Deploy all contracts on a new chain and let the village live its first year.

    The chain must be fresh, begun at :data:`relay.devnet.plan.GENESIS`. At the end its clock stands where the plan
    ended; see :func:`catch_up`.

    Raises:
        DevnetError: if a transaction fails.

    """
    plan = plan_village(seed)
    node.rpc("anvil_setBlockTimestampInterval", FIRST_BLOCKS_SECONDS)
    addresses = deploy_world(w3)
    node.rpc("anvil_removeBlockTimestampInterval")
    for person in plan.people:
        node.rpc("anvil_setBalance", person.address, hex(100 * ETHER))
    node.rpc("evm_setAutomine", False)
    stage = _Stage(node, w3, addresses)
    for done, scene in enumerate(plan.scenes):
        progress(done, len(plan.scenes))
        stage.play(scene)
    node.rpc("evm_setAutomine", True)
    progress(len(plan.scenes), len(plan.scenes))
    return Village(plan, addresses)


def catch_up(node: Anvil, now: int | None = None) -> None:
    """Set the chain's clock to ``now`` (Unix seconds, by default the present) and mine a block there.

    From then on it runs at real speed. A chain that is already ahead keeps its time.
    """
    at = int(time.time()) if now is None else now
    if int(node.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) < at:
        node.rpc("evm_setTime", at)
        node.mine()


class _Stage:
    """Where scenes become blocks; keeps the nonces of the actors."""

    def __init__(self, node: Anvil, w3: Web3, addresses: Addresses) -> None:
        self._node = node
        self._w3 = w3
        self._networks: dict[str, Contract] = {
            symbol: contract_at(w3, "CurrencyNetwork", address)
            for symbol, address in network_addresses(addresses).items()
        }
        self._nonces: Counter[ChecksumAddress] = Counter()

    def play(self, scene: Scene) -> None:
        """Send a scene's transactions and mine them into one block at the scene's time."""
        for act in scene.acts:
            self._w3.eth.send_raw_transaction(self._sign(act))
        self._node.mine(scene.at)
        receipts = self._node.rpc("eth_getBlockReceipts", "latest")
        if len(receipts) != len(scene.acts):
            raise DevnetError(f"Only {len(receipts)} of {len(scene.acts)} acts came into the block at {scene.at}.")
        for act, receipt in zip(scene.acts, receipts, strict=True):
            if receipt["status"] != "0x1":
                raise DevnetError(f"The village failed: {act.actor.name} cannot {act.call} in {act.symbol}.")

    def _sign(self, act: Act) -> bytes:
        network = self._networks[act.symbol]
        transaction: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "to": network.address,
            "value": 0,
            "data": network.encode_abi(act.call, list(act.arguments)),
            "nonce": self._nonces[act.actor.address],
            "gas": GAS_LIMIT,
            "gasPrice": GAS_PRICE,
        }
        self._nonces[act.actor.address] += 1
        return bytes(Account.sign_transaction(transaction, act.actor.key).raw_transaction)
