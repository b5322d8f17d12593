"""The process that sends: makes notifications of what happens, sends what is due, gives up what never works."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import orjson

from relay import telemetry
from relay.addresses import Address
from relay.push.sending import NotSent, Refused, Sender, TokenInvalid
from relay.store.contract_reading import users_of
from relay.store.errors import StoreError
from relay.store.happenings import Happenings
from relay.store.push import Notification, PushStore, Told
from relay.streams.composing import compose
from relay.streams.history import wait_for_graphs
from relay.streams.hub import Kind
from relay.streams.payloads import Payload
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 3_600.0
_IDLE_SECONDS, _RETRY_SECONDS, _SWEEP_SECONDS = 0.3, 2.0, 600.0
_AT_ONCE, _LEASE_SECONDS = 100, 120.0
_SENDING_SECONDS = 30.0
"""So long what was taken together is sent; the rest is put back for a look at what happened meanwhile."""

_OF_THE_BLOCK = frozenset({"blockHash", "blockNumber", "timestamp", "status", "logIndex"})
_SENT_SECONDS, _DEAD_SECONDS = 86_400, 30 * 86_400


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often something is tried, and the wait after the first failure, which doubles after each further one."""

    most: int = 8
    first_wait_seconds: float = 2.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures."""
        return float(min(self.first_wait_seconds * 2 ** (failures - 1), LONGEST_WAIT_SECONDS))


class Reader(Protocol):
    """Tells what happened; `relay.store.happenings.HappeningReader` does."""

    def end(self) -> int:
        """Return the position of the newest commit; raises StoreError."""

    def since(self, position: int) -> Happenings | None:
        """Return what happened after a position, None if that cannot be told; raises StoreError."""


class Lock(Protocol):
    """The right to send; `relay.store.push.PushLock` is it."""

    def try_lock(self) -> bool:
        """Return whether this process has it; raises StoreError."""

    def close(self) -> None:
        """Let go of it."""


class PushService:
    """Sends push notifications, in at most one process at a time."""

    def __init__(
        self,
        reader: Reader,
        networks: Networks,
        store: PushStore,
        sender: Sender,
        open_lock: Callable[[], Lock],
        attempts: Attempts,
        *,
        threads: int = 4,
    ) -> None:
        """Prepare; ``threads`` send at the same time."""
        self._reader = reader
        self._networks = networks
        self._store = store
        self._sender = sender
        self._open_lock = open_lock
        self._attempts = attempts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="push", daemon=True)
        self._workers = ThreadPoolExecutor(threads, "push")

    def start(self) -> None:
        """Send from now on, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; what waits is sent by another process, or later."""
        self._stopping.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def make_notifications(self) -> None:
        """Make notifications of what happened since the last time; raises StoreError."""
        position = self._store.progress()
        happened = None if position is None else self._reader.since(position)
        if happened is None:
            if position is not None:
                logger.warning(
                    "push notifications leave out what happened meanwhile: the feed leads not so far back"
                )
            self._store.note([], self._reader.end())
            return
        if happened.is_too_much:
            logger.warning("push notifications leave out what happened meanwhile: it is too much")
        if happened.position == position:
            return
        users = self._store.users_with_tokens(_users_of(happened))
        if users and happened.touched:
            wait_for_graphs(self._networks, happened.position, self._stopping)
        told = [
            Told(user, Kind.EVENTS.value, orjson.dumps(payload).decode("utf-8"), _subject(payload))
            for user, payload in compose(happened, self._networks, users.__contains__)
        ]
        self._store.note(told, happened.position)

    def send_due(self) -> int:
        """Send what is due and return how much it was; raises StoreError."""
        due = self._store.take_due(_AT_ONCE, _LEASE_SECONDS)
        until = time.monotonic() + _SENDING_SECONDS
        tried = list(self._workers.map(lambda notification: self._try(notification, until), due))
        left = [notification.id for notification, was_tried in zip(due, tried, strict=True) if not was_tried]
        if left:
            self._store.put_back(left)
        return len(due) - len(left)

    def _try(self, notification: Notification, until: float) -> bool:
        """Send something if there is still time; return whether there was."""
        if time.monotonic() >= until or self._stopping.is_set():
            return False
        self._send(notification)
        return True

    def _send(self, notification: Notification) -> None:
        try:
            self._sender.send(notification)
        except TokenInvalid:
            logger.info("forgot a device that is gone")
            telemetry.push_notifications.labels("device_gone").inc()
            self._store.forget_token(notification.token)
        except Refused as fault:
            self._give_up(notification, str(fault))
        except NotSent as fault:
            self._note_failure(notification, str(fault))
        except Exception:
            logger.exception("a push notification could not be sent")
            self._note_failure(notification, "internal error")
        else:
            self._store.note_sent(notification.id)
            telemetry.push_notifications.labels("sent").inc()

    def _note_failure(self, notification: Notification, fault: str) -> None:
        failures = notification.attempts + 1
        if failures >= self._attempts.most:
            self._give_up(notification, fault)
        else:
            telemetry.push_notifications.labels("put_off").inc()
            self._store.put_off(notification.id, self._attempts.wait(failures), fault)

    def _give_up(self, notification: Notification, fault: str) -> None:
        attempts = notification.attempts + 1
        telemetry.push_notifications.labels("given_up").inc()
        logger.error("gave up push notification %d after %d attempts: %s", notification.id, attempts, fault)
        self._store.give_up(notification.id, fault)

    def _run(self) -> None:
        lock: Lock | None = None
        is_sending, is_troubled, swept_at = False, False, -_SWEEP_SECONDS
        while not self._stopping.is_set():
            try:
                lock = lock or self._open_lock()
                if not lock.try_lock():
                    self._stopping.wait(_RETRY_SECONDS)
                    continue
                if not is_sending:
                    logger.info("this process sends push notifications")
                    is_sending = True
                self.make_notifications()
                busy = self.send_due() == _AT_ONCE
                if time.monotonic() - swept_at >= _SWEEP_SECONDS:
                    self._store.forget_done(_SENT_SECONDS, _DEAD_SECONDS)
                    swept_at = time.monotonic()
                is_troubled = False
                if not busy:
                    self._stopping.wait(_IDLE_SECONDS)
            except Exception as error:  # whatever it is: notifications must not stay behind for good
                if not is_troubled and not self._stopping.is_set():
                    surprise = None if isinstance(error, StoreError) else error
                    logger.warning("push notifications stand still: %s", error, exc_info=surprise)
                    is_troubled = True
                if lock is not None:
                    lock.close()
                lock, is_sending = None, False
                self._stopping.wait(_RETRY_SECONDS)
        if lock is not None:
            lock.close()


def _users_of(happened: Happenings) -> list[Address]:
    users = [user for event in happened.events for user in (event.sender, event.receiver) if user is not None]
    users += [user for _, pair in happened.touched for user in pair]
    users += [user for event in happened.contract_events for user in users_of(event)]
    return list(dict.fromkeys(users))


def _subject(payload: Payload) -> bytes | None:
    """Return what tells an event apart, wherever its block is; balances are told as often as they change."""
    if "transactionHash" not in payload:
        return None
    parts = {name: value for name, value in payload.items() if name not in _OF_THE_BLOCK}
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
