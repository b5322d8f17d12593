"""Where a reader stands on the feed, and whether a database leads on from there.

Databases that replicate each other hold the same commits, some of them fewer. After a failover positions may be
given anew, to other commits: so a reader remembers which commit it stands at, not only its position.
"""

from dataclasses import dataclass
from enum import Enum, auto

from relay.store.connection import Cursor


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the index: its place on the feed, and what tells it apart from others at that place.

    ``commit_id`` is empty where the feed keeps no entry.
    """

    position: int
    commit_id: str = ""


class Standing(Enum):
    """What a database is to a reader that stands at a commit."""

    LEADS_ON = auto()
    """It has that commit, and everything after it that it knows of."""

    TOO_YOUNG = auto()
    """Its feed begins later: it was rebuilt, or the reader was away for too long."""

    BEHIND = auto()
    """It is a replica that has not come so far."""

    OTHER = auto()
    """It lacks that commit for good: it was promoted before it had it, restored from a backup, or is another."""


def newest_commit(cursor: Cursor) -> Commit:
    """Return the newest commit that a database has."""
    cursor.execute(
        "SELECT greatest(h.position, f.position), coalesce(f.commit_id::text, '') FROM feed_horizon h "
        "LEFT JOIN (SELECT position, commit_id FROM feed ORDER BY position DESC LIMIT 1) f ON true"
    )
    row = cursor.fetchone()
    assert row is not None
    return Commit(int(row[0]), row[1])


def has_commit(cursor: Cursor, commit: Commit) -> bool:
    """Tell whether a commit is on the feed: the quick look. One that the feed no longer keeps is not found."""
    cursor.execute(
        "SELECT FROM feed WHERE position = %s AND commit_id = %s", (commit.position, commit.commit_id or None)
    )
    return bool(cursor.rowcount)


def standing(cursor: Cursor, commit: Commit) -> Standing:
    """Tell what the database is to a reader that stands at ``commit``."""
    cursor.execute(
        "SELECT h.position, greatest(h.position, (SELECT max(position) FROM feed)), "
        "(SELECT commit_id::text FROM feed WHERE position = %s), pg_is_in_recovery() FROM feed_horizon h",
        (commit.position,),
    )
    row = cursor.fetchone()
    if row is None or commit.position < row[0]:
        return Standing.TOO_YOUNG
    horizon, end, commit_id, is_replica = row
    if commit.position > end:
        return Standing.BEHIND if is_replica else Standing.OTHER
    # The entry at the horizon itself is no longer kept.
    is_there = commit.position == horizon if commit_id is None else commit.commit_id == commit_id
    return Standing.LEADS_ON if is_there else Standing.OTHER
