"""The headers of requests and answers. Whoever adds one to answers adds it here."""

from typing import Any

from relay.api import request_id
from relay.api.place import SIGNATURE_HEADER, TIMESTAMP_HEADER
from relay.api.resources import devices, paths
from relay.api.resources.base import ApiResource
from relay.api.resources.event_lists import EventLister

ANSWERED: dict[str, dict[str, Any]] = {
    request_id.HEADER: {
        "description": "Under which id the relay's logs have the request: the one that came with it, if any.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Trustlines-Block": {
        "description": "The newest block whose events the answer knows; missing as long as there is none.",
        "schema": {"type": "integer"},
    },
    paths.PROVEN_HEADER: {
        "description": "`false` where it is not certain that nothing better can be; else missing.",
        "schema": {"type": "string", "enum": ["false"]},
    },
    "Retry-After": {
        "description": "After how many seconds it makes sense to ask again.",
        "schema": {"type": "integer"},
    },
    "ETag": {
        "description": "Stands for what the answer says; sent back in `If-None-Match` it is answered 304 if that "
        "is still so. Missing where it would save nothing.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How many more requests of this kind may be made, and when there are more again; where "
        "limits are set (draft-ietf-httpapi-ratelimit-headers-09).",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {"description": "The limit that it is about.", "schema": {"type": "string"}},
    "Link": {
        "description": "The pages of a list that is longer than one answer: `next`, `prev`, `first` (RFC 8288).",
        "schema": {"type": "string"},
    },
    "Allow": {"description": "The methods that the URL takes.", "schema": {"type": "string"}},
}
"""Every header that answers may have."""

EVERYWHERE = (request_id.HEADER, "X-Trustlines-Block", "ETag", "RateLimit", "RateLimit-Policy")
"""Those that any success may have."""

BY_RESOURCE: dict[type[ApiResource], tuple[str, ...]] = {paths.SpendableTo: (paths.PROVEN_HEADER,)}
"""Those that only some have."""

_SIGNED = (
    {
        "name": TIMESTAMP_HEADER,
        "in": "header",
        "description": "When it was signed, in Unix seconds; needed where this relay demands signatures.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
    },
    {
        "name": SIGNATURE_HEADER,
        "in": "header",
        "description": "The user's signature; needed together with the time.",
        "schema": {"type": "string", "pattern": "^0x[0-9a-fA-F]{130}$"},
    },
)

ASKED: dict[type[ApiResource], tuple[dict[str, Any], ...]] = {devices.Device: _SIGNED}
"""The headers that requests to some resources may have."""


def headers_of(resource: type[ApiResource]) -> dict[str, Any]:
    """Return the headers of a resource's successes."""
    pages = ("Link",) if issubclass(resource, EventLister) else ()
    names = (*EVERYWHERE, *pages, *BY_RESOURCE.get(resource, ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
