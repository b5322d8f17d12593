"""Answers as resources give them: a body in one piece or in several, with the headers that are its own."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = "application/json"


class Answer(Response):
    """A response whose headers are handed on as they stand.

    The library's own copies them for every request and looks into each. What is to be done with the body, for HEAD
    too, does the edge around the application.
    """

    def __init__(self, body: bytes | Iterable[bytes], status: int = 200, content_type: str = JSON) -> None:
        super().__init__([body] if isinstance(body, bytes) else body, status, content_type=content_type)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Hand status, headers and body on."""
        if self._on_close:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]  # bytes, as they came in


def json_answer(data: Any, status: int = 200) -> Answer:
    """Return data as JSON."""
    return Answer(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE), status)
