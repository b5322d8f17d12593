"""Answers that the server gives by itself, where a request does not reach the application or breaks it."""

from http import HTTPStatus

import orjson

from relay.common_headers import always, new_request_id
from relay.problems import code_of, problem

Headers = list[tuple[bytes, bytes]]


def error(status: HTTPStatus, message: str, request_id: str | None = None) -> tuple[Headers, bytes]:
    """Return headers and body of an error in the form of the API's own ones, for any page to read."""
    identifier = request_id or new_request_id()
    body = orjson.dumps(problem(status, code_of(status), message, identifier))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"access-control-allow-origin", b"*"),
    ]
    headers += [(name.lower().encode(), value.encode()) for name, value in always(identifier)]
    return headers, body


def last_answer(status: HTTPStatus, message: str) -> bytes:
    """Return a whole answer as it goes over the connection, which ends with it."""
    headers, body = error(status, message)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", body])
