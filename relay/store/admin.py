"""What operators decided: pauses, bans, nodes to be chosen anew; and what they remove."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.addresses import Address
from relay.store.connection import Cursor
from relay.store.operating import OperatingPool


class Part(StrEnum):
    """What can be paused."""

    INDEX = "index"
    DELEGATE = "delegate"


@dataclass(frozen=True, slots=True)
class Pause:
    """A part that stands still."""

    part: Part
    since: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Ban:
    """An identity or a sender that is not served."""

    address: Address
    reason: str
    since: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """What holds at the moment; the numbers grow with every change and with every wish to choose nodes anew."""

    changes: int
    reconnects: int
    paused: frozenset[Part]
    banned: frozenset[Address]


class AdminStore:
    """Keeps decisions; every method raises StoreError."""

    def __init__(self, pool: OperatingPool) -> None:
        self._pool = pool

    def decisions(self, known: Decisions | None) -> Decisions:
        """Return what holds; only two numbers are read while nothing changes."""
        with self._pool.transaction() as cursor:
            cursor.execute("SELECT changes, reconnects FROM decisions")
            row = cursor.fetchone()
            assert row is not None, "the schema has this row"
            changes, reconnects = row
            if known is not None and known.changes == changes:
                return Decisions(changes, reconnects, known.paused, known.banned)
            cursor.execute("SELECT address FROM bans")
            banned = frozenset(row[0] for row in cursor.fetchall())
            return Decisions(changes, reconnects, frozenset(pause.part for pause in pauses(cursor)), banned)

    def ask_to_reconnect(self) -> None:
        """Have every process choose its node anew."""
        with self._pool.transaction() as cursor:
            cursor.execute("UPDATE decisions SET reconnects = reconnects + 1")

    def pauses(self) -> list[Pause]:
        """Return what stands still."""
        with self._pool.transaction() as cursor:
            return pauses(cursor)

    def pause(self, part: Part, by: str) -> bool:
        """Let a part stand still; return False if it does already."""
        statement = "INSERT INTO pauses (part, paused_by) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        return self._change(statement, part.value, by)

    def resume(self, part: Part) -> bool:
        """Let a part go on; return False if it did not stand still."""
        return self._change("DELETE FROM pauses WHERE part = %s", part.value)

    def bans(self) -> list[Ban]:
        """Return who is not served, the newest first."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "SELECT address, reason, banned_at, banned_by FROM bans ORDER BY banned_at DESC, address"
            )
            return [Ban(*row) for row in cursor.fetchall()]

    def ban(self, address: Address, reason: str, by: str) -> bool:
        """Serve somebody no more; return False, having noted the reason, if they were not served before."""
        statement = (
            "INSERT INTO bans (address, reason, banned_by) VALUES (%s, %s, %s) "
            "ON CONFLICT (address) DO UPDATE SET reason = excluded.reason RETURNING xmax = 0"
        )
        with self._pool.transaction() as cursor:
            cursor.execute(statement, (address, reason, by))
            row = cursor.fetchone()
            _note_change(cursor)
            return bool(row and row[0])

    def unban(self, address: Address) -> bool:
        """Serve somebody again; return False if they were served."""
        return self._change("DELETE FROM bans WHERE address = %s", address)

    def revoke_token(self, token: str) -> int:
        """Forget a device and what waits for it; return for how many users it was registered."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM push_tokens WHERE token = %s", (token,))
            removed = int(cursor.rowcount)
            cursor.execute("DELETE FROM push_notifications WHERE token = %s", (token,))
            return removed

    def prune_messages(self, older_than_seconds: int | None, user: Address | None) -> int:
        """Remove messages of some age, or to a user, or both; return how many there were."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "DELETE FROM messages WHERE "
                "(%(age)s::bigint IS NULL OR sent_at <= now() - %(age)s * interval '1 s') "
                "AND (%(user)s::bytea IS NULL OR receiver = %(user)s)",
                {"age": older_than_seconds, "user": user},
            )
            return int(cursor.rowcount)

    def _change(self, statement: str, *values: object) -> bool:
        with self._pool.transaction() as cursor:
            cursor.execute(statement, values)
            has_changed = bool(cursor.rowcount)
            if has_changed:
                _note_change(cursor)
            return has_changed


def pauses(cursor: Cursor) -> list[Pause]:
    """Return what stands still."""
    cursor.execute("SELECT part, paused_at, paused_by FROM pauses ORDER BY part")
    return [Pause(Part(row[0]), *row[1:]) for row in cursor.fetchall()]


def _note_change(cursor: Cursor) -> None:
    cursor.execute("UPDATE decisions SET changes = changes + 1")
