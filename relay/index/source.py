"""Fetching a stretch of blocks from the node, and making sure that its parts belong together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from relay.addresses import Address
from relay.chain.bloom import LogSieve
from relay.chain.contract_events import CONTRACT_TOPICS, IDENTITY_TOPICS, decode_contract_log
from relay.chain.errors import AnswerTooLarge, ChainError, NodeRefused
from relay.chain.events import TOPICS, decode
from relay.chain.wire import Log
from relay.contracts import NO_CONTRACTS, ContractEvent, WantedContracts
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

    def logs(
        self, addresses: Sequence[Address], first: int, last: int, topics: Collection[bytes] = ()
    ) -> list[Log]:
        """Return the logs of contracts, and those with one of the topics, in an inclusive range."""

    def logs_of_block(
        self, addresses: Sequence[Address], block: Block, topics: Collection[bytes] = ()
    ) -> list[Log]:
        """Return the logs of contracts, and those with one of the topics, in the block of that hash."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive blocks of one chain.

    ``blocks`` holds the headers that are worth keeping (those with events, and those that can still be
    replaced), ``events`` the decoded events of networks in the order of the chain, ``last`` the header it ends
    with, ``contract_events`` the events of other contracts.
    """

    blocks: list[Block]
    events: list[Event]
    last: Block
    contract_events: list[ContractEvent] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many events there are in all."""
        return len(self.events) + len(self.contract_events)

    @property
    def eventful(self) -> set[int]:
        """The numbers of the blocks that hold events."""
        numbers = {event.block_number for event in self.events}
        numbers.update(event.origin.block_number for event in self.contract_events)
        return numbers


def fetch_stretch(
    node: ChainNode,
    networks: Sequence[Address],
    first: int,
    last: int,
    unfinal_from: int,
    parent: bytes | None,
    known: Mapping[int, Block] = _NONE,
    contracts: WantedContracts = NO_CONTRACTS,
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
        contracts: other contracts whose events are wanted.

    Raises:
        Inconsistent: if headers and logs are not of one chain.
        ChainError: if the node fails.

    """
    # Headers come first: should the chain change before the logs come, the headers kept are the old ones, and
    # the next step finds that the chain has left them. The other way round a missing log would stay unnoticed.
    headers = _headers(node, sorted({*range(max(first, unfinal_from), last + 1), last}), known)
    _require_links(headers, first, parent)
    logs = _logs(node, _Question.of(networks, contracts), headers, first, last)
    undated = {log.block_number for log in logs if log.block_timestamp is None} - headers.keys()
    headers.update(_headers(node, sorted(undated), known))
    of_networks = frozenset(networks)
    events: list[Event] = []
    contract_events: list[ContractEvent] = []
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
        # Only networks are held to what their topics announce.
        event = decode(log, header.timestamp) if not contracts or log.address in of_networks else None
        if event is not None:
            events.append(event)
        elif contracts and (other := decode_contract_log(log, header.timestamp, contracts)) is not None:
            contract_events.append(other)
    blocks = sorted(headers.values(), key=lambda block: block.number)
    return Stretch(blocks, events, headers[last], contract_events)


def fetch_headers(node: ChainNode, first: int, last: int) -> dict[int, Block]:
    """Return the headers ``first`` to ``last``, which must be linked; raises as fetch_stretch."""
    headers = _headers(node, range(first, last + 1), _NONE)
    _require_links(headers, first, None)
    return headers


_IDENTITY_SIEVE = LogSieve(None, IDENTITY_TOPICS)


@dataclass(frozen=True, slots=True)
class _Question:
    """Which logs are asked for: all of some contracts, and those of identities, wherever they are."""

    addresses: list[Address]
    has_identities: bool
    topics: frozenset[bytes]

    @classmethod
    def of(cls, networks: Sequence[Address], contracts: WantedContracts) -> "_Question":
        named = [address for address in contracts if address is not None]
        topics = TOPICS | CONTRACT_TOPICS if named else TOPICS
        return cls(list(dict.fromkeys((*networks, *named))), None in contracts, topics)

    def of_range(self, node: ChainNode, first: int, last: int) -> list[Log]:
        if not self.has_identities:
            return node.logs(self.addresses, first, last) if self.addresses else []
        return node.logs(self.addresses, first, last, IDENTITY_TOPICS)

    def of_block(self, node: ChainNode, header: Block) -> list[Log]:
        # Where no address is named a node looks through all logs of a block: only worth it if there may be one.
        if self.has_identities and (not header.logs_bloom or _IDENTITY_SIEVE.may_hold(header.logs_bloom)):
            return node.logs_of_block(self.addresses, header, IDENTITY_TOPICS)
        return node.logs_of_block(self.addresses, header) if self.addresses else []

    def doubtful(self, logs: Sequence[Log], headers: Iterable[Block]) -> list[Block]:
        """Return the headers whose filters say that there may be logs where none came."""
        addresses = frozenset(self.addresses)
        told = {log.block_number for log in logs if log.address in addresses}
        told_of_identities = {log.block_number for log in logs if log.topics and log.topics[0] in IDENTITY_TOPICS}
        sieve = LogSieve(self.addresses, self.topics)
        return [
            header
            for header in headers
            if (header.number not in told and sieve.may_hold(header.logs_bloom))
            or (
                self.has_identities
                and header.number not in told_of_identities
                and _IDENTITY_SIEVE.may_hold(header.logs_bloom)
            )
        ]


def _logs(node: ChainNode, question: _Question, headers: Mapping[int, Block], first: int, last: int) -> list[Log]:
    """Return all logs of the stretch: of one block by its hash, of several by their range, checked for gaps.

    A node that has not come so far, or is on another branch by now, answers a range with fewer logs and no word.
    """
    if not question.addresses and not question.has_identities:
        return []
    if first == last:
        return question.of_block(node, headers[last])
    logs = question.of_range(node, first, last)
    more = [log for header in question.doubtful(logs, headers.values()) for log in question.of_block(node, header)]
    end = node.block(last)
    if end is None or end.hash != headers[last].hash:
        raise Inconsistent(f"block {last} was replaced while logs up to there were fetched")
    if more:
        logs = list({(log.block_number, log.log_index): log for log in (*logs, *more)}.values())
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
