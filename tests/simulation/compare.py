"""What must be equal: databases, graphs and contracts; and what every single state must hold by itself."""

import hashlib
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql

from graph.trustline import Trustline
from relay.addresses import Address
from relay.store.connection import connect
from relay.store.contract_writing import CONTRACT_EVENT_TABLES
from relay.store.errors import StoreError
from relay.sync.networks import Networks

NOT_CHAIN_STATE = {
    "schema_migrations",
    "feed",
    "feed_horizon",
    "withdrawn_events",
    "withdrawn_token_events",
    "withdrawn_exchange_events",
    "expected_contract_events",
    "index_status",
    "network_choices",
    "followers",
    "totals",
    "pauses",
    "bans",
    "decisions",
}
"""Tables that tell how the database came to be as it is, not what the chain is."""

NOT_COMPARED = {
    "id",
    "network_id",
    "contract_id",
    "first_block",
    "confirmed_at",
    "repair_wanted",
    "readings",
    "final_number",
}
"""Columns that depend on the order in which rows were written, on what a node could tell at the time, on repairs,
or on how high the chain has ever been."""

_EVENT_TABLES = ("events", *CONTRACT_EVENT_TABLES)

Accounts = dict[tuple[Address, Address, Address], tuple[Any, ...]]
Dump = dict[str, list[tuple[Any, ...]]]
GraphState = dict[Address, tuple[bool, tuple[Trustline, ...], tuple[Address, ...]]]


def dump(url: str, kept_from: int) -> Dump:
    """Return all rows of chain state, without serial ids, in an order of their own.

    Headers of blocks without events count from block ``kept_from`` on: how many older ones there still are depends
    on how high the chain has ever been.
    """
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name::text, array_agg(column_name::text ORDER BY column_name::text) "
            "FROM information_schema.columns WHERE table_schema = current_schema() GROUP BY 1"
        )
        tables = {table: columns for table, columns in cursor.fetchall() if table not in NOT_CHAIN_STATE}
        found = {table: _rows(cursor, table, columns, kept_from) for table, columns in sorted(tables.items())}
    assert {"events", "trustlines", "networks", "blocks", "cursor", *CONTRACT_EVENT_TABLES} <= found.keys()
    return found


def _rows(cursor: Any, table: str, columns: Sequence[str], kept_from: int) -> list[tuple[Any, ...]]:
    wanted = [sql.SQL("t.{}").format(sql.Identifier(column)) for column in columns if column not in NOT_COMPARED]
    source = sql.SQL("{} t").format(sql.Identifier(table))
    if "network_id" in columns:
        wanted.insert(0, sql.SQL("n.address"))
        source += sql.SQL(" LEFT JOIN networks n ON n.id = t.network_id")
    if "contract_id" in columns:
        wanted.insert(0, sql.SQL("c.address"))
        source += sql.SQL(" LEFT JOIN contracts c ON c.id = t.contract_id")
    condition = sql.SQL("")
    if table == "blocks":
        holds = [f"EXISTS (SELECT FROM {held} WHERE block_number = number)" for held in _EVENT_TABLES]
        condition = sql.SQL(" WHERE number >= {} OR " + " OR ".join(holds)).format(sql.Literal(kept_from))
    cursor.execute(sql.SQL("SELECT {} FROM {}{}").format(sql.SQL(", ").join(wanted), source, condition))
    return sorted(cursor.fetchall(), key=repr)


def differences(one: Dump, other: Dump, names: tuple[str, str]) -> str:
    """Return what is in one dump only, in words; nothing if they are equal."""
    lines = []
    for table in sorted(one.keys() | other.keys()):
        here, there = one.get(table, []), other.get(table, [])
        if here == there:
            continue
        for name, rows, counterpart in ((names[0], here, there), (names[1], there, here)):
            only = [row for row in rows if row not in counterpart]
            lines.append(f"{table}: {len(rows)} rows in {name}, {len(only)} of them only there")
            lines += [f"    {_shown(row)}" for row in only[:8]]
        if len(lines) == 0 or sorted(map(repr, here)) != sorted(map(repr, there)):
            continue
        lines.append(f"{table}: the rows differ in type only")
    return "\n".join(lines)


def graphs(networks: Networks) -> GraphState:
    """Return everything that a process's graphs hold."""
    found: GraphState = {}
    for address in networks.addresses():
        with networks.reading(address) as graph:
            lines = tuple(sorted(graph.trustlines(), key=lambda line: line.pair))
            found[address] = (graph.is_frozen, lines, tuple(sorted(graph.users)))
    return found


