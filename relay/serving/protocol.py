"""A connection: what arrives is bounded in size and time before anybody works on it, what leaves likewise."""

import asyncio
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.serving.answers import last_answer
from relay.serving.bridge import CONNECTION

if TYPE_CHECKING:
    from collections.abc import Iterable

IDLE_SECONDS = 15
"""How long a connection may say nothing between two requests, and before the first."""
REQUEST_SECONDS = 10.0
"""How long a request may take to arrive, head and body."""
STALL_SECONDS = 20.0
"""A client that has not taken one byte of its answer for so long is cut off."""
FAREWELL_SECONDS = 1.0
"""How long a connection without a request stays open when the server stops: one may be on its way."""

_LONGEST_URL = 8190
_LONGEST_HEADER = 8190
_MOST_HEADERS = 100
_LONGEST_HEAD = 65_536
_MOST_FRAMING = 8
"""So many bytes of chunk sizes, extensions and trailers for each byte of a body, beyond as many as in a head."""
_MOST_PIPELINED = 100
"""So many requests wait at most behind one that is being answered."""
_MOST_UNSENT = 256 * 2**20
"""So many bytes of answers wait at most for all slow readers of a process together."""
_LINGER_SECONDS = 2.0
_TAKE_SECONDS = 5.0
_VERSIONS = ("1.1", "1.0")


class _Unreadable(Exception):
    """A request is of a version of HTTP that is not spoken here."""


class _TooMuch(Exception):
    """A part of a request's head is too long."""


class RelayProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, within limits, with errors in JSON and with sockets that can be taken away."""

    def __init__(self, *arguments: Any, holds: Callable[[int], None], **more: Any) -> None:
        """Begin; ``holds`` is told how many connections there are whenever that changes."""
        super().__init__(*arguments, **more)
        self._holds = holds
        self.is_gone = False
        """Whether nobody waits for an answer any more: the client has gone, or the socket was taken away."""
        self._is_draining = False
        self._in_head = False
        self._in_request = False
        self._is_replayed = False
        self._head_bytes = 0
        self._number = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._fault: HTTPStatus | None = None
        self._refusal: HTTPStatus | None = None
        self._is_last = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._holds(len(self.connections))
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything."""
        self.is_gone = True
        for timer in (self._deadline, self._stall, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self._holds(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits."""
        self._unset_keepalive_if_required()
        if self._is_last or self._refusal is not None:
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_late)
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        was_in_head, before, received = self._in_head, self._number, self._body_bytes
        was_in_body = self._in_request and not was_in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_after_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(self._fault or HTTPStatus.BAD_REQUEST)
            return
        if self._in_head:
            self._head_bytes = len(data) + (self._head_bytes if was_in_head else 0)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_request and was_in_body and before == self._number:
            self._framing_bytes += len(data) - (self._body_bytes - received)
            if self._framing_bytes > _LONGEST_HEAD + _MOST_FRAMING * self._body_bytes:
                self._refuse(HTTPStatus.BAD_REQUEST)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._number += 1
        self._body_bytes = self._framing_bytes = 0
        cast("dict[str, Any]", self.scope)[CONNECTION] = self
        self._in_head = self._in_request = True
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_late)

    def on_url(self, url: bytes) -> None:
        """Take in a part of the URL."""
        super().on_url(url)
        if len(self.url) > _LONGEST_URL:
            self._fault = HTTPStatus.REQUEST_URI_TOO_LONG
            raise _TooMuch

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header; what comes behind the body is none, and is not to pass for one."""
        if not self._in_head:
            return
        super().on_header(name, value)
        if len(name) + len(value) > _LONGEST_HEADER or len(self.headers) > _MOST_HEADERS:
            self._fault = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _TooMuch

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request is to be read once more."""
        self._in_head = False
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._fault = HTTPStatus.TOO_MANY_REQUESTS
            raise _TooMuch
        if self.parser.get_http_version() not in _VERSIONS:
            raise _Unreadable
        if self.parser.should_upgrade() and not self._is_handshake():
            return
        super().on_headers_complete()
        if self._is_draining or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if self.parser.should_upgrade() and not self._is_handshake():
            return
        super().on_message_complete()
        self._in_request = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        """Go on to the next request, or tell that it cannot be read."""
        if self._refusal is not None and (not self.pipeline or self.pipeline[-1][0].more_body):
            self.pipeline.clear()
            self._end_with(self._refusal)
            return
        super().on_response_complete()
        if self.pipeline:
            # A client that sends more than it is answered waits; else what it sent would pile up here.
            self.flow.pause_reading()
        unsent = self.transport.get_write_buffer_size()
        if self._stall is None and unsent:
            self._unsent = unsent
            self._stall = self.loop.call_later(STALL_SECONDS, self._check_reader)
            self._keep_memory_bounded()

    def shutdown(self) -> None:
        """Close the connection as soon as that harms nobody: what is asked soon is still answered."""
        self._is_draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(FAREWELL_SECONDS, self._close_if_idle)

    @property
    def is_last_answer(self) -> bool:
        """Whether the connection ends with the answer to the newest request."""
        return not self.cycle.keep_alive

    @property
    def is_receiving(self) -> bool:
        """Whether a part of a request is still to come."""
        return self._in_request

    def take_socket(self) -> socket.socket:
        """Return the connection's socket, which is the caller's from now on; called in a thread of the pool.

        It is non-blocking. Where the client has gone meanwhile, it is one whose other end is closed.
        """
        return asyncio.run_coroutine_threadsafe(self._give_away(), self.loop).result(_TAKE_SECONDS * 2)

    async def _give_away(self) -> socket.socket:
        deadline = self.loop.time() + _TAKE_SECONDS
        while self.transport.get_write_buffer_size() and self.loop.time() < deadline:
            await asyncio.sleep(0.005)
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            ours, theirs = socket.socketpair()
            theirs.close()
        else:
            self.flow.pause_reading()
            ours = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        ours.setblocking(False)
        self.is_gone = self.cycle.disconnected = True
        self.connections.discard(self)
        # This closes our descriptor and no more: the connection lives on in the other.
        self.transport.abort()
        return ours

    def _is_handshake(self) -> bool:
        """Say whether a request that wants another protocol wants WebSocket; other wishes are passed over."""
        names = {name for name, _ in self.headers}
        has_body = bool(names & {b"content-length", b"transfer-encoding"})
        return self._get_upgrade() == b"websocket" and not has_body

    def _go_on_after_upgrade(self, rest: bytes) -> None:
        """Read a request that wished for another protocol as if it had not: the parser stops at its head."""
        if self._is_handshake():
            # What follows is no HTTP; nothing should, before the handshake is answered.
            self._is_last = True
            return
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        if self.parser.get_method() == b"CONNECT":
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"\r\n".join([*lines, b"", rest]))

    def _await_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_SECONDS, self.timeout_keep_alive_handler)

    def _too_late(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            # It is us who do not read, as earlier requests are still to be answered.
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_late)
        elif self._in_request and self.cycle is not None and self.cycle.response_complete and not self._in_head:
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer a request that cannot be read, after the answers to those before it, and end the connection."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._end_with(status)
        elif cycle.more_body and not self.pipeline:
            # It is this one whose body is broken.
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            self._end_with(status)
        else:
            self._refusal = status

    def _end_with(self, status: HTTPStatus) -> None:
        self._is_last = True
        if self.transport.is_closing():
            return
        phrase = status.phrase.lower()
        self.transport.write(last_answer(status, f"the request cannot be read: {phrase}"))
        # To close while the client still sends could destroy what we said: first only our side ends.
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _close_if_idle(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_answering and not self._in_request:
            self.transport.close()

    def _check_reader(self) -> None:
        """Cut off a client that takes nothing of its answer."""
        unsent, self._stall = self.transport.get_write_buffer_size(), None
        if not unsent:
            self._unsent = 0
        elif unsent == self._unsent:
            self.transport.abort()
        else:
            self._unsent = unsent
            self._stall = self.loop.call_later(STALL_SECONDS, self._check_reader)

    def _keep_memory_bounded(self) -> None:
        others = cast("Iterable[RelayProtocol]", self.connections)
        waiting = {other: other.transport.get_write_buffer_size() for other in others}
        excess = sum(waiting.values()) - _MOST_UNSENT
        for other in sorted(waiting, key=waiting.__getitem__, reverse=True):
            if excess <= 0:
                return
            other.transport.abort()
            excess -= waiting[other]
