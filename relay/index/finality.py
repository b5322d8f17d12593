"""Which blocks can no longer be replaced."""

from enum import StrEnum

from relay.index.source import ChainNode
from relay.model import Block

_ASK_AGAIN_BLOCKS = 16


class FinalityRule(StrEnum):
    """Whose word counts: the node's, where it knows of a final block, or only the depth below the head."""

    NODE = "node"
    DEPTH = "depth"


class Finality:
    """Knows the number of the newest final block, asking the node no more often than needed."""

    def __init__(self, node: ChainNode, rule: FinalityRule, depth: int) -> None:
        """``depth`` is how many blocks below the head are final where the node does not say."""
        self._node = node
        self._rule = rule
        self._depth = depth
        self._asked: tuple[int, int | None] | None = None

    def number(self, head: Block, *, anew: bool = False) -> int:
        """Return the number of the newest final block under a head, as known or, with ``anew``, as of now.

        What is known may lag some blocks behind, so that more blocks than needed count as replaceable.
        """
        by_depth = max(head.number - self._depth, 0)
        if self._rule is FinalityRule.DEPTH:
            return by_depth
        if anew or self._asked is None or not 0 <= head.number - self._asked[0] < _ASK_AGAIN_BLOCKS:
            block = self._node.finalized()
            self._asked = head.number, None if block is None else block.number
        told = self._asked[1]
        if told is None or (told == 0 and by_depth > 0):
            # A chain that never names another final block than its first has no notion of finality.
            return by_depth
        return min(told, head.number)
