"""How often something may be done: a bucket of tokens for each who does it, here and in all processes together."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable

from relay.store.rates import RateStore

_MOST_KEYS = 100_000


class Rate:
    """At most ``per_minute`` at once, and as many a minute from then on; 0 is no limit. Counts in this process."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        """Begin with full buckets; ``clock`` tells seconds."""
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def allows(self, who: Hashable) -> bool:
        """Return whether it may be done once more, and count it if so."""
        if self._per_minute == 0:
            return True
        now = self._clock()
        left, since = self._buckets.pop(who, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        allowed = left >= 1
        self._buckets[who] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MOST_KEYS:
            # Who has not come for longest has most likely a full bucket, which is what it would begin with.
            self._buckets.popitem(last=False)
        return allowed


class ClientRate:
    """How often one client may do something, counted for all processes together; 0 is no limit.

    Who is over the limit in one process is over it in all: a flood is refused without asking the database.
    """

    def __init__(self, store: RateStore, what: str, per_minute: int, ticks: Callable[[], float]) -> None:
        """Prepare; ``what`` names what is counted, ``ticks`` tells seconds."""
        self._store = store
        self._what = what
        self._per_minute = per_minute
        self._here = Rate(per_minute, ticks)

    def allows(self, client: str) -> bool:
        """Return whether it may be done once more, and count it if so; raises StoreError."""
        if self._per_minute == 0:
            return True
        # Where clients are is nobody's business, the database's neither.
        who = hashlib.sha256(client.encode("utf-8")).digest()[:16]
        return self._here.allows(client) and self._store.take(self._what, who, self._per_minute)
