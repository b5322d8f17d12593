"""Asking for what may hang: never twice at once, not too often, and nobody waits longer than so many seconds."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class NotAnswered(Exception):
    """There was no answer in time."""


@dataclass(slots=True)
class _Question(Generic[T]):
    """One time of asking; ``answer`` or ``fault`` is there when it is ``done``."""

    asked_at: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: T | None = None
    fault: Exception | None = None

    def result(self) -> T:
        if self.fault is not None:
            raise self.fault
        assert self.answer is not None
        return self.answer


class Bounded(Generic[T]):
    """Keeps an answer for a moment; one that hangs occupies one thread, whoever else asks meanwhile."""

    def __init__(
        self,
        ask: Callable[[], T],
        *,
        keep_seconds: float = 1.0,
        wait_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ask`` is asked in a thread of its own; it returns anything but None, or raises."""
        self._ask = ask
        self._keep_seconds = keep_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._last: _Question[T] | None = None

    def get(self) -> T:
        """Return the answer, or raise what asking raised.

        Raises:
            NotAnswered: if there is none in time.

        """
        with self._lock:
            now = self._clock()
            question = self._last
            if question is None or (question.done.is_set() and now - question.asked_at >= self._keep_seconds):
                question = self._last = _Question(now)
                threading.Thread(target=self._put, args=(question,), name="bounded", daemon=True).start()
        # Who comes when it has been hanging for long need not wait as long once more.
        left = self._wait_seconds - (now - question.asked_at)
        if not question.done.wait(max(0.0, left)):
            raise NotAnswered(f"no answer within {self._wait_seconds:g} s")
        return question.result()

    def _put(self, question: _Question[T]) -> None:
        try:
            question.answer = self._ask()
        except Exception as error:  # whatever it is: it is for those who asked
            question.fault = error
        question.done.set()
