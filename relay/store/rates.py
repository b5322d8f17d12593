"""How often something may be done, counted for all processes of a relay together."""

from relay.store.connection import Cursor
from relay.store.operating import OperatingPool

_FULL_AGAIN_SECONDS = 60


def take(cursor: Cursor, what: str, who: bytes, per_minute: int) -> bool:
    """Return whether something may be done once more, and count it if so.

    A bucket holds ``per_minute`` and is filled as fast, by the clock of the database. Its row is locked until the
    transaction ends.
    """
    cursor.execute(
        """
        INSERT INTO rates AS old (what, who, left_over, counted_at)
        VALUES (%(what)s, %(who)s, %(most)s - 1, clock_timestamp())
        ON CONFLICT (what, who) DO UPDATE SET counted_at = excluded.counted_at, left_over = least(%(most)s,
            old.left_over + extract(epoch FROM excluded.counted_at - old.counted_at) * %(most)s / 60.0) - 1
        WHERE least(%(most)s,
            old.left_over + extract(epoch FROM excluded.counted_at - old.counted_at) * %(most)s / 60.0) >= 1
        """,
        {"what": what, "who": who, "most": per_minute},
    )
    return bool(cursor.rowcount)


class RateStore:
    """Counts in a transaction of its own."""

    def __init__(self, pool: OperatingPool) -> None:
        self._pool = pool

    def take(self, what: str, who: bytes, per_minute: int) -> bool:
        """Return whether something may be done once more, and count it if so; raises StoreError."""
        with self._pool.transaction() as cursor:
            return take(cursor, what, who, per_minute)

    def forget_idle(self) -> None:
        """Remove the buckets that are full again; raises StoreError."""
        with self._pool.transaction() as cursor:
            cursor.execute(
                "DELETE FROM rates WHERE counted_at < clock_timestamp() - %s * interval '1 s'",
                (_FULL_AGAIN_SECONDS,),
            )
