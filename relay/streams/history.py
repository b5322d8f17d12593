"""What happened since a cursor, from the database: for those who were away."""

import threading
from collections.abc import Iterator
from typing import Protocol

import orjson

from relay.addresses import Address
from relay.store.feed_log import Log, Mark, NotOnFeed, Reached
from relay.streams.composing import Told, Wanted, tell
from relay.streams.cursor import write_cursor
from relay.streams.hub import End, Kind, News
from relay.sync.networks import Networks

MOST_RESUMED = 2_000
"""So many events since a cursor are told, counting changes of balances; more are for the REST API."""

_GRAPHS_SECONDS = 5.0
_ADVICE = "read the lists of events by the REST API and subscribe without a cursor"


class NotResumable(Exception):
    """What happened since a cursor cannot be told."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.why = End(code, f"{message}: {_ADVICE}")


class LogReader(Protocol):
    """Reads the feed; `relay.store.feed_log.FeedLog` does. Every method raises StoreError."""

    def mark(self) -> Mark:
        """Return the newest commit."""

    def require(self, reached: Reached) -> None:
        """Raise NotOnFeed or NotYet unless what happened after a place can be told."""

    def since(
        self, reached: Reached, until: Mark | None = None, user: Address | None = None, most: int = ...
    ) -> Log:
        """Return what happened after a place; raises NotOnFeed, NotYet."""


class History:
    """Tells what happened since a cursor; to be asked by any thread but that of an event loop."""

    def __init__(self, log: LogReader, networks: Networks) -> None:
        self._log = log
        self._networks = networks
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Keep nobody waiting any more."""
        self._stopping.set()

    def require(self, reached: Reached) -> None:
        """Raise NotResumable unless it can be told what happened since.

        Also raises NotYet where this process has not come so far, and StoreError.
        """
        try:
            self._log.require(reached)
        except NotOnFeed as fault:
            raise _not_resumable(fault) from fault

    def after(self, user: Address, reached: Reached, until: Mark) -> list[News]:
        """Return what a user is told of what happened after a place up to a commit.

        Raises:
            NotResumable: if it cannot be told.
            NotYet: if the place lies behind the commit.
            StoreError: if it cannot be read.

        """
        try:
            log = self._log.since(reached, until, user, MOST_RESUMED)
        except NotOnFeed as fault:
            raise _not_resumable(fault) from fault
        if log.is_too_much:
            raise NotResumable("too_much", f"more than {MOST_RESUMED} events have happened since the cursor")
        if log.touched:
            wait_for_graphs(self._networks, until.position, self._stopping)
        return list(news_of(log, reached, self._networks, user.__eq__))


def news_of(log: Log, reached: Reached, networks: Networks, is_wanted: Wanted) -> Iterator[News]:
    """Yield what is published of a log that follows on a place.

    Who has all events but not all of how things stand then is told anew how they stand after a break.
    """
    told = list(tell(log, networks, is_wanted))
    last = {item.user: item for item in told if item.place is None}
    for item in told:
        if item.place is not None:
            cursor = write_cursor(reached.at(item.place))
        elif last[item.user] is item:
            cursor = write_cursor(Reached.whole(log.mark))
        else:
            cursor = write_cursor(reached.at(log.end))
        yield _news(item, cursor)


def _news(item: Told, cursor: str) -> News:
    topic = (Kind.EVENTS, item.user)
    event = orjson.dumps(item.payload)
    return News(topic, event, cursor=cursor, network=item.network, is_undone=item.is_undone)


def wait_for_graphs(networks: Networks, position: int, stopping: threading.Event) -> None:
    """Return when the graphs have come to a position on the feed, which another thread of this process sees to.

    Where it takes long the caller goes on: what changed after that is told of later.
    """
    waited = 0.0
    while networks.position < position and waited < _GRAPHS_SECONDS and not stopping.wait(0.005):
        waited += 0.005


def _not_resumable(fault: NotOnFeed) -> NotResumable:
    if fault.is_foreign:
        return NotResumable("cursor_unknown", "the cursor is of another database, or of before it was rebuilt")
    return NotResumable("cursor_too_old", "the cursor is so old that what happened since is not kept any more")
