"""Where streams branch off from the REST API: a WSGI application in front of another."""

import socket
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from relay.clients import client_of
from relay.streams.hub import Kind
from relay.streams.server import StreamServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/v1/streams"

_BUSY = HTTPStatus.SERVICE_UNAVAILABLE


class Gate:
    """Takes WebSocket handshakes out of what a WSGI server hands in; everything else goes to the application.

    The server's socket is taken away from it (``gunicorn.socket`` is detached), so a stream occupies no thread of
    its. A request for a stream that is none is answered here.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        server: StreamServer | None,
        kinds: Iterable[Kind],
        stop: Callable[[], None],
        *,
        client_header: str = "",
    ) -> None:
        """Serve streams of some kinds; ``stop`` ends what was started for them and the server.

        ``client_header`` is the header in which a reverse proxy names the client, empty for none.
        """
        self._client_variable = f"HTTP_{client_header.upper().replace('-', '_')}" if client_header else ""
        self._app = app
        self._server = server
        self._kinds: Mapping[str, Kind] = {f"{PREFIX}/{kind}": kind for kind in kinds}
        self.stop = stop

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, or take its connection."""
        kind = self._kinds.get(environ.get("PATH_INFO", "").rstrip("/"))
        if kind is None or self._server is None:
            return self._app(environ, start_response)
        taken = environ.get("gunicorn.socket")
        response = ServerProtocol().accept(_request(environ))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            status = HTTPStatus(response.status_code)
            upgrade = [("Upgrade", "websocket")] if status is HTTPStatus.UPGRADE_REQUIRED else []
            return _refuse(start_response, status, "this URL takes WebSocket connections only", upgrade)
        client = client_of(str(environ.get(self._client_variable, "")), str(environ.get("REMOTE_ADDR", "")))
        if not isinstance(taken, socket.socket) or not self._server.admit(client):
            return _refuse(start_response, _BUSY, "no further stream can be opened", [("Retry-After", "5")])
        self._server.take(socket.socket(fileno=taken.detach()), kind, response.serialize(), client)
        # To gunicorn this says that there is nothing to answer.
        raise StopIteration


def _request(environ: "WSGIEnvironment") -> Request:
    headers = Headers()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers[name.removeprefix("HTTP_").replace("_", "-")] = str(value)
    method, protocol = environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"]
    return _make_request(environ["PATH_INFO"], headers, method, protocol)


def _make_request(path: str, headers: Headers, method: str, protocol: str) -> Request:
    more: dict[str, Any] = {"method": method, "protocol": protocol}
    return Request(path, headers, **{name: value for name, value in more.items() if name in _REQUEST_FIELDS})


_REQUEST_FIELDS = frozenset(Request.__dataclass_fields__)
"""Older versions of the library take for granted that a request is a GET of HTTP/1.1."""


def _refuse(
    start_response: "StartResponse", status: HTTPStatus, message: str, more: list[tuple[str, str]]
) -> Iterable[bytes]:
    body = orjson.dumps({"message": message})
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *more]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
