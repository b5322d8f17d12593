"""Who wants to hear of what: the subscriptions of this process, by topic. Used by one thread only."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relay import telemetry
from relay.addresses import Address
from relay.store.feed_log import Mark, Reached
from relay.streams.cursor import write_cursor


class Kind(StrEnum):
    """What can be subscribed to."""

    EVENTS = "events"
    MESSAGES = "messages"


Topic = tuple[Kind, Address]
"""A kind of news, and the user whom it concerns."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is to be called when the other side has what was sent, or when it turns out that it may not."""

    arrived: Callable[[], None]
    lost: Callable[[], None]


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ends: a ``code`` for programs and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class News:
    """An event (JSON) for those who follow a topic; without one it only says how far they have been told.

    ``cursor`` is where they stand when they have it. ``is_undone`` says that it is for those only who want to know
    of everything that is withdrawn; ``network`` is the one that it is about, if any.
    """

    topic: Topic
    event: bytes | None
    receipt: Receipt | None = None
    cursor: str | None = None
    network: Address | None = None
    is_undone: bool = False


class Sink(Protocol):
    """Takes what a subscriber is told; a connection is one."""

    def tell(self, subscription: "Subscription", news: News) -> None:
        """Send some news some time, in order."""

    def has_room(self) -> bool:
        """Return whether something long may be sent now: the other side has read most of what was sent before."""

    def allow(self, size: int) -> None:
        """Let so many bytes wait beside what may wait anyway, until all is read: they were asked for."""

    def end(self, why: End) -> None:
        """End the connection, saying why."""


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription of a connection; ``id`` is 0x and 16 hexadecimal digits.

    One that is not live hears nothing of what is published; somebody else tells it first what happened before.
    ``version`` says which batches were made with a view to it, ``told`` is the last cursor that it was sent.
    """

    id: str
    topic: Topic
    sink: Sink
    version: int
    is_live: bool = True
    is_open: bool = True
    wants_cursors: bool = False
    wants_undone: bool = False
    network: Address | None = None
    told: str | None = None

    def tell(self, news: News) -> None:
        """Send some news if it is of the wanted kind."""
        if news.is_undone and not self.wants_undone:
            return
        if self.network is not None and news.event is not None and news.network != self.network:
            return
        if news.cursor is not None:
            self.told = news.cursor
        self.sink.tell(self, news)


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened up to a commit, for those who were there when ``version`` was the hub's.

    ``interruption`` says that it cannot all be told, and why.
    """

    news: Sequence[News]
    mark: Mark
    version: int
    interruption: End | None = None


class Hub:
    """The subscriptions of this process, and how far its followers of events have been told."""

    def __init__(self, most: int = 1_000_000) -> None:
        """Begin without any; ``most`` are meant to be there at once."""
        self._by_topic: dict[Topic, list[Subscription]] = {}
        self._most = most
        self._number = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.version = 0
        self.mark: Mark | None = None
        self.cursor: str | None = None
        self.made_for = -1

    def subscribe(
        self,
        topic: Topic,
        sink: Sink,
        *,
        is_live: bool = True,
        wants_cursors: bool = False,
        wants_undone: bool = False,
        network: Address | None = None,
    ) -> Subscription:
        """Let a sink hear of a topic from now on, or (not live) from when it is said to ``go_live``."""
        self.version += 1
        subscription = Subscription(
            f"0x{secrets.token_hex(8)}",
            topic,
            sink,
            self.version,
            is_live=is_live,
            wants_cursors=wants_cursors,
            wants_undone=wants_undone,
            network=network,
        )
        self._by_topic.setdefault(topic, []).append(subscription)
        self._number += 1
        telemetry.stream_subscriptions.inc()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        subscription.is_open = subscription.is_live = False
        followers = self._by_topic[subscription.topic]
        followers.remove(subscription)
        self._number -= 1
        telemetry.stream_subscriptions.dec()
        if not followers:
            del self._by_topic[subscription.topic]

    def publish(self, news: Iterable[News]) -> None:
        """Tell followers of what happened, in this order."""
        for item in news:
            followers = [found for found in self._by_topic.get(item.topic, ()) if found.is_live]
            telemetry.stream_notifications.labels(item.topic[0].value).inc(len(followers))
            if not followers and item.receipt is not None:
                item.receipt.lost()
            for subscription in followers:
                if subscription.is_live:
                    subscription.tell(item)

    def advance(self, batch: Batch) -> None:
        """Tell followers what happened up to a commit, or that it cannot be told; wake who waits for that."""
        self.publish(batch.news)
        if batch.interruption is not None:
            topics = [topic for topic in self._by_topic if topic[0] is Kind.EVENTS]
            found = [each for topic in topics for each in self._by_topic[topic] if each.is_live]
            for sink in dict.fromkeys(subscription.sink for subscription in found):
                sink.end(batch.interruption)
        if batch.mark != self.mark:
            self.mark, self.cursor = batch.mark, write_cursor(Reached.whole(batch.mark))
        self.made_for = batch.version
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def next_batch(self) -> None:
        """Return when the next batch has been told."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def go_live(self, subscription: Subscription) -> bool:
        """Let a subscription, which was told all up to ``mark``, hear what comes; False where it would miss some.

        A batch may be on its way that was made when nobody seemed to want news of the topic.
        """
        if not subscription.is_open or self.made_for < subscription.version:
            return False
        subscription.is_live = True
        return True

    def has_followers(self, topic: Topic) -> bool:
        """Return whether anybody follows a topic; may be asked from any thread."""
        return topic in self._by_topic

    def users(self, kind: Kind) -> list[Address]:
        """Return whose news of a kind are followed; may be asked from any thread."""
        return [user for found, user in list(self._by_topic) if found is kind]

    @property
    def is_full(self) -> bool:
        """Whether there are as many subscriptions as there are meant to be."""
        return self._number >= self._most

    @property
    def is_empty(self) -> bool:
        """Whether nobody follows anything; may be asked from any thread."""
        return not self._by_topic
