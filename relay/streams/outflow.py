"""What is written to a connection, and how much of it may wait for somebody who reads slowly."""

import asyncio
import logging

from relay import telemetry
from relay.streams.hub import End

logger = logging.getLogger(__name__)


class Outflow:
    """The way out of a connection; no more than ``most`` bytes of what nobody asked for may wait.

    Who leaves more unread is told so by a last word behind what waits already, and has some seconds to read it.
    """

    __slots__ = ("_allowed", "_is_ending", "_most", "_transport", "seconds")

    def __init__(self, most: int, seconds: float) -> None:
        """Begin without a transport; a last word is waited for so many ``seconds``."""
        self._most = most
        self._allowed = 0
        self._transport: asyncio.Transport | None = None
        self._is_ending = False
        self.seconds = seconds

    def open(self, transport: asyncio.Transport) -> None:
        """Write to a transport from now on."""
        self._transport = transport

    def lose(self) -> None:
        """Write nothing any more: the connection is gone."""
        self._transport = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where to write, None before the connection has begun and after its end."""
        return self._transport

    @property
    def waiting(self) -> int:
        """How many bytes wait until the other side reads them."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def is_ending(self) -> bool:
        """Whether the last word has been said."""
        return self._is_ending

    def allow(self, size: int) -> None:
        """Let so many bytes wait beside until all has been read once, for they were asked for."""
        self._allowed = max(self._allowed, size)

    def write(self, data: bytes) -> None:
        """Write, if there is anybody."""
        if self._transport is not None:
            self._transport.write(data)

    def note_read(self) -> None:
        """Note that the other side has read most of what waited: what it asked for is no excuse any more."""
        self._allowed = 0

    def has_room(self) -> bool:
        """Return whether so little waits that something long may be added."""
        return not self._is_ending and self.waiting <= self._most // 4

    def is_over(self, held: int = 0) -> bool:
        """Return whether more waits than may, with what is ``held`` back elsewhere."""
        waiting = self.waiting + held
        if not waiting:
            self._allowed = 0
        return not self._is_ending and waiting > self._most + self._allowed

    def begin_end(self) -> bool:
        """Return True for the first time; from then on the connection is aborted after some seconds."""
        if self._is_ending or self._transport is None:
            return False
        self._is_ending = True
        asyncio.get_running_loop().call_later(self.seconds, self.abort)
        return True

    def close(self) -> None:
        """End the connection when all is read."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def note_end(why: End) -> None:
    """Log and count that a connection is ended by this side."""
    logger.info("ended a stream: %s", why.message)
    telemetry.stream_ended.labels(why.code).inc()
