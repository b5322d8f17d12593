"""A thread that keeps a writer's session alive while its process is, and cuts it when the server stands still."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg2

from relay.store.connection import Connection

logger = logging.getLogger(__name__)


class Heartbeat:
    """Says something to the server now and then between the transactions of a connection, never within one.

    (Within one it could hit a COPY, which another statement on the same connection would end.)
    """

    def __init__(
        self,
        connection: Connection,
        every_seconds: float,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start beating; a beat or a transaction that takes ``patience_seconds`` cuts the connection."""
        self._connection = connection
        self._every_seconds = every_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._stopping = threading.Event()
        self._use = threading.Lock()
        self._used_since: float | None = None
        for act in (self._beat, self._watch):
            threading.Thread(target=act, name=f"heartbeat{act.__name__}", daemon=True).start()

    @contextmanager
    def during_transaction(self, *, is_long: bool = False) -> Iterator[None]:
        """Leave the connection to the caller; a transaction that ``is_long`` may take its time."""
        with self._use:
            self._used_since = None if is_long else self._clock()
            try:
                yield
            finally:
                self._used_since = None

    def stop(self) -> None:
        """Beat no more."""
        self._stopping.set()

    def _beat(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            if not self._use.acquire(blocking=False):
                continue  # whoever uses the connection breaks the silence
            try:
                self._used_since = self._clock()
                # An error is the business of the next who uses the connection.
                with suppress(psycopg2.Error):
                    if self._connection.closed:
                        return
                    with self._connection.cursor() as cursor:
                        cursor.execute("SELECT 1")
                    self._connection.rollback()
            finally:
                self._used_since = None
                self._use.release()

    def _watch(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            since = self._used_since
            if since is not None and self._clock() - since > self._patience_seconds:
                logger.warning(
                    "the database has not answered for %g s: cutting the connection", self._patience_seconds
                )
                _cut(self._connection)
                return


def _cut(connection: Connection) -> None:
    """Let every call that waits on a connection fail, and the server see its end."""
    with (
        suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as client,
    ):
        client.shutdown(socket.SHUT_RDWR)
