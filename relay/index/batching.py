"""How many blocks are asked for at once. Pure."""

_SHRINK = 2
_GROWTH = 2
_PATIENCE = 64
"""After so many batches just below a size that was refused it is tried again."""


class BatchSize:
    """Finds how many blocks of logs fit into one answer, from what nodes refuse and how much they send.

    It grows by doubling while nothing speaks against it, but never again into a size that was refused, until many
    batches went well. It aims at ``target_logs`` in a batch.
    """

    def __init__(self, most_blocks: int, target_logs: int) -> None:
        """Start with the most blocks that are ever asked for."""
        self._most = most_blocks
        self._target = target_logs
        self._refused: int | None = None
        self._since_refusal = 0
        self.blocks = most_blocks

    def refuse(self, blocks: int) -> None:
        """Note that so many blocks were too many."""
        self._refused = blocks
        self._since_refusal = 0
        self.blocks = max(1, blocks // _SHRINK)

    def accept(self, blocks: int, logs: int) -> None:
        """Note that so many blocks were answered, by so many logs."""
        wanted = self.blocks
        if blocks == self.blocks:
            wanted = min(self.blocks * _GROWTH, self._most)
        if logs:
            wanted = min(wanted, max(1, blocks * self._target // logs))
        if self._refused is not None:
            self._since_refusal += 1
            if self._since_refusal >= _PATIENCE:
                self._refused = None
            else:
                # In between lies the largest size that fits; it is approached, never stepped over.
                middle = (self.blocks + self._refused) // 2
                wanted = min(wanted, max(middle, 1) if middle < self._refused else self.blocks)
        self.blocks = max(1, wanted)
