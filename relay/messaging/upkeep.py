"""What is to be done once a minute, whether or not anybody listens: forgetting."""

import logging
import threading
from collections.abc import Callable, Iterable

from relay.store.errors import StoreError
from relay.store.messages import MessageStore
from relay.store.rates import RateStore

logger = logging.getLogger(__name__)

READ_SECONDS = 30.0
"""A message that was read is kept a little longer: another process may be about to bring it to another device."""

_SWEEP_SECONDS = 60.0


class Upkeep:
    """Does some tasks once a minute in a thread of its own; each may raise StoreError, and is then done later."""

    def __init__(self, tasks: Iterable[Callable[[], None]], seconds: float = _SWEEP_SECONDS) -> None:
        """Prepare; ``seconds`` lie between two times."""
        self._tasks = list(tasks)
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin, at once for the first time."""
        self._thread.start()

    def stop(self) -> None:
        """Do no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for task in self._tasks:
                try:
                    task()
                except StoreError as error:
                    logger.info("nothing is forgotten at the moment: %s", error)
                except Exception:
                    logger.exception("something could not be forgotten")
            self._stopping.wait(self._seconds)


def forgetting(
    messages: MessageStore, rates: RateStore, retention_seconds: int, clock: Callable[[], int]
) -> list[Callable[[], None]]:
    """Return what forgets messages, signatures and rates; ``clock`` tells Unix seconds."""

    def forget_old() -> None:
        messages.forget_before(clock() - retention_seconds)

    def forget_signatures() -> None:
        messages.forget_signatures(clock())

    return [forget_old, lambda: messages.forget_read(READ_SECONDS), forget_signatures, rates.forget_idle]
