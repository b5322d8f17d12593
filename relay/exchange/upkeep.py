"""Looking after the book: orders whose makers cannot fill them leave it and come back, old ones are forgotten.

One process at a time does this. What it finds stands beside the orders, so reading the book asks no node, and a
node that fails leaves the book as it is.
"""

import logging
import threading
from collections.abc import Callable

from relay.chain.calls import ChainCalls
from relay.chain.errors import ChainError
from relay.exchange.funding import Funding, Purse
from relay.store.errors import StoreError
from relay.store.operations import Turn
from relay.store.orders import OrderFilter, OrderStore
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

TURN_LOCK = 0x7452_0040
"""Key of the advisory lock of the one process that looks after the book."""

_QUIET_SECONDS = 60
"""So long a round is left out while neither chain nor book changed; interest goes on all the same."""

_FORGET_SECONDS = 600
_LONGEST_PAUSE_SECONDS = 30.0


class Upkeep:
    """What is done in a round."""

    def __init__(
        self,
        store: OrderStore,
        funding: Funding,
        node: ChainCalls,
        networks: Networks,
        *,
        keep_seconds: int,
        most_purses: int,
        forget_rates: Callable[[], None],
    ) -> None:
        """Prepare; orders that nobody could take for ``keep_seconds`` are forgotten.

        ``most_purses`` are asked for in one round, and ``forget_rates`` forgets which clients have submitted.
        """
        self._store = store
        self._funding = funding
        self._node = node
        self._networks = networks
        self._keep_seconds = keep_seconds
        self._most_purses = most_purses
        self._forget_rates = forget_rates
        self._seen: object = None
        self._looked_at = 0
        self._forgot_at = 0
        self._asked: dict[Purse, int] = {}
        self._round = 0

    def round(self) -> None:
        """Look at the orders, if anything may have changed since the last time.

        Raises:
            StoreError: if the database fails.
            ChainError: if the node does not even tell its newest block.

        """
        if not self._networks.is_loaded:
            return
        now = self._funding.now()
        if now - self._forgot_at >= _FORGET_SECONDS:
            self._forgot_at = now
            self._forget_rates()
            forgotten = self._store.forget(now - self._keep_seconds)
            if forgotten:
                logger.info("forgot %d orders that nobody could take any more", forgotten)
        state = (self._node.head().hash, self._networks.position, self._store.newest())
        if state == self._seen and now - self._looked_at < _QUIET_SECONDS:
            return
        is_complete = self._look(now)
        self._seen, self._looked_at = (state if is_complete else None), now

    def _look(self, now: int) -> bool:
        """Note who can fill what; return whether every purse was asked for and told."""
        orders = self._store.open(now, OrderFilter())
        purses = self._funding.purses(orders)
        self._round += 1
        # The ones not asked for longest; whose turn has not come keeps what was noted.
        self._asked = {purse: self._asked.get(purse, 0) for purse in purses}
        chosen = sorted(purses, key=self._asked.__getitem__)[: self._most_purses]
        self._asked.update(dict.fromkeys(chosen, self._round))
        found = self._funding.ask(chosen)
        funded = self._funding.are_funded(orders, found)
        noted = {stored.hash: stored.unfunded_since is None for stored in orders}
        changed = {digest: is_funded for digest, is_funded in funded.items() if noted[digest] != is_funded}
        if changed:
            came = [digest for digest, is_funded in changed.items() if is_funded]
            left = [digest for digest, is_funded in changed.items() if not is_funded]
            self._store.note_funding(now, came, left)
            logger.info("%d orders have lost their funds, %d have got them back", len(left), len(came))
        return len(found) == len(purses)


class Keeper(threading.Thread):
    """Takes turns with other processes and, while it has the turn, does its rounds."""

    def __init__(self, turn: Turn, do_round: Callable[[], None], seconds: float) -> None:
        """Prepare; a round is done every ``seconds``."""
        super().__init__(name="orders", daemon=True)
        self._turn = turn
        self._do_round = do_round
        self._seconds = seconds
        self._stopping = threading.Event()

    def run(self) -> None:
        """Do the rounds until stopped; faults of node and database are waited out."""
        pause = self._seconds
        while not self._stopping.wait(pause):
            try:
                if self._turn.is_ours():
                    self._do_round()
                pause = self._seconds
            except (ChainError, StoreError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                logger.warning("looking after the order book again in %g s: %s", pause, error)
            except Exception:
                # Without it orders that nobody can fill would stay in the book for good.
                pause = _LONGEST_PAUSE_SECONDS
                logger.exception("looking after the order book failed")
        self._turn.release()

    def stop(self) -> None:
        """End the thread, if it was started, after what it is doing."""
        self._stopping.set()
        if self.is_alive():
            self.join()
