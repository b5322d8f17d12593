"""Fetching a stretch of blocks from the node, and making sure that its parts belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.addresses import Address
from relay.chain.events import decode
from relay.chain.wire import Log
from relay.index.errors import Inconsistent
from relay.model import Block, Event


class ChainNode(Protocol):
    """The part of a node that the index asks."""

    def chain_id(self) -> int:
        """Return the chain's id."""

    def head(self) -> Block:
        """Return the newest block."""

    def block(self, number: int) -> Block | None:
        """Return a canonical block."""

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return canonical blocks."""

    def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
        """Return the logs of contracts in an inclusive range."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive blocks of one chain.

    ``blocks`` holds the headers that are worth keeping (those with events, and those that can still be
    replaced), ``events`` the decoded events in the order of the chain, ``last`` the header it ends with.
    """

    blocks: list[Block]
    events: list[Event]
    last: Block


def fetch_stretch(
    node: ChainNode, networks: Sequence[Address], first: int, last: int, unfinal_from: int, parent: bytes | None
) -> Stretch:
    """Fetch blocks ``first`` to ``last``.

    Arguments:
        node: the node to ask.
        networks: the contracts whose events are wanted.
        first: number of the first block.
        last: number of the last block, not above the head.
        unfinal_from: number from which on blocks can still be replaced; their headers are fetched and must
            be linked to each other, and every log must belong to one of them.
        parent: hash that the first block must be built on, if its header is among those fetched.

    Raises:
        Inconsistent: if headers and logs are not of one chain.
        ChainError: if the node fails.

    """
    # Headers come first: should the chain change before the logs come, the headers kept are the old ones, and
    # the next step finds that the chain has left them. The other way round a missing log would stay unnoticed.
    headers = _headers(node, sorted({*range(max(first, unfinal_from), last + 1), last}))
    _require_links(headers, first, parent)
    logs = node.logs(networks, first, last)
    if len({(log.block_number, log.log_index) for log in logs}) < len(logs):
        raise Inconsistent(f"the node told a log of the blocks {first} to {last} twice")
    undated = {log.block_number for log in logs if log.block_timestamp is None} - headers.keys()
    headers.update(_headers(node, sorted(undated)))
    events = []
    for log in logs:
        header = headers.get(log.block_number)
        if header is None:
            assert log.block_timestamp is not None
            # The log names all of the header that is kept; nobody links to a final block's parent any more.
            header = Block(log.block_number, log.block_hash, b"", log.block_timestamp)
            headers[header.number] = header
        elif header.hash != log.block_hash:
            raise Inconsistent(f"a log and the header of block {log.block_number} name different blocks")
        event = decode(log, header.timestamp)
        if event is not None:
            events.append(event)
    return Stretch(sorted(headers.values(), key=lambda block: block.number), events, headers[last])


def _headers(node: ChainNode, numbers: Sequence[int]) -> dict[int, Block]:
    headers = {}
    for number, block in zip(numbers, node.blocks(numbers), strict=True):
        if block is None:
            raise Inconsistent(f"the node has no header of block {number}, which is below its head")
        headers[number] = block
    return headers


def _require_links(headers: dict[int, Block], first: int, parent: bytes | None) -> None:
    for number, block in headers.items():
        before = parent if number == first else headers[number - 1].hash if number - 1 in headers else None
        if before is not None and block.parent_hash != before:
            raise Inconsistent(f"block {number} is not built on the block before it")
