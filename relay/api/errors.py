"""Errors as clients see them: whatever is raised becomes what `relay.problems` writes, here and nowhere else."""

import logging

import orjson
from flask import Response, request
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from relay.addresses import to_checksum
from relay.admin.errors import Banned, DelegatePaused
from relay.api.admission import Overloaded
from relay.api.faults import (
    Capped,
    DatabaseAway,
    DatabaseTooBusy,
    NetworkUnknown,
    NodeAway,
    NodeFailed,
    NotServed,
    NotWelcome,
    Paused,
    SignedForAnotherChain,
    TooMuchToDo,
    TransactionMalformed,
)
from relay.api.request_id import current_request_id
from relay.chain.errors import ChainError, MalformedTransaction, NodeUnreachable, WrongChain
from relay.delegate.errors import CapReached, Refused
from relay.delegate.errors import Overloaded as DelegateOverloaded
from relay.problems import MEDIA_TYPE, code_of, problem
from relay.store.errors import DatabaseBusy, StoreError
from relay.sync.networks import UnknownNetwork

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
_PAUSE_SECONDS = 60


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
    elif status >= 500 and not isinstance(http, Overloaded):
        logger.warning("%s", error, extra={"request_id": current_request_id()})
    body = problem(
        status,
        getattr(http, "error_code", None) or code_of(status),
        _message(http),
        current_request_id(),
        path=request.path,
        errors=getattr(http, "errors", ()),
    )
    response = Response(orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE), status, mimetype=_media_type())
    response.vary.add("Accept")
    for name, value in http.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _media_type() -> str:
    """Return the type of an error: plain JSON, as clients expect, unless one would rather have RFC 9457's."""
    wanted = request.accept_mimetypes
    return MEDIA_TYPE if wanted[MEDIA_TYPE] > wanted["application/json"] else "application/json"


def _as_http(error: Exception) -> HTTPException:
    """Return what an exception means to a client; what is said of the node and the database stays inside."""
    match error:
        case HTTPException():
            return error
        case UnknownNetwork():
            return NetworkUnknown(f"no currency network {to_checksum(error.args[0])} is served here")
        case MalformedTransaction() | WrongChain() | ChainError():
            return _of_chain(error)
        case StoreError():
            return _of_database(error)
        case Banned():
            return NotWelcome(str(error))
        case DelegatePaused():
            return Paused(str(error), retry_after=_PAUSE_SECONDS)
        case Refused():
            return NotServed(str(error))
        case CapReached():
            return Capped(str(error), retry_after=error.retry_seconds)
        case DelegateOverloaded():
            return TooMuchToDo(str(error), retry_after=RETRY_SECONDS)
        case _:
            return InternalServerError()


def _of_chain(error: MalformedTransaction | WrongChain | ChainError) -> HTTPException:
    match error:
        case MalformedTransaction():
            return TransactionMalformed(f"rawTransaction: {error}")
        case WrongChain():
            return SignedForAnotherChain(f"rawTransaction: {error}")
        case NodeUnreachable():
            return NodeAway("the node cannot be reached at the moment", retry_after=RETRY_SECONDS)
        case _:
            return NodeFailed("the node gave no usable answer")


def _of_database(error: StoreError) -> HTTPException:
    if isinstance(error, DatabaseBusy):
        return DatabaseTooBusy("the database has too much to do at the moment", retry_after=RETRY_SECONDS)
    return DatabaseAway("the database cannot be reached at the moment", retry_after=RETRY_SECONDS)


def _message(http: HTTPException) -> str:
    if isinstance(http, InternalServerError):
        return f"internal error; it is logged under the request id {current_request_id()}"
    # The libraries' own descriptions speak to readers of web pages.
    if http.description is None or http.description == type(http).description:
        return _SENTENCES.get(type(http), http.name.lower())
    return http.description
