"""Columns of values as Postgres' array literals: one parameter for thousands of rows, and quick to read there."""

from collections.abc import Iterable


def numbers(values: Iterable[int]) -> str:
    """Return a literal for a column of integers, of any type and size."""
    return "{" + ",".join(map(str, values)) + "}"


def flags(values: Iterable[bool]) -> str:
    """Return a literal for a column of booleans."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


def octets(values: Iterable[bytes]) -> str:
    """Return a literal for a column of bytea."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"
