"""Who is answered now, who waits and who is refused, so that expensive calls never keep cheap ones waiting.

A call holds a thread of the server while it is answered and while it waits. The kinds of expensive calls have
bounds, the waiting ones too, and the server has more threads than all of these can hold (``Limits.threads``).
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum

from werkzeug.exceptions import ServiceUnavailable

logger = logging.getLogger(__name__)

_AT_ONCE: AbstractContextManager[None] = nullcontext()

RETRY_SECONDS = 2
_TELL_SECONDS = 10.0


class Cost(StrEnum):
    """What answering a call takes."""

    CHEAP = "cheap"
    """A look at the graphs. Never waits."""
    SEARCH = "search"
    """A search for paths, up to two seconds of a processor."""
    WHOLE_NETWORK = "whole network"
    """All trustlines of a network."""
    DATABASE = "database"
    """Something that lies in Postgres."""
    NODE = "node"
    """Something that the node is asked for."""
    DEPLOYMENT = "deployment"
    """Waits for a block; `relay.delegate.identities` has bounds of its own for it."""
    OPERATOR = "operator"
    """What operators do. Never waits, least of all when too much is asked for."""


_TOO_MANY = {
    Cost.SEARCH: "there are too many searches for paths",
    Cost.WHOLE_NETWORK: "there are too many questions for whole networks",
    Cost.DATABASE: "there are too many questions for the database",
    Cost.NODE: "there are too many questions for the node",
}


class Overloaded(ServiceUnavailable):
    """More is asked for than can be answered at the moment."""

    error_code = "overloaded"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls are answered ``at_once`` (any number where nothing is said), and how many wait how long."""

    at_once: Mapping[Cost, int] = field(default_factory=dict)
    waiting: int = 0
    seconds: float = 1.0

    @property
    def threads(self) -> int:
        """How many threads expensive calls hold at most."""
        return sum(self.at_once.values()) + self.waiting


class Admission:
    """Lets calls in; without limits, all of them at once. Safe for threads."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; ``clock`` tells seconds."""
        self._clock = clock
        self._refused, self._told_at = 0, -_TELL_SECONDS
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._free = dict(self._limits.at_once)
        self._lines: dict[Cost, deque[threading.Event]] = {cost: deque() for cost in self._free}
        self._waiting = 0

    def entered(self, cost: Cost) -> AbstractContextManager[None]:
        """Wait for a turn, in the order of arrival, and hold it until the end of the block.

        Raises:
            Overloaded: if too many wait already, or it does not come in time.

        """
        return self._held(cost) if cost in self._free else _AT_ONCE

    @contextmanager
    def _held(self, cost: Cost) -> Iterator[None]:
        self._enter(cost)
        try:
            yield
        finally:
            self._leave(cost)

    def _enter(self, cost: Cost) -> None:
        with self._lock:
            line = self._lines[cost]
            if self._free[cost] and not line:
                self._free[cost] -= 1
                return
            # Nobody fills the places of the others: each kind has at most half of them.
            if self._waiting >= self._limits.waiting or len(line) >= (self._limits.waiting + 1) // 2:
                raise self._refusal(cost)
            turn = threading.Event()
            line.append(turn)
            self._waiting += 1
        came = turn.wait(self._limits.seconds)
        with self._lock:
            self._waiting -= 1
            # It may have come at the very end, and is then ours.
            if not came and not turn.is_set():
                line.remove(turn)
                raise self._refusal(cost)

    def _leave(self, cost: Cost) -> None:
        with self._lock:
            line = self._lines[cost]
            if line:
                line.popleft().set()
            else:
                self._free[cost] += 1

    def _refusal(self, cost: Cost) -> Overloaded:
        """Count and return a refusal; a flood is worth a line now and then, not one for each."""
        self._refused += 1
        now = self._clock()
        if now - self._told_at >= _TELL_SECONDS:
            logger.warning(
                "more is asked for than can be answered: refused %d calls, now a %s", self._refused, cost
            )
            self._told_at, self._refused = now, 0
        return Overloaded(f"{_TOO_MANY[cost]} at the moment; try again later", retry_after=RETRY_SECONDS)
