"""From the feed of commits to the followers of this process, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import orjson

from relay.store.errors import DatabaseBusy, StoreError
from relay.store.happenings import Happenings
from relay.streams.composing import compose
from relay.streams.hub import Hub, Kind, News
from relay.sync.follower import Listener
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_GRAPHS_SECONDS = 5.0


class Reader(Protocol):
    """Tells what happened; `relay.store.happenings.HappeningReader` does."""

    def end(self) -> int:
        """Return the position of the newest commit; raises StoreError."""

    def since(self, position: int) -> Happenings | None:
        """Return what happened after a position, None if that cannot be told; raises StoreError."""


class Feeder:
    """Follows the feed and publishes what happened to those who follow it here."""

    def __init__(
        self,
        reader: Reader,
        networks: Networks,
        hub: Hub,
        publish: Callable[[Iterable[News]], None],
        listen: Callable[[], Listener],
    ) -> None:
        """Prepare; ``listen`` opens a new listener, as often as the old one breaks."""
        self._reader = reader
        self._networks = networks
        self._hub = hub
        self._publish = publish
        self._listen = listen
        self._position: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Follow the feed from now on, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stopping.set()

    def catch_up(self) -> None:
        """Publish what happened since the last time; the first time nothing did. Raises StoreError."""
        # The end is read before followers are looked for: who comes between the two misses nothing.
        end = self._reader.end()
        if self._position is None or self._hub.is_empty:
            self._position = end
            return
        happened = self._reader.since(self._position)
        if happened is None:
            logger.warning(
                "streams cannot tell what happened meanwhile: the feed does not lead from there to here"
            )
            self._position = self._reader.end()
            return
        if happened.is_too_much:
            logger.warning("streams pass over what happened meanwhile: it is too much")
        if happened.touched:
            wait_for_graphs(self._networks, happened.position, self._stopping)
        told = compose(happened, self._networks, lambda user: self._hub.has_followers((Kind.EVENTS, user)))
        news = [News((Kind.EVENTS, user), orjson.dumps(payload)) for user, payload in told]
        if news:
            self._publish(news)
        self._position = happened.position

    def _run(self) -> None:
        listener: Listener | None = None
        is_troubled = False
        while not self._stopping.is_set():
            try:
                if listener is None:
                    listener = self._listen()
                self.catch_up()
                is_troubled = False
                listener.wait(_LONGEST_SLEEP_SECONDS)
            except Exception as error:  # whatever it is: followers must not wait for good
                if not is_troubled:
                    surprise = None if isinstance(error, StoreError) else error
                    logger.warning("streams stand still: %s", error, exc_info=surprise)
                    is_troubled = True
                if listener is not None and not isinstance(error, DatabaseBusy):
                    listener.close()
                    listener = None
                self._stopping.wait(_RETRY_SECONDS)
        if listener is not None:
            listener.close()


def wait_for_graphs(networks: Networks, position: int, stopping: threading.Event) -> None:
    """Return when the graphs have come to a position on the feed, which another thread of this process sees to.

    Where it takes long the caller goes on: what changed after that is told of later.
    """
    deadline = time.monotonic() + _GRAPHS_SECONDS
    while networks.position < position and time.monotonic() < deadline and not stopping.is_set():
        stopping.wait(0.005)
