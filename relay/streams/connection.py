"""A WebSocket connection: frames in and out of an asyncio transport, with bounds on what a slow reader costs."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from relay.streams.hub import Receipt

logger = logging.getLogger(__name__)

MAX_INCOMING_BYTES = 65_536
"""Larger messages close the connection with code 1009."""

_WAITING_CALLS = 16
_HOLD_SECONDS = 1.0
GOING_AWAY = 1001


class Talk(Interface):
    """What is said over the connection; `relay.streams.session.Session` is one."""

    async def receive(self, text: str | bytes) -> None:
        """Take a message in."""

    def close(self) -> None:
        """The connection has ended."""


@dataclass(slots=True)
class _Probe:
    """A ping on its way, and what its pong proves to have arrived before it."""

    payload: bytes
    sent_at: float
    receipts: list[Receipt]
    releases: bool = False


class Connection(asyncio.Protocol):
    """Carries a session over a socket whose WebSocket handshake is done but for the answer.

    Everything happens in the thread of one event loop. What is said is in ``talk``, set before the socket is.
    """

    __slots__ = (
        "_ended",
        "_handshake",
        "_held",
        "_held_bytes",
        "_inbox",
        "_max_buffered",
        "_number",
        "_part",
        "_probes",
        "_receipts",
        "_talk",
        "_transport",
        "_websocket",
        "_worker",
    )

    def __init__(self, handshake: bytes, max_buffered: int, ended: Callable[["Connection"], None]) -> None:
        """Prepare to send ``handshake`` first; no more than ``max_buffered`` bytes wait for a slow reader."""
        self._handshake = handshake
        self._max_buffered = max_buffered
        self._ended = ended
        self._websocket = Protocol(SERVER, state=OPEN, max_size=MAX_INCOMING_BYTES)
        self._talk: Talk | None = None
        self._transport: asyncio.Transport | None = None
        self._inbox: deque[str | bytes] | None = None
        self._worker: asyncio.Task[None] | None = None
        self._probes: deque[_Probe] | None = None
        self._receipts: list[Receipt] | None = None
        self._held: list[tuple[bytes, Receipt | None]] | None = None
        self._held_bytes = 0
        self._part: bytes | None = None
        self._number = 0

    def carry(self, talk: Talk) -> None:
        """Set what is said over the connection."""
        self._talk = talk

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._handshake)
        self._handshake = b""

    def data_received(self, data: bytes) -> None:
        """Take in frames."""
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()

    def eof_received(self) -> bool:
        """The other side has ended its half; so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Give up what cannot be delivered any more."""
        for probe in self._probes or ():
            for receipt in probe.receipts:
                receipt.lost()
        for receipt in self._receipts or ():
            receipt.lost()
        for _, held in self._held or ():
            if held is not None:
                held.lost()
        self._transport, self._probes, self._receipts, self._held = None, None, None, None
        self._inbox = None
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        self._ended(self)

    # What a session calls.

    def respond(self, text: bytes, receipt: Receipt | None = None) -> None:
        """Send an answer at once."""
        if self._transport is None or self._websocket.state is not OPEN:
            if receipt is not None:
                receipt.lost()
            return
        if receipt is not None:
            self._await_receipt(receipt)
        self._websocket.send_text(text)
        self._flush()

    def notify(self, text: bytes, receipt: Receipt | None) -> None:
        """Send a notification, after those that are held back."""
        if self._held is None or self._transport is None:
            self.respond(text, receipt)
            return
        self._held.append((text, receipt))
        self._held_bytes += len(text)
        if self._held_bytes > self._max_buffered:
            self._drop("it does not answer pings")

    def hold(self) -> None:
        """Keep notifications back from now on."""
        if self._held is None and self._transport is not None:
            self._held, self._held_bytes = [], 0

    def release(self) -> None:
        """Let notifications go when the other side has read what was sent before, or after a second."""
        if self._transport is not None and self._held is not None:
            probe = self._probe(releases=True)
            asyncio.get_running_loop().call_later(_HOLD_SECONDS, self._release_late, probe)

    # What the server calls.

    def check(self, now: float, silence_seconds: float) -> None:
        """Ping, or end a connection whose last ping has found no answer for too long."""
        if self._transport is None:
            return
        if self._probes and now - self._probes[0].sent_at >= silence_seconds:
            self._drop("it does not answer pings")
        elif not self._probes:
            self._probe()

    def go_away(self) -> None:
        """Tell the other side that this server stops."""
        if self._transport is not None and self._websocket.state is OPEN:
            self._websocket.send_close(GOING_AWAY, "the relay stops")
            self._flush()

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._take_pong(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._part = (self._part or b"") + frame.data
            if frame.fin:
                message, self._part = self._part, None
                self._queue(message)

    def _queue(self, text: bytes) -> None:
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(text)
        if len(self._inbox) >= _WAITING_CALLS and self._transport is not None:
            self._transport.pause_reading()
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Carry out one call after the other: answers keep the order of the questions."""
        try:
            while self._inbox and self._talk is not None:
                text = self._inbox.popleft()
                if len(self._inbox) == _WAITING_CALLS - 1 and self._transport is not None:
                    self._transport.resume_reading()
                await self._talk.receive(text)
        except Exception:
            logger.exception("a call over a stream failed")
            self._websocket.fail(1011, "internal error")
            self._flush()
        finally:
            self._worker = None
            self._inbox = self._inbox or None

    def _await_receipt(self, receipt: Receipt) -> None:
        if self._receipts is None:
            self._receipts = []
            # One ping for all that is sent in the same turn of the loop.
            asyncio.get_running_loop().call_soon(self._probe_receipts)
        self._receipts.append(receipt)

    def _probe_receipts(self) -> None:
        if self._receipts is not None and self._transport is not None:
            self._probe()

    def _probe(self, *, releases: bool = False) -> _Probe:
        """Ping: who answers has taken in all frames before it, as WebSocket keeps their order."""
        self._number += 1
        receipts, self._receipts = self._receipts or [], None
        now = asyncio.get_running_loop().time()
        probe = _Probe(self._number.to_bytes(4, "big"), now, receipts, releases)
        if self._probes is None:
            self._probes = deque()
        self._probes.append(probe)
        if self._websocket.state is OPEN:
            self._websocket.send_ping(probe.payload)
            self._flush()
        return probe

    def _take_pong(self, payload: bytes) -> None:
        if not self._probes or all(probe.payload != payload for probe in self._probes):
            return
        while self._probes:
            probe = self._probes.popleft()
            for receipt in probe.receipts:
                receipt.arrived()
            if probe.releases:
                self._release()
            if probe.payload == payload:
                break
        self._probes = self._probes or None

    def _release_late(self, probe: _Probe) -> None:
        if self._probes and probe in self._probes:
            probe.releases = False
            self._release()

    def _release(self) -> None:
        held, self._held = self._held or (), None
        for text, receipt in held:
            self.respond(text, receipt)

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
                return
        if self._transport.get_write_buffer_size() > self._max_buffered:
            self._drop("it reads too slowly")

    def _drop(self, reason: str) -> None:
        """End the connection without waiting for the other side, which would not hear of it anyway."""
        if self._transport is not None:
            logger.info("ended a stream: %s", reason)
            self._transport.abort()
