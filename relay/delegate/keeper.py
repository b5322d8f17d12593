"""The thread that looks after what was sent, in one process at a time."""

import logging
import threading
from collections.abc import Callable, Sequence

from relay.chain.errors import ChainError
from relay.store.errors import StoreError
from relay.store.operations import Turn

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 30.0


class Keeper(threading.Thread):
    """Takes turns with the keepers of other processes and, while it has the turn, does its rounds."""

    def __init__(self, turn: Turn, rounds: Sequence[Callable[[], bool]], seconds: float) -> None:
        """Prepare; ``rounds`` say whether there is more to do at once, else they are done every ``seconds``."""
        super().__init__(name="keeper", daemon=True)
        self._turn = turn
        self._rounds = rounds
        self._seconds = seconds
        self._stopping = threading.Event()

    def run(self) -> None:
        """Do the rounds until stopped; faults of node and database are waited out."""
        pause = self._seconds
        while not self._stopping.is_set():
            try:
                while self._turn.is_ours() and self.round() and not self._stopping.is_set():
                    pass
            except (ChainError, StoreError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                logger.warning("looking after sent transactions again in %g s: %s", pause, error)
            except Exception:
                # Nobody else would do it: transactions of users would stay where they are.
                pause = _LONGEST_PAUSE_SECONDS
                logger.exception("looking after sent transactions failed")
            else:
                pause = self._seconds
            self._stopping.wait(pause)
        self._turn.release()

    def round(self) -> bool:
        """Do every round once; return whether one of them has more to do."""
        results = [each() for each in self._rounds]
        return any(results)

    def stop(self) -> None:
        """End the thread, if it was started, after what it is doing."""
        self._stopping.set()
        if self.is_alive():
            self.join()
