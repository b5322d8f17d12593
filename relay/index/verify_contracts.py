"""Comparing the stored events of other contracts than networks with the logs of the chain."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.addresses import to_checksum
from relay.chain.errors import NodeTooSlow
from relay.contracts import ContractEvent, FollowedContract
from relay.index.batching import BatchSize
from relay.index.source import TOO_MUCH, ChainNode, Stretch, fetch_stretch
from relay.index.verify import Difference
from relay.store.rows import CursorPosition

logger = logging.getLogger(__name__)

_BATCH_LOGS = 2000
_NOTHING = "nothing"


class StoredEvents(Protocol):
    """What is stored of contracts: `relay.store.contract_reading.ContractReader`. All raise StoreError."""

    def followed(self) -> Sequence[FollowedContract]:
        """Return the contracts that are served."""

    def stored(self, contract: FollowedContract, first: int, last: int) -> Sequence[ContractEvent]:
        """Return the events of a contract in an inclusive range of blocks."""

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a stored block."""


@dataclass(frozen=True)
class ContractDifference(Difference):
    """The same of another contract: ``network`` is its address, ``network_id`` the id of its row."""


class ContractVerifier:
    """Compares every event, a stretch of blocks at a time."""

    def __init__(self, node: ChainNode, stored: StoredEvents, batch_blocks: int = 2000) -> None:
        self._node = node
        self._stored = stored
        self._batch_blocks = batch_blocks

    def differences(self, block: CursorPosition | None) -> Iterator[ContractDifference]:
        """Yield what differs up to ``block``, at which the database stood; raises ChainError and StoreError."""
        if block is None:
            return
        for contract in self._stored.followed():
            for difference in self._of(contract, block.number):
                if self._stored.block_hash(block.number) != block.hash:
                    logger.warning("blocks were replaced while contracts were compared: compare them again")
                    return
                yield difference

    def _of(self, contract: FollowedContract, last: int) -> Iterator[ContractDifference]:
        batch, first = BatchSize(self._batch_blocks, _BATCH_LOGS), contract.first_block
        while first <= last:
            stretch = self._fetch(contract, first, last, batch)
            ours = {_place(event): event for event in self._stored.stored(contract, first, stretch.last.number)}
            chains = {_place(event): event for event in stretch.contract_events}
            for place in sorted(ours.keys() | chains.keys()):
                if ours.get(place) != chains.get(place):
                    yield _difference(contract, place, ours.get(place), chains.get(place))
            first = stretch.last.number + 1

    def _fetch(self, contract: FollowedContract, first: int, end: int, batch: BatchSize) -> Stretch:
        while True:
            last = min(end, first + batch.blocks - 1)
            try:
                wanted = {contract.address: contract.kind}
                stretch = fetch_stretch(self._node, [], first, last, last, None, contracts=wanted)
            except NodeTooSlow:
                raise
            except TOO_MUCH:
                if first == last:
                    raise
                batch.refuse(last - first + 1)
            else:
                batch.accept(last - first + 1, stretch.count)
                return stretch


def _place(event: ContractEvent) -> tuple[int, int]:
    return event.origin.block_number, event.origin.log_index


def _difference(
    contract: FollowedContract, place: tuple[int, int], ours: ContractEvent | None, chains: ContractEvent | None
) -> ContractDifference:
    event = ours or chains
    assert event is not None
    what = f"{contract.kind} log {place[1]} of block {place[0]}"
    return ContractDifference(event.origin.contract, contract.id, what, _shown(ours), _shown(chains))


def _shown(event: ContractEvent | None) -> str:
    if event is None:
        return _NOTHING
    names = (name for name in type(event).__slots__ if name not in {"origin", "type"})
    return " ".join([event.type, *(f"{name}={_text(getattr(event, name))}" for name in names)])


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    return to_checksum(value) if len(value) == 20 else f"0x{value.hex()}"
