"""What all answers have in common, done once around the application: ids, headers, conditions, compression."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from relay.api import caching, compression
from relay.api.headers import BLOCK, NO_STORE, OVERRIDABLE, REVALIDATE, Origins
from relay.common_headers import COMMON, REQUEST_ID, request_id_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BLOCK_KEY = "relay.block_number"
"""Where in the WSGI environment a resource notes the block that it answers from."""

MORE_KEY = "relay.headers"
"""Where in the WSGI environment headers are noted that the answer is to have, whatever becomes of the request."""

Headers = list[tuple[str, str]]

_NOT_IN_304 = frozenset(("content-type", "content-length", "content-disposition"))


class Edge:
    """A WSGI application around another one.

    It is one because what it does concerns refusals as well as answers, and because a list of headers is cheaper
    to complete than a response object is to change.
    """

    def __init__(self, app: "WSGIApplication", origins: Origins, block_number: Callable[[], int | None]) -> None:
        """Answer browsers at these origins; ``block_number`` is the block that answers stand at by default."""
        self._app = app
        self._origins = origins
        self._block_number = block_number

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        always: Headers = [(REQUEST_ID, request_id_of(environ))]
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            # Without a look at the URL: a script is to see the 404 that follows, and not a fault of CORS.
            always += self._origins.preflight(environ.get("HTTP_ORIGIN"))
            start_response("204 No Content", [*always, *COMMON, ("Cache-Control", NO_STORE)])
            return []
        taken: list[tuple[str, Headers]] = []

        def take(status: str, headers: Headers, _: Any = None) -> Callable[[bytes], object]:
            taken.append((status, headers))
            return _refuse_writing

        body = self._app(environ, take)
        status, headers = taken[-1]
        block = environ.get(BLOCK_KEY)
        if block is None:
            block = self._block_number()
        if block is not None:
            always.append((BLOCK, str(block)))
        always += environ.get(MORE_KEY, ())
        status, headers, body = _finish(environ, status, headers, body)
        start_response(status, self._complete(environ, headers, always))
        return body

    def _complete(self, environ: "WSGIEnvironment", headers: Headers, always: Headers) -> Headers:
        """Return all headers of an answer: its own go before ours."""
        names = {name.lower() for name, _ in headers}
        vary = ["Accept-Encoding", *self._origins.vary]
        if "vary" in names:
            vary = [value for name, value in headers if name.lower() == "vary"] + vary
            headers = [pair for pair in headers if pair[0].lower() != "vary"]
        headers += always
        headers += self._origins.headers(environ.get("HTTP_ORIGIN"))
        if names.isdisjoint(OVERRIDABLE):
            headers += COMMON
        else:
            headers += [pair for pair in COMMON if pair[0].lower() not in names]
        if "allow" in names and environ["REQUEST_METHOD"] == "OPTIONS":
            headers += self._origins.methods([value for name, value in headers if name == "Allow"])
        headers.append(("Vary", ", ".join(vary)))
        return headers


def _finish(
    environ: "WSGIEnvironment", status: str, headers: Headers, body: Iterable[bytes]
) -> tuple[str, Headers, Iterable[bytes]]:
    """Apply what the request says of tags and codings, and what its method means for the body."""
    method = environ["REQUEST_METHOD"]
    is_reading = method in {"GET", "HEAD"}
    names = {name.lower(): value for name, value in headers}
    if "cache-control" not in names:
        is_kept = is_reading and status[:3] in {"200", "304"}
        headers.append(("Cache-Control", REVALIDATE if is_kept else NO_STORE))
    if status[:3] == "200":
        if is_reading and _is_known(environ, names, headers, body):
            status = "304 NOT MODIFIED"
        elif _is_long(body):
            headers, body = _packed(environ, names, headers, body)
    if status[:3] == "304":
        compression.close(body)
        return status, [pair for pair in headers if pair[0].lower() not in _NOT_IN_304], []
    if "content-length" not in names and type(body) is list:
        headers.append(("Content-Length", str(sum(map(len, body)))))
    if method == "HEAD":
        compression.close(body)
        body = []
    return status, headers, body


def _is_known(environ: "WSGIEnvironment", names: dict[str, str], headers: Headers, body: Iterable[bytes]) -> bool:
    """Return whether the client has an answer already; give a long one without a tag the tag of what it says."""
    tag = names.get("etag")
    if tag is None:
        if type(body) is not list or len(body[0]) < caching.MIN_TAGGED_BYTES:
            return False
        tag = caching.tag_of_body(body[0], names.get("link", ""))
        headers.append(("ETag", tag))
    told = environ.get("HTTP_IF_NONE_MATCH")
    return told is not None and caching.is_match(told, tag)


def _is_long(body: Iterable[bytes]) -> bool:
    return type(body) is not list or len(body[0]) >= compression.MIN_BYTES


def _packed(
    environ: "WSGIEnvironment", names: dict[str, str], headers: Headers, body: Iterable[bytes]
) -> tuple[Headers, Iterable[bytes]]:
    """Return headers and body compressed, if the client takes that and it is of use."""
    coding = compression.coding_for(environ.get("HTTP_ACCEPT_ENCODING", ""))
    if not coding or "content-encoding" in names or not compression.is_worth(names.get("content-type", "")):
        return headers, body
    if names.pop("content-length", None) is not None:
        headers = [pair for pair in headers if pair[0].lower() != "content-length"]
    headers.append(("Content-Encoding", coding))
    if type(body) is list:
        return headers, [compression.compress(body[0], coding)]
    return headers, compression.compressed(body, coding)


def _refuse_writing(_: bytes) -> object:
    raise NotImplementedError("bodies are returned, not written")
