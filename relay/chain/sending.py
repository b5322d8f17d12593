"""What a node is asked by those who send transactions: simulation, prices, nonces, and what became of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from relay.addresses import Address
from relay.chain import wire
from relay.chain.errors import NodeRefused
from relay.chain.signing import Call

BATCH = 100
_VIEW_GAS = 500_000
_NO_SUCH_METHOD = (-32601, -32600, -32004)
_ERROR_SELECTOR = bytes.fromhex("08c379a0")
_MAX_REASON = 300

T = TypeVar("T")


class AskedNode(Protocol):
    """The part of a node that carries questions; `relay.chain.node.Node` is one."""

    def ask(self, method: str, params: list[Any], read: Callable[[Any], T]) -> T:
        """Return what ``read`` makes of the result of one request; raises ChainError."""

    def ask_all(self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], T]]) -> list[T]:
        """Return what ``reads`` make of the results of up to 100 requests; raises ChainError."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log that an execution left or would leave: its contract, 32-byte topics and data."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction that is in a block."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    logs: tuple[RawLog, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """What a simulated call did; ``reason`` says why it failed, in the contract's words where it gave some.

    ``returned`` is what it returned, or the data of its revert.
    """

    succeeded: bool
    gas_used: int
    logs: tuple[RawLog, ...]
    reason: str = ""
    returned: bytes = b""


@dataclass(frozen=True, slots=True)
class Market:
    """Prices in wei per unit of gas; ``base_fee`` and ``tip`` are None on a chain without EIP-1559."""

    base_fee: int | None
    tip: int | None
    gas_price: int


class Unsupported(Exception):
    """The node knows no eth_simulateV1."""


class Sending:
    """Questions of senders; every method raises ChainError."""

    def __init__(self, node: AskedNode) -> None:
        self._node = node

    def genesis_hash(self) -> bytes:
        """Return the hash of block 0, which tells one chain from another of the same id."""
        return self._node.ask("eth_getBlockByNumber", ["0x0", False], lambda value: wire.octets(value["hash"], 32))

    def head_number(self) -> int:
        """Return the number of the newest block."""
        return self._node.ask("eth_blockNumber", [], wire.quantity)

    def nonce(self, address: Address) -> int:
        """Return how many transactions of an account are in blocks."""
        return self._node.ask("eth_getTransactionCount", [_hex(address), "latest"], wire.quantity)

    def nonces(self, addresses: Sequence[Address]) -> list[int]:
        """Return `nonce` of every account."""
        return self._all([("eth_getTransactionCount", [_hex(a), "latest"]) for a in addresses], wire.quantity)

    def balance(self, address: Address, block: str = "pending") -> int:
        """Return the balance of an account in wei, with what is pending unless another block is named."""
        return self._node.ask("eth_getBalance", [_hex(address), block], wire.quantity)

    def send(self, raw: bytes) -> None:
        """Hand over a signed transaction; NodeRefused carries the node's reason."""
        self._node.ask("eth_sendRawTransaction", [_hex(raw)], lambda value: wire.octets(value, 32))

    def known(self, hashes: Sequence[bytes]) -> list[bool]:
        """Return of every transaction whether the node has it, waiting or in a block."""
        return self._all([("eth_getTransactionByHash", [_hex(one)]) for one in hashes], lambda v: v is not None)

    def receipts(self, hashes: Sequence[bytes]) -> list[Receipt | None]:
        """Return the receipts of those transactions that are in a block."""
        return self._all([("eth_getTransactionReceipt", [_hex(one)]) for one in hashes], _receipt)

    def block_hashes(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Return the hashes of canonical blocks, None for those that are not there."""
        requests = [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
        return self._all(requests, lambda value: None if value is None else wire.octets(value["hash"], 32))

    def market(self) -> Market:
        """Return the prices of the moment."""
        base_fee = self._node.ask("eth_getBlockByNumber", ["latest", False], _base_fee)
        gas_price = self._node.ask("eth_gasPrice", [], wire.quantity)
        if base_fee is None:
            return Market(None, None, gas_price)
        try:
            tip = self._node.ask("eth_maxPriorityFeePerGas", [], wire.quantity)
        except NodeRefused:
            tip = max(0, gas_price - base_fee)
        return Market(base_fee, tip, gas_price)

    def estimate_gas(self, sender: Address, to: Address, value: int, most: int) -> int:
        """Return the gas of a plain payment; NodeRefused if it would fail, or use more than ``most``."""
        call = {"from": _hex(sender), "to": _hex(to), "value": hex(value), "gas": hex(most)}
        return self._node.ask("eth_estimateGas", [call], wire.quantity)

    def call(self, sender: Address, call: Call, block: str = "pending") -> bytes:
        """Return what a call returns; a revert is NodeRefused."""
        return self._node.ask("eth_call", [_message(sender, call), block], wire.octets)

    def views(self, to: Address, calls: Sequence[bytes]) -> list[bytes | None]:
        """Return what view functions of a contract return at the newest block, None for those that revert."""
        return [self._view(to, data) for data in calls]

    def code_exists(self, address: Address) -> bool:
        """Return whether there is a contract at an address, counting pending transactions."""
        return self._node.ask("eth_getCode", [_hex(address), "pending"], lambda value: bool(wire.octets(value)))

    def simulate(self, calls: Sequence[tuple[Address, Call]]) -> list[Execution]:
        """Return what calls (sender, call) would do one after the other on the pending state.

        Nonces, balances for gas and prices are not looked at.

        Raises:
            Unsupported: if the node cannot do that.
            NodeRefused: if the calls cannot even begin, for want of value for instance.
            ChainError: if the node fails.

        """
        messages = [_message(sender, call) for sender, call in calls]
        request = {"blockStateCalls": [{"calls": messages}], "validation": False}
        try:
            return self._node.ask(
                "eth_simulateV1", [request, "pending"], lambda value: _executions(value, messages)
            )
        except NodeRefused as refusal:
            if refusal.code in _NO_SUCH_METHOD or "not supported" in refusal.message.lower():
                raise Unsupported from refusal
            raise

    def _view(self, to: Address, data: bytes) -> bytes | None:
        # Anybody's contract may be asked: none is to keep the node busy.
        call = {"to": _hex(to), "data": _hex(data), "gas": hex(_VIEW_GAS)}
        try:
            return self._node.ask("eth_call", [call, "latest"], wire.octets)
        except NodeRefused:
            return None

    def _all(self, requests: Sequence[tuple[str, list[Any]]], read: Callable[[Any], T]) -> list[T]:
        answers: list[T] = []
        for start in range(0, len(requests), BATCH):
            chunk = requests[start : start + BATCH]
            answers += self._node.ask_all(chunk, [read] * len(chunk))
        return answers


def revert_reason(data: object) -> str:
    """Return the text of revert data (0x-hex or bytes), empty if it holds none."""
    if isinstance(data, str) and data.startswith("0x"):
        try:
            data = bytes.fromhex(data[2:])
        except ValueError:
            return ""
    if not isinstance(data, bytes) or not data.startswith(_ERROR_SELECTOR):
        return ""
    try:
        (text,) = abi_decode(["string"], data[4:])
    except (DecodingError, OverflowError, UnicodeDecodeError):
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:_MAX_REASON])


def _executions(value: Any, messages: Sequence[Any]) -> list[Execution]:
    (block,) = value
    calls = [_execution(entry) for entry in block["calls"]]
    if len(calls) != len(messages):
        raise ValueError(f"{len(calls)} calls instead of {len(messages)}")
    return calls


def _execution(entry: Any) -> Execution:
    succeeded = wire.quantity(entry["status"]) == 1
    error = entry.get("error") or {}
    reason = revert_reason(error.get("data")) or revert_reason(entry.get("returnData")) or error.get("message", "")
    logs = tuple(_log(log) for log in entry.get("logs") or ())
    return Execution(
        succeeded=succeeded,
        gas_used=wire.quantity(entry["gasUsed"]),
        logs=logs,
        reason="" if succeeded else str(reason)[:_MAX_REASON],
        returned=wire.octets(entry.get("returnData") or "0x"),
    )


def _receipt(value: Any) -> Receipt | None:
    if value is None or value.get("blockHash") is None:
        return None
    return Receipt(
        transaction_hash=wire.octets(value["transactionHash"], 32),
        block_number=wire.quantity(value["blockNumber"]),
        block_hash=wire.octets(value["blockHash"], 32),
        succeeded=wire.quantity(value["status"]) == 1,
        gas_used=wire.quantity(value["gasUsed"]),
        logs=tuple(_log(log) for log in value["logs"]),
    )


def _log(entry: Any) -> RawLog:
    topics = tuple(wire.octets(topic, 32) for topic in entry["topics"])
    return RawLog(wire.octets(entry["address"], 20), topics, wire.octets(entry["data"]))


def _base_fee(value: Any) -> int | None:
    fee = value.get("baseFeePerGas")
    return None if fee is None else wire.quantity(fee)


def _message(sender: Address, call: Call) -> dict[str, str]:
    return {
        "from": _hex(sender),
        "to": _hex(call.to),
        "input": _hex(call.data),
        "value": hex(call.value),
        "gas": hex(call.gas),
    }


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
