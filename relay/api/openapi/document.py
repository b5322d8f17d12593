"""The document as a whole, built once when it is first asked for."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from typing import Any

import orjson
from apispec import APISpec

from relay.api.openapi import headers, operations, streams
from relay.api.openapi.conversion import Plugin, in_markdown
from relay.api.openapi.errors import PROBLEM, codes_of, response_name, response_of
from relay.api.resources.admin import OperatorResource
from relay.api.resources.base import ApiResource
from relay.api.routes import Route
from relay.problems import TYPE_PREFIX

Served = Mapping[type[ApiResource], Route]
"""The resources that are served, and their URLs below the prefix."""

_ABOUT = f"""
Trustlines is money made of trust: people grant each other credit lines in a *currency network*, and payments run
along chains of them. A relay reads the networks from an Ethereum chain and answers wallets.

- **Amounts** are strings of decimal digits, in the smallest unit of their network, token or of ether (wei). Where
  they are sent, JSON numbers are taken as well. Rates are in 0.01 % a year, times in Unix seconds.
- **Addresses** are written as EIP-55 says. In requests all lower case is taken too; a wrong checksum is refused.
  **Hashes** and other bytes are `0x` and hexadecimal digits.
- **Bodies** are JSON. `null` is the same as an absent member, and members that are not known are passed over.
- **A slash at the end** of a URL is accepted everywhere. `HEAD` is answered wherever `GET` is, `OPTIONS` too.
- **Errors** are those of RFC 9457 with a stable `code`: [all codes]({TYPE_PREFIX.removesuffix("#")}).
- `X-Trustlines-Block` tells the newest block that an answer knows. Answers may get further members.
""".strip()


def load_examples() -> dict[str, Any]:
    """Return requests that were made and their answers, by the name of the operation."""
    text = resources.files(__package__).joinpath("examples.json").read_bytes()
    found: dict[str, Any] = orjson.loads(text)
    return found


class Document:
    """The OpenAPI document of what is served."""

    def __init__(self, served: Served, version: str, stream_kinds: Sequence[str] = ()) -> None:
        self._served = dict(served)
        self._version = version
        self._stream_kinds = tuple(stream_kinds)

    @cached_property
    def content(self) -> dict[str, Any]:
        """The document."""
        return _build(self._served, self._version, self._stream_kinds)

    @cached_property
    def text(self) -> bytes:
        """The document as JSON."""
        return orjson.dumps(self.content)

    @cached_property
    def etag(self) -> str:
        """What changes if the document does."""
        return hashlib.sha256(self.text).hexdigest()[:32]


def _build(served: Served, version: str, stream_kinds: Sequence[str]) -> dict[str, Any]:
    plugin, examples = Plugin(), load_examples()
    spec = APISpec(
        title="Trustlines relay",
        version=version,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": "."}],
    )
    spec.components.schema("Problem", PROBLEM)
    for name, header in headers.ANSWERED.items():
        spec.components.header(name, header)
    if any(issubclass(resource, OperatorResource) for resource in served):
        told = {"type": "http", "scheme": "bearer", "description": "The operators' token."}
        spec.components.security_scheme(operations.OPERATORS, told)
    known: set[str] = set()
    for resource, route in served.items():
        for place, url in enumerate(route.urls):
            described = {}
            for method in _methods(resource):
                example = examples.get(operations.operation_id(resource, method, 0))
                described[method] = operations.describe(plugin, resource, method, url, place, example)
                _add_errors(spec, known, resource, method, url)
            spec.path(operations.template_of(url), operations=described)
    for kind in stream_kinds:
        spec.path(streams.path_of(kind), operations={"get": streams.describe(kind)})
    if "events" in stream_kinds:
        for path, operation in streams.server_sent_events():
            spec.path(path, operations={"get": operation})
    for tag in _tags(served):
        spec.tag(tag)
    if stream_kinds:
        spec.tag(streams.TAG)
    return spec.to_dict()


def _add_errors(spec: APISpec, known: set[str], resource: type[ApiResource], method: str, url: str) -> None:
    contract = getattr(getattr(resource, method), "contract", None)
    for status, codes in codes_of(resource, method, url, contract).items():
        name = response_name(status, codes)
        if name not in known:
            known.add(name)
            spec.components.response(name, response_of(status, codes))


def _methods(resource: type[ApiResource]) -> list[str]:
    return [method for method in operations.METHODS if hasattr(resource, method)]


def _tags(served: Served) -> list[dict[str, Any]]:
    found = {}
    for resource in served:
        about = sys.modules[resource.__module__].__doc__
        found[operations.tag_of(resource)] = in_markdown(about)
    return [{"name": name, "description": about} for name, about in found.items()]
