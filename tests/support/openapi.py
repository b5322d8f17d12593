"""Holding answers against the OpenAPI document: every member that is answered has to be in it."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

METHODS = ("get", "put", "post", "delete", "patch")
_ROOT = "urn:openapi"


@dataclass(frozen=True)
class Operation:
    """A method of a path."""

    path: str
    method: str
    content: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.content["operationId"])


class Described:
    """The API as a document describes it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def operations(self) -> Iterator[Operation]:
        for path, methods in self.document["paths"].items():
            for method, content in methods.items():
                if method in METHODS:
                    yield Operation(path, method, content)

    def operation(self, method: str, url: str) -> Operation:
        """Return the operation that a request is one of; ``url`` is below the server's and may have a query."""
        path = url.partition("?")[0].rstrip("/")
        of_method = [each for each in self.operations() if each.method == method.lower()]
        found = [each for each in of_method if self._fits(each, path)]
        # A path without variables goes before one with them.
        return min(found, key=lambda each: each.path.count("{"))

    def faults(self, method: str, url: str, status: int, media_type: str, answer: Any) -> list[str]:
        """Return what an answer has that the document does not promise."""
        operation = self.operation(method, url)
        response = self._resolved(operation.content["responses"].get(str(status)))
        if response is None:
            return [f"{operation.id} answers {status}, which is not described"]
        if media_type not in response["content"]:
            return [f"{operation.id} answers {media_type}, which is not described"]
        return self.against(response["content"][media_type]["schema"], answer)

    def against(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return what is wrong with a value, members that the schema does not know among it."""
        validator = Draft202012Validator(_rooted(schema), registry=self._registry)
        return [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)
        ]

    @cached_property
    def _registry(self) -> Any:
        strict = deepcopy(self.document)
        for schema in strict["components"]["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False
        return Registry().with_resource(_ROOT, Resource(contents=_rooted(strict), specification=DRAFT202012))

    def _resolved(self, response: dict[str, Any] | None) -> dict[str, Any] | None:
        if response is None or "$ref" not in response:
            return response
        found: dict[str, Any] = self.document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        return found

    @staticmethod
    def _fits(operation: Operation, path: str) -> bool:
        pattern = "".join(
            "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", operation.path)
        )
        return re.fullmatch(pattern, path) is not None


def _rooted(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: f"{_ROOT}{value}" if name == "$ref" and str(value).startswith("#") else _rooted(value)
            for name, value in schema.items()
        }
    return [_rooted(each) for each in schema] if isinstance(schema, list) else schema
