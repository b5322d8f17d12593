"""Random real transfers on a local chain, with the gas that each was charged.

The gas model is fitted to them and tested by them. Every scenario makes new users, opens trustlines between them,
moves balances by real transfers, lets time pass, measures one transfer over all of them, and takes it all back.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from web3 import HTTPProvider, Web3

from relay.addresses import Address, to_checksum
from relay.chain import abi
from relay.chain.gas import HopGas, NetworkGas, TransferCall, hop_gas
from relay.chain.network import read_account
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_contract, deploy_network, transact

YEAR = 31_536_000
LINE = 10**18
GAS_LIMIT = 20_000_000
PATIENCE = 2000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of network to measure: its terms, its contract, and whether it stands behind a proxy."""

    terms: NetworkTerms
    contract: str = "CurrencyNetwork"
    proxied: bool = False


PLAIN = NetworkTerms("No fees, no interest", "BEER")
HOURS = NetworkTerms("Default interest", "HOU", default_interest_rate=1000)
CASH = NetworkTerms("Fees and custom interest", "CASH", fee_divisor=1000, custom_interests=True)
WANING = NetworkTerms("Negative interest", "WANE", default_interest_rate=-700)
COINS = NetworkTerms("Fees, no interest", "COIN", fee_divisor=100)
FAVOURS = NetworkTerms(
    "Protected mediators", "FAV", fee_divisor=100, custom_interests=True, prevent_mediator_interests=True
)
KINDS = (
    Kind(PLAIN),
    Kind(HOURS),
    Kind(CASH),
    Kind(COINS),
    Kind(FAVOURS),
    Kind(CASH, contract="CurrencyNetworkOwnable"),
    Kind(CASH, proxied=True),
    Kind(WANING),
)
"""Fees or none; no, default or custom interest; mediators protected or not; the contracts in the field."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A mined transfer: the facts that the model is given, and the gas charged."""

    kind: Kind
    call: TransferCall
    hops: tuple[HopGas, ...]
    gas_used: int

    @property
    def network(self) -> NetworkGas:
        """The facts of the network."""
        terms = self.kind.terms
        return NetworkGas(terms.fee_divisor > 0, terms.prevent_mediator_interests, self.kind.proxied)


