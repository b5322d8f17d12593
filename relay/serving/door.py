"""How connections come to a process: each of those that share a port takes in about as many as the others."""

import asyncio
import errno
import logging
import mmap
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

STAND_BACK_SECONDS = 0.002
"""So long a process leaves a connection to others that hold fewer; for one that hangs nobody waits longer."""
_RECOVERY_SECONDS = 1.0
_AWAY = -1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Crowd:
    """How many connections each process holds, in memory that all inherit; each writes to its own place."""

    def __init__(self, places: int) -> None:
        """Begin with nobody there."""
        self._counts = memoryview(mmap.mmap(-1, 8 * places)).cast("q")
        for place in range(places):
            self._counts[place] = _AWAY

    def note(self, place: int, connections: int) -> None:
        """Note that a process takes in connections, and how many it holds."""
        self._counts[place] = connections

    def leave(self, place: int) -> None:
        """Note that a process takes in no more."""
        self._counts[place] = _AWAY

    def others_hold_fewer(self, place: int) -> bool:
        """Return whether there is a process that takes in connections and holds fewer than this one."""
        counts = self._counts.tolist()
        return any(_AWAY < count < counts[place] for count in counts)


class Door:
    """Takes in connections, one after the other, as long as no other process has more room.

    To take all that wait at once, as asyncio does, would be to take a burst of them whole: whoever wakes up first
    would answer all those clients, and the other processes have nothing to do.
    """

    def __init__(
        self, listener: socket.socket, crowd: Crowd, place: int, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Prepare; ``listener`` does not block."""
        self._listener = listener
        self._crowd = crowd
        self._place = place
        self._make_protocol = make_protocol
        self._pause: asyncio.TimerHandle | None = None
        self._has_stood_back = False
        self._joining: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Begin to take in connections, in the running loop."""
        self._crowd.note(self._place, 0)
        self._attend()

    def close(self) -> None:
        """Take in no more, and close the socket; nothing happens if that was done before."""
        if self._listener.fileno() < 0:
            return
        self._crowd.leave(self._place)
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def holds(self, connections: int) -> None:
        """Note how many connections this process holds now."""
        if self._listener.fileno() >= 0:
            self._crowd.note(self._place, connections)

    def _attend(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._listener, self._take)

    def _rest(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._pause = loop.call_later(seconds, self._attend)

    def _take(self) -> None:
        if not self._has_stood_back and self._crowd.others_hold_fewer(self._place):
            self._has_stood_back = True
            self._rest(STAND_BACK_SECONDS)
            return
        self._has_stood_back = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            logger.error("no connection can be taken in for a while: %s", error.strerror)
            self._rest(_RECOVERY_SECONDS)
            return
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._make_protocol, connection))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
