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
    """Says something to the server now and then, between and within the transactions of a connection."""

    def __init__(
        self,
        connection: Connection,
        every_seconds: float,
        patience_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start beating; after ``patience_seconds`` within one beat or statement the connection is cut."""
        self._connection = connection
        self._every_seconds = every_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._stopping = threading.Event()
        self._boundary = threading.Lock()
        self._is_in_transaction = False
        self._heard_at = clock()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._watch, name="heartbeat-watch", daemon=True).start()

    @contextmanager
    def during_transaction(self) -> Iterator[None]:
        """Leave beginning and end of the transaction inside to the caller; one at a time."""
        with self._boundary:
            self._is_in_transaction = True
        try:
            yield
        finally:
            # Whoever stands in a statement of the heartbeat is waited for: it belongs to that transaction.
            with self._boundary:
                self._is_in_transaction = False
                with suppress(psycopg2.Error):
                    # One that stood between the commit and here has begun a transaction of its own.
                    self._connection.rollback()

    def stop(self) -> None:
        """Beat no more."""
        self._stopping.set()

    def _beat(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            # An error is the business of the next who uses the connection.
            with suppress(psycopg2.Error), self._boundary:
                if self._connection.closed:
                    return
                with self._connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                if not self._is_in_transaction:
                    self._connection.rollback()
            self._heard_at = self._clock()

    def _watch(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            silence = self._clock() - self._heard_at
            if silence > self._patience_seconds:
                logger.warning("the database has not answered for %.0f s: cutting the connection", silence)
                _cut(self._connection)
                return


def _cut(connection: Connection) -> None:
    """Let every call that waits on a connection fail, and the server see its end."""
    with (
        suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as client,
    ):
        client.shutdown(socket.SHUT_RDWR)
