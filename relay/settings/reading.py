"""Turn untyped values (TOML, environment, command line) into typed ones, naming the place of a mistake.

A *kind* reads one value; the keys of a settings dataclass carry theirs in the field's metadata. A *place*
knows where a value came from, so that an error names what the operator wrote: ``[rest] port`` in a file, the
environment variable, or the command line option.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from relay.addresses import Address, MalformedAddress, parse_address
from relay.settings.errors import SettingsError

T = TypeVar("T")
Path_ = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_SHOWN_CHARACTERS = 60
_MAX_SECONDS = 86_400.0
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class Kind(Protocol):
    """Reads one value."""

    def read(self, value: object, place: "Place") -> object:
        """Return the typed value or raise a SettingsError that names the place."""

    def from_text(self, text: str) -> object:
        """Return what TOML would have given for this text, or the text itself where it does not fit."""


@dataclass(frozen=True)
class Place:
    """Where a value stands: its path in the settings and the name under which the operator gave it.

    ``origins`` maps dotted paths to the names in use instead of them: an older key, an environment
    variable, an option. ``name`` is the label itself, for a value that has no place in the settings.
    """

    path: Path_
    origins: Mapping[str, str] = field(default_factory=dict)
    secret: bool = False
    name: str = ""

    def child(self, key: str | int, secret: bool = False) -> "Place":
        """Return the place of a key or of a list entry below this one."""
        return Place((*self.path, key), self.origins, secret or self.secret)

    @property
    def label(self) -> str:
        """The name an operator recognises."""
        if self.name:
            return self.name
        for length in range(len(self.path), 0, -1):
            origin = self.origins.get(dotted(self.path[:length]))
            if origin is not None:
                rest = self.path[length:]
                if origin.startswith(("-", "TL_", "DATABASE_")):
                    return " ".join([origin, *(_step(step) for step in rest)])
                return toml_name((*origin.split("."), *rest))
        return toml_name(self.path)

    def fault(self, sentence: str) -> SettingsError:
        """Return the error for this place."""
        return SettingsError(f"{self.label}: {sentence}")

    def unfit(self, expected: str, value: object) -> SettingsError:
        """Return the error for a value that is not what was expected; a secret is not repeated."""
        got = "something else (not shown, it may hold a secret)" if self.secret else shown(value)
        return self.fault(f"expected {expected}, got {got}")


def dotted(path: Iterable[str | int]) -> str:
    """Return ``rest.port`` for ("rest", "port")."""
    return ".".join(str(step) for step in path)


def toml_name(path: Path_) -> str:
    """Return ``[rest] port`` for ("rest", "port"), and ``[delegate] fees entry 2`` for a list's second entry."""
    names = [step for step in path if isinstance(step, str)]
    first_entry = next((at for at, step in enumerate(path) if isinstance(step, int)), len(path))
    head, tail = path[:first_entry], path[first_entry:]
    if len(names) == 1:
        name = f"[{_step(head[0])}]"
    else:
        name = f"[{'.'.join(_step(step) for step in head[:-1])}] {_step(head[-1])}"
    return " ".join([name, *(_step(step) for step in tail)])


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"entry {step + 1}"
    return step if _BARE_KEY.fullmatch(step) else shown(step)


def shown(value: object) -> str:
    """Return a value as one short line for an error message."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` when a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


@dataclass(frozen=True)
class WholeNumber:
    """A whole number within bounds; true and false are none."""

    minimum: int = 0
    maximum: int | None = None

    def read(self, value: object, place: Place) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise place.unfit("a whole number", value)
        if value < self.minimum or (self.maximum is not None and value > self.maximum):
            bounds = (
                f"of at least {self.minimum}" if self.maximum is None else f"from {self.minimum} to {self.maximum}"
            )
            raise place.unfit(f"a whole number {bounds}", value)
        return value

    def from_text(self, text: str) -> object:
        """Read decimal digits."""
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,40}", text) else text


@dataclass(frozen=True)
class Seconds:
    """A duration in seconds, more than none and at most a day."""

    def read(self, value: object, place: Place) -> float:
        """Return the seconds as a float."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
            raise place.unfit(f"a number of seconds above 0 and up to {_MAX_SECONDS:.0f}", value)
        return float(value)

    def from_text(self, text: str) -> object:
        """Read a decimal number."""
        try:
            number = float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text


@dataclass(frozen=True)
class Switch:
    """true or false."""

    def read(self, value: object, place: Place) -> bool:
        """Return the truth value."""
        if not isinstance(value, bool):
            raise place.unfit("true or false", value)
        return value

    def from_text(self, text: str) -> object:
        """Read true, yes, on, 1 and their opposites in any case."""
        word = text.lower()
        return True if word in _TRUE else False if word in _FALSE else text


