"""Waking up when the chain grows: the node's ``newHeads`` over WebSocket.

What it announces is never looked at. A wake-up is a reason to ask the node now instead of in a moment, and
where none comes the asking goes on by the clock.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from relay.chain.urls import public_url

logger = logging.getLogger(__name__)

_SUBSCRIBE = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_CONNECT_SECONDS = 10.0
_SLICE_SECONDS = 0.25
_MOST_BYTES = 1 << 20


class HeadWatcher:
    """Waits for new heads; safe for one waiting thread. It never raises once it is made."""

    def __init__(
        self, url: str, stopping: threading.Event | None = None, pause_seconds: float = _FIRST_PAUSE_SECONDS
    ) -> None:
        """Prepare; nothing is opened before ``start``.

        Arguments:
            url: of a node, ws:// or wss://. Empty: nothing ever wakes who waits.
            stopping: ends a wait when it is set, within a quarter of a second.
            pause_seconds: before the first attempt to connect again; each further one waits twice as long, up to
                30 s.

        """
        self._url = url
        self._stopping = stopping or threading.Event()
        self._pause_seconds = pause_seconds
        self._news = threading.Event()
        self._closing = threading.Event()
        self._connection: ClientConnection | None = None
        self._thread = threading.Thread(target=self._watch, name="new heads", daemon=True)

    def start(self) -> Self:
        """Begin to listen, in a thread of its own."""
        if self._url:
            self._thread.start()
        return self

    def close(self) -> None:
        """Hang up."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close_socket()
        if self._thread.is_alive():
            self._thread.join(1)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait, at most ``seconds``; return True if a new head was announced since the last call, maybe before."""
        until = time.monotonic() + seconds
        while not self._stopping.is_set():
            left = until - time.monotonic()
            if self._news.wait(max(0.0, min(left, _SLICE_SECONDS))):
                self._news.clear()
                return True
            if left <= 0:
                break
        return False

    def _watch(self) -> None:
        pause = self._pause_seconds
        shown = public_url(self._url)
        while not self._is_over():
            try:
                with connect(
                    self._url, open_timeout=_CONNECT_SECONDS, close_timeout=1, max_size=_MOST_BYTES
                ) as connection:
                    self._connection = connection
                    self._listen(connection, lambda: logger.info("the node %s tells of new blocks", shown))
                    pause = self._pause_seconds
            except (OSError, ValueError, WebSocketException) as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
            except Exception as error:  # a listener that ends would leave us slower for good, and say nothing
                reason = repr(error)
            else:
                reason = "it hung up or has no subscriptions"
            finally:
                self._connection = None
            if not self._is_over():
                logger.warning("no new blocks from %s (%s): asking by the clock meanwhile", shown, reason)
                self._closing.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _listen(self, connection: ClientConnection, say_heard: Callable[[], None]) -> None:
        """Wake for every announcement, until the connection ends."""
        connection.send(_SUBSCRIBE)
        answer = orjson.loads(connection.recv(_CONNECT_SECONDS))
        if not isinstance(answer, dict) or not isinstance(answer.get("result"), str):
            return
        say_heard()
        self._news.set()  # something may have come before
        for message in connection:
            announced = orjson.loads(message)
            if isinstance(announced, dict) and announced.get("method") == "eth_subscription":
                self._news.set()

    def _is_over(self) -> bool:
        return self._closing.is_set() or self._stopping.is_set()
