"""The contract TestCurrencyNetwork on a chain of its own, asked in batches: thousands of questions a second.

The chain mines only when it is told to and at the time it is told, so that the time at which a transaction
executes is known to the second before it is sent.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import requests
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from graph.network import NetworkGraph, Rules
from graph.trustline import Pair, Trustline, User
from relay.devnet.anvil import Anvil

GENESIS = 1_699_900_000
NO_EXPIRATION = 0
REVERTED = 3
"""The JSON-RPC error code of a call that the contract refused."""

BATCH = 2000
WRITES_PER_BLOCK = 300
"""Anvil takes time quadratic in the size of a block to answer its receipts."""

GAS = 3_000_000
BLOCK_GAS = 10**11
ETHER = 10**18


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function of the contract is called and answers."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of the contract at ``to``, by ``sender`` if it matters who calls."""

    to: User
    function: str
    arguments: tuple[Any, ...]
    sender: User | None = None

    @property
    def data(self) -> str:
        signature = _signatures()[self.function]
        return "0x" + (signature.selector + encode(signature.inputs, self.arguments)).hex()


class BatchedChain:
    """An anvil with TestCurrencyNetwork contracts; ``anvil`` belongs to this object alone."""

    def __init__(self, anvil: Anvil) -> None:
        self._url = anvil.url
        self._http = requests.Session()
        self._http.trust_env = False
        self._networks: dict[Rules, User] = {}
        self._rich: set[User] = set()
        self._time = count(GENESIS + 1000)
        self._ask([("evm_setAutomine", [False]), ("evm_setBlockGasLimit", [hex(BLOCK_GAS)])])
        self._ask([("anvil_autoImpersonateAccount", [True])])
        self.owner = _bytes(self._ask([("eth_accounts", [])])[0][0])
        self._rich.add(self.owner)
        self.mine(next(self._time))

    def network(self, rules: Rules) -> User:
        """Return the address of a contract that follows these rules, deployed at the first request."""
        if rules not in self._networks:
            code = {"from": _hex(self.owner), "data": _contract()["bytecode"], "gas": hex(GAS * 10)}
            (transaction,) = self._ask([("eth_sendTransaction", [code])])
            self.mine(next(self._time))
            (receipt,) = self._ask([("eth_getTransactionReceipt", [transaction])])
            address = _bytes(receipt["contractAddress"])
            terms: tuple[Any, ...] = (
                "Test",
                "TEST",
                4,
                0,
                0,
                True,
                rules.prevent_mediator_interests,
                NO_EXPIRATION,
                [],
            )
            # Any divisor can be set, while init refuses 1.
            calls = [Call(address, "init", terms, self.owner), self._settings(address, rules)]
            assert all(self.execute(calls))
            self._networks[rules] = address
        return self._networks[rules]

    def write(self, networks: Iterable[NetworkGraph]) -> None:
        """Write the trustlines of networks that share no users into the contracts with their rules.

        The contract takes a rate below zero only where it is the network's default, and then for both users. So
        it is told so before each such trustline; the rules of a transfer do not care.
        """
        calls = []
        for network in networks:
            address = self.network(network.rules)
            for number, line in enumerate(network.trustlines()):
                # The contract keeps the state as one of the two sees it; both sides are used.
                near, far = line.pair if number % 2 else line.pair[::-1]
                view = line.seen_by(near)
                terms = (view.given, view.received, view.rate_given, view.rate_received, view.is_frozen)
                write = Call(address, "setAccount", (near, far, *terms, line.mtime, view.balance), self.owner)
                if min(line.rate_given, line.rate_received) < 0:
                    before = self._settings(address, network.rules, default_rate=line.rate_given)
                    calls += [before, write, self._settings(address, network.rules)]
                else:
                    calls.append(write)
        for start in range(0, len(calls), WRITES_PER_BLOCK):
            assert all(self.execute(calls[start : start + WRITES_PER_BLOCK]))

    def trustlines(self, asked: Sequence[tuple[NetworkGraph, Pair]]) -> list[Trustline]:
        """Return the trustlines, without interest since ``mtime``, that the networks' contracts keep for pairs."""
        answers = self.call([Call(self.network(network.rules), "getAccount", pair) for network, pair in asked])
        found = []
        for (_, pair), answer in zip(asked, answers, strict=True):
            assert answer is not None
            given, received, rate_given, rate_received, is_frozen, mtime, balance = answer
            found.append(Trustline(*pair, balance, given, received, rate_given, rate_received, is_frozen, mtime))
        return found

    def call(self, calls: Sequence[Call], at: int | None = None) -> list[tuple[Any, ...] | None]:
        """Call without leaving a trace, in a block of the time ``at`` if given; None for a revert."""
        overrides = [] if at is None else [{}, {"time": hex(at)}]
        questions = []
        for call in calls:
            sender = {} if call.sender is None else {"from": _hex(call.sender)}
            transaction = {"to": _hex(call.to), "data": call.data, **sender}
            questions.append(("eth_call", [transaction, "latest", *overrides]))
        answers = self._ask(questions)
        return [
            None if answer is None else decode(_signatures()[call.function].outputs, bytes.fromhex(answer[2:]))
            for call, answer in zip(calls, answers, strict=True)
        ]

    def accepts(self, calls: Sequence[Call], at: int) -> list[bool]:
        """Say of each call whether the contract would execute it at the time ``at``."""
        return [answer is not None for answer in self.call(calls, at)]

    def execute(self, calls: Sequence[Call], at: int | None = None) -> list[bool]:
        """Send transactions, mine them all in one block of the time ``at``, and say which of them succeeded."""
        senders = {call.sender for call in calls}
        assert None not in senders
        self._enrich({sender for sender in senders if sender is not None})
        nonces = self._nonces(calls)
        questions = []
        for call, nonce in zip(calls, nonces, strict=True):
            assert call.sender is not None
            parties = {"from": _hex(call.sender), "to": _hex(call.to), "data": call.data}
            questions.append(("eth_sendTransaction", [{**parties, "nonce": hex(nonce), "gas": hex(GAS)}]))
        transactions = self._ask(questions)
        time = next(self._time) if at is None else at
        self.mine(time)
        (receipts,) = self._ask([("eth_getBlockReceipts", ["latest"])])
        succeeded = {receipt["transactionHash"]: receipt["status"] == "0x1" for receipt in receipts}
        return [succeeded[transaction] for transaction in transactions]

    def mine(self, time: int) -> None:
        """Mine a block whose timestamp is ``time``."""
        self._ask([("evm_mine", [time])])
        (block,) = self._ask([("eth_getBlockByNumber", ["latest", False])])
        assert int(block["timestamp"], 16) == time

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo at the end whatever happens on the chain in between."""
        networks, rich = dict(self._networks), set(self._rich)
        (snapshot,) = self._ask([("evm_snapshot", [])])
        yield
        assert self._ask([("evm_revert", [snapshot])]) == [True]
        self._networks, self._rich = networks, rich

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _settings(self, address: User, rules: Rules, default_rate: int | None = None) -> Call:
        """The transaction that gives a network its rules, with custom interests unless there is a default rate."""
        interests = (default_rate or 0, default_rate is None, rules.prevent_mediator_interests)
        return Call(address, "setNetworkSettings", ("Test", "TEST", 4, rules.fee_divisor, *interests), self.owner)

    def _enrich(self, users: set[User]) -> None:
        poor = users - self._rich
        self._ask([("anvil_setBalance", [_hex(user), hex(1000 * ETHER)]) for user in poor])
        self._rich |= poor

    def _nonces(self, calls: Sequence[Call]) -> list[int]:
        senders = list({call.sender for call in calls if call.sender is not None})
        answers = self._ask([("eth_getTransactionCount", [_hex(sender), "latest"]) for sender in senders])
        next_nonces = {sender: count(int(answer, 16)) for sender, answer in zip(senders, answers, strict=True)}
        return [next(next_nonces[call.sender]) for call in calls if call.sender is not None]

    def _ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Ask the node and return the answers in order; None where the contract reverted."""
        answers: list[Any] = []
        for start in range(0, len(questions), BATCH):
            some = questions[start : start + BATCH]
            body = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in enumerate(some)
            ]
            headers = {"Content-Type": "application/json"}
            response = self._http.post(self._url, data=json.dumps(body), headers=headers, timeout=120)
            response.raise_for_status()
            by_number = {answer["id"]: answer for answer in response.json()}
            answers += [_result(by_number[number], some[number]) for number in range(len(some))]
        return answers


def _result(answer: dict[str, Any], question: tuple[str, list[Any]]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer["result"]
    if question[0] == "eth_call" and error["code"] == REVERTED:
        return None
    raise AssertionError(f"the node refuses {question[0]}: {error['message']}")


@cache
def _contract() -> dict[str, Any]:
    package = find_spec("tlbin")
    assert package is not None
    assert package.origin is not None
    contracts = json.loads(Path(package.origin).with_name("contracts.json").read_text(encoding="utf-8"))
    contract: dict[str, Any] = contracts["TestCurrencyNetwork"]
    return contract


@cache
def _signatures() -> dict[str, Signature]:
    found = {}
    for entry in _contract()["abi"]:
        if entry["type"] == "function":
            inputs = tuple(part["type"] for part in entry["inputs"])
            outputs = tuple(part["type"] for part in entry["outputs"])
            selector = keccak(text=f"{entry['name']}({','.join(inputs)})")[:4]
            found[entry["name"]] = Signature(selector, inputs, outputs)
    return found


def _hex(address: User) -> str:
    return "0x" + address.hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