def accounts(state: GraphState) -> Accounts:
    """Return every trustline from both its sides, in the shape of the contract's getAccount."""
    found: Accounts = {}
    for network, (is_frozen, lines, _) in state.items():
        for line in lines:
            for user in line.pair:
                view = line.seen_by(user)
                found[network, user, view.other] = (
                    view.given,
                    view.received,
                    view.rate_given,
                    view.rate_received,
                    view.is_frozen or is_frozen,
                    line.mtime,
                    view.balance,
                )
    return comparable(found)


def comparable(found: Accounts) -> Accounts:
    """Leave out the mtime of balances of zero: events do not tell whether closing forgot it."""
    return {key: account if account[6] else (*account[:5], 0, 0) for key, account in found.items()}


@dataclass(frozen=True)
class Sample:
    """What one look at database or graphs saw: the block it stands at, the networks there, and digests of it all.

    ``graphs`` is a digest of what graphs hold, ``rows`` one of the events as well; graphs have none.
    """

    number: int
    hash: bytes
    networks: frozenset[Address]
    graphs: str
    rows: str | None


class Sampler:
    """Looks at database and graphs again and again, and holds every state it sees to what must be true of each."""

    def __init__(self, url: str, networks: Networks, pause: float = 0.25) -> None:
        self._url, self._networks, self._pause = url, networks, pause
        self._stopping = threading.Event()
        self._samples: list[Sample] = []
        self._fault: BaseException | None = None
        self._seen: dict[tuple[str, bytes, frozenset[Address]], str] = {}
        self._withdrawals = Withdrawals()
        self.taken = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def require_consistent(self, known: Container[bytes]) -> None:
        """Raise AssertionError if a state was seen that is none of the chain's, which had the ``known`` blocks."""
        if self._fault is not None:
            raise AssertionError(f"a reader saw an inconsistent state: {self._fault}") from self._fault
        samples, self._samples = self._samples, []
        for sample in samples:
            assert sample.hash in known, f"a reader saw block {sample.number} with a hash that was never there"
            for kind, digest in (("graphs", sample.graphs), ("rows", sample.rows)):
                key = kind, sample.hash, sample.networks
                assert digest is None or self._seen.setdefault(key, digest) == digest, (
                    f"readers saw two different {kind} after block {sample.number} 0x{sample.hash.hex()}"
                )

    def forget(self) -> None:
        """Begin anew: a crash has cost the database what was committed last."""
        self._withdrawals = Withdrawals()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            try:
                self._keep(look_at_graphs(self._networks))
                with closing(connect(self._url)) as connection:
                    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                    with connection.cursor() as cursor:
                        self._keep(look(cursor))
                        self._withdrawals.check(cursor)
            except (StoreError, psycopg2.OperationalError, psycopg2.InterfaceError):
                continue
            except BaseException as fault:
                self._fault = fault
                return

    def _keep(self, sample: Sample | None) -> None:
        if sample is not None:
            self._samples.append(sample)
            self.taken += 1


class Withdrawals:
    """Holds the feed to its word: an event that was there and is gone has been withdrawn on it, and no other."""

    def __init__(self) -> None:
        self._position = 0
        self._events: frozenset[tuple[Any, ...]] | None = None

    def check(self, cursor: Any) -> None:
        """Compare the events of a snapshot with those of the last one; raises AssertionError."""
        cursor.execute("SELECT to_regclass('withdrawn_events') IS NOT NULL")
        if cursor.fetchone() == (False,):
            return
        cursor.execute("SELECT greatest((SELECT max(position) FROM feed), (SELECT position FROM feed_horizon))")
        (position,) = cursor.fetchone()
        cursor.execute(
            "SELECT e.network_id, b.hash, e.log_index FROM events e JOIN blocks b ON b.number = e.block_number "
            "JOIN networks n ON n.id = e.network_id WHERE n.is_served"
        )
        events = frozenset(cursor.fetchall())
        cursor.execute(
            "SELECT network_id, block_hash, log_index FROM withdrawn_events WHERE feed_position > %s",
            (self._position,),
        )
        withdrawn = frozenset(cursor.fetchall())
        if self._events is not None:
            silently = self._events - events - withdrawn
            assert not silently, f"{len(silently)} events are gone, and the feed after {self._position} is silent"
        # A block that was withdrawn may come back: a node that was behind was believed to have a shorter chain.
        cursor.execute(
            "SELECT network_id, block_hash, log_index FROM withdrawn_events w WHERE feed_position > %s "
            "AND NOT EXISTS (SELECT FROM feed f WHERE f.position >= w.feed_position AND f.kind = 'blocks' "
            "AND w.block_number BETWEEN f.first_block AND f.last_block)",
            (self._position,),
        )
        wrongly = frozenset(cursor.fetchall()) & events
        assert not wrongly, f"{len(wrongly)} events were withdrawn for good after {self._position}, but stay"
        self._position, self._events = position, events


