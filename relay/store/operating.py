"""Connections for what is no chain state: messages, tokens and what is to be sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from relay.store.connection import Connection, Cursor, Pool


class OperatingPool(Pool):
    """A pool whose transactions write."""

    kind = "writing"

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Hand out a cursor in a transaction: all of it is kept, or (after any exception) nothing.

        Raises:
            DatabaseBusy: if no connection becomes free in time.
            StoreError: if the database fails.

        """
        with self.snapshot() as cursor:
            yield cursor

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._open()
