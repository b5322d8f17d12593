"""How often a client may ask, by what answering costs."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from werkzeug.exceptions import TooManyRequests

_MOST_CLIENTS = 50_000
"""So many clients are remembered for each class; each takes about 200 bytes."""


class Rate(StrEnum):
    """What answering a request costs."""

    READING = "reading"
    LISTS = "lists"
    SEARCHES = "searches"
    SENDING = "sending"


class RateLimited(TooManyRequests):
    """A client has asked as often as it may."""

    error_code = "rate_limited"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: how long to wait before it may come again, 0 if it may be answered now.

    ``left`` further ones may come at once; in ``full_in`` seconds as many as ever.
    """

    wait: float
    left: int
    full_in: float


class Buckets:
    """A bucket of tokens for each client, filled steadily; safe for threads.

    Of a bucket nothing is kept but when it will be full: one that is full already is as good as none. Where there
    are more clients than are remembered, those that have not asked for longest begin anew: an attacker of so many
    networks is not to fill the memory, nor to shut others out.
    """

    def __init__(
        self,
        per_minute: int,
        burst_seconds: int,
        clock: Callable[[], float] = time.monotonic,
        most_clients: int = _MOST_CLIENTS,
    ) -> None:
        self.size = max(1, per_minute * burst_seconds // 60)
        self._interval = 60 / per_minute
        self.window = math.ceil(self.size * self._interval)
        self._clock = clock
        self._most_clients = most_clients
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, client: str) -> Taken:
        """Take a token for a request of a client, if there is one."""
        with self._lock:
            now = self._clock()
            missing = max(0.0, self._full_at.get(client, now) - now) / self._interval
            # A little less than a whole token is one: sums of fractions are not exact.
            has_one = self.size - missing >= 1 - 1e-6
            if has_one:
                missing += 1
                self._full_at[client] = now + missing * self._interval
                self._full_at.move_to_end(client)
                if len(self._full_at) > self._most_clients:
                    self._full_at.popitem(last=False)
        wait = 0.0 if has_one else (missing + 1 - self.size) * self._interval
        return Taken(wait, max(0, int(self.size - missing + 1e-6)), missing * self._interval)


class Limits:
    """The buckets of each class; a class without a limit has none.

    Every process counts for itself. So a client that reaches several of them may ask as often as each of them
    allows; it never gets less than what it is told.
    """

    def __init__(
        self,
        per_minute: Mapping[Rate, int] | None = None,
        burst_seconds: int = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow so many requests a minute, 0 for any; those of ``burst_seconds`` may also come at once."""
        self._buckets = {
            cost: Buckets(rate, burst_seconds, clock) for cost, rate in (per_minute or {}).items() if rate
        }

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def take(self, cost: Rate, client: str) -> tuple[list[tuple[str, str]], float]:
        """Count a request; return the headers that tell the client its limit, and how long it has to wait.

        The headers are those of draft-ietf-httpapi-ratelimit-headers-09.
        """
        buckets = self._buckets.get(cost)
        if buckets is None:
            return [], 0.0
        taken = buckets.take(client)
        policy = f'"{cost}";q={buckets.size};w={buckets.window}'
        left = f'"{cost}";r={taken.left};t={math.ceil(taken.full_in)}'
        return [("RateLimit-Policy", policy), ("RateLimit", left)], taken.wait
