"""Where the node's chain leaves the one in the database."""

import logging
from collections.abc import Callable, Sequence

from relay.index.errors import REBUILD_ADVICE, Inconsistent, NodeBehind, PastFinality
from relay.index.source import ChainNode
from relay.model import Block
from relay.store.rows import CursorPosition
from relay.store.writing import Writer

logger = logging.getLogger(__name__)

_FIRST_LOOK = 8


class Branching:
    """Finds the newest block that database and node share, and tells a node that is behind from a shorter chain.

    A node whose newest block is stored, below the cursor, may be one of several behind a load balancer that has
    not come so far, or its chain has lost its newest blocks. Nothing tells the two apart but time: a chain that
    differs at or below the node's newest block has replaced ours, one that is only shorter is believed after a
    grace.
    """

    def __init__(
        self, node: ChainNode, writer: Writer, shorter_chain_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._node = node
        self._writer = writer
        self._grace = shorter_chain_seconds
        self._clock = clock
        self._behind_since: float | None = None

    def ancestor(self, position: CursorPosition, final: int, head: Block) -> CursorPosition:
        """Return the newest block that the database, at ``position``, and the node, at ``head``, share.

        Raises:
            PastFinality: if that lies below block ``final``.
            NodeBehind: if the node may only have to catch up.
            Inconsistent: if the chain changed meanwhile.
            ChainError, StoreError: if the node or the database fails.

        """
        if head.number >= position.number:
            self._behind_since = None
            if self._is_extended(position, head):
                return position
            return self._search(position, final, head, position.number - 1)
        if head.number < final:
            self._behind_since = None
            self._require_same_past(head)
            raise NodeBehind(
                f"the node is at block {head.number}, the database at block {position.number}, of which all up to "
                f"{final} are final: waiting for the node to catch up"
            )
        with self._writer.transaction() as transaction:
            stored = transaction.block_hash(head.number)
        if stored != head.hash:
            self._behind_since = None
            return self._search(position, final, head, head.number - 1)
        self._be_patient(position, head)
        logger.warning("the chain has lost blocks %d to %d", head.number + 1, position.number)
        return CursorPosition(head.number, head.hash, head.timestamp)

    def _is_extended(self, position: CursorPosition, head: Block) -> bool:
        if head.number == position.number:
            return head.hash == position.hash
        if head.number == position.number + 1:
            return head.parent_hash == position.hash
        block = self._node.block(position.number)
        if block is None:
            raise Inconsistent(f"the node has no block {position.number}, which is below its head")
        return block.hash == position.hash

    def _be_patient(self, position: CursorPosition, head: Block) -> None:
        now = self._clock()
        if self._behind_since is None:
            self._behind_since = now
        if now - self._behind_since < self._grace:
            raise NodeBehind(
                f"the node is at block {head.number}, the database at block {position.number} of the same chain: "
                f"waiting for the node to catch up, or {self._grace:g} s until its chain counts as shorter"
            )
        self._behind_since = None

    def _require_same_past(self, head: Block) -> None:
        with self._writer.transaction() as transaction:
            stored = transaction.newest_block_up_to(head.number)
        if stored is None:
            return
        block = self._node.block(stored[0])
        if block is not None and block.hash != stored[1]:
            raise PastFinality(
                f"the node's chain (head {head.number}) has another block {stored[0]} than the database, where "
                f"that is final: this is no reorg but a reset chain; {REBUILD_ADVICE}"
            )

    def _search(self, position: CursorPosition, final: int, head: Block, highest: int) -> CursorPosition:
        """Look downward from block ``highest`` for one that is shared, taking larger steps as it goes."""
        with self._writer.transaction() as transaction:
            stored = transaction.block_hashes(final, highest)
        numbers = sorted(stored, reverse=True)
        size = _FIRST_LOOK
        while numbers:
            some, numbers, size = numbers[:size], numbers[size:], size * 2
            for block in self._canonical(some):
                if block.hash == stored[block.number]:
                    logger.warning("blocks %d to %d were replaced", block.number + 1, position.number)
                    return CursorPosition(block.number, block.hash, block.timestamp)
        if self._node.block(head.number) != head:
            raise Inconsistent("the chain changed while its branch was looked for")
        raise PastFinality(
            f"the node's chain (head {head.number}) and the database (block {position.number}) share no block "
            f"down to {final}, the last final one: this is no reorg but a reset chain; {REBUILD_ADVICE}"
        )

    def _canonical(self, numbers: Sequence[int]) -> list[Block]:
        blocks = []
        for number, block in zip(numbers, self._node.blocks(numbers), strict=True):
            if block is None:
                raise Inconsistent(f"the node has no block {number}, which is below its head")
            blocks.append(block)
        return blocks
