"""Reading what lies behind the cursor: the past of a contract that is followed only since then."""

from collections.abc import Sequence

from relay.addresses import Address
from relay.chain.errors import NodeTooSlow
from relay.contracts import NO_CONTRACTS, WantedContracts
from relay.index.batching import BatchSize
from relay.index.errors import Inconsistent
from relay.index.source import TOO_MUCH, ChainNode, Stretch, fetch_stretch
from relay.store.rows import CursorPosition
from relay.store.writing import WriteTransaction

_BATCH_LOGS = 2_000
"""About so many logs are read at once, so that whoever is followed already waits little."""


class Past:
    """Fetches the past in as many blocks at once as the node gives."""

    def __init__(self, node: ChainNode, most_blocks: int) -> None:
        """Prepare to ask a node for ``most_blocks`` at once at most."""
        self._node = node
        self._batch = BatchSize(most_blocks, _BATCH_LOGS)

    def fetch(
        self,
        first: int,
        end: int,
        final: int,
        *,
        networks: Sequence[Address] = (),
        contracts: WantedContracts = NO_CONTRACTS,
    ) -> Stretch | None:
        """Fetch some blocks from ``first`` on, none after ``end``; None if that leaves none.

        Raises:
            Inconsistent: if the parts of the answer do not belong together.
            ChainError: if the node fails.

        """
        if first > end:
            return None
        while True:
            last = min(end, first + self._batch.blocks - 1)
            try:
                stretch = fetch_stretch(self._node, networks, first, last, final, None, contracts=contracts)
            except NodeTooSlow:
                self._batch.refuse(last - first + 1)
                raise
            except TOO_MUCH:
                if first == last:
                    raise
                self._batch.refuse(last - first + 1)
            else:
                self._batch.accept(last - first + 1, stretch.count)
                return stretch

    def require_branch(self, position: CursorPosition) -> None:
        """Raise Inconsistent unless the cursor's block is still the chain's."""
        block = self._node.block(position.number)
        if block is None or block.hash != position.hash:
            raise Inconsistent(f"block {position.number} was replaced while the past of a contract was read")


def write_blocks(transaction: WriteTransaction, stretch: Stretch, final: int) -> None:
    """Write the blocks of a stretch that have events; raises Inconsistent if others are stored in their place."""
    stored = transaction.block_hashes(stretch.blocks[0].number, stretch.last.number)
    for block in stretch.blocks:
        if stored.get(block.number, None if block.number >= final else block.hash) != block.hash:
            raise Inconsistent(f"block {block.number} is not the one that was stored")
    eventful = stretch.eventful
    transaction.add_blocks(block for block in stretch.blocks if block.number in eventful)
