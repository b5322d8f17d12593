"""What the index tells those who look on while it works: here in lines of the log."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from relay.addresses import to_checksum
from relay.index.indexer import Step
from relay.index.joining import CatchingUp
from relay.index.pace import Pace

logger = logging.getLogger("relay.index")

_EVERY_SECONDS = 5.0


class Display(Protocol):
    """Shows how the index gets on. What goes wrong is in the log besides."""

    def begin(self) -> None:
        """The index is ready and begins to read."""

    def advance(self, step: Step, *, is_behind: bool) -> None:
        """A step was done; ``is_behind`` until the head of the chain has been reached."""

    def level(self) -> None:
        """The database stands at the head of the chain, and every network with it."""

    def wait(self, reason: str) -> None:
        """The index waits for somebody else."""

    def end(self) -> None:
        """Nothing more will come."""


class LogLines:
    """A line now and then while catching up, afterwards one per block.

    ``tells_empty_blocks`` says whether those without events are worth a line, too.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        every_seconds: float = _EVERY_SECONDS,
        *,
        tells_empty_blocks: bool = False,
    ) -> None:
        self._clock = clock
        self._every = every_seconds
        self._empty_level = logging.INFO if tells_empty_blocks else logging.DEBUG
        self._pace: Pace | None = None
        self._told_at: dict[str, float] = {}

    def begin(self) -> None:
        """Begin to count."""
        self._pace = Pace(self._clock)

    def advance(self, step: Step, *, is_behind: bool) -> None:
        """Tell of a step."""
        tell_undone(step)
        if step.network is not None and self._is_due("network"):
            tell_network(step.network)
        if not is_behind:
            self._pace = None
            tell_block(step, self._empty_level)
            return
        self._pace = self._pace or Pace(self._clock)
        self._pace.count(step.blocks, step.events)
        if step.blocks and step.block.number < step.head and self._is_due("blocks"):
            tell_progress(step, self._pace)

    def level(self) -> None:
        """Tell that the head was reached, where it had to be caught up with."""
        tell_level(self._pace)
        self._pace = None

    def wait(self, reason: str) -> None:
        """The log tells it already."""

    def end(self) -> None:
        """Nothing is left to be told."""

    def _is_due(self, what: str) -> bool:
        now = self._clock()
        if now - self._told_at.get(what, -self._every) < self._every:
            return False
        self._told_at[what] = now
        return True


def tell_undone(step: Step) -> None:
    """Log that blocks were undone, if any were."""
    if step.undone:
        logger.warning("undid %d blocks that the chain has replaced", step.undone)


def tell_block(step: Step, empty_level: int) -> None:
    """Log the blocks that a step has added, if any."""
    if not step.blocks:
        return
    level = logging.INFO if step.events or step.undone else empty_level
    first = step.block.number - step.blocks + 1
    name = f"block {first}" if step.blocks == 1 else f"blocks {first} to {step.block.number}"
    logger.log(level, "%s", name, extra={"events": step.events, "head": step.head})


def tell_progress(step: Step, pace: Pace) -> None:
    """Log how far the index has come and how long it will take."""
    left = pace.seconds_left(step.head - step.block.number)
    logger.info(
        "catching up with the chain",
        extra={
            "block": step.block.number,
            "head": step.head,
            "events": pace.events,
            "blocks_per_second": round(pace.blocks_per_second),
            "events_per_second": round(pace.events_per_second),
            **({} if left is None else {"seconds_left": round(left)}),
        },
    )


def tell_network(network: CatchingUp) -> None:
    """Log how far a network has come that joined later."""
    logger.info(
        "network %s is catching up",
        to_checksum(network.address),
        extra={"block": network.block, "of": network.end},
    )


def tell_level(pace: Pace | None) -> None:
    """Log that the head was reached, and what was read until then."""
    counted = (
        {}
        if pace is None or not pace.blocks
        else {"blocks": pace.blocks, "events": pace.events, "seconds": round(pace.seconds, 1)}
    )
    logger.info("the database has reached the head of the chain", extra=counted)
