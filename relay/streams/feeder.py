"""From the feed of commits to the followers of this process, in a thread of its own."""

import logging
from collections.abc import Callable

from relay.addresses import Address
from relay.store.errors import DatabaseBehind, DatabaseBusy, StoreError
from relay.store.feed_log import Log, Mark, NotOnFeed, NotYet, Reached
from relay.store.watching import Watcher
from relay.streams.history import LogReader, news_of, wait_for_graphs
from relay.streams.hub import Batch, End, Hub, Kind
from relay.sync.follower import Listener
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_TOO_MUCH = End("interrupted", "more has happened at once than can be told: go on from your cursor")
_NO_WAY = End("interrupted", "the database was replaced or rebuilt: read the lists of events by the REST API")


class Feeder(Watcher[Listener]):
    """Follows the feed and publishes what happened to those who follow it here."""

    passing = (DatabaseBusy, DatabaseBehind)

    def __init__(
        self,
        log: LogReader,
        networks: Networks,
        hub: Hub,
        publish: Callable[[Batch], None],
        listen: Callable[[], Listener],
    ) -> None:
        """Prepare; ``listen`` opens a new listener, as often as the old one breaks."""
        super().__init__("feeder", listen, _RETRY_SECONDS)
        self._log = log
        self._networks = networks
        self._hub = hub
        self._publish = publish
        self._mark: Mark | None = None
        self._made_for = -1

    def catch_up(self) -> None:
        """Publish what happened since the last time; the first time nothing did. Raises StoreError."""
        version = self._hub.version
        # The end is read before followers are looked for: who comes between the two misses nothing.
        newest = self._log.mark()
        if self._mark is None or self._hub.is_empty or newest == self._mark:
            if newest != self._mark or version != self._made_for:
                self._pass_on(Batch((), newest, version))
            return
        reached = Reached.whole(self._mark)
        try:
            log = self._log.since(reached)
        except NotYet as error:
            # Where replicas are read from: another one, or a commit that is still on its way.
            raise DatabaseBehind("the database has not come as far as streams have told") from error
        except NotOnFeed:
            logger.warning(
                "streams cannot tell what happened meanwhile: the feed does not lead from there to here"
            )
            self._pass_on(Batch((), newest, version, _NO_WAY))
            return
        if log.is_too_much:
            logger.warning("streams pass over what happened meanwhile: it is too much")
            self._pass_on(Batch((), log.mark, version, _TOO_MUCH))
            return
        self._pass_on(self._batch(log, reached, version))

    def _batch(self, log: Log, reached: Reached, version: int) -> Batch:
        def is_wanted(user: Address) -> bool:
            return self._hub.has_followers((Kind.EVENTS, user))

        # Who hears of something may ask for it at once, of any process of this machine.
        wait_for_graphs(self._networks, log.mark.position, self._stopping)
        return Batch(list(news_of(log, reached, self._networks, is_wanted)), log.mark, version)

    def _pass_on(self, batch: Batch) -> None:
        self._publish(batch)
        self._mark, self._made_for = batch.mark, batch.version

    def _act(self) -> None:
        self.catch_up()

    def _wait(self, listener: Listener) -> None:
        listener.wait(_LONGEST_SLEEP_SECONDS)

    def _fail(self, error: Exception, *, is_news: bool) -> None:
        if is_news:
            surprise = None if isinstance(error, StoreError) else error
            logger.warning("streams stand still: %s", error, exc_info=surprise)
