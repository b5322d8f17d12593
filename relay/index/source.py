"""Fetching a stretch of blocks from the node, and making sure that its parts belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from relay.addresses import Address
from relay.chain.bloom import LogSieve
from relay.chain.errors import AnswerTooLarge, ChainError, NodeRefused
from relay.chain.events import TOPICS, decode
from relay.chain.wire import Log
from relay.index.errors import Inconsistent
from relay.model import Block, Event

TOO_MUCH: tuple[type[ChainError], ...] = (NodeRefused, AnswerTooLarge)
"""What a node says, each in its own words, where it limits the blocks or the logs of one answer."""

_NONE: Mapping[int, Block] = MappingProxyType({})


class ChainNode(Protocol):
    """The part of a node that the index asks."""

    def chain_id(self) -> int:
        """Return the chain's id."""

    def head(self) -> Block:
        """Return the newest block."""

    def finalized(self) -> Block | None:
        """Return the newest block that can no longer be replaced, None where the node knows of none."""

    def block(self, number: int) -> Block | None:
        """Return a canonical block."""

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return canonical blocks."""

    def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
        """Return the logs of contracts in an inclusive range."""

    def logs_of_block(self, addresses: Sequence[Address], block: Block) -> list[Log]:
        """Return the logs of contracts in the block of that hash."""


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
    node: ChainNode,
    networks: Sequence[Address],
    first: int,
    last: int,
    unfinal_from: int,
    parent: bytes | None,
    known: Mapping[int, Block] = _NONE,
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
        known: headers that were fetched before, by number.

    Raises:
        Inconsistent: if headers and logs are not of one chain.
        ChainError: if the node fails.

    """
    # Headers come first: should the chain change before the logs come, the headers kept are the old ones, and
    # the next step finds that the chain has left them. The other way round a missing log would stay unnoticed.
    headers = _headers(node, sorted({*range(max(first, unfinal_from), last + 1), last}), known)
    _require_links(headers, first, parent)
    logs = _logs(node, networks, headers, first, last)
    undated = {log.block_number for log in logs if log.block_timestamp is None} - headers.keys()
    headers.update(_headers(node, sorted(undated), known))
    events = []
    for log in logs:
        if not first <= log.block_number <= last:
            raise Inconsistent(f"a log of block {log.block_number} came among those of blocks {first} to {last}")
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


def fetch_headers(node: ChainNode, first: int, last: int) -> dict[int, Block]:
    """Return the headers ``first`` to ``last``, which must be linked; raises as fetch_stretch."""
    headers = _headers(node, range(first, last + 1), _NONE)
    _require_links(headers, first, None)
    return headers


def _logs(
    node: ChainNode, networks: Sequence[Address], headers: Mapping[int, Block], first: int, last: int
) -> list[Log]:
    """Return all logs of the stretch: of one block by its hash, of several by their range, checked for gaps.

    A node that has not come so far, or is on another branch by now, answers a range with fewer logs and no word.
    """
    if not networks:
        return []
    if first == last:
        return node.logs_of_block(networks, headers[last])
    logs = node.logs(networks, first, last)
    told = {log.block_number for log in logs}
    sieve = LogSieve(networks, TOPICS)
    for number, header in headers.items():
        if number not in told and sieve.may_hold(header.logs_bloom):
            logs += node.logs_of_block(networks, header)
    end = node.block(last)
    if end is None or end.hash != headers[last].hash:
        raise Inconsistent(f"block {last} was replaced while logs up to there were fetched")
    return sorted(logs, key=lambda log: (log.block_number, log.log_index))


def _headers(node: ChainNode, numbers: Sequence[int], known: Mapping[int, Block]) -> dict[int, Block]:
    missing = [number for number in numbers if number not in known]
    headers = {number: known[number] for number in numbers if number in known}
    if missing:
        for number, block in zip(missing, node.blocks(missing), strict=True):
            if block is None:
                raise Inconsistent(f"the node has no header of block {number}, which is below its head")
            headers[number] = block
    return {number: headers[number] for number in numbers}


def _require_links(headers: dict[int, Block], first: int, parent: bytes | None) -> None:
    for number, block in headers.items():
        before = parent if number == first else headers[number - 1].hash if number - 1 in headers else None
        if before is not None and block.parent_hash != before:
            raise Inconsistent(f"block {number} is not built on the block before it")
