"""Hearing of commits where they are read from a replica, on which nobody can listen."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from relay.store.errors import StoreError
from relay.store.reading import FeedListener
from relay.store.watching import Watcher

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""How often a replica is looked at while nobody tells of commits."""

_HURRY_SECONDS, _HURRY_STEP_SECONDS = 2.0, 0.01
_RETRY_SECONDS = 1.0
_LISTEN_SECONDS = 1.0


class PrimaryListener(Protocol):
    """Hears of commits at the primary; `FeedListener` does."""

    heard_of: int

    def wait(self, seconds: float) -> bool:
        """Return whether a commit was announced; raises StoreError."""

    def close(self) -> None:
        """Stop listening."""


class Announcements(Watcher[PrimaryListener]):
    """Listens at the primary, in a thread of its own, for all in this process who read from a replica.

    While there is no primary, they look at the replica by themselves.
    """

    def __init__(self, listen: Callable[[], PrimaryListener]) -> None:
        """Prepare; ``listen`` opens a new listener, as often as the old one breaks."""
        super().__init__("announcements", listen, _RETRY_SECONDS)
        self._heard = threading.Condition()
        self._position, self._at = 0, 0.0

    @classmethod
    def at(cls, url: str) -> "Announcements":
        """Return those of the primary that a URL leads to."""
        return cls(lambda: FeedListener(url))

    def await_beyond(self, position: int, seconds: float) -> bool:
        """Wait for the announcement of a commit above ``position``; return whether there is one.

        What was announced takes a moment to come to the replica: until it is there, this returns every few ms.
        """
        with self._heard:
            if self._is_on_its_way(position):
                self._heard.wait(_HURRY_STEP_SECONDS)
                return True
            return self._heard.wait_for(lambda: self._is_on_its_way(position), min(seconds, POLL_SECONDS))

    def _is_on_its_way(self, position: int) -> bool:
        return self._position > position and time.monotonic() - self._at < _HURRY_SECONDS

    def _wait(self, listener: PrimaryListener) -> None:
        if listener.wait(_LISTEN_SECONDS):
            with self._heard:
                self._position, self._at = listener.heard_of, time.monotonic()
                self._heard.notify_all()

    def _fail(self, error: Exception, *, is_news: bool) -> None:
        if is_news:
            surprise = None if isinstance(error, StoreError) else error
            logger.warning(
                "looking at the replica every %g s, for want of a primary: %s",
                POLL_SECONDS,
                error,
                exc_info=surprise,
            )

    def _recover(self) -> None:
        logger.info("the primary is back; hearing of commits again")


class ReplicaListener:
    """Waits for commits to come to a replica; ``reached`` tells how far on the feed this process has come."""

    def __init__(self, announcements: Announcements, reached: Callable[[], int]) -> None:
        self._announcements = announcements
        self._reached = reached

    def wait(self, seconds: float) -> bool:
        """Return whether a commit is to be looked for; also without one, the replica may have come further."""
        return self._announcements.await_beyond(self._reached(), seconds)

    def close(self) -> None:
        """Do nothing: others hear by the same announcements."""
