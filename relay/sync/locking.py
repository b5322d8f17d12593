"""A readers-writer lock: many may read at once, a writer is alone, and neither waits long for the other side."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


class ReadersWriterLock:
    """Shared by readers, exclusive to a writer.

    A writer that waits goes before readers that come later, so it waits for those at most that read already. As
    one of those may take long, later ones give way for ``courtesy`` seconds only, and for good once a writer has
    waited for ``patience`` seconds. So a long search delays the others a little, and updates not without end.

    Who says that reading takes ``briefly`` gives way only where that helps: not while the writer has to wait for
    others that take long anyway. A short look is therefore never kept waiting by a search, whoever wants to write.

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
        # Those who only look take the mutex itself: the condition's own methods around it are slower by some.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._reading, self._looking = _Reading(self, briefly=False), _Reading(self, briefly=True)
        self._readers = 0
        self._long_readers = 0
        self._waiting_writers = 0
        self._waiting_since = 0.0
        self._is_writing = False

    def reading(self, *, briefly: bool = False) -> AbstractContextManager[None]:
        """Keep writers out, not other readers; ``briefly`` for milliseconds at most."""
        return self._looking if briefly else self._reading

    def begin_reading(self, *, briefly: bool = False) -> None:
        """Come in as a reader, for whom `end_reading` is called in the end in the same way."""
        with self._mutex:
            if self._is_writing or self._waiting_writers:
                self._changed.wait_for(
                    lambda: not self._is_writing and (not self._waiting_writers or self._may_pass(briefly)),
                    self._courtesy,
                )
                self._changed.wait_for(
                    lambda: not self._is_writing and (not self._is_writer_impatient() or self._may_pass(briefly))
                )
            self._readers += 1
            self._long_readers += not briefly

    def end_reading(self, *, briefly: bool = False) -> None:
        """Leave again."""
        with self._mutex:
            self._readers -= 1
            self._long_readers -= not briefly
            if not self._readers and self._waiting_writers:
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

    def _may_pass(self, briefly: bool) -> bool:
        """Whether a reader delays no writer: those inside take longer than it does."""
        return briefly and self._long_readers > 0

    def _is_writer_impatient(self) -> bool:
        return self._waiting_writers > 0 and self._clock() - self._waiting_since >= self._patience


class _Reading:
    """The time of any reader inside: all that it knows is the lock and how long it takes, so two do for all."""

    def __init__(self, lock: ReadersWriterLock, *, briefly: bool) -> None:
        self._lock, self._briefly = lock, briefly

    def __enter__(self) -> None:
        self._lock.begin_reading(briefly=self._briefly)

    def __exit__(self, *_: object) -> None:
        self._lock.end_reading(briefly=self._briefly)
