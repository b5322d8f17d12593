"""What is counted of the work that requests ask for: what became of it, and how long searches took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from werkzeug.exceptions import HTTPException

from graph.answers import Found, NotFound
from graph.parts import PartsFound
from relay import telemetry
from relay.chain.errors import MalformedTransaction, WrongChain
from relay.delegate.errors import CapReached, Overloaded, Refused
from relay.spans import span

Search = TypeVar("Search", bound=Found | NotFound | PartsFound)


class Counter(Protocol):
    """Counts by outcome; those of `relay.telemetry` do."""

    def labels(self, *labelvalues: str) -> "Counter":
        """Return what counts one outcome."""

    def inc(self) -> None:
        """Count one more."""


@contextmanager
def counting(counter: Counter) -> Iterator[None]:
    """Count what becomes of what is done meanwhile; as a decorator, of a method."""
    try:
        yield
    except Exception as error:
        counter.labels(_outcome(error)).inc()
        raise
    counter.labels("accepted").inc()


def _outcome(error: Exception) -> str:
    match error:
        case MalformedTransaction() | WrongChain():
            return "malformed"
        case CapReached():
            return "capped"
        case Overloaded():
            return "overloaded"
        case Refused() | HTTPException():
            return "refused"
        case _:
            return "failed"


def searched(kind: str, search: Callable[[], Search]) -> Search:
    """Search, and count that: its kind, what it found, and how long it took."""
    start = time.perf_counter()
    outcome = "error"
    try:
        with span(f"search {kind}"):
            result = search()
        outcome = _found(result)
        return result
    finally:
        telemetry.searches.labels(kind, outcome).inc()
        telemetry.search_seconds.labels(kind).observe(time.perf_counter() - start)


def _found(result: Found | NotFound | PartsFound) -> str:
    if isinstance(result, NotFound):
        return result.reason.value
    return "found" if result.is_proven else "unproven"
