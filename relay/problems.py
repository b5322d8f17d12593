"""Errors as all rooms tell them to HTTP clients: one table of codes, and the members of RFC 9457."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

TYPE_PREFIX = "/api/v1/docs/errors#"
"""Where the codes are explained: with a code behind it, the ``type`` of an error."""

MEDIA_TYPE = "application/problem+json"

_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error: the status it comes with, its title, and what is to be done about it."""

    status: int
    title: str
    advice: str = ""


_LATER = "Ask again after the seconds that Retry-After names."
_READ_LISTS = "Read the lists of events, and open a stream without a cursor."
_NOT_SERVED = "What this relay serves is listed by the URL above."

KINDS: dict[str, Kind] = {
    "bad_request": Kind(400, "The request cannot be understood"),
    "not_json": Kind(400, "The body is no JSON"),
    "body_unreadable": Kind(400, "The body cannot be read to its end"),
    "network_frozen": Kind(400, "The currency network is frozen", "Nothing moves in it until it is unfrozen."),
    "part_of_no_transfer": Kind(400, "The event is part of no transfer"),
    "refused": Kind(400, "What was asked for is at fault or would fail on the chain", "Nothing was spent."),
    "unauthorized": Kind(401, "The right to this is not proven"),
    "forbidden": Kind(403, "This is not permitted"),
    "signature_required": Kind(403, "The signature that is demanded is missing or does not fit"),
    "banned": Kind(403, "The address is not served by decision of the operators"),
    "not_found": Kind(404, "There is nothing at this URL", "What is switched off is not there either."),
    "malformed_address": Kind(
        404, "The URL holds something else than an address", "0x and 40 hexadecimal digits."
    ),
    "wrong_checksum": Kind(
        404,
        "The capitals of an address do not match its checksum",
        "Write it all in lower case, or as EIP-55 says.",
    ),
    "malformed_hash": Kind(404, "The URL holds something else than a hash", "0x and 64 hexadecimal digits."),
    "unknown_network": Kind(404, "The currency network is not served here", _NOT_SERVED),
    "unknown_token": Kind(404, "The token is not served here", _NOT_SERVED),
    "unknown_exchange": Kind(404, "The exchange is not served here", _NOT_SERVED),
    "unknown_transfer": Kind(404, "The transfer is not known"),
    "unknown_identity": Kind(404, "There is no identity contract at the address"),
    "unknown_order": Kind(404, "The order is not known"),
    "unknown_device": Kind(404, "The user has no such device"),
    "method_not_allowed": Kind(405, "The URL does not take the method", "The header Allow lists those it takes."),
    "not_acceptable": Kind(
        406, "There is no such form of the answer", "Ask for another one in the header Accept."
    ),
    "request_timeout": Kind(408, "The request did not come in time"),
    "node_refused": Kind(409, "The node refuses the transaction"),
    "cursor_outdated": Kind(
        410, "The blocks that the cursor stands at were replaced", "Read the list from its beginning."
    ),
    "cursor_unknown": Kind(410, "The cursor is of another database, or of before it was rebuilt", _READ_LISTS),
    "cursor_too_old": Kind(410, "What happened since the cursor is not kept any more", _READ_LISTS),
    "too_much": Kind(410, "More has happened since the cursor than is told at once", _READ_LISTS),
    "body_too_large": Kind(413, "The body is too large"),
    "uri_too_long": Kind(414, "The URL is too long"),
    "unsupported_media_type": Kind(415, "The body is of an unknown type", "Send it as application/json."),
    "validation_failed": Kind(
        422, "A parameter is missing or not acceptable", "The member errors names each of them."
    ),
    "network_elsewhere": Kind(421, "Another process of this relay answers this", "The load balancer is to blame."),
    "malformed_cursor": Kind(422, "The cursor is none that this relay gave"),
    "malformed_transaction": Kind(422, "The raw transaction cannot be read"),
    "wrong_chain": Kind(422, "The transaction is signed for another chain"),
    "order_not_acceptable": Kind(422, "The order cannot be filled as it stands"),
    "invalid_token": Kind(422, "What was given is no token of a device"),
    "upgrade_required": Kind(426, "The URL takes WebSocket connections only"),
    "rate_limited": Kind(429, "There were too many requests", _LATER),
    "cap_reached": Kind(429, "A cap of this relay is reached", "It is lifted with time."),
    "headers_too_large": Kind(431, "The headers are too large"),
    "internal_error": Kind(500, "A fault of the relay", "It is logged under the request id."),
    "node_failed": Kind(502, "The node gave no usable answer"),
    "unavailable": Kind(503, "The relay cannot do this at the moment", _LATER),
    "loading": Kind(503, "The relay is still loading its networks", _LATER),
    "node_unreachable": Kind(503, "The node cannot be reached", _LATER),
    "database_unreachable": Kind(503, "The database cannot be reached", _LATER),
    "database_busy": Kind(503, "The database has too much to do", _LATER),
    "paused": Kind(503, "The operators have paused this", _LATER),
    "overloaded": Kind(503, "The relay has too much to do", _LATER),
    "too_many_streams": Kind(503, "No further stream can be opened", _LATER),
    "behind_cursor": Kind(503, "The relay has not come as far as the cursor yet", _LATER),
    "storage_full": Kind(503, "The relay takes no more of this at the moment", _LATER),
}
"""Every code that an error can have; codes stay as they are, others may be added."""

_CODES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    410: "cursor_outdated",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    421: "network_elsewhere",
    422: "validation_failed",
    426: "upgrade_required",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    502: "node_failed",
    503: "unavailable",
}


def code_of(status: int) -> str:
    """Return the code of an error of which no more is known than its status."""
    if status in _CODES:
        return _CODES[status]
    return "internal_error" if status >= 500 else "bad_request"


def problem(
    status: int,
    code: str,
    message: str,
    request_id: str | None = None,
    *,
    path: str | None = None,
    errors: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the members of an error.

    ``message`` and ``detail`` are the same: older clients read the one, RFC 9457 knows the other. ``path`` is that
    of the request, decoded; ``errors`` are the parameters at fault, each with what is wrong with it.
    """
    kind = KINDS.get(code)
    told: dict[str, Any] = {
        "message": message,
        "code": code,
        "status": status,
        "type": f"{TYPE_PREFIX}{code}" if kind else "about:blank",
        "title": kind.title if kind else _phrase(status),
        "detail": message,
    }
    if path is not None:
        told["instance"] = quote(path, safe=_PATH_CHARACTERS, errors="replace")
    if request_id is not None:
        told["requestId"] = request_id
    if errors:
        told["errors"] = [{"field": field, "message": text} for field, text in errors]
    return told


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
