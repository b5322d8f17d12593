"""The messages between users: kept until they are read, announced to all processes."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.addresses import Address
from relay.store.connection import Connection, Cursor, Row, await_notices, connect, translated_errors
from relay.store.operating import OperatingPool

MESSAGE_CHANNEL = "tl_relay_messages"
"""The channel on which a new message is announced by its id and its receiver."""

_MAILBOX_LOCK = 0x7452_0004
"""First key of the advisory locks under which messages for a user are added; the second is the user's."""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; ``sent_at`` in Unix seconds, ``sender`` is there where a signature proves it."""

    id: int
    receiver: Address
    type: str
    body: str
    sent_at: int
    sender: Address | None = None


_COLUMNS = "id, receiver, type, body, extract(epoch FROM sent_at)::bigint, sender"


class MessageStore:
    """Stores messages; times are Unix seconds, handed in."""

    def __init__(self, pool: OperatingPool) -> None:
        self._pool = pool

    def note_signature(self, cursor: Cursor, digest: bytes, expires_at: int) -> bool:
        """Return whether a signature is new; from then on it is not."""
        cursor.execute(
            "INSERT INTO message_signatures (digest, expires_at) VALUES (%s, to_timestamp(%s)) "
            "ON CONFLICT DO NOTHING",
            (digest, expires_at),
        )
        return bool(cursor.rowcount)

    def lock_mailbox(self, cursor: Cursor, receiver: Address) -> None:
        """Let nobody else add a message for a user until the transaction ends."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_MAILBOX_LOCK, receiver.hex()))

    def number(self, cursor: Cursor, most: int) -> int:
        """Return how many messages there are, counting no further than ``most``."""
        cursor.execute("SELECT count(*) FROM (SELECT FROM messages LIMIT %s) AS counted", (most,))
        row = cursor.fetchone()
        return int(row[0]) if row else 0

    def number_unread(self, cursor: Cursor, receiver: Address, most: int) -> int:
        """Return how many messages of a user are unread, counting no further than ``most``."""
        cursor.execute(
            "SELECT count(*) FROM "
            "(SELECT FROM messages WHERE receiver = %s AND read_at IS NULL LIMIT %s) AS counted",
            (receiver, most),
        )
        row = cursor.fetchone()
        return int(row[0]) if row else 0

    def add(
        self, cursor: Cursor, receiver: Address, kind: str, body: str, now: int, sender: Address | None
    ) -> Message:
        """Store a message and announce it once the transaction commits."""
        cursor.execute(
            "INSERT INTO messages (receiver, type, body, sender, sent_at) "
            f"VALUES (%s, %s, %s, %s, to_timestamp(%s)) RETURNING {_COLUMNS}",
            (receiver, kind, body, sender, now),
        )
        message = _message_from(cursor.fetchone())
        cursor.execute("SELECT pg_notify(%s, %s)", (MESSAGE_CHANNEL, f"{message.id} {receiver.hex()}"))
        return message

    def claim_unread(self, receiver: Address, most: int, seconds: float) -> list[Message]:
        """Return the unread messages of a user, oldest first, and keep them from other readers for a while."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "UPDATE messages SET is_fetched = true, claimed_until = now() + %s * interval '1 s' WHERE id IN ("
                "SELECT id FROM messages WHERE receiver = %s AND read_at IS NULL "
                "AND (claimed_until IS NULL OR claimed_until < now()) "
                f"ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING {_COLUMNS}",
                (seconds, receiver, most),
            )
            return sorted(map(_message_from, cursor.fetchall()), key=lambda message: message.id)

    def claim(self, ids: Sequence[int], seconds: float) -> list[Message]:
        """Return those of some messages that nobody has asked for, oldest first, to be delivered now.

        Every process that has a listener delivers a message, even if that of another was faster to read it.
        """
        with self._pool.transaction() as cursor:
            cursor.execute(
                "UPDATE messages SET is_fetched = false, claimed_until = now() + %s * interval '1 s' "
                "WHERE id = ANY(%s) "
                "AND NOT (is_fetched AND (read_at IS NOT NULL OR coalesce(claimed_until > now(), false))) "
                f"RETURNING {_COLUMNS}",
                (seconds, list(ids)),
            )
            return sorted(map(_message_from, cursor.fetchall()), key=lambda message: message.id)

    def release(self, ids: Sequence[int]) -> None:
        """Give messages back: their readers did not get them."""
        with self._pool.transaction() as cursor:
            cursor.execute("UPDATE messages SET claimed_until = NULL WHERE id = ANY(%s)", (list(ids),))

    def note_read(self, ids: Sequence[int]) -> None:
        """Note that messages have been read."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "UPDATE messages SET read_at = now() WHERE id = ANY(%s) AND read_at IS NULL", (list(ids),)
            )

    def forget_read(self, seconds: float) -> None:
        """Remove the messages that were read so many seconds ago."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM messages WHERE read_at < now() - %s * interval '1 s'", (seconds,))

    def newest_id(self) -> int:
        """Return the id of the newest message, 0 before the first; ids grow, but may be committed out of order."""
        with self._pool.transaction() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM messages")
            row = cursor.fetchone()
            return int(row[0]) if row else 0

    def ids_after(self, number: int, receivers: Sequence[Address]) -> list[int]:
        """Return the messages of some users with greater ids, read or not."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "SELECT id FROM messages WHERE id > %s AND receiver = ANY(%s) ORDER BY id",
                (number, list(receivers)),
            )
            return [row[0] for row in cursor.fetchall()]

    def forget_before(self, time: int) -> int:
        """Remove the messages sent before a time, read or not; return how many there were."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM messages WHERE sent_at < to_timestamp(%s)", (time,))
            return int(cursor.rowcount)

    def forget_signatures(self, now: int) -> None:
        """Remove the signatures that would not count any more."""
        with self._pool.transaction() as cursor:
            cursor.execute("DELETE FROM message_signatures WHERE expires_at < to_timestamp(%s)", (now,))


class MessageListener:
    """Waits on a connection of its own for new messages."""

    def __init__(self, url: str) -> None:
        """Connect and listen; raises DatabaseUnreachable."""
        self._connection: Connection = connect(url)
        self._connection.autocommit = True
        with translated_errors(), self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {MESSAGE_CHANNEL}")

    def wait(self, seconds: float) -> list[tuple[int, Address]]:
        """Return the ids and receivers of the messages that were announced within ``seconds``.

        Raises:
            DatabaseUnreachable: if the connection broke; announcements may have been missed.

        """
        texts = await_notices(self._connection, seconds)
        return [(int(number), bytes.fromhex(receiver)) for number, receiver in map(str.split, texts)]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _message_from(row: Row | None) -> Message:
    assert row is not None
    return Message(*row)
