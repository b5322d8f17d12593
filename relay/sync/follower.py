"""Keeping the graphs of this process in step with the database."""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from relay import telemetry
from relay.store.errors import CommitsLost, DatabaseBehind, DatabaseBusy, StoreError
from relay.store.feed import Commit
from relay.store.reading import Changes, Snapshot
from relay.store.rows import CursorPosition
from relay.store.watching import Watcher
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 1.0
_RETRY_SECONDS = 0.5

_MANY = 1_000
"""Taking over so many trustlines at once is felt by those who ask meanwhile."""
_REST, _LONG_REST, _LONG_REST_SECONDS = 50, 4, 5.0
"""A rest follows, so many times as long, or after a long turn the second and so many seconds more. While the index
catches up, answering requests goes before being up to date."""
_NOTE_SECONDS, _LONGEST_NOTE_SECONDS = 1.0, 10.0

_PATIENCE_SECONDS = 10.0
"""So long a database that lost commits may take to come to our block again, before older answers are given."""


class Reader(Protocol):
    """Reads the state of the networks; `relay.store.reading.StateReader` does."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Hand out the whole state, to be read while this is open; raises StoreError."""

    def changes_since(self, commit: Commit, known: Collection[int]) -> Changes | None:
        """Return what changed, None if everything is to be loaded anew; raises StoreError."""


class Listener(Protocol):
    """Waits for the index to announce a commit."""

    def wait(self, seconds: float) -> bool:
        """Return whether a commit was announced; raises StoreError if that can no longer be known."""

    def close(self) -> None:
        """Stop listening."""


class Board(Protocol):
    """Where a process notes how far it has come; `relay.store.status.FollowerBoard` is one."""

    def note(self, position: int, block: CursorPosition | None) -> None:
        """Note the position on the feed and the block; raises StoreError."""

    def close(self) -> None:
        """Take this process off the board."""


class Follower(Watcher[Listener]):
    """Loads the networks from the database, then follows the feed in a thread of its own."""

    passing = (DatabaseBusy, DatabaseBehind)

    def __init__(
        self,
        reader: Reader,
        networks: Networks,
        listen: Callable[[], Listener],
        retry_seconds: float = _RETRY_SECONDS,
        board: Board | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``listen`` opens a new listener, as often as the old one breaks."""
        super().__init__("follower", listen, retry_seconds)
        self._reader = reader
        self._networks = networks
        self._board = board
        self._clock = clock
        self._noted: tuple[int, float] | None = None
        self._lost_at: float | None = None

    def load(self) -> int:
        """Load everything once, and return how many trustlines that were; raises StoreError."""
        telemetry.graph_loads.inc()
        with self._reader.snapshot() as snapshot:
            return self._networks.load(snapshot)

    def stop(self) -> None:
        """Stop following; returns when the thread has ended."""
        super().stop()
        self._thread.join()

    def catch_up(self) -> int:
        """Bring the graphs to the newest commit, loading them first if need be; raises StoreError.

        Returns how many trustlines were taken over. What is loaded stays where the database is a replica that is
        behind, and for a while where it lacks for good what was read before.
        """
        if not self._networks.is_loaded:
            return self.load()
        try:
            changes = self._reader.changes_since(self._networks.commit, self._networks.ids())
        except CommitsLost as loss:
            return self._load_in_spite_of(loss)
        self._lost_at = None
        if changes is None or not self._networks.apply(changes):
            logger.info("loading all networks anew: the feed does not lead from here to the current state")
            return self._load_newer()
        return len(changes.trustlines) + sum(map(len, changes.loaded.values()))

    def _load_newer(self) -> int:
        """Load everything unless it is older in every respect: the next connection may lead to another replica."""
        ours = self._networks
        with self._reader.snapshot() as snapshot:
            if snapshot.position < ours.position and _number(snapshot.block) < _number(ours.block):
                raise DatabaseBehind("the database has not come to what was read before")
            return ours.load(snapshot)

    def _load_in_spite_of(self, loss: CommitsLost) -> int:
        """Load everything from a database that lost commits, once it has come to our block again or takes long."""
        now = self._clock()
        self._lost_at = now if self._lost_at is None else self._lost_at
        is_over = now - self._lost_at >= _PATIENCE_SECONDS
        if (loss.block_number or 0) < _number(self._networks.block) and not is_over:
            raise loss
        logger.warning("loading all networks anew: %s", loss)
        taken = self.load() if is_over else self._load_newer()
        self._lost_at = None
        return taken

    def _begin(self) -> None:
        if not self._networks.is_loaded:
            self.load()

    def _act(self) -> None:
        self._rest_after(self.catch_up)
        telemetry.graph_position.labels("api").set(self._networks.position)
        if self._networks.block is not None:
            telemetry.graph_block.labels("api").set(self._networks.block.number)
        self._note()

    def _wait(self, listener: Listener) -> None:
        listener.wait(_LONGEST_SLEEP_SECONDS)

    def _fail(self, error: Exception, *, is_news: bool) -> None:
        self._networks.standing.away()
        if not is_news:
            return
        block = None if self._networks.block is None else self._networks.block.number
        # Only what nobody expects deserves a traceback.
        surprise = None if isinstance(error, StoreError) else error
        logger.warning("cannot follow the feed, answers keep to block %s: %s", block, error, exc_info=surprise)

    def _recover(self) -> None:
        logger.info("the database is back; following the feed again")

    def _end(self) -> None:
        if self._board is not None:
            self._board.close()

    def _rest_after(self, act: Callable[[], int]) -> None:
        """Act, which returns how many trustlines it took over; if they are many, do nothing for a while."""
        start = self._clock()
        taken = act()
        self._networks.standing.looked()
        if taken >= _MANY:
            self._note()
            spent = self._clock() - start
            self._networks.standing.away()
            self._stopping.wait(min(_REST * spent, _LONG_REST * spent + _LONG_REST_SECONDS))

    def _note(self) -> None:
        """Note the position at most once a second, and now and then although it has not changed."""
        if self._board is None:
            return
        now, position = self._clock(), self._networks.position
        if self._noted is not None:
            before, at = self._noted
            if now - at < (_LONGEST_NOTE_SECONDS if before == position else _NOTE_SECONDS):
                return
        self._noted = position, now
        try:
            self._board.note(position, self._networks.block)
        except StoreError as error:
            # Following goes before telling how far; a lost database will be missed there.
            logger.debug("cannot note how far this process has come: %s", error)


def _number(block: CursorPosition | None) -> int:
    return 0 if block is None else block.number
