"""What the processes of one machine have told: none of them answers from an older state than another one did."""

import mmap
import threading

LONGEST_WAIT_SECONDS = 0.25
_ENOUGH_LOOKS = 2


class Told:
    """A place in shared memory for every process, where it notes how far on the feed its graphs have come.

    The memory is inherited: what makes it starts the processes. Each writes to its own place alone, so no note can
    overwrite a newer one, and a process that came to another database may go back.
    """

    def __init__(self, places: int) -> None:
        self._memory = mmap.mmap(-1, 8 * places)
        self._positions = memoryview(self._memory).cast("q")
        self._seen = (bytes(8 * places), 0)

    def furthest(self) -> int:
        """Return the furthest position that any process stands at, 0 if none stands anywhere."""
        # Every request asks, and seldom has anything moved: to compare is a tenth of looking at every place.
        now, (seen, furthest) = self._memory[:], self._seen
        if now != seen:
            furthest = max(memoryview(now).cast("q"))
            self._seen = now, furthest
        return furthest

    def note(self, place: int, position: int) -> None:
        """Note where a process stands; eight aligned bytes are written as a whole."""
        self._positions[place] = position


class Standing:
    """Where this process stands beside the others that share its memory.

    A process that is behind what another one told waits, before it answers, until it has caught up: for
    milliseconds as a rule, and never for long. It does not wait

    - while it rests on purpose or has lost the database;
    - for a position that its feed does not lead to: two whole looks at the feed since it was first seen did not
      get there. It is then the position of another feed, noted by a process that has not noticed yet that there
      is another database, or no longer can.
    """

    def __init__(
        self, told: Told | None = None, place: int = 0, longest_wait_seconds: float = LONGEST_WAIT_SECONDS
    ) -> None:
        """Take a place in the memory; without one, this process is alone."""
        self._told = told or Told(1)
        self._place = place
        self._longest_wait_seconds = longest_wait_seconds
        self._changed = threading.Condition(threading.Lock())
        self._position = 0
        self._looks = 0
        self._is_away = True
        self._ahead = 0
        self._seen_at_look = 0

    def note(self, position: int) -> None:
        """Say that the graphs have come to a position; to be said before anybody can read them there."""
        with self._changed:
            self._position = position
            self._told.note(self._place, position)
            self._changed.notify_all()

    def looked(self) -> None:
        """Say that all was taken over that there was to see on the feed."""
        with self._changed:
            self._looks += 1
            self._is_away = False
            self._changed.notify_all()

    def away(self) -> None:
        """Say that this process follows no longer for a while."""
        with self._changed:
            self._is_away = True
            self._changed.notify_all()

    def catch_up(self) -> None:
        """Return when this process stands where any other one stood at the call, or is not to wait for that."""
        furthest = self._told.furthest()
        if self._position >= furthest or self._is_away:
            return
        with self._changed:
            if furthest != self._ahead:
                self._ahead, self._seen_at_look = furthest, self._looks
            enough = self._seen_at_look + _ENOUGH_LOOKS
            self._changed.wait_for(
                lambda: self._position >= furthest or self._is_away or self._looks >= enough,
                self._longest_wait_seconds,
            )
