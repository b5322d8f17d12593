"""Errors as clients see them: whatever is raised becomes JSON with a ``message``, here and nowhere else."""

import logging

import orjson
from flask import Response
from werkzeug.exceptions import (
    BadGateway,
    BadRequest,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
    UnprocessableEntity,
)

from relay.addresses import to_checksum
from relay.api.request_id import current_request_id
from relay.chain.errors import ChainError, MalformedTransaction, NodeUnreachable, WrongChain
from relay.delegate.errors import CapReached, Overloaded, Refused
from relay.store.errors import StoreError
from relay.sync.networks import UnknownNetwork

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2

_SENTENCES: dict[type[HTTPException], str] = {
    NotFound: "there is nothing at this URL",
    MethodNotAllowed: "this URL does not take that method",
    RequestEntityTooLarge: "the body is too large",
}


def answer_error(error: Exception) -> Response:
    """Return the answer to a request that failed; what is not the client's fault is logged."""
    http = _as_http(error)
    status = http.code or 500
    if isinstance(http, InternalServerError):
        logger.error("a request failed", exc_info=error, extra={"request_id": current_request_id()})
    elif status >= 500:
        logger.warning("%s", error, extra={"request_id": current_request_id()})
    response = Response(orjson.dumps({"message": _message(http)}), status, mimetype="application/json")
    for name, value in http.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _as_http(error: Exception) -> HTTPException:
    """Return what an exception means to a client; what is said of the node and the database stays inside."""
    match error:
        case HTTPException():
            return error
        case UnknownNetwork():
            return NotFound(f"no currency network {to_checksum(error.args[0])} is served here")
        case MalformedTransaction() | WrongChain():
            return UnprocessableEntity(f"rawTransaction: {error}")
        case NodeUnreachable():
            return ServiceUnavailable("the node cannot be reached at the moment", retry_after=RETRY_SECONDS)
        case ChainError():
            return BadGateway("the node gave no usable answer")
        case StoreError():
            return ServiceUnavailable("the database cannot be reached at the moment", retry_after=RETRY_SECONDS)
        case Refused():
            return BadRequest(str(error))
        case CapReached():
            return TooManyRequests(str(error))
        case Overloaded():
            return ServiceUnavailable(str(error), retry_after=RETRY_SECONDS)
        case _:
            return InternalServerError()


def _message(http: HTTPException) -> str:
    if isinstance(http, InternalServerError):
        return f"internal error; it is logged under the request id {current_request_id()}"
    # The libraries' own descriptions speak to readers of web pages.
    if http.description is None or http.description == type(http).description:
        return _SENTENCES.get(type(http), http.name.lower())
    return http.description
