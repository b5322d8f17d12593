"""Push notifications: the devices to be told, what is to be sent, and the one process that does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2.extras import execute_values

from relay.addresses import Address
from relay.store.connection import Connection, Cursor, connect, translated_errors
from relay.store.operating import OperatingPool

_LOCK = 0x7452_0003
"""Key of the advisory lock of the process that sends."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something to be sent to a device.

    ``stream`` ("events", "messages") is the one that delivers the same, ``event`` is JSON, ``attempts`` is how
    often it was tried in vain.
    """

    id: int
    user: Address
    token: str
    stream: str
    event: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a user is to be told: JSON, and what tells it apart (None: everything is told)."""

    user: Address
    stream: str
    event: str
    subject: bytes | None


class PushLock:
    """A connection that holds the right to send, for as long as it lasts."""

    def __init__(self, url: str) -> None:
        """Connect; raises DatabaseUnreachable."""
        self._connection: Connection = connect(url)
        self._connection.autocommit = True

    def try_lock(self) -> bool:
        """Return whether this process sends; asked again and again it says whether it still does.

        Raises:
            DatabaseUnreachable: if the connection broke, and the lock is gone with it.

        """
        with translated_errors(), self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
            row = cursor.fetchone()
            return bool(row and row[0])

    def close(self) -> None:
        """Let go of the lock."""
        self._connection.close()


