"""The chain of the simulation: networks with people in them, random transactions, and blocks that are replaced.

Every block gets a time that no block had before, so that no replaced block can come back by chance; whatever the
chain does, it is looked at afterwards and held to that.
"""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations, product
from typing import Any

import requests
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from web3 import Web3

from relay.addresses import Address, parse_address, to_checksum
from relay.chain.abi import contract
from relay.contracts import ContractKind, WantedContracts
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NetworkTerms, deploy_contract, deploy_network
from tests.support.identity_world import deploy_identity_world, make_wallets

GENESIS = 1_700_000_000
PEOPLE = 8
GAS = 1_500_000
BLOCK_GAS = 10**9
RATES = (0, 0, 100, 500, 2000)

KINDS = (
    ("CurrencyNetwork", NetworkTerms("Cash", "CASH", decimals=4, fee_divisor=100, custom_interests=True)),
    ("TestCurrencyNetwork", NetworkTerms("Hours", "HOU", default_interest_rate=1000)),
    ("CurrencyNetworkOwnable", NetworkTerms("Late", "LATE", fee_divisor=10, custom_interests=True)),
)
"""The networks there are from the beginning; the last one starts frozen, without an event that says so."""

ADDED = ("TestCurrencyNetwork", NetworkTerms("Added", "ADD", fee_divisor=20, custom_interests=True))


class Way(StrEnum):
    """How blocks are replaced."""

    REORG = "anvil_reorg"
    ROLLBACK = "anvil_rollback"
    REVERT = "evm_revert"


@dataclass(frozen=True)
class Network:
    """A contract of one of the KINDS."""

    address: Address
    kind: str
    rates: tuple[int, ...]
    """The interest rates that its trustlines may have."""


@dataclass(frozen=True)
class Transaction:
    """A call of a contract by an unlocked account."""

    sender: Address
    to: Address
    data: str
    value: int = 0

    def as_request(self) -> dict[str, str]:
        return {
            "from": _hex(self.sender),
            "to": _hex(self.to),
            "data": self.data,
            "value": hex(self.value),
            "gas": hex(GAS),
        }


