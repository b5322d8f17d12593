"""What can go wrong, by name: at the node, at the database, and inside the process that writes."""

from dataclasses import dataclass
from enum import StrEnum


class NodeFault(StrEnum):
    """How a node misbehaves."""

    HANG = "hang"
    STATUS_500 = "500"
    STATUS_502 = "502"
    STATUS_429 = "429"
    TRUNCATED = "truncated JSON"
    NO_JSON = "no JSON"
    CUT_SHORT = "answer cut short"
    WRONG_ID = "wrong ids"
    FOREIGN_LOGS = "logs with another block hash"
    OTHER_RANGE = "logs that were not asked for"
    DOUBLED_LOGS = "logs told twice"
    HEAD_BACK = "a head that goes back"
    LAGGING = "behind as a whole"
    LATE_LOGS = "logs from a node that is behind"
    RANGE_LIMIT = "limit on ranges"
    RESULT_LIMIT = "limit on results"
    NULL_BLOCKS = "no headers"
    INTERNAL_ERROR = "internal error"
    INCOMPLETE_BATCH = "incomplete batches"
    DROPPED = "dropped connections"
    DRIPPING = "dripping bytes"


class DatabaseFault(StrEnum):
    """How the database is lost."""

    TERMINATED = "pg_terminate_backend"
    CUT = "connections cut"
    REFUSED = "connections refused"
    STALLED = "connections stalled, then going on"
    STALLED_AND_CUT = "connections stalled, then cut"
    RESTARTED = "server restarted"
    CRASHED = "server crashed"


class Act(StrEnum):
    """What happens at a point of a transaction."""

    DIE = "kill -9"
    BREAK = "connection broken"
    DISK_FULL = "disk full"


class Side(StrEnum):
    """Where a point lies."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Trap:
    """A point of a transaction and what happens there.

    ``name`` is the statement's (None: any), ``ordinal`` says at which passing the trap closes, from 1 on.
    """

    act: Act
    side: Side
    name: str | None
    ordinal: int

    def __str__(self) -> str:
        return f"{self.act} {self.side} {self.name or 'statement'} #{self.ordinal}"
