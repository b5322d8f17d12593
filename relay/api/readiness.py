"""Whether this process answers from the present state, and why not if it does not."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.api.bounded import NotAnswered
from relay.store.errors import StoreError
from relay.store.vitals import Vitals
from relay.sync.networks import Networks


@dataclass(frozen=True, slots=True)
class Lag:
    """How far something is behind the head, in blocks and in seconds."""

    blocks: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LagLimits:
    """The most that is put up with; 0 blocks: any number."""

    seconds: float = 60.0
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: reasons (code and sentence) why the process is not ready, none if it is."""

    reasons: tuple[tuple[str, str], ...]
    block: int | None
    head: int | None
    lag: Lag

    @property
    def is_ready(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        found: dict[str, Any] = {"ready": self.is_ready}
        if self.reasons:
            found["reasons"] = [{"code": code, "message": message} for code, message in self.reasons]
        return found | {
            "block": self.block,
            "head": self.head,
            "lagBlocks": self.lag.blocks,
            "lagSeconds": round(self.lag.seconds, 1),
        }


def lag_of(vitals: Vitals, block: int | None, timestamp: int | None) -> Lag | None:
    """Return how far a block is behind the head; the seconds are the chain's, from the first missing block on.

    When that one came is not known where several are missing: they count as having come evenly. So nothing is
    behind by hours at the moment at which a chain that was quiet for hours has a new block. None without a block,
    or where no head is known.
    """
    if block is None or timestamp is None or vitals.head is None or vitals.head_timestamp is None:
        return None
    missing = vitals.head - block
    if missing <= 0:
        return Lag()
    first_missing = timestamp + max(0, vitals.head_timestamp - timestamp) / missing
    return Lag(missing, max(0.0, vitals.head_timestamp - first_missing))


class Readiness:
    """Judges this process by its graphs and by what the database tells."""

    def __init__(
        self,
        networks: Networks,
        vitals: Callable[[], Vitals],
        limits: LagLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``vitals`` may raise StoreError or NotAnswered; ``clock`` tells seconds that only go forward."""
        self._networks = networks
        self._vitals = vitals
        self._limits = limits
        self._clock = clock
        self._behind_at: tuple[int | None, float] | None = None

    def judge(self) -> Verdict:
        """Return what is found at this moment."""
        position = self._networks.block
        block = None if position is None else position.number
        reasons = [] if self._networks.is_loaded else [("loading", "the networks are still being loaded")]
        try:
            vitals = self._vitals()
        except (StoreError, NotAnswered):
            # Not the error's words: they name hosts and users, and anybody may ask.
            reasons.append(("database", "the database does not answer"))
            return Verdict(tuple(reasons), block, None, Lag())
        reasons += self._of_index(vitals)
        lag = (position and lag_of(vitals, position.number, position.timestamp)) or Lag()
        lag = Lag(lag.blocks, max(lag.seconds, self._stood_still(block, is_behind=lag.blocks > 0)))
        limits = self._limits
        if lag.seconds > limits.seconds or 0 < limits.blocks < lag.blocks:
            reasons.append(("lag", f"{lag.blocks} blocks and {lag.seconds:.0f} s behind the head"))
        return Verdict(tuple(reasons), block, vitals.head, lag)

    def _of_index(self, vitals: Vitals) -> list[tuple[str, str]]:
        if vitals.report_age is None:
            return [("index", "no index has written to the database yet")]
        if vitals.report_age > self._limits.seconds:
            return [("index", f"no index has reported for {vitals.report_age:.0f} s: the head is not known")]
        return []

    def _stood_still(self, block: int | None, *, is_behind: bool) -> float:
        """Return for how long the graphs have stood at a block although a newer one is known."""
        now = self._clock()
        if not is_behind:
            self._behind_at = None
            return 0.0
        if self._behind_at is None or self._behind_at[0] != block:
            self._behind_at = (block, now)
        return now - self._behind_at[1]
