"""Where streams branch off from the REST API: a WSGI application in front of another."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from relay.clients import Clients
from relay.common_headers import always, request_id_of
from relay.problems import code_of, problem
from relay.streams.door import METHODS, EventDoor, Refusal
from relay.streams.hub import Kind
from relay.streams.server import StreamServer
from relay.streams.sse import EVENT_STREAM

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/v1/streams"

_TAKE_SOCKET = "relay.take_socket"
"""Where in the WSGI environment the server leaves what takes a connection's socket away from it, for good."""

_BUSY = HTTPStatus.SERVICE_UNAVAILABLE
_FULL = "no further stream can be opened"
_ANY = ("Access-Control-Allow-Origin", "*")
_PREFLIGHT = (
    _ANY,
    ("Access-Control-Allow-Methods", METHODS),
    ("Access-Control-Allow-Headers", "Last-Event-ID, Cache-Control"),
    ("Access-Control-Max-Age", "86400"),
)


class Gate:
    """Takes requests for streams out of what a WSGI server hands in; all else goes to the application.

    These are WebSocket handshakes, and GETs of Server-Sent Events. The server's socket is taken away from it, so a
    stream occupies no thread of its. A request for a stream that is none is answered here.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        server: StreamServer | None,
        kinds: Iterable[Kind],
        stop: Callable[[], None],
        *,
        clients: Clients | None = None,
        events: EventDoor | None = None,
    ) -> None:
        """Serve streams of some kinds; ``stop`` ends what was started for them and the server.

        ``events`` knows requests for Server-Sent Events, None where there are none.
        ``clients`` names those who connect.
        """
        self._clients = clients or Clients()
        self._app = app
        self._server = server
        self._events = events
        self._kinds: Mapping[str, Kind] = {f"{PREFIX}/{kind}": kind for kind in kinds}
        self.stop = stop

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, or take its connection."""
        path = environ.get("PATH_INFO", "")
        if self._events is not None and self._events.is_for(path):
            try:
                return self._open_events(self._events, path, environ, start_response)
            except Refusal as refusal:
                more = list(refusal.headers)
                return _refuse(environ, start_response, refusal.status, refusal.message, more, refusal.code)
        kind = self._kinds.get(path.rstrip("/"))
        if kind is None or self._server is None:
            return self._app(environ, start_response)
        response = ServerProtocol().accept(_request(environ))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            status = HTTPStatus(response.status_code)
            upgrade = [("Upgrade", "websocket")] if status is HTTPStatus.UPGRADE_REQUIRED else []
            return _refuse(environ, start_response, status, "this URL takes WebSocket connections only", upgrade)
        client, take_socket = self._clients.of(environ), environ.get(_TAKE_SOCKET)
        if take_socket is None or not self._server.admit(client):
            return _refuse(environ, start_response, _BUSY, _FULL, [("Retry-After", "5")], "too_many_streams")
        self._server.take(take_socket(), kind, response.serialize(), client)
        # The server has nothing to answer any more.
        return ()

    def _open_events(
        self, door: EventDoor, path: str, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request for Server-Sent Events, or take its connection; raises Refusal."""
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            more = [("Cache-Control", "no-store"), *always(request_id_of(environ))]
            start_response("204 No Content", [("Allow", METHODS), *_PREFLIGHT, *more])
            return []
        if method not in ("GET", "HEAD"):
            allow = ("Allow", METHODS)
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"there is {METHODS} here", (allow,)
            )
        last_event_id = str(environ.get("HTTP_LAST_EVENT_ID", ""))
        request = door.read(path, str(environ.get("QUERY_STRING", "")), last_event_id, request_id_of(environ))
        if method == "HEAD":
            start_response("200 OK", [*EVENT_STREAM, *always(request_id_of(environ))])
            return []
        client, take_socket = self._clients.of(environ), environ.get(_TAKE_SOCKET)
        if take_socket is None or not door.server.admit(client):
            raise Refusal(_BUSY, "too_many_streams", _FULL, (("Retry-After", "5"),))
        door.server.take_events(take_socket(), request, client)
        return ()


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
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
    status: HTTPStatus,
    message: str,
    more: list[tuple[str, str]],
    code: str | None = None,
) -> Iterable[bytes]:
    """Answer in the form of the REST API's errors."""
    identifier, path = request_id_of(environ), environ.get("PATH_INFO", "")
    body = orjson.dumps(problem(status, code or code_of(status), message, identifier, path=path))
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        _ANY,
        *always(identifier),
        *more,
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
