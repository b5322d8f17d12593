"""One operation of the document: a method of a resource at one of its URLs."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from relay.api.contract import Contract
from relay.api.openapi import headers
from relay.api.openapi.conversion import ADDRESS, HASH, Plugin, in_markdown
from relay.api.openapi.errors import codes_of, family_of, response_name
from relay.api.openapi.glossary import URL_PARTS
from relay.api.resources import admin, devices, documentation, pictures
from relay.api.resources.base import ApiResource
from relay.store.admin import Part

METHODS = ("get", "put", "post", "delete", "patch")
"""Those that the document lists: HEAD and OPTIONS are answered wherever they make sense."""

OPERATORS = "operators"
"""The name of the scheme by which operators prove who they are."""

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}

OTHER_FORMS: dict[type[ApiResource], dict[str, dict[str, Any]]] = {
    pictures.Dump: {"text/csv": _TEXT},
    pictures.Image: {"image/svg+xml": _TEXT, "image/png": _BYTES},
    documentation.OpenApi: {"application/json": {"schema": {"type": "object"}}},
    documentation.Page: {"text/html": _TEXT},
    documentation.ErrorPage: {"text/html": _TEXT},
    documentation.PageFile: {"text/css": _TEXT, "text/javascript": _TEXT},
}
"""What resources without a contract answer."""

OTHER_PARAMETERS: dict[type[ApiResource], tuple[dict[str, Any], ...]] = {
    pictures.Image: (
        {
            "name": "format",
            "in": "query",
            "description": "The form of the picture; without it the header Accept decides.",
            "schema": {"type": "string", "enum": ["svg", "png"]},
        },
    ),
}
"""What they take in the query."""

_URL_PARTS: dict[tuple[type[ApiResource], str], dict[str, Any]] = {
    (devices.Device, "token"): {
        "description": "The device's token, as the push service gave it.",
        "schema": {"type": "string", "minLength": 1},
    },
    (admin.PauseOfPart, "part"): {
        "description": "What stands still or goes on.",
        "schema": {"type": "string", "enum": [part.value for part in Part]},
    },
    (documentation.PageFile, "name"): {
        "description": "The name of the file.",
        "schema": {"type": "string", "enum": list(documentation.FILES)},
    },
}

_VARIABLE = re.compile(r"<(?:(\w+):)?(\w+)>")


def template_of(url: str) -> str:
    """Return a URL as OpenAPI writes it."""
    return _VARIABLE.sub(lambda found: f"{{{camel_case(found[2])}}}", url)


def camel_case(name: str) -> str:
    """Return a name of ours as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def operation_id(resource: type[ApiResource], method: str, place: int) -> str:
    """Return what names an operation; ``place`` is that of the URL among those of the resource."""
    return f"{method}{resource.__name__}{place + 1 if place else ''}"


def describe(
    plugin: Plugin,
    resource: type[ApiResource],
    method: str,
    url: str,
    place: int = 0,
    example: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an operation; ``example`` is a request that was made, with its answer."""
    function = getattr(resource, method)
    contract: Contract | None = getattr(function, "contract", None)
    shown = example or {}
    summary, _, more = inspect.cleandoc(function.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": operation_id(resource, method, place),
        "tags": [tag_of(resource)],
        "summary": in_markdown(summary).replace("`", "").removesuffix("."),
        "parameters": _parameters(plugin, resource, url, contract, shown),
        "responses": _responses(plugin, resource, method, url, contract, shown),
    }
    if more.strip():
        operation["description"] = in_markdown(more)
    if place:
        operation["deprecated"] = True
    if issubclass(resource, admin.OperatorResource):
        operation["security"] = [{OPERATORS: []}]
    if contract is not None and contract.body is not None:
        content: dict[str, Any] = {"schema": plugin.shape(contract.body)}
        if "body" in shown:
            content["example"] = shown["body"]
        operation["requestBody"] = {
            "required": True,
            "description": in_markdown(type(contract.body).__doc__),
            "content": {"application/json": content},
        }
    return operation


def tag_of(resource: type[ApiResource]) -> str:
    """Return the name of a resource's family as readers see it."""
    return family_of(resource).replace("_", " ").capitalize()


def _parameters(
    plugin: Plugin,
    resource: type[ApiResource],
    url: str,
    contract: Contract | None,
    shown: Mapping[str, Any],
) -> list[dict[str, Any]]:
    found = [_in_url(resource, kind, name) for kind, name in _VARIABLE.findall(url)]
    if contract is not None and contract.query is not None:
        found += plugin.parameters(contract.query)
    found += map(dict, OTHER_PARAMETERS.get(resource, ()))
    found += map(dict, headers.ASKED.get(resource, ()))
    values = shown.get("parameters", {})
    for parameter in found:
        if parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    return found


def _in_url(resource: type[ApiResource], kind: str, name: str) -> dict[str, Any]:
    told = _URL_PARTS.get((resource, name)) or {
        "description": URL_PARTS[name],
        "schema": {"address": ADDRESS, "hash": HASH}[kind],
    }
    return {"name": camel_case(name), "in": "path", "required": True, **told}


def _responses(
    plugin: Plugin,
    resource: type[ApiResource],
    method: str,
    url: str,
    contract: Contract | None,
    shown: Mapping[str, Any],
) -> dict[str, Any]:
    if contract is not None:
        content: dict[str, Any] = {"application/json": {"schema": plugin.shape(contract.answer)}}
        if "answer" in shown:
            content["application/json"]["example"] = shown["answer"]
    else:
        content = {media: dict(form) for media, form in OTHER_FORMS[resource].items()}
    success = {
        "description": in_markdown(resource.__doc__),
        "headers": headers.headers_of(resource),
        "content": content,
    }
    found: dict[str, Any] = {"200": success}
    if method == "get" and not issubclass(resource, admin.OperatorResource):
        found["304"] = {"description": "What the client has already, as it says in `If-None-Match`, is still so."}
    for status, codes in codes_of(resource, method, url, contract).items():
        found[str(status)] = {"$ref": f"#/components/responses/{response_name(status, codes)}"}
    return found
