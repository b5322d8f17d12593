"""From the event loop to the application: a whole request goes to a thread, a whole answer comes back."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from relay.common_headers import request_id_of
from relay.serving.answers import Headers, error

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    from relay.serving.protocol import RelayProtocol

logger = logging.getLogger(__name__)

CONNECTION = "relay.connection"
"""The key of a request's scope under which its connection is found."""
TAKE_SOCKET = "relay.take_socket"
"""The key of the environment under which an application finds how to take the connection's socket away."""

_WAITING_PER_THREAD = 64
_RETRY_SECONDS = 2
_MOST_DISCARDED = 16 * 2**20
_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Answer(NamedTuple):
    """What the application answers."""

    status: int
    headers: Headers
    body: bytes


class Bridge:
    """An ASGI application that has requests answered by a WSGI application in a bounded pool of threads.

    A thread is occupied by a request only while the application works on it: the body has been read before, up to
    one byte more than ``max_body_bytes``, and the answer is sent afterwards by the event loop. Beyond so many
    requests for each thread a further one is refused rather than left waiting.
    """

    def __init__(self, app: "WSGIApplication", threads: int, max_body_bytes: int) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._most_bytes = max_body_bytes + 1
        self._most_waiting = threads * _WAITING_PER_THREAD
        self._under_way = 0

    async def __call__(self, scope: "HTTPScope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Answer a request."""
        connection: RelayProtocol = scope[CONNECTION]  # type: ignore[literal-required]
        environ = _environ(scope)
        body = await self._read(environ, receive)
        if body is None:
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ[TAKE_SOCKET] = connection.take_socket
        answer = await self._ask(environ, connection)
        if answer is None or connection.is_gone:
            return
        if connection.is_last_answer and connection.is_receiving and "HTTP_EXPECT" not in environ:
            await _discard(receive)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _read(self, environ: "WSGIEnvironment", receive: "ASGIReceiveCallable") -> bytes | None:
        """Return the body or as much as it takes to see that it is too large, None if the client has gone."""
        length = environ.get("CONTENT_LENGTH")
        if length is not None and int(length) >= self._most_bytes:
            return b""
        if length is None and "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        parts, size, has_more = [], 0, True
        while has_more and size < self._most_bytes:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message["body"])
            size += len(message["body"])
            has_more = message["more_body"]
        # To the application there are no chunks any more.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(size)
        return b"".join(parts)

    async def _ask(self, environ: "WSGIEnvironment", connection: "RelayProtocol") -> Answer | None:
        if self._under_way >= self._most_waiting:
            return _error(
                environ, HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait for an answer", _RETRY_SECONDS
            )
        self._under_way += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._run, environ, connection)
        finally:
            self._under_way -= 1

    def _run(self, environ: "WSGIEnvironment", connection: "RelayProtocol") -> Answer | None:
        """Return the application's answer, None if nobody waits for one; called in a thread of the pool."""
        if connection.is_gone:
            return None
        try:
            answer = _call(self._app, environ)
            # An application that took the socket away has answered there.
            if answer is None and not connection.is_gone:
                raise RuntimeError("the application answered nothing")
        except Exception:
            logger.exception("a request failed")
            return _error(environ, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        return answer


async def _discard(receive: "ASGIReceiveCallable") -> None:
    """Read what is left of a body: to end a connection while it arrives could destroy the answer on its way."""
    size = 0
    while size < _MOST_DISCARDED:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            return
        size += len(message["body"])


def _call(app: "WSGIApplication", environ: "WSGIEnvironment") -> Answer | None:
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    parts: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _fault: Any = None) -> Any:
        begun.append((status, headers))
        return parts.append

    result: Iterable[bytes] = app(environ, start_response)
    try:
        parts.extend(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    if not begun:
        return None
    text, given = begun[-1]
    status, body = int(text.partition(" ")[0]), b"".join(parts)
    headers = [(_header_name(name), value.encode("latin-1")) for name, value in given]
    has_length = any(name == b"content-length" for name, _ in headers)
    if not has_length and status not in _BODILESS and environ["REQUEST_METHOD"] != "HEAD":
        headers.append((b"content-length", str(len(body)).encode()))
    return Answer(status, headers, body)


@lru_cache(256)
def _header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _error(environ: "WSGIEnvironment", status: HTTPStatus, message: str, retry_after: int | None = None) -> Answer:
    headers, body = error(status, message, request_id_of(environ))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return Answer(status, headers, body)


def _environ(scope: "HTTPScope") -> "WSGIEnvironment":
    server, client = scope["server"] or ("", None), scope["client"] or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        # What a proxy removes under its name with a hyphen must not come in under one that looks the same here.
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
