"""Reading where there are replicas: none of the answers shows less than this process has seen before."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relay.store.connection import Connection, Cursor, Pool
from relay.store.errors import DatabaseBehind, DatabaseUnreachable
from relay.store.feed import Commit, Standing, has_commit, standing
from relay.store.guard import Guard

logger = logging.getLogger(__name__)

_RENEWAL_SECONDS = 60.0
_LOOK_SECONDS = 0.02


class ReplicaPool(Pool):
    """A pool of connections to whichever server its URL leads to at the moment, replicas first.

    Idle connections are given up once a minute, so that a process which read from the primary for want of a
    replica comes back to that; and one that broke while it was idle is replaced before anybody notices.
    """

    def __init__(
        self,
        url: str,
        size: int = 8,
        wait_seconds: float = 2.0,
        seen: Callable[[], Commit | None] = lambda: None,
        renewal_seconds: float = _RENEWAL_SECONDS,
        guard: Guard | None = None,
    ) -> None:
        """Prepare the pool.

        Arguments:
            url: libpq URL.
            size: the most connections open at once.
            wait_seconds: how long a caller waits for one, and again for what was seen.
            seen: tells the commit which everything that is read has to contain, if any.
            renewal_seconds: how often idle connections are given up.
            guard: ends waits for a database that does not answer.

        """
        super().__init__(url, size, wait_seconds, guard)
        self._seen = seen
        self._patience_seconds = wait_seconds
        self._renewal_seconds = renewal_seconds
        self._renewed_at = time.monotonic()
        self._server = ""

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """Hand out a cursor in a read-only transaction that sees one state of the database throughout.

        Raises:
            DatabaseBehind: if that state does not contain what was seen, for as long as a caller may wait.
            DatabaseBusy, DatabaseUnreachable: as without replicas.

        """
        deadline = time.monotonic() + self._patience_seconds
        self._renew()
        is_second_try, is_handed_out = False, False
        while True:
            try:
                with super().snapshot() as cursor:
                    if self._is_current(cursor):
                        is_handed_out = True
                        yield cursor
                        return
            except DatabaseUnreachable:
                if is_handed_out or is_second_try:
                    raise
                is_second_try = True
                self.close()
                continue
            if time.monotonic() >= deadline:
                raise DatabaseBehind("the replica that is read from has not come as far as the networks here")
            time.sleep(_LOOK_SECONDS)

    @contextmanager
    def statement(self) -> Iterator[Cursor]:
        """Hand out a cursor for a single statement; whether it sees enough is asked before, in one transaction."""
        with self.snapshot() as cursor:
            yield cursor

    def _is_current(self, cursor: Cursor) -> bool:
        commit = self._seen()
        if commit is None:
            cursor.execute("SELECT")  # a connection that broke while it was idle says so here
            return True
        return has_commit(cursor, commit) or standing(cursor, commit) in (Standing.LEADS_ON, Standing.TOO_YOUNG)

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at >= self._renewal_seconds:
            self._renewed_at = now
            self.close()

    def _take(self) -> Connection:
        connection = super()._take()
        server = f"{connection.info.host}:{connection.info.port}"
        if server != self._server:
            self._server = server
            logger.info("reading from the database server %s", server)
        return connection
