"""The index as a process: becomes the writer or waits for its turn, and goes on through every passing fault."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from relay.chain.errors import ChainError, NotANetwork
from relay.index.errors import Inconsistent
from relay.index.indexer import Indexer, Step
from relay.store.errors import SchemaMismatch, StoreError
from relay.store.writing import Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_RETRY_SECONDS = 15.0
"""How long the index waits at most before it tries again what failed."""

_STANDBY_SECONDS = 1.0
_FIRST_RETRY_SECONDS = 0.5


class IndexService:
    """Runs an indexer until it is stopped."""

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        make_indexer: Callable[[Writer], Indexer],
        poll_seconds: float,
        stopping: threading.Event,
        longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
    ) -> None:
        """Prepare; nothing is opened yet. ``poll_seconds`` is how often the head is asked for."""
        self._open_writer = open_writer
        self._make_indexer = make_indexer
        self._poll_seconds = poll_seconds
        self._stopping = stopping
        self._longest_retry_seconds = longest_retry_seconds
        self._first_retry_seconds = min(_FIRST_RETRY_SECONDS, longest_retry_seconds)
        self._retry_seconds = self._first_retry_seconds

    def run(self) -> None:
        """Index until ``stopping`` is set.

        Raises:
            PastFinality, OtherChain, SchemaMismatch, NotANetwork: what only an operator can resolve.

        """
        while not self._stopping.is_set():
            try:
                writer = self._open_writer()
                try:
                    if self._become_writer(writer):
                        self._write(writer)
                finally:
                    writer.close()
            except SchemaMismatch:
                raise
            except StoreError as error:
                self._wait_out(error)

    def _become_writer(self, writer: Writer) -> bool:
        """Wait until nobody else writes; return False if stopped meanwhile."""
        is_standby = False
        while not writer.try_lock():
            if not is_standby:
                logger.info("another index process writes to this database; standing by")
                is_standby = True
            if self._stopping.wait(_STANDBY_SECONDS):
                return False
        if is_standby:
            logger.info("the other index process is gone; taking over")
        return True

    def _write(self, writer: Writer) -> None:
        """Prepare and follow for as long as the writer's connection lasts."""
        indexer = self._make_indexer(writer)
        self._patiently(indexer.prepare)
        logger.info("the index is ready")
        is_behind = True
        while not self._stopping.is_set():
            step = self._patiently(indexer.step)
            if step is None:
                if is_behind:
                    logger.info("the database has reached the head of the chain")
                    is_behind = False
                self._stopping.wait(self._poll_seconds)
                continue
            is_behind = is_behind or step.head > step.block.number
            _report(step, is_behind=is_behind)

    def _patiently(self, act: Callable[[], T]) -> T | None:
        """Act, and again for as long as the node is at fault and nobody stops us."""
        while not self._stopping.is_set():
            try:
                result = act()
            except (ChainError, Inconsistent) as error:
                if isinstance(error, NotANetwork):
                    raise
                self._wait_out(error)
            else:
                self._retry_seconds = self._first_retry_seconds
                return result
        return None

    def _wait_out(self, error: Exception) -> None:
        logger.warning("waiting %g s: %s", self._retry_seconds, error)
        self._stopping.wait(self._retry_seconds)
        self._retry_seconds = min(self._retry_seconds * 2, self._longest_retry_seconds)


def _report(step: Step, *, is_behind: bool) -> None:
    if step.undone:
        logger.warning("undid %d blocks that the chain has replaced", step.undone)
    level = logging.INFO if is_behind or step.events or step.undone else logging.DEBUG
    logger.log(level, "block %d of %d, %d events", step.block.number, step.head, step.events)
