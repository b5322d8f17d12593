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

from relay import telemetry
from relay.streams.hub import End, News, Receipt, Subscription
from relay.streams.outflow import Outflow, note_end
from relay.streams.rpc import notification

logger = logging.getLogger(__name__)

MAX_INCOMING_BYTES = 65_536
"""Larger messages close the connection with code 1009."""

READ_BYTES = 16_384
"""So much is read from a connection before it is the turn of the others."""

_WAITING_CALLS, _WAITING_BYTES = 16, 65_536
_FRAMES_AT_ONCE, _FRAMES_PER_SECOND = 300.0, 50.0
_HOLD_SECONDS = 1.0
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013
_LONGEST_REASON = 120

TOO_SLOW = End("slow_reader", "more waits than is kept for a slow reader: go on from your cursor")
"""Why somebody is cut off who leaves too much unread."""


class Talk(Interface):
    """What is said over the connection; `relay.streams.session.Session` is one."""

    async def receive(self, text: str | bytes) -> None:
        """Take a message in."""

    def close(self) -> None:
        """The connection has ended."""

    def last_word(self, why: End, *, is_all_sent: bool) -> bytes:
        """Return what is said of the end of the connection; some of what was told may not have been sent."""


@dataclass(slots=True)
class _Probe:
    """A ping on its way, and what its pong proves to have arrived before it."""

    payload: bytes
    sent_at: float
    receipts: list[Receipt]
    releases: bool = False


