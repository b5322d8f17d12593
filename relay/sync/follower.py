"""Keeping the graphs of this process in step with the database."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from relay.store.errors import DatabaseBusy, StoreError
from relay.store.reading import Changes, Snapshot
from relay.store.rows import CursorPosition
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_NOTE_SECONDS, _LONGEST_NOTE_SECONDS = 1.0, 10.0


class Reader(Protocol):
    """Reads the state of the networks; `relay.store.reading.StateReader` does."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Hand out the whole state, to be read while this is open; raises StoreError."""

    def changes_since(self, position: int, known: Collection[int]) -> Changes | None:
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


class Follower:
    """Loads the networks from the database, then follows the feed in a thread of its own."""

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
        self._reader = reader
        self._networks = networks
        self._listen = listen
        self._retry_seconds = retry_seconds
        self._board = board
        self._clock = clock
        self._noted: tuple[int, float] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def load(self) -> None:
        """Load everything once; raises StoreError."""
        with self._reader.snapshot() as snapshot:
            self._networks.load(snapshot)

    def start(self) -> None:
        """Follow the feed from now on, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; returns when the thread has ended."""
        self._stopping.set()
        self._thread.join()

    def catch_up(self) -> None:
        """Bring the graphs to the newest commit, loading them first if need be; raises StoreError."""
        if not self._networks.is_loaded:
            self.load()
            return
        changes = self._reader.changes_since(self._networks.position, self._networks.ids())
        if changes is None or not self._networks.apply(changes):
            logger.info("loading all networks anew: the feed does not lead from here to the current state")
            self.load()

    def _run(self) -> None:
        listener: Listener | None = None
        trouble: type[Exception] | None = None
        while not self._stopping.is_set():
            try:
                if listener is None:
                    # Listening starts before the state is read, so that no commit falls between the two. All of it
                    # is read, for the database that is back may be another one, with a feed of its own.
                    listener = self._listen()
                    self.load()
                self.catch_up()
                if trouble is not None:
                    logger.info("the database is back; following the feed again")
                    trouble = None
                self._note()
                listener.wait(_LONGEST_SLEEP_SECONDS)
            except Exception as error:  # whatever it is: answers must not stay behind for good
                if trouble is not type(error):
                    self._complain(error)
                    trouble = type(error)
                if listener is not None and not isinstance(error, DatabaseBusy):
                    listener.close()
                    listener = None
                self._stopping.wait(self._retry_seconds)
        if listener is not None:
            listener.close()
        if self._board is not None:
            self._board.close()

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

    def _complain(self, error: Exception) -> None:
        block = None if self._networks.block is None else self._networks.block.number
        # Only what nobody expects deserves a traceback.
        surprise = None if isinstance(error, StoreError) else error
        logger.warning("cannot follow the feed, answers keep to block %s: %s", block, error, exc_info=surprise)