class World:
    """A chain that belongs to this object alone, mining only when it is told to."""

    def __init__(self, anvil: Anvil, finality: int) -> None:
        """Deploy the networks; never is a block replaced that lies ``finality`` or more below any earlier head."""
        self._anvil, self._finality = anvil, finality
        self._http = requests.Session()
        self._http.trust_env = False
        web3 = Web3(Web3.HTTPProvider(anvil.url))
        accounts = [parse_address(account) for account in web3.eth.accounts]
        self._owner, self.people = accounts[0], accounts[1 : PEOPLE + 1]
        self.networks = [self._deploy(web3, kind, terms) for kind, terms in KINDS]
        self.added = self._deploy(web3, *ADDED)
        self._others = {
            name: parse_address(deploy_contract(web3, name).address) for name in ("UnwEth", "Exchange")
        }
        (self._wallet,) = make_wallets(deploy_identity_world(anvil, web3), 1)
        self._ask([("evm_setAutomine", [False]), ("evm_setBlockGasLimit", [hex(BLOCK_GAS)])])
        self._hashes: dict[int, bytes] = {}
        self.known: set[bytes] = set()
        """The hashes of all blocks that ever were on the chain."""
        self.highest = 0
        """The number of the highest block that ever was on the chain."""
        self._time = 0
        self._note_from(0)
        self._acquaint()
        self._lowest = self.head
        self.reorgs = 0
        self.deepest = 0

    @property
    def head(self) -> int:
        """The number of the newest block."""
        return max(self._hashes)

    @property
    def head_hash(self) -> bytes:
        """The hash of the newest block."""
        return self._hashes[self.head]

    @property
    def contracts(self) -> WantedContracts:
        """The contracts beside networks that are followed."""
        kinds = {"UnwEth": ContractKind.UNW_ETH, "Exchange": ContractKind.EXCHANGE}
        return {**{self._others[name]: kind for name, kind in kinds.items()}, None: ContractKind.IDENTITY}

    def address_file(self) -> dict[str, str]:
        """Return what the address file says beside the networks."""
        return {"unwEth": _hex(self._others["UnwEth"]), "exchange": _hex(self._others["Exchange"])}

    def grow(self, blocks: int, density: float, chance: random.Random) -> None:
        """Add blocks with ``density`` transactions each on average, or none at all where it is 0."""
        before = self.head
        if density == 0:
            if blocks:
                self._time += 10
                self._ask([("evm_mine", [self._time])])
                self._ask([("anvil_mine", [hex(blocks - 1), hex(7)])] if blocks > 1 else [])
        else:
            nonces = self._nonces()
            for _ in range(blocks):
                deeds = [deed for _ in range(_about(density, chance)) for deed in self._deed(chance)]
                self._send(deeds, nonces)
                self._time += chance.choice((1, 5, 15, 15, 60, 86_400)) if chance.random() < 0.98 else 5_000_000
                self._ask([("evm_mine", [self._time])])
        self._note_from(before + 1)
        assert self.head == before + blocks, f"{blocks} blocks after {before} end at {self.head}"

    def reorganise(
        self, way: Way, depth: int, blocks: int, density: float, chance: random.Random, between: Callable[[], None]
    ) -> None:
        """Replace the last ``depth`` blocks by ``blocks`` others; anvil_reorg replaces them by as many.

        ``between`` is called while the chain is shorter, and, where a snapshot is reverted to, before.
        """
        depth = max(1, depth)
        floor = max(self._lowest, self.highest - self._finality)
        if self.head - depth < floor and way is not Way.REVERT:
            self.grow(floor + depth - self.head, density, chance)
        if way is Way.REVERT:
            snapshot = self._ask([("evm_snapshot", [])])[0]
            self.grow(depth, density, chance)
            between()
        ancestor = self.head - depth
        replaced = {number: self._hashes.pop(number) for number in range(ancestor + 1, self.head + 1)}
        if way is Way.REORG:
            self._ask([("anvil_reorg", [depth, self._fresh_transactions(depth, density, chance)])])
            self._note_from(ancestor + 1)
            blocks = depth
        else:
            undo = ("evm_revert", [snapshot]) if way is Way.REVERT else ("anvil_rollback", [depth])
            assert self._ask([undo])[0] in (True, None)
            self._ask([("anvil_dropAllTransactions", [])])
            between()
            self.grow(blocks, density, chance)
        assert self.head == ancestor + blocks, f"after {way} of {depth} the chain ends at {self.head}"
        self._require_changed(way, replaced)
        self.reorgs += 1
        self.deepest = max(self.deepest, depth)

    def accounts(self, networks: Iterable[Network]) -> dict[tuple[Address, Address, Address], tuple[Any, ...]]:
        """Return what the contracts say of every trustline at the head, from both its sides.

        A trustline exists while terms or balance are not all zero; the contract may keep flag and mtime longer.
        """
        keys = [(network, *pair) for network in networks for pair in permutations(self.people, 2)]
        data = [_data(network.kind, "getAccount", pair) for network, *pair in keys]
        asked = [
            ("eth_call", [{"to": _hex(network.address), "data": text}, "latest"])
            for (network, *_), text in zip(keys, data, strict=True)
        ]
        found = {}
        types = ["int256"] * 4 + ["bool", "uint256", "int256"]
        for (network, one, other), answer in zip(keys, self._ask(asked), strict=True):
            account = decode(types, bytes.fromhex(answer[2:]))
            if any(account[:4]) or account[6]:
                found[network.address, one, other] = account
        return found

    def is_intact(self) -> bool:
        """Say whether the node still knows its contracts: anvil keeps the states of some hundred blocks only."""
        addresses = [network.address for network in (*self.networks, self.added)]
        return all(len(code) > 2 for code in self._ask([("eth_getCode", [_hex(a), "latest"]) for a in addresses]))

    def are_frozen(self, networks: Sequence[Network]) -> list[bool]:
        """Say of each network whether its contract is frozen at the head."""
        data = [_data(network.kind, "isNetworkFrozen", ()) for network in networks]
        asked = [
            ("eth_call", [{"to": _hex(network.address), "data": text}, "latest"])
            for network, text in zip(networks, data, strict=True)
        ]
        return [bool(int(answer, 16)) for answer in self._ask(asked)]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _deploy(self, web3: Web3, kind: str, terms: NetworkTerms) -> Network:
        address = parse_address(deploy_network(web3, terms, kind).address)
        return Network(address, kind, RATES if terms.custom_interests else (terms.default_interest_rate,))

    def _acquaint(self) -> None:
        """Let most people know each other from the beginning, where networks are not frozen."""
        count = len(self.people)
        for network in [*self.networks[:2], self.added]:
            nonces, deeds = self._nonces(), []
            rates = network.rates[0], network.rates[0]
            for at, step in product(range(count), (1, 2, 3)):
                one, other = self.people[at], self.people[(at + step) % count]
                for sender, far in ((one, other), (other, one)):
                    data = _data(network.kind, "updateTrustline", (far, 10**7, 10**7, *rates, False))
                    deeds.append(Transaction(sender, network.address, data))
            self._send(deeds, nonces)
            self._time += 10
            self._ask([("evm_mine", [self._time])])
        self._note_from(self.head + 1)

    def _note_from(self, first: int) -> None:
        """Note the hashes of the blocks from ``first`` on."""
        head = int(self._ask([("eth_blockNumber", [])])[0], 16)
        blocks = self._ask([("eth_getBlockByNumber", [hex(n), False]) for n in range(first, head + 1)])
        for block in blocks:
            block_hash = bytes.fromhex(block["hash"][2:])
            assert block_hash not in self.known, f"block {block['number']} is one that was replaced before"
            self.known.add(block_hash)
            self._hashes[int(block["number"], 16)] = block_hash
            self._time = max(self._time, int(block["timestamp"], 16))
        self.highest = max(self.highest, head)

    def _require_changed(self, way: Way, replaced: dict[int, bytes]) -> None:
        for number, block_hash in replaced.items():
            assert self._hashes.get(number) != block_hash, f"{way} left block {number} as it was"
            (still,) = self._ask([("eth_getBlockByHash", ["0x" + block_hash.hex(), False])])
            assert still is None or int(still["number"], 16) == number

    def _send(self, deeds: Sequence[Transaction], nonces: dict[Address, int]) -> None:
        requests = []
        for deed in deeds:
            requests.append(("eth_sendTransaction", [{**deed.as_request(), "nonce": hex(nonces[deed.sender])}]))
            nonces[deed.sender] += 1
        self._ask(requests)

    def _fresh_transactions(self, depth: int, density: float, chance: random.Random) -> list[list[Any]]:
        """Return transactions with their offsets in the new blocks; one of them makes the first one unlike any."""
        unlike = Transaction(self._owner, self._owner, "0x", chance.getrandbits(60))
        placed: list[list[Any]] = [[unlike.as_request(), 0]]
        for offset in range(depth):
            for _ in range(_about(density, chance)):
                placed += [[deed.as_request(), offset] for deed in self._deed(chance)]
        return placed

    def _nonces(self) -> dict[Address, int]:
        senders = [self._owner, *self.people]
        answers = self._ask([("eth_getTransactionCount", [_hex(sender), "latest"]) for sender in senders])
        return {sender: int(answer, 16) for sender, answer in zip(senders, answers, strict=True)}

    def _deed(self, chance: random.Random) -> list[Transaction]:
        """Return what somebody does next: one transaction, or two that belong together; some will revert."""
        one, other = chance.sample(self.people, 2)
        return [self._other_deed(chance, one, other)] if chance.random() < 0.2 else self._network_deed(chance)

    def _network_deed(self, chance: random.Random) -> list[Transaction]:
        network = chance.choice([*self.networks, self.added])
        one, other, third = chance.sample(self.people, 3)

        def call(sender: Address, name: str, *arguments: Any) -> Transaction:
            return Transaction(sender, network.address, _data(network.kind, name, arguments))

        draw = chance.random()
        if network.kind == "CurrencyNetworkOwnable" and draw < 0.1:
            return [call(self._owner, "unfreezeNetwork")]
        if draw < 0.3:
            given, received = (chance.choice((10, 1000, 10**9, 2**64 - 1)) for _ in range(2))
            rates = [chance.choice(network.rates) for _ in range(2)]
            is_frozen = chance.random() < 0.1
            return [
                call(one, "updateTrustline", other, given, received, *rates, is_frozen),
                call(other, "updateTrustline", one, received, given, *rates[::-1], is_frozen),
            ]
        if draw < 0.7:
            path = chance.sample(self.people, chance.choice((2, 2, 3, 4)))
            value = chance.choice((0, 1, 7, 100, 10**6))
            name = chance.choice(("transfer", "transferReceiverPays"))
            return [call(path[0], name, value, value, path, chance.choice((b"", b"memo")))]
        if draw < 0.76:
            return [call(one, "updateTrustline", other, 5, 5, network.rates[0], network.rates[0], False)]
        if draw < 0.80:
            return [call(one, "cancelTrustlineUpdate", other)]
        if draw < 0.84:
            return [call(one, "applyInterests", other)]
        if draw < 0.88:
            return [call(one, "updateCreditlimits", other, 0, 10)]
        if draw < 0.94:
            path = [one, other, third, one] if chance.random() < 0.5 else [one, third, other, one]
            return [
                call(one, "closeTrustline", other),
                call(one, "closeTrustlineByTriangularTransfer", other, 10**6, path),
            ]
        if network.kind == "TestCurrencyNetwork":
            if draw < 0.98:
                return [call(one, "testAddToDebt", one, other, chance.choice((1, -5, 100)))]
            freeze, unfreeze = call(self._owner, "testFreezeNetwork"), call(self._owner, "testUnfreezeNetwork")
            # This contract, made for tests, would also unfreeze what never was frozen, and no other contract does.
            return [freeze] if chance.random() < 0.3 else [freeze, unfreeze]
        return [call(one, "transfer", 1, 1, [one, other], b"")]

    def _other_deed(self, chance: random.Random, one: Address, other: Address) -> Transaction:
        """Return what somebody does with a contract that is no network."""
        ether, exchange = self._others["UnwEth"], self._others["Exchange"]
        draw = chance.random()
        if draw < 0.3:
            return Transaction(one, ether, _data("UnwEth", "deposit", ()), chance.choice((1, 1000)))
        if draw < 0.5:
            name, arguments = chance.choice(
                (("withdraw", (1,)), ("transfer", (other, 2)), ("approve", (other, 3)))
            )
            return Transaction(one, ether, _data("UnwEth", name, arguments))
        if draw < 0.7:
            parties = [one, bytes(20), self.networks[0].address, ether, bytes(20)]
            values = [1000, 500, 0, 0, 2**32, chance.getrandbits(64)]
            return Transaction(one, exchange, _data("Exchange", "cancelOrder", (parties, values, 10)))
        meta = self._wallet.meta(
            to_checksum(ether),
            bytes.fromhex(_data("UnwEth", "withdraw", (chance.choice((0, 1)),))[2:]),
            nonce=2**255 + chance.getrandbits(200),
        )
        return Transaction(one, meta.identity, "0x" + meta.execution().hex())

    def _ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        if not questions:
            return []
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in enumerate(questions)
        ]
        headers = {"Content-Type": "application/json"}
        response = self._http.post(self._anvil.url, data=json.dumps(body), headers=headers, timeout=60)
        response.raise_for_status()
        answers = {answer["id"]: answer for answer in response.json()}
        for number, (method, parameters) in enumerate(questions):
            assert "error" not in answers[number], f"{method}{parameters}: {answers[number]['error']}"
        return [answers[number].get("result") for number in range(len(questions))]


def _about(density: float, chance: random.Random) -> int:
    return int(density) + (chance.random() < density % 1)


def _hex(address: Address) -> str:
    return "0x" + address.hex()


_SIGNATURES: dict[tuple[str, str], tuple[bytes, list[str]]] = {}


def _data(kind: str, name: str, arguments: Sequence[Any]) -> str:
    if (kind, name) not in _SIGNATURES:
        (entry,) = (e for e in contract(kind).abi if e["type"] == "function" and e["name"] == name)
        types = [argument["type"] for argument in entry["inputs"]]
        _SIGNATURES[kind, name] = keccak(text=f"{name}({','.join(types)})")[:4], types
    selector, types = _SIGNATURES[kind, name]
    return "0x" + (selector + encode(types, arguments)).hex()