class Connection(asyncio.BufferedProtocol):
    """Carries a session over a socket whose WebSocket handshake is done but for the answer.

    Everything happens in the thread of one event loop. What is said is in ``talk``, set before the socket is.

    What a client can cost is bounded: nothing is read from one that sends frames too often, or whose calls have
    not been answered yet; no call is carried out while the answers to others wait to be read; and one that leaves
    too many notifications unread, or pings unanswered, is cut off.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_frames_at",
        "_frames_left",
        "_handshake",
        "_held",
        "_held_bytes",
        "_inbox",
        "_inbox_bytes",
        "_is_writable",
        "_number",
        "_out",
        "_part",
        "_probes",
        "_receipts",
        "_talk",
        "_websocket",
        "_worker",
    )

    def __init__(
        self, handshake: bytes, out: Outflow, buffer: memoryview, ended: Callable[["Connection"], None]
    ) -> None:
        """Prepare to send ``handshake`` first.

        ``out`` bounds what waits for a slow reader. What arrives is read into ``buffer``, which all connections of
        a loop share.
        """
        self._handshake = handshake
        self._buffer = buffer
        self._out = out
        self._ended = ended
        self._websocket = Protocol(SERVER, state=OPEN, max_size=MAX_INCOMING_BYTES)
        self._talk: Talk | None = None
        self._inbox: deque[bytes] | None = None
        self._inbox_bytes = 0
        self._frames_left, self._frames_at = _FRAMES_AT_ONCE, 0.0
        self._is_writable = True
        self._worker: asyncio.Task[None] | None = None
        self._probes: deque[_Probe] | None = None
        self._receipts: list[Receipt] | None = None
        self._held: list[tuple[bytes, Receipt | None]] | None = None
        self._held_bytes = 0
        self._part: bytearray | None = None
        self._number = 0

    def carry(self, talk: Talk) -> None:
        """Set what is said over the connection."""
        self._talk = talk

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer the handshake."""
        self._out.open(cast("asyncio.Transport", transport))
        self._out.write(self._handshake)
        self._handshake = b""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where to put what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in frames."""
        self._websocket.receive_data(bytes(self._buffer[:nbytes]))
        events = self._websocket.events_received()
        for event in events:
            if isinstance(event, Frame):
                self._take(event)
        self._count_frames(len(events))
        self._flush()

    def pause_writing(self) -> None:
        """The other side reads slowly: answer no further calls."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """The other side has read most of it."""
        self._is_writable = True
        self._out.note_read()
        self._go_on()

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
        self._forget_held()
        self._out.lose()
        self._probes, self._receipts, self._held = None, None, None
        self._inbox, self._inbox_bytes = None, 0
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        self._ended(self)

    # What a session calls.

    def respond(self, text: bytes, receipt: Receipt | None = None) -> None:
        """Send an answer at once, however long it is."""
        self._out.allow(len(text))
        self._send(text, receipt)

    def notify(self, text: bytes, receipt: Receipt | None) -> None:
        """Send a notification, after those that are held back."""
        if self._held is None or self._out.transport is None:
            self._send(text, receipt)
            return
        self._held.append((text, receipt))
        self._held_bytes += len(text)
        if self._out.is_over(self._held_bytes):
            self.end(TOO_SLOW)

    def tell(self, subscription: Subscription, news: News) -> None:
        """Send news as a notification."""
        cursor = news.cursor if subscription.wants_cursors else None
        if news.event is not None or cursor is not None:
            self.notify(notification(subscription.id, news.event, cursor), news.receipt)

    def has_room(self) -> bool:
        """Return whether something long may be sent: nothing is held back, and little waits."""
        return self._held is None and self._out.has_room()

    def allow(self, size: int) -> None:
        """Let more wait than else, for it was asked for."""
        self._out.allow(size)

    def hold(self) -> None:
        """Keep notifications back from now on."""
        if self._held is None and self._out.transport is not None:
            self._held, self._held_bytes = [], 0

    def release(self) -> None:
        """Let notifications go when the other side has read what was sent before, or after a second."""
        if self._out.transport is not None and self._held is not None:
            probe = self._probe(releases=True)
            asyncio.get_running_loop().call_later(_HOLD_SECONDS, self._release_late, probe)

    # What the server calls.

    @property
    def waiting_bytes(self) -> int:
        """How much waits in memory until the other side reads it."""
        return 0 if self._out.is_ending else self._held_bytes + self._out.waiting

    def check(self, now: float, silence_seconds: float) -> None:
        """Ping, or end a connection whose last ping has found no answer for too long."""
        if self._out.transport is None or self._out.is_ending:
            return
        if self._probes and now - self._probes[0].sent_at >= silence_seconds:
            # Who reads nothing reads no reason either.
            logger.info("ended a stream: it does not answer pings")
            telemetry.stream_ended.labels("silent").inc()
            self.abort()
        elif not self._probes:
            self._probe()

    def go_away(self) -> None:
        """Tell the other side that this server stops."""
        if self._out.transport is not None and self._websocket.state is OPEN:
            self._websocket.send_close(GOING_AWAY, "the relay stops")
            self._flush()

    def abort(self) -> None:
        """End the connection now."""
        self._out.abort()

    def end(self, why: End) -> None:
        """Say why the connection ends, behind what waits already, and end it soon whether that is read or not."""
        if not self._out.begin_end():
            return
        note_end(why)
        is_all_sent = not self._held
        self._forget_held()
        if self._websocket.state is OPEN:
            if self._talk is not None:
                self._websocket.send_text(self._talk.last_word(why, is_all_sent=is_all_sent))
            self._websocket.send_close(TRY_AGAIN_LATER, why.message[:_LONGEST_REASON])
        self._flush()
        if self._talk is not None:
            self._talk.close()
            self._talk = None

    def _forget_held(self) -> None:
        held, self._held, self._held_bytes = self._held or (), None, 0
        for _, receipt in held:
            if receipt is not None:
                receipt.lost()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._take_pong(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if self._part is None:
                self._part = bytearray()
            self._part += frame.data
            if frame.fin:
                message, self._part = bytes(self._part), None
                self._queue(message)

    def _count_frames(self, number: int) -> None:
        """Read nothing for a while from somebody who sends more frames than a client has reason to."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        left = min(_FRAMES_AT_ONCE, self._frames_left + (now - self._frames_at) * _FRAMES_PER_SECOND)
        self._frames_left, self._frames_at = left - number, now
        if self._frames_left < 0:
            loop.call_later(-self._frames_left / _FRAMES_PER_SECOND + 0.01, self._regulate)
        self._regulate()

    def _regulate(self) -> None:
        """Read on or not, as the calls that wait and the frames that came allow."""
        transport = self._out.transport
        if transport is None:
            return
        elapsed = asyncio.get_running_loop().time() - self._frames_at
        has_too_many = self._inbox is not None and len(self._inbox) >= _WAITING_CALLS
        is_too_fast = self._frames_left + elapsed * _FRAMES_PER_SECOND < 0
        if has_too_many or is_too_fast or self._inbox_bytes > _WAITING_BYTES:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _queue(self, text: bytes) -> None:
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(text)
        self._inbox_bytes += len(text)
        self._go_on()

    def _go_on(self) -> None:
        if self._inbox and self._worker is None and self._is_writable:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Carry out one call after the other: answers keep the order of the questions."""
        try:
            while self._inbox and self._is_writable and self._talk is not None:
                text = self._inbox.popleft()
                self._inbox_bytes -= len(text)
                await self._talk.receive(text)
                # The other connections come in between.
                await asyncio.sleep(0)
        except Exception:
            logger.exception("a call over a stream failed")
            self._websocket.fail(1011, "internal error")
            self._flush()
        finally:
            self._worker = None
            self._inbox = self._inbox or None
            self._regulate()

    def _send(self, text: bytes, receipt: Receipt | None) -> None:
        if self._out.transport is None or self._websocket.state is not OPEN:
            if receipt is not None:
                receipt.lost()
            return
        if receipt is not None:
            self._await_receipt(receipt)
        self._websocket.send_text(text)
        self._flush()

    def _await_receipt(self, receipt: Receipt) -> None:
        if self._receipts is None:
            self._receipts = []
            # One ping for all that is sent in the same turn of the loop.
            asyncio.get_running_loop().call_soon(self._probe_receipts)
        self._receipts.append(receipt)

    def _probe_receipts(self) -> None:
        if self._receipts is not None and self._out.transport is not None:
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
        held, self._held, self._held_bytes = self._held or (), None, 0
        for text, receipt in held:
            self._send(text, receipt)

    def _flush(self) -> None:
        if self._out.transport is None:
            return
        for data in self._websocket.data_to_send():
            if data:
                self._out.write(data)
            else:
                self._out.close()
                return
        if self._out.is_over(self._held_bytes):
            self.end(TOO_SLOW)
