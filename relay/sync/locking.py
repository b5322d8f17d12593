"""A readers-writer lock: many may read at once, a writer is alone, and no stream of readers keeps it waiting."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadersWriterLock:
    """Shared by readers, exclusive to a writer.

    A writer that waits goes before readers that come later, so it waits for those at most that read already.
    Neither side may be entered again by a thread that is inside: a reader behind a waiting writer would wait for
    itself.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._waiting_writers = 0
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep writers out, not other readers."""
        with self._changed:
            while self._is_writing or self._waiting_writers:
                self._changed.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep everybody else out."""
        with self._changed:
            self._waiting_writers += 1
            try:
                while self._is_writing or self._readers:
                    self._changed.wait()
                self._is_writing = True
            finally:
                self._waiting_writers -= 1
                if not self._is_writing:
                    self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
