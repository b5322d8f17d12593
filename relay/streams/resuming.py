"""Subscriptions that go on from a cursor: what happened before is told first, and then what comes."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from relay.store.errors import StoreError
from relay.store.feed_log import NotYet, Reached
from relay.streams.history import History, NotResumable
from relay.streams.hub import Hub, News, Subscription

logger = logging.getLogger(__name__)

_BEHIND_SECONDS, _RETRY_SECONDS, _ROOM_SECONDS = 3.0, 0.5, 0.05
_THREADS = 2

Result = TypeVar("Result")


class Behind(Exception):
    """A cursor was given out by a process that has come further than this one, which will follow soon."""


class Resumer:
    """Tells subscriptions of one event loop what happened before they hear the rest with all others.

    At the seam nothing is missed and nothing told twice: a subscription goes live in the very turn of the loop in
    which it has been told all up to the commit that the hub stands at.
    """

    def __init__(self, history: History, hub: Hub) -> None:
        self._history = history
        self._hub = hub
        self._workers = ThreadPoolExecutor(_THREADS, "resuming")
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Read nothing any more, and resume nobody."""
        for task in tuple(self._tasks):
            task.cancel()
        self._history.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def require(self, reached: Reached) -> None:
        """Return if a subscription can go on from a place.

        Raises:
            NotResumable, StoreError: if not.
            Behind: if not yet.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BEHIND_SECONDS
        while True:
            try:
                await self._read(lambda: self._history.require(reached))
            except NotYet:
                if loop.time() > deadline:
                    raise Behind from None
                await asyncio.sleep(0.1)
            else:
                return

    def follow(self, subscription: Subscription, reached: Reached | None) -> None:
        """Tell a subscription, which is not live, what happened after a place, None for now, and what comes."""
        task = asyncio.get_running_loop().create_task(self._follow(subscription, reached))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, subscription: Subscription, reached: Reached | None) -> None:
        try:
            if reached is None:
                reached = await self._here()
            while subscription.is_open:
                mark = self._hub.mark
                if mark is not None and reached == Reached.whole(mark) and self._hub.go_live(subscription):
                    subscription.tell(News(subscription.topic, None, cursor=self._hub.cursor))
                    return
                reached = await self._catch_up(subscription, reached)
        except NotResumable as fault:
            subscription.sink.end(fault.why)
        except Exception:
            logger.exception("a subscription could not be resumed")
            subscription.sink.end(NotResumable("internal_error", "internal error").why)

    async def _here(self) -> Reached:
        while self._hub.mark is None:
            await self._hub.next_batch()
        return Reached.whole(self._hub.mark)

    async def _catch_up(self, subscription: Subscription, reached: Reached) -> Reached:
        """Tell what happened up to the commit that the hub stands at, or wait until it stands further."""
        mark = self._hub.mark
        if mark is None or reached == Reached.whole(mark):
            await self._hub.next_batch()
            return reached
        user, sink = subscription.topic[1], subscription.sink
        if not sink.has_room():
            await asyncio.sleep(_ROOM_SECONDS)
            return reached
        try:
            told = await self._read(lambda: self._history.after(user, reached, mark))
        except NotYet:
            await self._hub.next_batch()
            return reached
        except StoreError as error:
            logger.warning("cannot read what a subscription missed: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
            return reached
        if told and not sink.has_room():
            # Others have filled it meanwhile. To keep this would cost memory, so it is read again.
            return reached
        # The text around an event is no longer than a short event.
        sink.allow(2 * sum(len(item.event or b"") for item in told))
        for item in told:
            if subscription.is_open:
                subscription.tell(item)
        return Reached.whole(mark)

    async def _read(self, read: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, read)
