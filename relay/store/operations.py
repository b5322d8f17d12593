"""Connections for what the relay itself notes: transactions that write, beside the snapshots that only read."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2

from relay.store.connection import Connection, Cursor, Pool, connect, translated_errors
from relay.store.errors import StoreError

CHANNEL_LOCK = 0x7452_0020
"""Key of the advisory lock of the one process that looks after users' transactions."""


def signer_lock(signer_id: int) -> int:
    """Return the key of the lock of the one process that looks after what a signer sent.

    Not every process needs to have the signer's key: one without it must not keep the turn from those that do.
    """
    return (CHANNEL_LOCK << 31) + signer_id


class WritingPool(Pool):
    """A pool whose transactions see what others committed meanwhile, and may write."""

    kind = "writing"

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Hand out a cursor in a transaction: all of it is kept, or (after any exception) nothing.

        Raises:
            DatabaseBusy: if no connection becomes free in time.
            DatabaseUnreachable, DatabaseFull: if none can be had, or it fails.

        """
        with self._connection() as connection, translated_errors(), connection, connection.cursor() as cursor:
            yield cursor

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = self._open()
        connection.set_session(isolation_level="READ COMMITTED", readonly=False)
        return connection


class Turn:
    """The right to do what one process at a time may do; it ends with its connection."""

    def __init__(self, url: str, key: int = CHANNEL_LOCK) -> None:
        self._url = url
        self._key = key
        self._connection: Connection | None = None

    def is_ours(self) -> bool:
        """Say whether we have the turn, taking it if nobody has; raises StoreError if the database fails."""
        try:
            with translated_errors():
                if self._connection is None:
                    self._connection = connect(self._url)
                    self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    # A session that holds the lock gets it again: asking tells whether the connection stands.
                    cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
                    row = cursor.fetchone()
                    return bool(row and row[0])
        except StoreError:
            self.release()
            raise

    def release(self) -> None:
        """Leave the turn to others."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None
