"""What every answer over HTTP carries, whichever room gives it: headers against misuse, and the request's id."""

import random
import re
from collections.abc import MutableMapping
from typing import Any

COMMON = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)
"""What every answer carries, unless it has another value of its own.

``Strict-Transport-Security`` is left to whoever ends TLS: it binds a whole host for months, other services on it
included, and only the operator of that host knows whether all of it speaks TLS.
"""

REQUEST_ID = "X-Request-ID"
"""The header that names a request, and its answer."""

REQUEST_ID_KEY = "relay.request_id"
"""Where the id stands in the WSGI environment, out of reach of clients."""

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def new_request_id(given: str | None = None) -> str:
    """Return the id of a request that comes in: the client's or a proxy's if it is a sane one, else our own."""
    if given and _SANE.fullmatch(given):
        return given
    # No secret: for those the system is asked without the interpreter's lock, which is then waited for.
    return f"{random.getrandbits(64):016x}"


def request_id_of(environ: MutableMapping[str, Any]) -> str:
    """Return the id of a request, the same for all who ask."""
    known: str | None = environ.get(REQUEST_ID_KEY)
    if known is None:
        known = environ[REQUEST_ID_KEY] = new_request_id(environ.get("HTTP_X_REQUEST_ID"))
    return known


def always(request_id: str) -> list[tuple[str, str]]:
    """Return the headers of an answer that no other room completes."""
    return [(REQUEST_ID, request_id), *COMMON]
