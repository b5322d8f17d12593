"""A process that answers requests: an event loop for connections, a pool of threads for the application."""

import asyncio
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn

from relay.serving.bridge import Bridge
from relay.serving.door import Crowd, Door
from relay.serving.protocol import IDLE_SECONDS, RelayProtocol
from relay.settings import RestSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 8
"""How long requests under way may take when a worker is told to stop."""
_STOP_SECONDS = 1.0
_ALONE_SECONDS = 5.0
_BESIDE_OTHERS_SECONDS = 120.0
_LOOK_SECONDS = 0.02
_SWITCH_SECONDS = 0.001
"""A request takes the interpreter's lock three times; each time it waits so long for a thread that computes."""
_MOST_FILES = 16_384


class Application(Protocol):
    """What a worker serves."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse", /) -> Any:
        """Answer a request, as WSGI has it; `relay.serving.bridge.TAKE_SOCKET` takes the connection away."""

    def stop(self) -> None:
        """End what runs beside requests; returns within some seconds."""

    @property
    def is_ready(self) -> bool:
        """Whether it has what it answers from."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What ties a worker to its parent.

    ``alive`` ends when the parent does; a byte is written to ``ready`` once the worker serves. ``others_serve``
    says whether other workers can answer meanwhile; the worker has a ``place`` of its own among the ``crowd``.
    """

    alive: int
    ready: int
    others_serve: Callable[[], bool]
    crowd: Crowd
    place: int


def work(app: Application, rest: RestSettings, listener: socket.socket, ties: Ties) -> None:
    """Serve an application until SIGTERM or the end of the parent, then finish what is under way and return."""
    _allow_connections()
    sys.setswitchinterval(_SWITCH_SECONDS)
    _await_application(app, ties)
    bridge = Bridge(app, rest.threads, rest.max_body_bytes)
    config = uvicorn.Config(
        bridge,
        http=RelayProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    with suppress(asyncio.CancelledError):
        _Server(config, app, ties, listener).run([])


def _allow_connections() -> None:
    """Take as many file descriptors as the system grants, so that few who hold some do not shut out others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _await_application(app: Application, ties: Ties) -> None:
    """Return when the application can answer, or somebody has to say that it cannot yet."""
    began = time.monotonic()
    while not app.is_ready:
        waited = time.monotonic() - began
        if waited > (_BESIDE_OTHERS_SECONDS if ties.others_serve() else _ALONE_SECONDS):
            return
        if select.select([ties.alive], [], [], _LOOK_SECONDS)[0]:
            return


class _Server(uvicorn.Server):
    """uvicorn's server, which is told to stop by its parent and stops the application beside its connections."""

    def __init__(self, config: uvicorn.Config, app: Application, ties: Ties, listener: socket.socket) -> None:
        super().__init__(config)
        self._app = app
        self._ties = ties
        self._door = Door(listener, ties.crowd, ties.place, self._make_protocol)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave signals to the loop."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_reader(self._ties.alive, self._stop)
        await super().startup(sockets)
        self._door.open()
        with suppress(OSError):
            os.write(self._ties.ready, b"1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, finish what is under way, and tell streams meanwhile."""
        farewell = threading.Thread(target=self._app.stop, name="farewell", daemon=True)
        farewell.start()
        self._door.close()
        await super().shutdown(sockets)
        deadline = time.monotonic() + _STOP_SECONDS
        while farewell.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)

    def _make_protocol(self) -> RelayProtocol:
        return RelayProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            holds=self._door.holds,
        )

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ties.alive)
        self.should_exit = True
