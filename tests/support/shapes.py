"""A small language for what JSON may look like: a shape says in sentences what is wrong with a value."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eth_utils.address import is_checksum_address

Shape = Callable[[Any, str], Iterator[str]]
"""Given a value and the place where it stands, yields its faults."""


def _simple(what: str, fits: Callable[[Any], bool]) -> Shape:
    def shape(value: Any, place: str) -> Iterator[str]:
        if not fits(value):
            yield f"{place} is {value!r}, not {what}"

    return shape


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


text = _simple("text", lambda value: isinstance(value, str))
amount = _simple("an amount: a whole number in a string", _matches(r"0|-?[1-9][0-9]*"))
number = _simple("a number", lambda value: isinstance(value, int) and not isinstance(value, bool))
truth = _simple("true or false", lambda value: isinstance(value, bool))
address = _simple("an EIP-55 address", lambda value: isinstance(value, str) and is_checksum_address(value))
hash32 = _simple("a hash of 32 bytes", _matches("0x[0-9a-f]{64}"))
data = _simple("0x and whole bytes in hex", _matches("0x([0-9a-f]{2})*"))
nothing = _simple("null", lambda value: value is None)


def one_of(*values: Any) -> Shape:
    """One of some values."""
    return _simple(f"one of {', '.join(map(repr, values))}", lambda value: value in values)


def either(one: Shape, other: Shape) -> Shape:
    """Whatever one of two shapes allows; the faults are the second's."""

    def shape(value: Any, place: str) -> Iterator[str]:
        if any(one(value, place)):
            yield from other(value, place)

    return shape


def list_of(entry: Shape) -> Shape:
    """A list whose entries all have a shape."""

    def shape(value: Any, place: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{place} is {value!r}, not a list"
            return
        for index, item in enumerate(value):
            yield from entry(item, f"{place}[{index}]")

    return shape


def record(fields: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these fields; others may stand beside them, but nowhere stands null."""
    optional = optional or {}

    def shape(value: Any, place: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{place} is {value!r}, not an object"
            return
        for name in fields:
            if name not in value:
                yield f"{place} has no {name}"
        for name, entry in value.items():
            yield from fields.get(name, optional.get(name, no_null))(entry, f"{place}.{name}")

    return shape


def no_null(value: Any, place: str) -> Iterator[str]:
    """Anything in which null does not occur."""
    if value is None:
        yield f"{place} is null"
    for name, entry in value.items() if isinstance(value, dict) else ():
        yield from no_null(entry, f"{place}.{name}")
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        yield from no_null(entry, f"{place}[{index}]")


def by_type(shapes: Mapping[str, Shape]) -> Shape:
    """An object whose ``type`` names its shape."""

    def shape(value: Any, place: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in shapes:
            yield f"{place} has the type {kind!r}, which is none of {', '.join(shapes)}"
            return
        yield from shapes[kind](value, f"{place} ({kind})")

    return shape
