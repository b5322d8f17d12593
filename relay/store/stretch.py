"""Which piece of a list of events is read, said once for the tables of all events."""

from dataclasses import dataclass
from typing import NamedTuple

LAST_BLOCK = 2**63 - 1
"""The highest number of a block that Postgres' bigint holds."""

HEADER_OF_EVENT = "(SELECT hash, timestamp FROM blocks WHERE number = e.block_number LIMIT 1)"
"""The header of the block that event ``e`` is in, looked up for each: a plain join may read all headers."""


class Position(NamedTuple):
    """A place in the chain between two events: those before it are older, the one at it and all behind newer."""

    block_number: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A walk along a list: ``is_forward`` to newer events or back to older ones, over at most ``most`` of them.

    It begins at ``edge``, or without one at the end of the list that it walks away from.
    """

    is_forward: bool = True
    most: int | None = None
    edge: Position | None = None

    @property
    def order(self) -> str:
        """In what order the walk comes by the events, in SQL."""
        return "ORDER BY block_number, log_index" if self.is_forward else _NEWEST_FIRST

    @property
    def limit(self) -> str:
        """How many it comes by, in SQL."""
        return "LIMIT %(most)s"

    @property
    def condition(self) -> str:
        """What events it comes by, in SQL.

        The indexes hold blocks, so blocks are bounded, on both sides. The edge's own block is cut in words that
        tell the planner nothing: it would take two conditions for twice as few events.
        """
        within = "block_number BETWEEN %(lowest)s AND %(highest)s"
        if self.edge is None:
            return within
        beyond = "log_index >= %(edge_index)s" if self.is_forward else "log_index < %(edge_index)s"
        return f"{within} AND CASE WHEN block_number = %(edge_block)s THEN {beyond} ELSE true END"

    def parameters(self, from_block: int, to_block: int | None) -> dict[str, object]:
        """Return what the condition and the limit ask for, within an inclusive range of blocks."""
        lowest = min(from_block, LAST_BLOCK)
        highest = LAST_BLOCK if to_block is None else min(to_block, LAST_BLOCK)
        if self.edge is None:
            return {"lowest": lowest, "highest": highest, "most": self.most}
        block, index = self.edge
        return {
            "lowest": max(lowest, block) if self.is_forward else lowest,
            "highest": highest if self.is_forward else min(highest, block),
            "edge_block": block,
            "edge_index": index,
            "most": self.most,
        }


_NEWEST_FIRST = "ORDER BY block_number DESC, log_index DESC"
