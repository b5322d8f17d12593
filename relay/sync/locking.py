"""A readers-writer lock: many may read at once, a writer is alone, and neither waits long for the other side."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReadersWriterLock:
    """Shared by readers, exclusive to a writer.

    A writer that waits goes before readers that come later, so it waits for those at most that read already. As
    one of those may take long, later ones give way for ``courtesy`` seconds only, and for good once a writer has
    waited for ``patience`` seconds. So a long search delays the others a little, and updates not without end.

    Neither side may be entered again by a thread that is inside: a reader behind a waiting writer would wait for
    itself.
    """

    def __init__(
        self,
        courtesy: float = 0.05,
        patience: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._courtesy = courtesy
        self._patience = patience
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._waiting_writers = 0
        self._waiting_since = 0.0
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep writers out, not other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_writing and not self._waiting_writers, self._courtesy)
            self._changed.wait_for(lambda: not self._is_writing and not self._is_writer_impatient())
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
            if not self._waiting_writers:
                self._waiting_since = self._clock()
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

    def _is_writer_impatient(self) -> bool:
        return self._waiting_writers > 0 and self._clock() - self._waiting_since >= self._patience
