"""What operators decided, as it is known in this process, and the thread that looks for news of it."""

import logging
import threading
from collections.abc import Callable

from relay.addresses import Address, to_checksum
from relay.admin.errors import Banned, DelegatePaused
from relay.store.admin import AdminStore, Decisions, Part
from relay.store.errors import StoreError

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0


class Orders:
    """What holds: nothing is paused and nobody banned until told otherwise."""

    def __init__(self) -> None:
        self.known: Decisions | None = None

    def is_paused(self, part: Part) -> bool:
        """Say whether a part is to stand still."""
        known = self.known
        return known is not None and part in known.paused

    def require_delegate(self) -> None:
        """Raise DelegatePaused while nothing is to be sent for users."""
        if self.is_paused(Part.DELEGATE):
            raise DelegatePaused("the relay does not send transactions for users at the moment; try again later")

    def require_welcome(self, address: Address) -> None:
        """Raise Banned if somebody is not to be served."""
        known = self.known
        if known is not None and address in known.banned:
            raise Banned(f"{to_checksum(address)} is not served by this relay")


class Heeder:
    """Keeps orders up to date, looking about once a second; while the database is away the last ones hold."""

    def __init__(
        self,
        store: AdminStore,
        orders: Orders,
        reconnect: Callable[[], object],
        seconds: float = _EVERY_SECONDS,
    ) -> None:
        """Prepare; ``reconnect`` chooses the node of this process anew."""
        self._store = store
        self._orders = orders
        self._reconnect = reconnect
        self._seconds = seconds
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heeder of operators", daemon=True)

    def refresh(self) -> None:
        """Look now; raises StoreError."""
        with self._lock:
            known = self._orders.known
            found = self._orders.known = self._store.decisions(known)
            is_wanted = known is not None and found.reconnects != known.reconnects
        if is_wanted:
            logger.info("choosing the node anew, as an operator wants it")
            self._reconnect()

    def start(self) -> "Heeder":
        """Look from now on; before that, once at once."""
        try:
            self.refresh()
        except StoreError as error:
            logger.warning("cannot tell what operators decided: %s", error)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look no more; returns when the thread has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        is_told = False
        while not self._stopping.wait(self._seconds):
            try:
                self.refresh()
                is_told = False
            except StoreError as error:
                if not is_told:
                    logger.warning("what operators decide is not heard of at the moment: %s", error)
                is_told = True
            except Exception:  # an order must never be the last one that is heeded
                logger.exception("an operator's decision could not be carried out")
