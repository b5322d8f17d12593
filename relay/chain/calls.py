"""What a node can be asked, whoever carries the question: one node, or several that stand in for each other."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, TypeVar

from relay.addresses import Address
from relay.chain import wire
from relay.chain.errors import NodeRefused
from relay.chain.wire import Log
from relay.model import Block

BATCH = 100
"""Requests per JSON-RPC batch: geth's default limit is 1000, hosted nodes go down to 100."""

BlockTag = int | bytes | Literal["latest"]
"""A block by its number, by its 32-byte hash (EIP-1898), or the newest one."""

_LIMIT_EXCEEDED = -32005
T = TypeVar("T")


class ChainCalls(ABC):
    """The questions.

    Every method raises NodeUnreachable (no answer), NodeRefused (the node answered with an error) or
    NodeMisbehaved (an answer of the wrong shape).
    """

    @abstractmethod
    def ask(self, method: str, params: list[Any], read: Callable[[Any], T]) -> T:
        """Return what ``read`` makes of the result of one request.

        ``read`` raises ValueError, KeyError, TypeError or AttributeError on a result of the wrong shape.
        """

    @abstractmethod
    def ask_all(self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], T]]) -> list[T]:
        """Return what ``reads`` make of the results of up to 100 requests of one method, each of its own."""

    def chain_id(self) -> int:
        """Return the chain's id (EIP-155)."""
        return self.ask("eth_chainId", [], wire.quantity)

    def ping(self) -> None:
        """Raise unless the node answers."""
        self.ask("eth_blockNumber", [], wire.quantity)

    def head(self) -> Block:
        """Return the newest block."""
        return self.ask("eth_getBlockByNumber", ["latest", False], wire.block)

    def finalized(self) -> Block | None:
        """Return the newest block that the chain's consensus calls final, None where the node knows of none.

        Many nodes refuse the tag instead, each in its own words, while they know of none; so every refusal but
        that of asking too much counts as that.
        """
        try:
            return self.ask("eth_getBlockByNumber", ["finalized", False], block_or_none)
        except NodeRefused as refusal:
            if refusal.code == _LIMIT_EXCEEDED:
                raise
            return None

    def block(self, number: int) -> Block | None:
        """Return the canonical block of that number, None if there is none (yet, or any more)."""
        return self.ask("eth_getBlockByNumber", [hex(number), False], partial(_numbered, number))

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """Return the block of that hash, canonical or not, None if the node does not have it."""

        def read(value: Any) -> Block | None:
            block = block_or_none(value)
            if block is not None and block.hash != block_hash:
                raise ValueError(f"it is block 0x{block.hash.hex()}, not 0x{block_hash.hex()}")
            return block

        return self.ask("eth_getBlockByHash", ["0x" + block_hash.hex(), False], read)

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return what `block` returns for every number, in the same order, in batches of at most 100."""
        found: list[Block | None] = []
        for start in range(0, len(numbers), BATCH):
            chunk = numbers[start : start + BATCH]
            requests = [("eth_getBlockByNumber", [hex(number), False]) for number in chunk]
            found += self.ask_all(requests, [partial(_numbered, number) for number in chunk])
        return found

    def logs(
        self, addresses: Sequence[Address], first: int, last: int, topics: Collection[bytes] = ()
    ) -> list[Log]:
        """Return all logs of these contracts in the blocks first..last (inclusive), in chain order.

        With ``topics`` also those of any contract whose first topic is one of them, asked for at the same time.
        Nodes limit the range or the number of logs and answer NodeRefused beyond it.
        """
        if last < first:
            return []
        where = {"fromBlock": hex(first), "toBlock": hex(last)}
        return self._logs(addresses, topics, where, range(first, last + 1))

    def logs_of_block(
        self, addresses: Sequence[Address], block: Block, topics: Collection[bytes] = ()
    ) -> list[Log]:
        """Return all logs of these contracts, as `logs`, in one block, by its hash (EIP-234), in their order.

        Where `logs` answers nothing for a block that the node does not have, this is NodeRefused.
        """
        numbers = range(block.number, block.number + 1)
        return self._logs(addresses, topics, {"blockHash": "0x" + block.hash.hex()}, numbers, block.hash)

    def call(self, to: Address, data: bytes, block: BlockTag = "latest") -> bytes:
        """Return what the contract returns to a message call; a revert is NodeRefused."""
        return self.ask("eth_call", _message(to, data, block), wire.octets)

    def calls(self, to: Address, data: Sequence[bytes], block: BlockTag = "latest") -> list[bytes]:
        """Return what `call` returns for each of the data, in the same order, in batches of at most 100."""
        results: list[bytes] = []
        for start in range(0, len(data), BATCH):
            requests = [("eth_call", _message(to, one, block)) for one in data[start : start + BATCH]]
            results += self.ask_all(requests, [wire.octets] * len(requests))
        return results

    def code(self, address: Address, block: BlockTag = "latest") -> bytes:
        """Return the contract code at an address, empty if there is none. Needs the state of that block."""
        return self.ask("eth_getCode", ["0x" + address.hex(), _tag(block)], wire.octets)

    def storage(self, address: Address, slot: int, block: BlockTag = "latest") -> bytes:
        """Return the 32-byte word in a slot of a contract's storage, zero if it was never written."""
        params = ["0x" + address.hex(), hex(slot), _tag(block)]
        return self.ask("eth_getStorageAt", params, lambda value: wire.octets(value, 32))

    def balance(self, address: Address) -> int:
        """Return the balance of an account in wei."""
        return self.ask("eth_getBalance", ["0x" + address.hex(), "latest"], wire.quantity)

    def pending_nonce(self, address: Address) -> int:
        """Return the next nonce of an account, counting its transactions that wait in the node's pool."""
        return self.ask("eth_getTransactionCount", ["0x" + address.hex(), "pending"], wire.quantity)

    def gas_price(self) -> int:
        """Return the node's suggested gas price in wei."""
        return self.ask("eth_gasPrice", [], wire.quantity)

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Hand a signed transaction to the node, return its hash; NodeRefused carries the node's reason."""
        return self.ask("eth_sendRawTransaction", ["0x" + raw.hex()], lambda value: wire.octets(value, 32))

    def transaction_known(self, transaction_hash: bytes) -> bool:
        """Return whether the node has this transaction, in its pool or in a block."""
        return self.ask(
            "eth_getTransactionByHash", ["0x" + transaction_hash.hex()], lambda value: value is not None
        )

    def _logs(
        self,
        addresses: Sequence[Address],
        topics: Collection[bytes],
        where: dict[str, str],
        numbers: range,
        block_hash: bytes | None = None,
    ) -> list[Log]:
        questions: list[dict[str, Any]] = []
        reads: list[Callable[[Any], list[Log]]] = []
        if addresses:  # to a node an empty address filter means every contract
            wanted = frozenset(addresses)
            questions.append({"address": ["0x" + address.hex() for address in addresses], **where})
            reads.append(partial(_read_logs, numbers, block_hash, lambda log: log.address in wanted))
        if topics:
            first_topics = frozenset(topics)
            questions.append({"topics": [["0x" + topic.hex() for topic in sorted(topics)]], **where})
            reads.append(
                partial(_read_logs, numbers, block_hash, lambda log: bool(first_topics & {*log.topics[:1]}))
            )
        if len(questions) < 2:
            return [] if not questions else self.ask("eth_getLogs", [questions[0]], reads[0])
        by_address, by_topic = self.ask_all([("eth_getLogs", [question]) for question in questions], reads)
        # Logs of a contract that is asked for in both ways come twice.
        both = {_place(log): log for log in (*by_address, *by_topic)}
        return [both[place] for place in sorted(both)]


