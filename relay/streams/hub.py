"""Who wants to hear of what: the subscriptions of this process, by topic. Used by one thread only."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relay.addresses import Address
from relay.streams.rpc import notification


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


class Sink(Protocol):
    """Takes what a subscriber is told; a connection is one."""

    def notify(self, text: bytes, receipt: Receipt | None) -> None:
        """Send a notification some time, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """One subscription of a connection; ``id`` is 0x and 16 hexadecimal digits."""

    id: str
    topic: Topic
    sink: Sink


@dataclass(frozen=True, slots=True)
class News:
    """An event (JSON) for those who follow a topic."""

    topic: Topic
    event: bytes
    receipt: Receipt | None = None


class Hub:
    """The subscriptions of this process."""

    def __init__(self, most: int = 1_000_000) -> None:
        """Begin without any; ``most`` are meant to be there at once."""
        self._by_topic: dict[Topic, list[Subscription]] = {}
        self._most = most
        self._number = 0

    def subscribe(self, topic: Topic, sink: Sink) -> Subscription:
        """Let a sink hear of a topic from now on."""
        subscription = Subscription(f"0x{secrets.token_hex(8)}", topic, sink)
        self._by_topic.setdefault(topic, []).append(subscription)
        self._number += 1
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        followers = self._by_topic[subscription.topic]
        followers.remove(subscription)
        self._number -= 1
        if not followers:
            del self._by_topic[subscription.topic]

    def publish(self, news: Iterable[News]) -> None:
        """Tell followers of what happened, in this order."""
        for item in news:
            followers = tuple(self._by_topic.get(item.topic, ()))
            if not followers and item.receipt is not None:
                item.receipt.lost()
            for subscription in followers:
                subscription.sink.notify(notification(subscription.id, item.event), item.receipt)

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
