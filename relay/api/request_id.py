"""The id under which a request is found in the logs."""

import re
import secrets

from flask import g, request

HEADER = "X-Request-ID"

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def current_request_id() -> str:
    """Return the id of the request being answered: the client's or a proxy's if it is a sane one, else our own."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SANE.fullmatch(given) else secrets.token_hex(8)
    identifier: str = g.request_id
    return identifier