def _read_logs(
    numbers: range, block_hash: bytes | None, is_wanted: Callable[[Log], bool], value: Any
) -> list[Log]:
    logs = wire.logs(value)
    for log in logs:
        is_there = is_wanted(log) and log.block_number in numbers
        if not is_there or (block_hash is not None and log.block_hash != block_hash):
            raise ValueError(f"log {log.log_index} of block {log.block_number} was not asked for")
    logs.sort(key=_place)
    for before, after in pairwise(logs):
        if _place(before) == _place(after):
            raise ValueError(f"log {after.log_index} of block {after.block_number} came twice")
    return logs


def _place(log: Log) -> tuple[int, int]:
    return log.block_number, log.log_index


def _message(to: Address, data: bytes, block: BlockTag) -> list[Any]:
    return [{"to": "0x" + to.hex(), "data": "0x" + data.hex()}, _tag(block)]


def _tag(block: BlockTag) -> str | dict[str, str]:
    if isinstance(block, bytes):
        return {"blockHash": "0x" + block.hex()}
    return block if isinstance(block, str) else hex(block)


def block_or_none(value: Any) -> Block | None:
    """Return the header of a block object, None for null."""
    return None if value is None else wire.block(value)


def _numbered(number: int, value: Any) -> Block | None:
    block = block_or_none(value)
    if block is not None and block.number != number:
        raise ValueError(f"it is block {block.number}, not {number}")
    return block
