"""How fast the index gets on. Pure: time is handed in."""

from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 20.0


class Pace:
    """Blocks and events per second, over the last seconds."""

    def __init__(self, clock: Callable[[], float], window_seconds: float = _WINDOW_SECONDS) -> None:
        """Begin to count now; ``clock`` tells seconds that only go forward."""
        self._clock = clock
        self._window = window_seconds
        self._began = clock()
        self._marks: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])
        self.blocks = 0
        self.events = 0

    def count(self, blocks: int, events: int) -> None:
        """Add what was just done."""
        now = self._clock()
        self.blocks += blocks
        self.events += events
        self._marks.append((now, self.blocks, self.events))
        # The oldest mark kept lies before the window, so that a rate is one of at least the window's length.
        while len(self._marks) > 2 and now - self._marks[1][0] >= self._window:
            self._marks.popleft()

    @property
    def seconds(self) -> float:
        """How long it has been counted."""
        return self._clock() - self._began

    @property
    def blocks_per_second(self) -> float:
        """The blocks of the last seconds, 0 where no time has passed."""
        return self._rate(1)

    @property
    def events_per_second(self) -> float:
        """The events of the last seconds, 0 where no time has passed."""
        return self._rate(2)

    def seconds_left(self, blocks: int) -> float | None:
        """Return how long so many blocks will take at this pace, None where there is none yet."""
        if blocks <= 0:
            return 0.0
        rate = self.blocks_per_second
        return blocks / rate if rate > 0 else None

    def _rate(self, column: int) -> float:
        first, last = self._marks[0], self._marks[-1]
        passed = last[0] - first[0]
        return (last[column] - first[column]) / passed if passed > 0 else 0.0