class PushStore:
    """Stores tokens and notifications."""

    def __init__(self, pool: OperatingPool) -> None:
        self._pool = pool

    def add_token(self, user: Address, token: str, most: int, most_users: int, *, is_proven: bool) -> bool:
        """Add a device of a user; return False if it has no place.

        A user has at most ``most`` of them, and a device at most ``most_users``. One whose registration the user
        signed (``is_proven``) takes the place of the oldest that nobody signed for.
        """
        with self._pool.transaction() as cursor:
            # Two that come at once are counted one after the other.
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, user.hex()))
            if not is_proven and _count(cursor, "token = %s AND user_address <> %s", token, user) >= most_users:
                return False
            if _count(cursor, "user_address = %s AND token <> %s", user, token) >= most:
                if not is_proven:
                    return False
                cursor.execute(
                    "DELETE FROM push_tokens WHERE user_address = %s AND token = (SELECT token FROM push_tokens "
                    "WHERE user_address = %s AND token <> %s AND NOT is_proven ORDER BY registered_at LIMIT 1) "
                    "RETURNING token",
                    (user, user, token),
                )
                replaced = cursor.fetchone()
                if replaced is None:
                    return False
                _forget_waiting(cursor, user, replaced[0])
            cursor.execute(
                "INSERT INTO push_tokens AS old (user_address, token, is_proven) VALUES (%s, %s, %s) "
                "ON CONFLICT (user_address, token) DO UPDATE SET is_proven = true "
                "WHERE excluded.is_proven AND NOT old.is_proven",
                (user, token, is_proven),
            )
            return True

    def remove_token(self, user: Address, token: str) -> bool:
        """Remove a device of a user and what waits for it; return whether there was one."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM push_tokens WHERE user_address = %s AND token = %s", (user, token))
            found = bool(cursor.rowcount)
            _forget_waiting(cursor, user, token)
            return found

    def forget_token(self, token: str) -> None:
        """Remove a device that is gone, whose ever it was."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM push_tokens WHERE token = %s", (token,))
            cursor.execute("DELETE FROM push_notifications WHERE token = %s", (token,))

    def users_with_tokens(self, users: Sequence[Address]) -> set[Address]:
        """Return those of some users who have a device."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "SELECT DISTINCT user_address FROM push_tokens WHERE user_address = ANY(%s)", (list(users),)
            )
            return {row[0] for row in cursor.fetchall()}

    def progress(self) -> int | None:
        """Return how far on the feed notifications have been made, None before the first time."""
        with self._pool.transaction() as cursor:
            cursor.execute("SELECT position FROM push_progress")
            row = cursor.fetchone()
            return None if row is None else int(row[0])

    def note(self, told: Iterable[Told], position: int) -> None:
        """Make notifications for all devices of those who are told, and note how far that was."""
        with self._pool.transaction() as cursor:
            enqueue(cursor, told)
            cursor.execute(
                "INSERT INTO push_progress (position) VALUES (%s) "
                "ON CONFLICT (singleton) DO UPDATE SET position = excluded.position",
                (position,),
            )

    def take_due(self, most: int, seconds: float) -> list[Notification]:
        """Return what is due, oldest first, and put it off by ``seconds``, in which it is to be sent."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "UPDATE push_notifications SET due_at = now() + %s * interval '1 s' WHERE id IN ("
                "SELECT id FROM push_notifications WHERE state = 'waiting' AND due_at <= now() "
                "ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED) "
                "RETURNING id, user_address, token, stream, event, attempts",
                (seconds, most),
            )
            return sorted((Notification(*row) for row in cursor.fetchall()), key=lambda entry: entry.id)

    def note_sent(self, number: int) -> None:
        """Note that something was sent."""
        self._set(number, "state = 'sent', fault = NULL")

    def put_off(self, number: int, seconds: float, fault: str) -> None:
        """Note that something could not be sent and is to be tried again after ``seconds``."""
        self._set(
            number, "attempts = attempts + 1, due_at = now() + %s * interval '1 s', fault = %s", seconds, fault
        )

    def give_up(self, number: int, fault: str) -> None:
        """Note that something is not tried any more."""
        self._set(number, "state = 'dead', attempts = attempts + 1, fault = %s", fault)

    def forget_done(self, sent_seconds: int, dead_seconds: int) -> None:
        """Remove what was sent, or given up, longer ago than this."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "DELETE FROM push_notifications WHERE state = 'sent' AND changed_at < now() - %s * interval '1 s' "
                "OR state = 'dead' AND changed_at < now() - %s * interval '1 s'",
                (sent_seconds, dead_seconds),
            )

    def counts(self) -> dict[str, int]:
        """Return how many notifications are in each state."""
        with self._pool.transaction() as cursor:
            cursor.execute("SELECT state, count(*) FROM push_notifications GROUP BY state")
            return dict(cursor.fetchall())

    def put_back(self, numbers: Sequence[int]) -> None:
        """Let others be sent before: these have been taken, but not tried."""
        with self._pool.transaction() as cursor:
            cursor.execute("UPDATE push_notifications SET due_at = now() WHERE id = ANY(%s)", (list(numbers),))

    def _set(self, number: int, change: str, *values: object) -> None:
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"UPDATE push_notifications SET {change}, changed_at = now() WHERE id = %s", (*values, number)
            )


def _count(cursor: Cursor, condition: str, *values: object) -> int:
    cursor.execute(f"SELECT count(*) FROM push_tokens WHERE {condition}", values)
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _forget_waiting(cursor: Cursor, user: Address, token: str) -> None:
    cursor.execute("DELETE FROM push_notifications WHERE user_address = %s AND token = %s", (user, token))


def enqueue(cursor: Cursor, told: Iterable[Told]) -> None:
    """Make notifications for all devices of those who are told, in the caller's transaction."""
    rows = [(order, item.user, item.stream, item.event, item.subject) for order, item in enumerate(told)]
    if rows:
        execute_values(
            cursor,
            "INSERT INTO push_notifications (user_address, token, subject, stream, event, due_at, changed_at) "
            "SELECT t.user_address, t.token, told.subject, told.stream, told.event, now(), now() "
            "FROM (VALUES %s) AS told (number, user_address, stream, event, subject) "
            "JOIN push_tokens t ON t.user_address = told.user_address ORDER BY told.number "
            "ON CONFLICT (token, user_address, subject) DO NOTHING",
            rows,
            template="(%s, %s::bytea, %s, %s, %s::bytea)",
        )