def look_at_graphs(networks: Networks) -> Sample | None:
    """Return what a process's graphs hold, None if they changed meanwhile or hold nothing yet."""
    before = networks.block
    state = graphs(networks)
    if before is None or networks.block != before:
        return None
    found = {address: (frozen, sorted(map(_fields, lines))) for address, (frozen, lines, _) in state.items()}
    return Sample(before.number, before.hash, frozenset(found), _digest(sorted(found.items())), None)


def _fields(line: Trustline) -> tuple[Any, ...]:
    terms = (line.given, line.received, line.rate_given, line.rate_received, line.is_frozen)
    return (line.lower, line.higher, line.balance, *terms, line.mtime)


def _digest(what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()


def look(cursor: Any) -> Sample | None:
    """Return what one snapshot of the database holds of the served networks, None before anything is indexed.

    Raises:
        AssertionError: if it contradicts itself.

    """
    cursor.execute("SELECT block_number, block_hash FROM cursor")
    row = cursor.fetchone()
    if row is None:
        return None
    number, block_hash = row
    cursor.execute("SELECT hash FROM blocks WHERE number = %s", (number,))
    assert cursor.fetchone() == (block_hash,), f"the cursor's block {number} is not among the blocks"
    cursor.execute("SELECT number, hash FROM blocks WHERE number > %s ORDER BY number", (number,))
    above = cursor.fetchall()
    assert not above, f"the cursor is at block {number}, and there are blocks above it: {list(map(_shown, above))}"
    for table in _EVENT_TABLES:
        cursor.execute(
            f"SELECT count(*) FROM {table} e LEFT JOIN blocks b ON b.number = e.block_number "
            "WHERE b.number IS NULL"
        )
        assert cursor.fetchone() == (0,), f"there are {table} without a block"
    cursor.execute(
        "SELECT n.address, e.type::text, e.sender, e.receiver, e.value, e.given, e.received, e.rate_given, "
        "e.rate_received, e.is_frozen, b.timestamp, b.hash, e.transaction_hash "
        "FROM events e JOIN blocks b ON b.number = e.block_number JOIN networks n ON n.id = e.network_id "
        "WHERE n.is_served ORDER BY e.block_number, e.log_index"
    )
    events = cursor.fetchall()
    cursor.execute(
        "SELECT n.address, t.lower, t.higher, t.balance, t.given, t.received, t.rate_given, t.rate_received, "
        "t.is_frozen, t.mtime FROM trustlines t JOIN networks n ON n.id = t.network_id WHERE n.is_served"
    )
    stored = {row[:3]: row[3:] for row in cursor.fetchall()}
    replayed = replay(events)
    assert stored == replayed, "trustlines are not what the events make of them: " + unlike(stored, replayed)
    cursor.execute("SELECT address, is_frozen FROM networks WHERE is_served ORDER BY address")
    networks = cursor.fetchall()
    held = {address: (is_frozen, []) for address, is_frozen in networks}
    for (address, *pair), values in sorted(stored.items()):
        if any(values[:5]):
            held[address][1].append((*pair, *values))
    rows = _digest((events, sorted(stored.items()), networks))
    return Sample(number, block_hash, frozenset(held), _digest(sorted(held.items())), rows)


def replay(events: Iterable[tuple[Any, ...]]) -> dict[tuple[bytes, bytes, bytes], tuple[Any, ...]]:
    """Return the trustlines that events leave, by network and users, told anew from the rules of the contract."""
    lines: dict[tuple[bytes, bytes, bytes], tuple[Any, ...]] = {}
    nothing = (0, 0, 0, 0, 0, False, 0)
    for (
        network,
        kind,
        sender,
        receiver,
        value,
        given,
        received,
        rate_given,
        rate_received,
        frozen,
        at,
        *_,
    ) in events:
        if kind not in ("TrustlineUpdate", "BalanceUpdate"):
            continue
        is_lower = sender < receiver
        key = (network, *((sender, receiver) if is_lower else (receiver, sender)))
        before = lines.get(key, nothing)
        if kind == "BalanceUpdate":
            after = (value if is_lower else -value, *before[1:6], at)
        else:
            terms = (given, received, rate_given, rate_received)
            if not is_lower:
                terms = (received, given, rate_received, rate_given)
            after = (before[0], *terms, frozen, before[6])
        if not any(after[:5]):
            after = nothing
            if key not in lines:
                continue
        lines[key] = after
    return lines


def unlike(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> str:
    """Return some of the entries that differ, in words."""
    keys = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    return "; ".join(f"{_shown(key)}: {one.get(key)} / {other.get(key)}" for key in keys[:5])


def _shown(row: Sequence[Any]) -> str:
    return "(" + ", ".join(value.hex()[:12] if isinstance(value, bytes) else str(value) for value in row) + ")"
