"""Which errors an operation can have: said once for what causes them, not operation by operation."""

from typing import Any

from relay.api.admission import Cost
from relay.api.contract import Contract
from relay.api.event_questions import PageQuestionSchema
from relay.api.resources import contracts as contract_resources
from relay.api.resources import (
    delegation,
    devices,
    documentation,
    exchange,
    histories,
    messages,
    paths,
    pictures,
    transactions,
)
from relay.api.resources.base import ApiResource
from relay.api.routes import ROUTES
from relay.problems import KINDS

EVERYWHERE = ("internal_error", "loading", "network_elsewhere", "rate_limited")
"""What any operation may answer."""

BY_URL: dict[str, tuple[str, ...]] = {
    "<": ("not_found",),
    "<address:": ("malformed_address", "wrong_checksum"),
    "<hash:": ("malformed_hash",),
    "<address:network>": ("unknown_network",),
    "<address:token>": ("unknown_token",),
    "/exchange/<address:exchange>": ("unknown_exchange",),
}
"""What the parts of a URL may lead to."""

_QUERY, _PAGES = ("validation_failed",), ("cursor_outdated",)
_BODY = ("not_json", "body_unreadable", "body_too_large", "unsupported_media_type", "validation_failed")

_DATABASE = ("database_unreachable",)
_NODE = ("node_unreachable", "node_failed")
_SENDING = ("refused", "cap_reached", "overloaded")
_SIGNED = ("signature_required", "validation_failed", "rate_limited", *_NODE)

BY_COST: dict[Cost, tuple[str, ...]] = {
    Cost.SEARCH: ("overloaded",),
    Cost.WHOLE_NETWORK: ("overloaded",),
    Cost.DATABASE: ("overloaded", "database_busy"),
    Cost.NODE: ("overloaded",),
    Cost.DEPLOYMENT: ("overloaded",),
}
"""What becomes of what is expensive where there is too much of it."""

BY_FAMILY: dict[str, tuple[str, ...]] = {
    "admin": ("unauthorized", "rate_limited", *_DATABASE),
    "contracts": _DATABASE,
    "delegation": (*_DATABASE, *_NODE, "banned", "paused"),
    "devices": (*_DATABASE, *_SIGNED),
    "events": _DATABASE,
    "exchange": _DATABASE,
    "histories": _DATABASE,
    "messages": (*_DATABASE, *_SIGNED, "banned", "storage_full"),
}
"""What a family of resources, by its module, asks of others who may fail."""

BY_RESOURCE: dict[type[ApiResource] | tuple[type[ApiResource], str], tuple[str, ...]] = {
    contract_resources.TokenBalance: _NODE,
    delegation.IdentityDetails: ("unknown_identity",),
    delegation.IdentityList: _SENDING,
    delegation.MetaTransactionFees: _SENDING,
    delegation.RelayMetaTransaction: _SENDING,
    delegation.RequestEther: _SENDING,
    (devices.Device, "put"): ("invalid_token", "unavailable"),
    (devices.Device, "delete"): ("unknown_device",),
    documentation.PageFile: ("not_found",),
    exchange.OrderDetails: ("unknown_order",),
    exchange.OrderSubmission: ("order_not_acceptable", "rate_limited", "storage_full", *_NODE),
    histories.Transfers: ("unknown_transfer", "part_of_no_transfer"),
    messages.Messages: ("body_too_large",),
    paths.CapacityPath: ("network_frozen",),
    paths.ClosingPath: ("network_frozen",),
    paths.TransferPath: ("network_frozen",),
    pictures.Image: ("validation_failed", "not_acceptable"),
    transactions.Balance: _NODE,
    transactions.BlockNumber: _NODE,
    transactions.Relay: (
        *("node_refused", "malformed_transaction", "wrong_chain", "banned"),
        *(*_NODE, *_DATABASE),
    ),
    transactions.TransactionInfo: _NODE,
}
"""What only single resources, or one method of theirs, have."""

_HEADERS = {405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def codes_of(
    resource: type[ApiResource], method: str, url: str, contract: Contract | None
) -> dict[int, list[str]]:
    """Return the codes that an operation's errors can have, in order, by their status."""
    found = set(EVERYWHERE)
    for part, codes in BY_URL.items():
        if part in url:
            found.update(codes)
    if contract is not None:
        found.update(_QUERY if contract.query else ())
        found.update(_PAGES if isinstance(contract.query, PageQuestionSchema) else ())
        found.update(_BODY if contract.body else ())
    found.update(BY_COST.get(ROUTES[resource].cost, ()))
    found.update(BY_FAMILY.get(family_of(resource), ()))
    found.update(BY_RESOURCE.get(resource, ()))
    found.update(BY_RESOURCE.get((resource, method), ()))
    by_status: dict[int, list[str]] = {}
    for code in sorted(found):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return dict(sorted(by_status.items()))


def family_of(resource: type[ApiResource]) -> str:
    """Return the name of a resource's family."""
    return resource.__module__.rpartition(".")[2]


def response_name(status: int, codes: list[str]) -> str:
    """Return the name that the document gives an error answer with one of some codes."""
    return ".".join([str(status), *codes])


def response_of(status: int, codes: list[str]) -> dict[str, Any]:
    """Return the description of an error answer with one of some codes."""
    told = "\n".join(f"- `{code}`: {KINDS[code].title}. {KINDS[code].advice}".rstrip() for code in codes)
    shape = {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"code": {"enum": codes}, "status": {"const": status}},
    }
    headers = ("X-Request-ID", *_HEADERS.get(status, ()))
    return {
        "description": told,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media: {"schema": shape} for media in ("application/json", "application/problem+json")},
    }


PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "An error as RFC 9457 has them. Programs tell errors by `code`; codes stay, others may come.",
    "required": ["message", "code", "status", "type", "title", "detail"],
    "properties": {
        "message": {"type": "string", "description": "What went wrong this time, in a sentence."},
        "code": {"type": "string", "description": "What kind of error it is: stable, for programs."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Where this kind of error is explained.",
        },
        "title": {"type": "string", "description": "What kind of error it is, in words."},
        "detail": {"type": "string", "description": "The same as `message`."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path that was asked for."},
        "requestId": {"type": "string", "description": "Under which id the request is found in the relay's logs."},
        "errors": {
            "type": "array",
            "description": "The parameters at fault.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {
                        "type": "string",
                        "description": "Its name; `avoid.2` is the third of `avoid`, `body` the whole.",
                    },
                    "message": {"type": "string", "description": "What is wrong with it."},
                },
            },
        },
    },
}
"""The form of all errors."""
