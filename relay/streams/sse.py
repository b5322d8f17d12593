"""A stream of Server-Sent Events: what a WebSocket carries, over a plain HTTP answer that does not end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import orjson

from relay.addresses import Address
from relay.common_headers import always, new_request_id
from relay.store.feed_log import Reached
from relay.streams.connection import TOO_SLOW
from relay.streams.hub import End, Hub, Kind, News, Subscription
from relay.streams.outflow import Outflow, note_end
from relay.streams.resuming import Resumer

RELAY_STOPS = End("relay_stops", "the relay stops: connect again")
_RETRY_MILLISECONDS = 2_000
"""After so long a browser connects again."""


@dataclass(frozen=True, slots=True)
class EventRequest:
    """Whose events are asked for, of a network or of all, and from where on (None: from now)."""

    user: Address
    network: Address | None = None
    reached: Reached | None = None
    request_id: str = ""


EVENT_STREAM = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Access-Control-Allow-Origin", "*"),
    # Proxies are not to wait until there is more to pass on.
    ("X-Accel-Buffering", "no"),
)
"""The headers of the answer."""


def response_head(request_id: str) -> bytes:
    """Return the head of the answer, which ends with the connection."""
    headers = (*EVENT_STREAM, *always(request_id or new_request_id()), ("Connection", "close"))
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def message(event: bytes | None, cursor: str | None, kind: str | None = None, retry: int | None = None) -> bytes:
    """Return an event of the stream; without data it only says where the reader stands."""
    lines = [] if retry is None else [f"retry: {retry}".encode("ascii")]
    if kind is not None:
        lines.append(b"event: " + kind.encode("ascii"))
    if cursor is not None:
        lines.append(b"id: " + cursor.encode("ascii"))
    if event is not None:
        lines.append(b"data: " + event)
    return b"\n".join(lines) + b"\n\n"


class EventStream(asyncio.Protocol):
    """Carries the events of one user to a client that only reads. Lives in the thread of one event loop."""

    __slots__ = ("_ended", "_head", "_hub", "_out", "_request", "_resumer", "_subscription")

    def __init__(
        self,
        request: EventRequest,
        out: Outflow,
        hub: Hub,
        resumer: Resumer,
        ended: Callable[["EventStream"], None],
    ) -> None:
        """Prepare; ``out`` bounds what waits for a slow reader."""
        self._request = request
        self._out = out
        self._hub = hub
        self._resumer = resumer
        self._ended = ended
        self._subscription: Subscription | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer, and subscribe."""
        self._out.open(cast("asyncio.Transport", transport))
        self._write(response_head(self._request.request_id) + message(None, None, retry=_RETRY_MILLISECONDS))
        topic = (Kind.EVENTS, self._request.user)
        self._subscription = self._hub.subscribe(
            topic, self, is_live=False, wants_undone=True, network=self._request.network
        )
        self._resumer.follow(self._subscription, self._request.reached)

    def resume_writing(self) -> None:
        """The other side has read most of it."""
        self._out.note_read()

    def data_received(self, data: bytes) -> None:
        """Nothing more is to be said."""

    def eof_received(self) -> bool:
        """The other side has ended its half; so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End the subscription."""
        self._out.lose()
        self._unsubscribe()
        self._ended(self)

    # What the hub calls.

    def tell(self, subscription: Subscription, news: News) -> None:  # noqa: ARG002 - a sink may have several
        """Send news."""
        self._write(message(news.event, news.cursor))

    def has_room(self) -> bool:
        """Return whether something long may be sent."""
        return self._out.has_room()

    def allow(self, size: int) -> None:
        """Let more wait than else, for it was asked for."""
        self._out.allow(size)

    # What the server calls.

    @property
    def waiting_bytes(self) -> int:
        """How much waits in memory until the other side reads it."""
        return 0 if self._out.is_ending else self._out.waiting

    def check(self, now: float, silence_seconds: float) -> None:  # noqa: ARG002 - no answer is waited for
        """Say that the stream is alive, and how far it has come: who hears nothing stands where the others do."""
        subscription = self._subscription
        if subscription is None or self._out.is_ending:
            return
        is_current = subscription.is_live and self._hub.cursor is not None
        cursor = self._hub.cursor if is_current else subscription.told
        self._write(b":\n" + message(None, cursor))

    def go_away(self) -> None:
        """Tell the other side that this server stops."""
        self.end(RELAY_STOPS)

    def end(self, why: End) -> None:
        """Say why the stream ends, behind what waits already, and end it soon whether that is read or not."""
        if not self._out.begin_end():
            return
        note_end(why)
        reason = orjson.dumps({"code": why.code, "message": why.message})
        self._out.write(message(reason, None, "end", _RETRY_MILLISECONDS))
        self._out.close()
        self._unsubscribe()

    def abort(self) -> None:
        """End the connection now."""
        self._out.abort()

    def _write(self, data: bytes) -> None:
        if self._out.is_ending:
            return
        self._out.write(data)
        if self._out.is_over():
            self.end(TOO_SLOW)

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._hub.unsubscribe(self._subscription)
            self._subscription = None
