"""JSON-RPC 2.0: requests as bytes, and answers that are held to belong to them."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson

Request = tuple[str, Sequence[Any]]
"""A method and its params."""

_ids = count(1)


class NotJsonRpc(ValueError):
    """An answer that JSON-RPC does not allow; the text completes "the node answered ..."."""


def new_ids(number: int) -> list[int]:
    """Return ids that no other request of this process has."""
    return [next(_ids) for _ in range(number)]


def encode(requests: Sequence[Request], ids: Sequence[int], *, as_batch: bool) -> bytes:
    """Return one request, or several as a batch."""
    calls = [
        {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
        for (method, params), identifier in zip(requests, ids, strict=True)
    ]
    return orjson.dumps(calls if as_batch else calls[0])


def decode(answer: bytes) -> Any:
    """Return the JSON value of an answer; NotJsonRpc if it is none, for example cut short."""
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise NotJsonRpc(f"with no JSON-RPC, {_beginning(answer)}") from None


def single(answer: Any, identifier: int) -> dict[str, Any]:
    """Return the answer to one request; an error may lack the id (it does where a request could not be read)."""
    if not isinstance(answer, dict):
        raise NotJsonRpc("with no JSON-RPC object")
    if answer.get("error") is None and "result" not in answer:
        raise NotJsonRpc("with neither result nor error")
    given = answer.get("id")
    if not _same(given, identifier) and not (given is None and answer.get("error") is not None):
        raise NotJsonRpc(f"with the id {given!r:.40}, which was not asked")
    return answer


def batch(answers: Any, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the answers to a batch in the order of its ids, however the node ordered them."""
    by_id: dict[int, dict[str, Any]] = {}
    for answer in answers:
        identifier = answer.get("id") if isinstance(answer, dict) else None
        if type(identifier) is not int or identifier in by_id:
            raise NotJsonRpc(f"a batch with an id that is missing or comes twice ({identifier!r:.40})")
        by_id[identifier] = answer
    missing = sum(identifier not in by_id for identifier in ids)
    if missing:
        raise NotJsonRpc(f"only {len(ids) - missing} of {len(ids)} requests of a batch")
    if len(by_id) > len(ids):
        raise NotJsonRpc("a batch with ids that were not asked")
    return [single(by_id[identifier], identifier) for identifier in ids]


def _same(given: object, identifier: int) -> bool:
    return type(given) is int and given == identifier


def _beginning(answer: bytes) -> str:
    if not answer:
        return "but nothing"
    return f"but {len(answer)} bytes that begin {answer[:20].decode('latin-1')!r}"