class GasWorld:
    """Networks of every kind on a running anvil of its own, and what it takes to measure transfers in them."""

    def __init__(self, anvil: Anvil, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible measurements, no secrets
        self.provider = HTTPProvider(anvil.url)
        self.node = Node(anvil.url, timeout=60)
        self.rpc("anvil_autoImpersonateAccount", True)
        w3 = Web3(self.provider)
        self.networks = {kind: bytes.fromhex(_deploy(w3, kind)[2:]) for kind in KINDS}

    def rpc(self, method: str, *params: Any) -> Any:
        """Call a JSON-RPC method of the chain and return its result."""
        answer = self.provider.make_request(method, list(params))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def user(self) -> Address:
        """Return a new account with ether."""
        address = self.random.randbytes(20)
        self.rpc("anvil_setBalance", to_checksum(address), hex(10**21))
        return address

    def send(self, sender: Address, network: Address, data: bytes) -> dict[str, Any]:
        """Send a transaction and return its receipt."""
        transaction_hash = self.rpc(
            "eth_sendTransaction",
            {
                "from": "0x" + sender.hex(),
                "to": "0x" + network.hex(),
                "data": "0x" + data.hex(),
                "gas": hex(GAS_LIMIT),
            },
        )
        for _ in range(PATIENCE):
            receipt = self.rpc("eth_getTransactionReceipt", transaction_hash)
            if receipt is not None:
                return dict(receipt)
            time.sleep(0.005)  # the chain announces the hash before it has mined the block
        raise RuntimeError(f"the transaction {transaction_hash} is not mined")

    def succeed(self, sender: Address, network: Address, function: str, *arguments: Any) -> None:
        """Call a function of a network in a transaction that must not fail."""
        receipt = self.send(sender, network, encode(function, *arguments))
        if receipt["status"] != "0x1":
            raise RuntimeError(f"{function} failed")

    def open_line(self, kind: Kind, a: Address, b: Address, rates: tuple[int, int]) -> None:
        """Open a trustline with large credit lines both ways."""
        network = self.networks[kind]
        if kind.terms.custom_interests:
            self.succeed(a, network, "updateTrustline", b, LINE, LINE, *rates, False)
            self.succeed(b, network, "updateTrustline", a, LINE, LINE, *reversed(rates), False)
        else:
            self.succeed(a, network, "updateCreditlimits", b, LINE, LINE)
            self.succeed(b, network, "updateCreditlimits", a, LINE, LINE)

    def measure(self, kind: Kind, call: TransferCall) -> Measurement | None:
        """Send a transfer; None if the contract refuses it."""
        network = self.networks[kind]
        accounts = [read_account(self.node, network, a, b) for a, b in pairwise(call.path)]
        receipt = self.send(call.path[0], network, call.calldata())
        if receipt["status"] != "0x1":
            return None
        block = self.node.block(int(receipt["blockNumber"], 16))
        assert block is not None
        hops = tuple(hop_gas(a.balance, a.rate_given, a.rate_received, a.mtime, block.timestamp) for a in accounts)
        return Measurement(kind, call, hops, int(receipt["gasUsed"], 16))

    def random_transfer(self, kind: Kind, hops: int) -> Measurement | None:
        """Build a path with some history and measure a transfer over it; None if the contract refuses it.

        A transfer is refused where a mediator would lose interest in a network that prevents it, or where no
        fee is allowed but one is due.
        """
        draw = self.random
        path = tuple(self.user() for _ in range(hops + 1))
        value = draw.choice([1, 999, draw.randrange(1, 10**5), draw.randrange(1, 10**9), 10**15])
        self._make_history(kind, path, value)
        now = self.node.head().timestamp
        elapsed = draw.choice([1, 60, 86_400, YEAR // 12, YEAR, 3 * YEAR, 20 * YEAR])
        self.rpc("evm_setNextBlockTimestamp", now + elapsed)
        max_fee = draw.choice([value, 2**63])
        return self.measure(
            kind, TransferCall(path, value, max_fee, draw.random() < 0.5, self.random_extra_data())
        )

    def random_extra_data(self) -> bytes:
        """Return extra data as it occurs: none, a short note, an address, several KB; zero bytes or others."""
        draw = self.random
        size = draw.choice([0, 0, 0, draw.randrange(1, 33), 100, draw.randrange(33, 1000), draw.randrange(8000)])
        return draw.choice([bytes(size), draw.randbytes(size), bytes(size // 2) + b"x" * (size - size // 2)])

    def measurements(self, count: int, max_hops: int = 8) -> Iterator[Measurement]:
        """Yield so many measured transfers, over all kinds of networks in turn and 1 to ``max_hops`` hops."""
        made = 0
        while made < count:
            snapshot = self.rpc("evm_snapshot")
            found = self.random_transfer(KINDS[made % len(KINDS)], 1 + self.random.randrange(max_hops))
            self.rpc("evm_revert", snapshot)
            if found is not None:
                made += 1
                yield found

    def _make_history(self, kind: Kind, path: Sequence[Address], value: int) -> None:
        draw = self.random
        used = draw.choice([0.0, 0.5, 1.0])
        rates = draw.choice([(0, 0, 100, 2000), (0, 500, 1000, 2000)])
        for a, b in pairwise(path):
            self.open_line(kind, a, b, (draw.choice(rates), draw.choice(rates)))
            if draw.random() < used:
                amount = draw.choice([value, draw.randrange(1, 10**3), draw.randrange(1, 10**6), 10**10, 10**16])
                payer, payee = draw.choice([(a, b), (b, a)])
                self.succeed(payer, self.networks[kind], "transfer", amount, 0, [payer, payee], b"")


def encode(function: str, *arguments: Any) -> bytes:
    """Return the calldata of a call to a currency network."""
    return abi.encode_call(abi.contract("CurrencyNetwork").entry("function", function), arguments)


def _deploy(w3: Web3, kind: Kind) -> str:
    network = deploy_network(w3, kind.terms, kind.contract)
    if kind.contract == "CurrencyNetworkOwnable":
        transact(w3, network.functions.unfreezeNetwork())
    if not kind.proxied:
        return str(network.address)
    terms = kind.terms
    initialise = encode(
        "init",
        *(terms.name, terms.symbol, terms.decimals, terms.fee_divisor, terms.default_interest_rate),
        *(terms.custom_interests, terms.prevent_mediator_interests, 4_102_444_800, []),
    )
    beacon = deploy_contract(w3, "ProxyBeacon", network.address)
    return str(deploy_contract(w3, "AdministrativeProxy", beacon.address, initialise).address)
