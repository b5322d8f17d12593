"""The id under which the request being answered is found in the logs."""

from flask import request

from relay.common_headers import REQUEST_ID, REQUEST_ID_KEY

HEADER = REQUEST_ID


def current_request_id() -> str:
    """Return the id of the request being answered."""
    identifier: str = request.environ.get(REQUEST_ID_KEY, "")
    return identifier
