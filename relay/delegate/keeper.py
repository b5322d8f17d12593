"""The threads that look after what was sent, each in one process at a time."""

import logging
import threading
from collections.abc import Callable

from relay.chain.errors import ChainError
from relay.store.errors import StoreError
from relay.store.operations import Turn

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 30.0


class Keeper(threading.Thread):
    """Takes turns with the same keepers of other processes and, while it has the turn, does its rounds."""

    def __init__(self, name: str, turn: Turn, tend: Callable[[], bool], seconds: float) -> None:
        """Prepare; ``tend`` says whether there is more to do at once, else it is called every ``seconds``."""
        super().__init__(name=name, daemon=True)
        self.tend = tend
        self._turn = turn
        self._seconds = seconds
        self._stopping = threading.Event()

    def run(self) -> None:
        """Do the rounds until stopped; faults of node and database are waited out."""
        pause = self._seconds
        while not self._stopping.is_set():
            try:
                while self._turn.is_ours() and self.tend() and not self._stopping.is_set():
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

    def stop(self) -> None:
        """End the thread, if it was started, after what it is doing."""
        self._stopping.set()
        if self.is_alive():
            self.join()
