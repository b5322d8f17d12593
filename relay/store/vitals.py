"""How the relay runs, in the few figures that are looked at every some seconds."""

from dataclasses import dataclass

from relay.store.connection import Pool
from relay.store.status import WRITER_LOCK, IndexState

_LONGEST_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the database tells at one moment; what nobody has noted yet is None.

    ``head`` is the newest block of the chain, as the index last heard, ``block`` the newest indexed one, both with
    their timestamps; ``final`` is a block's number. ``followers`` are API processes, ``slowest`` the feed position
    of the last of them. ``own_waiting`` and ``users_waiting`` are transactions in no block yet, ``totals`` what
    was counted since the database began.
    """

    state: IndexState | None
    report_age: float | None
    head: int | None
    head_timestamp: int | None
    block: int | None
    block_timestamp: int | None
    final: int | None
    feed_position: int
    has_writer: bool
    networks: int
    joining: int
    followers: int
    slowest: int | None
    own_waiting: int
    users_waiting: int
    push_waiting: int
    push_oldest_seconds: float
    push_given_up: int
    totals: dict[str, int]


_QUERY = """
SELECT s.state, extract(epoch FROM now() - s.updated_at)::float, s.head_number, s.head_timestamp,
    c.block_number, c.timestamp, c.final_number,
    coalesce(greatest((SELECT max(position) FROM feed), (SELECT position FROM feed_horizon)), 0),
    EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = %(high)s AND objid = %(low)s
    ),
    (SELECT count(*) FROM networks WHERE is_served),
    (SELECT count(*) FROM networks WHERE is_wanted AND NOT is_served),
    f.number, f.slowest,
    (SELECT count(*) FROM signed_transactions WHERE state = 'open' AND outcome IS NULL),
    (SELECT count(*) FROM relayed_transactions WHERE NOT is_settled AND state = 'open'),
    p.waiting, p.oldest, p.given_up,
    (SELECT coalesce(jsonb_object_agg(name, value), '{}') FROM totals)
FROM (
    SELECT count(*) AS number, min(position) AS slowest
    FROM followers WHERE updated_at > now() - interval '60 seconds'
) AS f
CROSS JOIN (
    SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at))::float, 0) AS oldest,
        (SELECT count(*) FROM push_notifications WHERE state = 'dead') AS given_up
    FROM push_notifications WHERE state = 'waiting'
) AS p
LEFT JOIN index_status s ON true LEFT JOIN cursor c ON true
"""


class VitalsReader:
    """Reads them; the database itself gives up where it takes longer than a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def read(self) -> Vitals:
        """Return everything at once; raises StoreError."""
        with self._pool.snapshot() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {_LONGEST_MILLISECONDS}")
            cursor.execute(_QUERY, {"high": WRITER_LOCK >> 32, "low": WRITER_LOCK & 0xFFFF_FFFF})
            row = cursor.fetchone()
        assert row is not None, "two of those joined are aggregates"
        state = None if row[0] is None else IndexState(row[0])
        return Vitals(state, *row[1:])
