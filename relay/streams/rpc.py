"""JSON-RPC 2.0 as text: requests read, answers and notifications written. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
)
UNAVAILABLE = -32000
"""What is asked for cannot be had at the moment, or not as often."""

NOT_RESUMABLE = -32001
"""What happened since a cursor cannot be told; it will not be possible later either."""

MOST_IN_A_BATCH = 50

Params = Mapping[str, Any]
Method = Callable[[Params], Awaitable[Any]]
"""Answers a call with something that orjson can write; may raise RpcError."""


class RpcError(Exception):
    """A call that cannot be fulfilled: becomes the error object of its answer."""

    def __init__(self, code: int, message: str, data: Mapping[str, object] | None = None) -> None:
        """Say what is wrong; ``data`` is what a program can tell it by."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Call:
    """A request; one without an id (``wants_answer`` false) is a notification to us and never answered."""

    id: object
    wants_answer: bool
    method: str
    params: object


async def answer(text: str | bytes, methods: Mapping[str, Method]) -> bytes | None:
    """Carry out what a text asks for and return the text to answer with, None for nothing.

    A batch is carried out in its order. Answers that are sent to us (a client refuses a notification that way) are
    passed over: to answer an answer would never end.
    """
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _error(None, RpcError(PARSE_ERROR, "the message is no JSON"))
    if not isinstance(data, list):
        return await _answer_one(data, methods)
    if not 0 < len(data) <= MOST_IN_A_BATCH:
        return _error(None, RpcError(INVALID_REQUEST, f"a batch holds from 1 to {MOST_IN_A_BATCH} requests"))
    answers = [found for entry in data if (found := await _answer_one(entry, methods)) is not None]
    return b"[" + b",".join(answers) + b"]" if answers else None


def notification(subscription: str, event: bytes | None, cursor: str | None = None) -> bytes:
    """Return the text that tells a subscriber of an event, which is JSON already, and where it stands then.

    Either may be left out. The real client refuses a notification with more members than ``event``.
    """
    members = [] if event is None else [b'"event":' + event]
    if cursor is not None:
        members.append(b'"cursor":"' + cursor.encode("ascii") + b'"')
    head = b'{"jsonrpc":"2.0","method":"subscription_' + subscription.encode("ascii")
    return head + b'","params":{' + b",".join(members) + b"}}"


def last_word(code: str, message: str, cursors: Mapping[str, str]) -> bytes:
    """Return the text that says why a connection ends, with the cursors that its subscriptions have come to."""
    params = {"code": code, "message": message, "cursors": cursors}
    return orjson.dumps({"jsonrpc": "2.0", "method": "end", "params": params})


async def _answer_one(data: object, methods: Mapping[str, Method]) -> bytes | None:
    if isinstance(data, dict) and "method" not in data and ("result" in data or "error" in data):
        return None
    try:
        call = _read(data)
    except RpcError as error:
        number = data.get("id") if isinstance(data, dict) else None
        return _error(number if _is_id(number) else None, error)
    try:
        result = await _carry_out(call, methods)
    except RpcError as error:
        return _error(call.id, error) if call.wants_answer else None
    if not call.wants_answer:
        return None
    return orjson.dumps({"jsonrpc": "2.0", "result": result, "id": call.id})


def _read(data: object) -> Call:
    if not isinstance(data, dict):
        raise RpcError(INVALID_REQUEST, "a request is an object")
    if data.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'a request carries "jsonrpc": "2.0"')
    method, number = data.get("method"), data.get("id")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "the method is a string")
    if not _is_id(number):
        raise RpcError(INVALID_REQUEST, "the id is a string or a number")
    return Call(number, "id" in data, method, data.get("params"))


def _is_id(value: object) -> bool:
    return isinstance(value, str | int | float | None) and not isinstance(value, bool)


async def _carry_out(call: Call, methods: Mapping[str, Method]) -> Any:
    if call.method not in methods:
        raise RpcError(METHOD_NOT_FOUND, f"there is no such method here; there are {', '.join(sorted(methods))}")
    params = {} if call.params is None else call.params
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "the parameters are named: an object, not a list")
    return await methods[call.method](params)


def _error(number: object, error: RpcError) -> bytes:
    found: dict[str, object] = {"code": error.code, "message": error.message}
    if error.data is not None:
        found["data"] = error.data
    return orjson.dumps({"jsonrpc": "2.0", "error": found, "id": number})
