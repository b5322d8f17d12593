"""The contracts of a local world: four currency networks, an exchange, wrapped ether and identities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.types import TxParams, TxReceipt

from relay.chain.abi import contract as shipped
from relay.devnet.anvil import CHAIN_ID
from relay.devnet.errors import DevnetError
from relay.devnet.files import write_atomically

GAS_LIMIT = 10_000_000
NEVER = 4_102_444_800
"""When the networks expire: the first second of the year 2100."""


@dataclass(frozen=True, slots=True)
class NetworkTerms:
    """The arguments of a currency network's ``init``: rates in 0.01 % per year, ``fee_divisor`` 0 for no fees."""

    name: str
    symbol: str
    decimals: int = 2
    fee_divisor: int = 0
    default_interest_rate: int = 0
    custom_interests: bool = False
    prevent_mediator_interests: bool = False


CASH = NetworkTerms("Cash", "CASH", decimals=4, fee_divisor=1000, custom_interests=True)
HOURS = NetworkTerms("Work Hours", "HOU", decimals=4, default_interest_rate=1000)
BEER = NetworkTerms("Beers", "BEER", decimals=0)
FAVOURS = NetworkTerms(
    "Favours", "FAV", decimals=2, fee_divisor=100, custom_interests=True, prevent_mediator_interests=True
)
NETWORKS = (CASH, HOURS, BEER, FAVOURS)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The EIP-55 addresses of a deployment; ``networks`` in the order of :data:`NETWORKS`."""

    networks: tuple[ChecksumAddress, ...]
    exchange: ChecksumAddress
    unw_eth: ChecksumAddress
    identity_proxy_factory: ChecksumAddress
    identity_implementations: tuple[ChecksumAddress, ...]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the deployment that an addresses.json describes; raises KeyError or TypeError if it does not."""
        return cls(
            networks=tuple(Web3.to_checksum_address(address) for address in content["networks"]),
            exchange=Web3.to_checksum_address(content["exchange"]),
            unw_eth=Web3.to_checksum_address(content["unwEth"]),
            identity_proxy_factory=Web3.to_checksum_address(content["identityProxyFactory"]),
            identity_implementations=tuple(
                Web3.to_checksum_address(address) for address in content["identityImplementations"]
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of an addresses.json."""
        return {
            "networks": list(self.networks),
            "exchange": self.exchange,
            "unwEth": self.unw_eth,
            "identityProxyFactory": self.identity_proxy_factory,
            "identityImplementation": self.identity_implementations[0],
            "identityImplementations": list(self.identity_implementations),
        }


def contract_at(w3: Web3, name: str, address: ChecksumAddress) -> Contract:
    """Return a deployed contract, of one of the names in trustlines-contracts-bin."""
    return w3.eth.contract(address=address, abi=list(shipped(name).abi))


def deploy_contract(w3: Web3, name: str, *arguments: Any, sender: ChecksumAddress | None = None) -> Contract:
    """Deploy a contract, paid by ``sender`` (unlocked, by default the first account), and wait for it."""
    template = w3.eth.contract(abi=list(shipped(name).abi), bytecode=shipped(name).bytecode)
    call = template.constructor(*arguments)
    receipt = _mined(w3, w3.eth.send_transaction(call.build_transaction(_envelope(w3, sender))))
    address = receipt["contractAddress"]
    if address is None:
        raise DevnetError(f"The contract {name} was not created.")
    return contract_at(w3, name, address)


def deploy_network(
    w3: Web3,
    terms: NetworkTerms,
    kind: str = "TestCurrencyNetwork",
    *,
    sender: ChecksumAddress | None = None,
    expiration_time: int = NEVER,
    authorized: Sequence[ChecksumAddress] = (),
) -> Contract:
    """Deploy and initialise a currency network; ``authorized`` contracts may transfer for its users.

    ``kind`` is the contract's name: CurrencyNetwork, CurrencyNetworkOwnable or TestCurrencyNetwork. Ownable ones
    start frozen, without an event saying so, until their owner calls ``unfreezeNetwork``.
    """
    network = deploy_contract(w3, kind, sender=sender)
    _initialise(w3, network, terms, sender, expiration_time, authorized)
    return network


def _initialise(
    w3: Web3,
    network: Contract,
    terms: NetworkTerms,
    sender: ChecksumAddress | None,
    expiration_time: int,
    authorized: Sequence[ChecksumAddress],
) -> None:
    init = network.functions.init(
        terms.name,
        terms.symbol,
        terms.decimals,
        terms.fee_divisor,
        terms.default_interest_rate,
        terms.custom_interests,
        terms.prevent_mediator_interests,
        expiration_time,
        list(authorized),
    )
    transact(w3, init, sender)


def deploy_world(w3: Web3, sender: ChecksumAddress | None = None) -> Addresses:
    """Deploy everything that a relay can be pointed at; the exchange may move credit in all networks."""
    networks = [deploy_contract(w3, "CurrencyNetwork", sender=sender) for _ in NETWORKS]
    exchange = deploy_contract(w3, "Exchange", sender=sender).address
    for network, terms in zip(networks, NETWORKS, strict=True):
        _initialise(w3, network, terms, sender, NEVER, [exchange])
    return Addresses(
        networks=tuple(network.address for network in networks),
        exchange=exchange,
        unw_eth=deploy_contract(w3, "UnwEth", sender=sender).address,
        identity_proxy_factory=deploy_contract(w3, "IdentityProxyFactory", CHAIN_ID, sender=sender).address,
        identity_implementations=tuple(deploy_contract(w3, "Identity", sender=sender).address for _ in range(2)),
    )


def transact(w3: Web3, call: Any, sender: ChecksumAddress | None = None) -> TxReceipt:
    """Send a contract call from an unlocked account, wait for its block and return its receipt.

    Raises:
        DevnetError: if the transaction failed.

    """
    return _mined(w3, w3.eth.send_transaction(call.build_transaction(_envelope(w3, sender))))


def write_addresses(path: Path, addresses: Addresses) -> None:
    """Write an addresses.json."""
    write_atomically(path, json.dumps(addresses.as_json(), indent=2) + "\n")


def _envelope(w3: Web3, sender: ChecksumAddress | None) -> TxParams:
    """Return the fields that a transaction needs beside its call; a fixed gas limit saves an estimate."""
    return {
        "from": sender or w3.eth.accounts[0],
        "gas": GAS_LIMIT,
        "maxFeePerGas": w3.to_wei(2, "gwei"),
        "maxPriorityFeePerGas": w3.to_wei(0, "gwei"),
        "chainId": CHAIN_ID,
    }


def _mined(w3: Web3, transaction_hash: Any) -> TxReceipt:
    receipt = w3.eth.wait_for_transaction_receipt(transaction_hash, timeout=30, poll_latency=0.01)
    if receipt["status"] != 1:
        raise DevnetError(f"The transaction {Web3.to_hex(transaction_hash)} failed.")
    return receipt
