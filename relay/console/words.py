"""Small pieces of text: numbers, times, aligned lines."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_LABEL_WIDTH = 10
_LONGEST_NAME = 40


def say(lines: Iterable[str]) -> None:
    """Print lines to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def count(number: int, one: str, many: str = "") -> str:
    """Return ``1 block``, ``12,345 blocks``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``12 s``, ``3 min 20 s``, ``5 h 2 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def moment(when: datetime | int) -> str:
    """Return ``2026-01-31 12:34:56 UTC``, also for Unix seconds."""
    if not isinstance(when, datetime):
        try:
            when = datetime.fromtimestamp(when, UTC)
        except (ValueError, OverflowError, OSError):  # a chain may have any clock
            return f"second {when}"
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return what somebody else wrote as it may stand on a terminal: one line, no escapes, not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def labelled(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return aligned lines; a row without a label goes on with what stands above it."""
    return [f"{label:<{_LABEL_WIDTH}} {text}" for label, text in rows]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells with the cells of each column aligned; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
