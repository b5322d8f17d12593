"""Delivering messages: live to those who listen here, and to those who ask for what they have missed."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import orjson

from relay.addresses import Address, to_checksum
from relay.store.errors import StoreError
from relay.store.messages import Message, MessageStore
from relay.streams.hub import Hub, Kind, News, Receipt
from relay.streams.rpc import UNAVAILABLE, RpcError

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 30.0
"""So long a message may be on its way; after that it counts as unread again, if its reader does not confirm it."""

MOST_AT_ONCE = 1_000
_SLEEP_SECONDS, _RETRY_SECONDS, _SWEEP_SECONDS = 1.0, 0.5, 60.0
_READ_SECONDS = 30.0


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


class Delivery:
    """Brings messages to the readers that are connected to this process."""

    def __init__(
        self,
        store: MessageStore,
        hub: Hub,
        publish: Callable[[Iterable[News]], None],
        listen: Callable[[], Listener],
        *,
        retention_seconds: int,
        clock: Callable[[], int],
    ) -> None:
        """Prepare; messages leave after ``retention_seconds`` even if nobody reads them."""
        self._store = store
        self._hub = hub
        self._publish = publish
        self._listen = listen
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)
        # Two, so that one slow statement does not hold up the rest; readers' questions wait in line.
        self._workers = ThreadPoolExecutor(2, "messages")

    def start(self) -> None:
        """Deliver from now on, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Stop delivering; what is not confirmed by now stays unread."""
        self._stopping.set()
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
        """Send messages to those who listen here; raises StoreError."""
        for message in self._store.claim(ids, CLAIM_SECONDS):
            topic = (Kind.MESSAGES, message.receiver)
            self._publish([News(topic, orjson.dumps(payload_of(message)), self._receipt([message.id]))])

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
                logger.warning("messages stay unread that may have been read: %s", error)

        try:
            self._workers.submit(attempt)
        except RuntimeError:
            logger.info("messages stay unread: the relay stops")

    def _run(self) -> None:
        listener: Listener | None = None
        is_troubled = False
        heard_at, swept_at = self._clock(), -_SWEEP_SECONDS
        while not self._stopping.is_set():
            try:
                if listener is None:
                    listener = self._listen()
                    # What was sent while nobody listened.
                    users = self._hub.users(Kind.MESSAGES)
                    if users:
                        self.deliver(self._store.unread_ids(users, heard_at - 5))
                if time.monotonic() - swept_at >= _SWEEP_SECONDS:
                    self._store.forget_before(self._clock() - self._retention_seconds)
                    self._store.forget_read(_READ_SECONDS)
                    swept_at = time.monotonic()
                now = self._clock()
                new = [
                    number
                    for number, receiver in listener.wait(_SLEEP_SECONDS)
                    if self._hub.has_followers((Kind.MESSAGES, receiver))
                ]
                heard_at = now
                if new:
                    self.deliver(new)
                is_troubled = False
            except Exception as error:  # whatever it is: messages must not stay behind for good
                if not is_troubled:
                    surprise = None if isinstance(error, StoreError) else error
                    logger.warning("messages are not delivered: %s", error, exc_info=surprise)
                    is_troubled = True
                if listener is not None:
                    listener.close()
                    listener = None
                self._stopping.wait(_RETRY_SECONDS)
        if listener is not None:
            listener.close()


def _nothing() -> None:
    pass
