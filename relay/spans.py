"""Spans of a trace: what a request spends its time with, told to whoever collects that, if anybody does."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Describe = Callable[[str, dict[str, str | int]], None]
"""Gives an open span another name, and says more of it by attributes."""

OpenSpan = Callable[[str], AbstractContextManager[Describe]]


def _say_nothing(_name: str, _attributes: dict[str, str | int]) -> None:
    pass


_NOTHING = nullcontext(_say_nothing)


class _Collector:
    """Who collects the spans of this process."""

    open: OpenSpan | None = None


def span(name: str) -> AbstractContextManager[Describe]:
    """Return what is to be held open while something is done; it costs next to nothing where nobody collects."""
    return _NOTHING if _Collector.open is None else _Collector.open(name)


def collect_spans(open_span: OpenSpan | None) -> None:
    """Hand all spans of this process to a collector from now on, None for nobody."""
    _Collector.open = open_span
