"""The index as a process: becomes the writer or waits for its turn, and goes on through every passing fault."""

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from relay.addresses import Address
from relay.chain.errors import ChainError, NotANetwork
from relay.contracts import WantedContracts
from relay.index.background import giving_way
from relay.index.display import Display, LogLines
from relay.index.errors import Inconsistent, IndexFault, NodeBehind
from relay.index.indexer import Indexer
from relay.store.errors import SchemaMismatch, StoreError
from relay.store.status import IndexState, IndexStatus
from relay.store.writing import Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_RETRY_SECONDS = 15.0
"""How long the index waits at most before it tries again what failed."""

PAUSE_REASON = "an operator paused it: tl-relay admin resume index"

_STANDBY_SECONDS = 0.5
_FIRST_RETRY_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_CHANGES_IN_A_ROW = 3
"""So many contradictions in a row are no longer a chain that just changed, but a node that is at fault."""
_LOOK_FOR_NETWORKS_SECONDS = 1.0


class IndexService:
    """Runs an indexer until it is stopped."""

    def __init__(  # noqa: PLR0913  what a process is made of; all but the first four have defaults
        self,
        open_writer: Callable[[], Writer],
        make_indexer: Callable[[Writer], Indexer],
        poll_seconds: float,
        stopping: threading.Event,
        *,
        find_networks: Callable[[], Sequence[Address]] | None = None,
        find_contracts: Callable[[], WantedContracts] | None = None,
        wait: Callable[[float], object] | None = None,
        process: str = "",
        node_in_use: Callable[[], str] = str,
        display: Display | None = None,
        is_paused: Callable[[], bool] = bool,
        longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened yet.

        Arguments:
            open_writer: opens a connection for writing.
            make_indexer: makes the indexer that writes with it.
            poll_seconds: how often the head is asked for.
            stopping: set when the service is to end.
            find_networks: tells which networks are to be followed, asked about once a second; by default
                always the same.
            find_contracts: the same for other contracts.
            wait: waits so many seconds at most for a new head; by default until it is time to ask.
            process: names this process (host:pid) in the status.
            node_in_use: tells the node that is asked, as it may be shown.
            display: shows how it gets on; by default in the log.
            is_paused: tells whether an operator wants nothing to be read.
            longest_retry_seconds: bounds the growing waits between attempts.
            clock: seconds that only go forward.

        """
        self._open_writer = open_writer
        self._make_indexer = make_indexer
        self._poll_seconds = poll_seconds
        self._stopping = stopping
        self._find_networks = find_networks
        self._find_contracts = find_contracts
        self._wait = wait or stopping.wait
        self._process = process
        self._node_in_use = node_in_use
        self._display = display or LogLines()
        self._is_paused = is_paused
        self._longest_retry_seconds = longest_retry_seconds
        self._clock = clock
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self._indexer: Indexer | None = None
        self._reported: tuple[IndexState, str] | None = None
        self._reported_at = 0.0
        self._waits_for = ""
        self._contradictions = 0
        self._looked_at = 0.0

    def run(self) -> None:
        """Index until ``stopping`` is set.

        Raises:
            PastFinality, OtherChain, SchemaMismatch, NotANetwork: what only an operator can resolve.

        """
        try:
            self._run()
        finally:
            self._display.end()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                writer = self._open_writer()
                try:
                    if self._become_writer(writer):
                        self._retry_seconds = _FIRST_RETRY_SECONDS
                        self._write(writer)
                finally:
                    writer.close()
            except SchemaMismatch:
                raise
            except StoreError as error:
                # The state cannot be told where it is kept; the log is what remains.
                logger.warning("waiting %g s: %s", self._retry_seconds, error)
                self._display.wait(str(error))
                self._stopping.wait(self._lengthened_retry())

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
        self._reported, self._indexer = None, None
        try:
            indexer = self._patiently(writer, lambda: self._make_indexer(writer))
            if indexer is None:
                return
            self._indexer = indexer
            self._patiently(writer, indexer.prepare)
            logger.info("the index is ready")
            self._display.begin()
            self._follow(writer, indexer)
        except (IndexFault, NotANetwork) as fault:
            self._report(writer, IndexState.STOPPED, str(fault))
            raise

    def _follow(self, writer: Writer, indexer: Indexer) -> None:
        is_behind = is_backfilling = True
        while not self._stopping.is_set():
            if self._is_paused():
                self._rest(writer)
                is_behind = is_backfilling = True
                continue
            self._look_for_networks(indexer)
            # Who asks the API of this machine is not to wait for the past to be filled in.
            step = self._patiently(writer, partial(giving_way, indexer.step) if is_backfilling else indexer.step)
            if step is None:
                is_backfilling = False
                if is_behind and not self._stopping.is_set():
                    self._display.level()
                    is_behind = False
                self._report(writer, IndexState.FOLLOWING)
                self._wait(self._poll_seconds)
                continue
            is_behind = is_behind or step.head > step.block.number
            is_backfilling = is_behind or step.joining > 0
            self._report(writer, IndexState.BACKFILLING if is_backfilling else IndexState.FOLLOWING)
            self._display.advance(step, is_behind=is_behind)

    def _rest(self, writer: Writer) -> None:
        """Do nothing but say so until an operator wants otherwise; who else could write stays out meanwhile."""
        logger.warning("paused by an operator; `tl-relay admin resume index` lets it go on")
        self._display.wait(PAUSE_REASON)
        while self._is_paused() and not self._stopping.is_set():
            self._report(writer, IndexState.PAUSED, PAUSE_REASON)
            self._stopping.wait(min(self._poll_seconds, _REPORT_SECONDS))
        logger.info("going on after a pause")

    def _look_for_networks(self, indexer: Indexer) -> None:
        now = self._clock()
        if self._find_networks is None or now - self._looked_at < _LOOK_FOR_NETWORKS_SECONDS:
            return
        self._looked_at = now
        indexer.serve(self._find_networks())
        if self._find_contracts is not None:
            indexer.follow(self._find_contracts())

    def _patiently(self, writer: Writer, act: Callable[[], T]) -> T | None:
        """Act, and again for as long as the node is at fault and nobody stops us."""
        while not self._stopping.is_set():
            try:
                result = act()
            except (ChainError, Inconsistent, NodeBehind) as error:
                if isinstance(error, NotANetwork):
                    raise
                self._wait_out(writer, error)
            else:
                self._retry_seconds, self._contradictions = _FIRST_RETRY_SECONDS, 0
                self._waits_for = ""
                return result
        return None

    def _wait_out(self, writer: Writer, error: Exception) -> None:
        if isinstance(error, Inconsistent):
            # The chain is changing under our hands; what it is now can be read at once.
            logger.info("asking the node again: %s", error)
            self._contradictions += 1
            if self._contradictions >= _CHANGES_IN_A_ROW:
                self._report(writer, IndexState.WAITING, f"the node keeps contradicting itself: {error}")
            self._stopping.wait(min(self._lengthened_retry(), self._poll_seconds))
            return
        if self._waits_for != _without_numbers(error):
            logger.warning("waiting: %s", error)
        self._waits_for = _without_numbers(error)
        self._display.wait(str(error))
        self._report(writer, IndexState.WAITING, str(error))
        # A node that is behind tells by every new head that it is not gone.
        seconds = self._poll_seconds if isinstance(error, NodeBehind) else self._lengthened_retry()
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0 and not self._stopping.wait(min(left, _REPORT_SECONDS)):
            self._report(writer, IndexState.WAITING, str(error))

    def _lengthened_retry(self) -> float:
        seconds, self._retry_seconds = (
            self._retry_seconds,
            min(self._retry_seconds * 2, self._longest_retry_seconds),
        )
        return seconds

    def _report(self, writer: Writer, state: IndexState, reason: str = "") -> None:
        """Tell the state when it changes, and now and then that it has not."""
        now = self._clock()
        if self._reported == (state, reason) and now - self._reported_at < _REPORT_SECONDS:
            return
        self._reported, self._reported_at = (state, reason), now
        head, final = (None, None) if self._indexer is None else (self._indexer.head, self._indexer.final_number)
        writer.report(IndexStatus(self._process, state, reason, head, final, self._node_in_use()))


def _without_numbers(error: Exception) -> str:
    """Return a reason without what changes in it while it is the same: a node that catches up names blocks."""
    return re.sub(r"\d+", "", str(error))
