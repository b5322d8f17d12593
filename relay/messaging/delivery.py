"""Delivering messages: live to those who listen here, and to those who ask for what they have missed."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import orjson

from relay.addresses import Address, to_checksum
from relay.store.errors import StoreError
from relay.store.messages import Message, MessageStore
from relay.store.watching import Watcher
from relay.streams.hub import Hub, Kind, News, Receipt
from relay.streams.rpc import UNAVAILABLE, RpcError

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 30.0
"""So long a message may be on its way; after that it counts as unread again, if its reader does not confirm it."""

MOST_AT_ONCE = 1_000
_SLEEP_SECONDS, _RETRY_SECONDS = 1.0, 0.5
_OVERLAP = 1_000
"""So many messages may be announced before one with a smaller id is."""

_MOST_UNNOTED = 10_000

Note = tuple[Callable[[Sequence[int]], None], Sequence[int]]
"""What the store is to be told of some messages."""


class Listener(Protocol):
    """Waits for new messages; `relay.store.messages.MessageListener` is one."""

    def wait(self, seconds: float) -> list[tuple[int, Address]]:
        """Return the ids and receivers of new messages; raises StoreError."""

    def close(self) -> None:
        """Stop listening."""


def payload_of(message: Message) -> dict[str, Any]:
    """Return a message as a reader gets it.

    The real client reads ``message`` only where there is no ``type``, so where that is a JSON object its
    attributes stand beside it, as that client would have made of them; what is said of the message itself goes
    before them.
    """
    try:
        inner = orjson.loads(message.body)
    except orjson.JSONDecodeError:
        inner = None
    payload: dict[str, Any] = dict(inner) if isinstance(inner, dict) else {}
    payload |= {"type": message.type, "message": message.body, "timestamp": message.sent_at}
    if message.sender is not None:
        payload["sender"] = to_checksum(message.sender)
    else:
        payload.pop("sender", None)
    return payload


class Delivery(Watcher[Listener]):
    """Brings messages to the readers that are connected to this process."""

    def __init__(
        self,
        store: MessageStore,
        hub: Hub,
        publish: Callable[[Iterable[News]], None],
        listen: Callable[[], Listener],
    ) -> None:
        """Prepare; ``listen`` opens a new listener, as often as the old one breaks."""
        super().__init__("messages", listen, _RETRY_SECONDS)
        self._store = store
        self._hub = hub
        self._publish = publish
        # The greatest id that was announced or, before the first, was there; and what went out from here lately.
        self._heard: int | None = None
        self._sent: set[int] = set()
        # What could not be written down when it happened.
        self._unnoted: deque[Note] = deque(maxlen=_MOST_UNNOTED)
        # Two, so that one slow statement does not hold up the rest; readers' questions wait in line.
        self._workers = ThreadPoolExecutor(2, "messages")

    def stop(self) -> None:
        """Stop delivering; what is not confirmed by now stays unread."""
        super().stop()
        self._workers.shutdown(wait=False)

    async def missed(self, user: Address) -> tuple[Sequence[Any], Receipt]:
        """Return the unread messages of a user for a stream's ``getMissedMessages``; raises RpcError."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._workers, self._store.claim_unread, user, MOST_AT_ONCE, CLAIM_SECONDS
            )
        except (StoreError, RuntimeError) as error:
            logger.warning("cannot read messages: %s", error)
            raise RpcError(UNAVAILABLE, "the messages cannot be read at the moment") from error
        return [payload_of(message) for message in found], self._receipt([message.id for message in found])

    def deliver(self, ids: Sequence[int]) -> None:
        """Send messages to those who listen here, each once; raises StoreError."""
        for message in self._store.claim([number for number in ids if number not in self._sent], CLAIM_SECONDS):
            topic = (Kind.MESSAGES, message.receiver)
            self._publish([News(topic, orjson.dumps(payload_of(message)), self._receipt([message.id]))])
            self._sent.add(message.id)

    def _receipt(self, ids: Sequence[int]) -> Receipt:
        if not ids:
            return Receipt(_nothing, _nothing)
        return Receipt(
            arrived=lambda: self._later(self._store.note_read, ids),
            lost=lambda: self._later(self._store.release, ids),
        )

    def _later(self, do: Callable[[Sequence[int]], None], ids: Sequence[int]) -> None:
        def attempt() -> None:
            try:
                do(ids)
            except StoreError as error:
                logger.warning("it will be noted later which messages were read: %s", error)
                self._unnoted.append((do, ids))

        try:
            self._workers.submit(attempt)
        except RuntimeError:
            logger.info("messages stay unread: the relay stops")

    def _note_again(self) -> None:
        """Write down what could not be written down before; raises StoreError."""
        while self._unnoted:
            do, ids = self._unnoted[0]
            do(ids)
            self._unnoted.popleft()

    def _begin(self) -> None:
        """Deliver what was announced while nobody listened; raises StoreError.

        That it was read meanwhile does not matter: it may have been on another device, by another process.
        """
        self._note_again()
        newest = self._store.newest_id()
        users = self._hub.users(Kind.MESSAGES)
        if self._heard is not None and users:
            self.deliver(self._store.ids_after(self._heard - _OVERLAP, users))
        self._heard = max(self._heard or 0, newest)

    def _act(self) -> None:
        self._note_again()

    def _wait(self, listener: Listener) -> None:
        self._hear(listener.wait(_SLEEP_SECONDS))

    def _fail(self, error: Exception, *, is_news: bool) -> None:
        if is_news:
            surprise = None if isinstance(error, StoreError) else error
            logger.warning("messages are not delivered: %s", error, exc_info=surprise)

    def _hear(self, announced: Sequence[tuple[int, Address]]) -> None:
        """Deliver what is announced to those who listen here; raises StoreError."""
        new = [number for number, receiver in announced if self._hub.has_followers((Kind.MESSAGES, receiver))]
        if new:
            self.deliver(new)
        # Only now: what could not be delivered is looked for again.
        self._heard = max([self._heard or 0, *(number for number, _ in announced)])
        if len(self._sent) > 4 * _OVERLAP:
            self._sent = {number for number in self._sent if number > self._heard - 2 * _OVERLAP}


def _nothing() -> None:
    pass