@dataclass(frozen=True)
class Text:
    """Text; ``check`` returns what was expected where a text does not fit."""

    expected: str = "text"
    check: Callable[[str], bool] = field(default=lambda _: True)

    def read(self, value: object, place: Place) -> str:
        """Return the text."""
        if not isinstance(value, str) or not self.check(value):
            raise place.unfit(self.expected, value)
        return value

    def from_text(self, text: str) -> object:
        """Return the text as it is."""
        return text


class FilePath(Text):
    """A path of a file."""

    def __init__(self) -> None:
        super().__init__("the path of a file", lambda text: bool(text) and "\0" not in text)

    def read(self, value: object, place: Place) -> Path:  # type: ignore[override]
        """Return the path; a Path handed in by the program is taken as it is."""
        return value if isinstance(value, Path) else Path(super().read(value, place))


@dataclass(frozen=True)
class Choice:
    """One of the values of an enumeration, in any case."""

    options: type[StrEnum]

    def read(self, value: object, place: Place) -> StrEnum:
        """Return the member."""
        for option in self.options:
            if isinstance(value, str) and option.value.lower() == value.lower():
                return option
        raise place.unfit("one of " + ", ".join(self.options), value)

    def from_text(self, text: str) -> object:
        """Return the text as it is."""
        return text


@dataclass(frozen=True)
class EthereumAddress:
    """A contract or account address: EIP-55 text, or all lower case."""

    def read(self, value: object, place: Place) -> Address:
        """Return its 20 bytes."""
        if not isinstance(value, str):
            raise place.unfit("an address (0x and 40 hexadecimal digits)", value)
        try:
            return parse_address(value)
        except MalformedAddress as error:
            raise place.fault(f"{shown(value)} is {_as_predicate(str(error))}") from None

    def from_text(self, text: str) -> object:
        """Return the text as it is."""
        return text


def _as_predicate(sentence: str) -> str:
    return sentence if sentence.startswith("not ") else f"not an address: {sentence}"


@dataclass(frozen=True)
class ListOf:
    """A list of values of one kind, read into a tuple; in the environment separated by commas."""

    kind: Kind
    at_least: int = 0

    def read(self, value: object, place: Place) -> tuple[object, ...]:
        """Return the values in their order."""
        if not isinstance(value, list | tuple):
            raise place.unfit("a list", value)
        if len(value) < self.at_least:
            raise place.fault(f"expected at least {self.at_least} entry, got {len(value)}")
        return tuple(self.kind.read(entry, place.child(at)) for at, entry in enumerate(value))

    def from_text(self, text: str) -> object:
        """Split at commas and drop what is empty."""
        return [self.kind.from_text(part.strip()) for part in text.split(",") if part.strip()]


@dataclass(frozen=True)
class Table:
    """A table whose keys are the fields of a settings dataclass."""

    settings: type[Any]

    def read(self, value: object, place: Place) -> object:
        """Return the dataclass."""
        return read_table(self.settings, value, place)

    def from_text(self, text: str) -> object:
        """Return the text, which no table is."""
        return text


def key(
    kind: Kind, default: Any = MISSING, *, secret: bool = False, is_path: bool = False, implied: Any = MISSING
) -> Any:
    """Declare a key of a settings dataclass.

    Args:
        kind: how its value is read.
        default: its value where it is not given; without one the key must be given.
        secret: keep it out of ``repr`` and out of error messages.
        is_path: a file path; relative ones in a file are relative to the file's folder.
        implied: its value where its table is given but not the key, if that differs from ``default``.

    """
    metadata = {"kind": kind, "secret": secret, "is_path": is_path, "implied": implied}
    if default is MISSING:
        return field(repr=not secret, metadata=metadata)
    if isinstance(default, type) and is_dataclass(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


def keys(settings: type[Any]) -> dict[str, Field[Any]]:
    """Return the fields of a settings dataclass that are keys, by name."""
    return {entry.name: entry for entry in fields(settings) if "kind" in entry.metadata}


def read_table(settings: type[T], value: object, place: Place) -> T:
    """Read a table into a settings dataclass.

    A dataclass may have ``faults()``, which yields (key, sentence) for values that do not fit each other.

    Raises:
        SettingsError: an unknown key, a missing one, a value of the wrong kind, values that do not fit.

    """
    if not isinstance(value, dict):
        raise place.unfit("a table", value)
    known = keys(settings)
    for name in value:
        if name not in known:
            raise place.child(name).fault(f"unknown key{suggestion(name, known)}")
    given: dict[str, object] = {}
    for name, entry in known.items():
        if name in value:
            secret = entry.metadata["secret"]
            given[name] = entry.metadata["kind"].read(value[name], place.child(name, secret))
        elif entry.metadata["implied"] is not MISSING:
            given[name] = entry.metadata["implied"]
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise place.child(name).fault("this key is missing and has no default")
    read = cast("Callable[..., T]", settings)(**given)
    for name, sentence in getattr(read, "faults", tuple)():
        raise place.child(name).fault(sentence)
    return read
