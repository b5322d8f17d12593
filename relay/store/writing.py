"""The one writer of chain state: a connection that holds the writer's lock, and its transactions.

The lock belongs to the very connection that writes. If the connection breaks, the lock and the transaction are
gone together, so a second index process that takes over can never meet a late write of the first.

So that a writer which stands still (a machine that froze, a network that swallows everything) cannot keep the
lock, the server ends its session after a few seconds of silence. A heartbeat breaks the silence of one that is
well but busy elsewhere, and cuts the connection of one whose statements never return.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg2

from relay.addresses import Address
from relay.model import Block, NetworkInfo
from relay.store.connection import Connection, Cursor, connect, translated_errors
from relay.store.contract_writing import CONTRACT_EVENT_TABLES, WITHDRAWN_TABLES, ContractWriting
from relay.store.errors import StoreError
from relay.store.event_writing import EventWriting
from relay.store.heartbeat import Heartbeat
from relay.store.history_writing import HISTORY_TABLES
from relay.store.rows import FOLLOWED_COLUMNS, CursorPosition, FollowedNetwork, followed_from
from relay.store.state_writing import KnownTrustlines, PairKey, StateWriting
from relay.store.status import WRITER_LOCK, IndexStatus, choices, write_status

FEED_CHANNEL = "tl_relay_feed"
"""The channel on which every commit is announced to those who follow the feed."""

FEED_KEPT = 100_000
"""How many commits the feed keeps for readers that were away."""

TrustlineKey = PairKey
"""A network's id and the two users."""

_MOST_KNOWN = 200_000
"""How many trustlines the writer remembers, some 100 MB; then it begins anew."""

_SILENCE_SECONDS = 3.5
_STATEMENT_SECONDS = 60.0
_PATIENCE_SECONDS = 120.0


class Writer:
    """A connection for writing chain state, of which only one in the whole database can hold the lock."""

    def __init__(
        self,
        url: str,
        open_connection: Callable[[str], Connection] = connect,
        silence_seconds: float = _SILENCE_SECONDS,
        statement_seconds: float = _STATEMENT_SECONDS,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Connect.

        Arguments:
            url: libpq URL, or empty for the PG* environment variables.
            open_connection: opens the connection; a test hands in another.
            silence_seconds: after how long a silence the server takes the lock away.
            statement_seconds: how long the server may work on a statement.
            patience_seconds: how long a transaction may take; longer means that the connection is dead.

        Raises:
            DatabaseUnreachable: if no connection can be had.

        """
        self._connection: Connection = open_connection(url)
        try:
            with translated_errors():
                _limit_silence(self._connection, silence_seconds, statement_seconds)
        except StoreError:
            self._connection.close()
            raise
        self._heartbeat = Heartbeat(self._connection, silence_seconds / 4, patience_seconds)
        self._known: KnownTrustlines = {}

    def try_lock(self) -> bool:
        """Become the writer if nobody else is; the lock is kept until the connection ends."""
        with self._within() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (WRITER_LOCK,))
            row = cursor.fetchone()
            return bool(row and row[0])

    @contextmanager
    def transaction(self, *, is_long: bool = False) -> Iterator["WriteTransaction"]:
        """Run a transaction: all of it is kept, or (after any exception) nothing.

        One that ``is_long`` may take its time, within and between its statements; nobody notices if it hangs.

        Raises:
            DatabaseUnreachable: if the connection broke; whether it committed must be looked up by the cursor.
            DatabaseFull: if the server has no space left.

        """
        with self._known_if_kept(), self._within(is_long=is_long) as cursor:
            if is_long:
                cursor.execute(
                    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
                )
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            yield WriteTransaction(cursor, self._known)

    def report(self, status: IndexStatus) -> None:
        """Tell everybody how the index is doing; raises StoreError."""
        with self._within() as cursor:
            # A status that a crash loses is told again; a new block is not to wait for the disk on its account.
            cursor.execute("SET LOCAL synchronous_commit = off")
            write_status(cursor, status)

    def analyse(self) -> None:
        """Have the server look at its tables, to plan queries for what is in them now; raises StoreError."""
        with self.transaction(is_long=True) as transaction:
            transaction.analyse()

    def close(self) -> None:
        """Let go of the lock and the connection."""
        with suppress(StoreError), self.transaction() as transaction:
            # The server ends a closed connection when it gets to it; the lock is to be free at once.
            transaction.unlock()
        self._heartbeat.stop()
        self._connection.close()

    @contextmanager
    def _known_if_kept(self) -> Iterator[None]:
        """Forget the states that a transaction knew unless it is certain that they were kept."""
        try:
            yield
        except BaseException:
            self._known.clear()
            raise

    @contextmanager
    def _within(self, *, is_long: bool = False) -> Iterator[Cursor]:
        with (
            translated_errors(),
            self._heartbeat.during_transaction(is_long=is_long),
            self._connection,
            self._connection.cursor() as cursor,
        ):
            yield cursor


def _limit_silence(connection: Connection, silence_seconds: float, statement_seconds: float) -> None:
    silence, statement = (f"{round(seconds * 1000)}ms" for seconds in (silence_seconds, statement_seconds))
    wanted = {
        "idle_session_timeout": silence,
        "idle_in_transaction_session_timeout": silence,
        "statement_timeout": statement,
        "client_connection_check_interval": "1s",
        "tcp_user_timeout": silence,
        "tcp_keepalives_idle": "1",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": "3",
    }
    with connection, connection.cursor() as cursor:
        # An older server does without what it does not know.
        cursor.execute("SELECT name FROM pg_settings WHERE name = ANY(%s)", (list(wanted),))
        known = [row[0] for row in cursor.fetchall()]
    for name in known:
        # A platform that cannot check a client's connection refuses the setting; each stands for itself.
        with suppress(psycopg2.errors.InvalidParameterValue), connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", (name, wanted[name]))


class WriteTransaction(EventWriting, StateWriting, ContractWriting):
    """What can be done to chain state within one transaction."""

    def __init__(self, cursor: Cursor, known: KnownTrustlines) -> None:
        self._cursor = cursor
        self._known = known

    def unlock(self) -> None:
        """Stop being the writer."""
        self._cursor.execute("SELECT pg_advisory_unlock_all()")

    def analyse(self) -> None:
        """Renew what the planner knows of the tables that grow."""
        tables = ("events", "blocks", "trustlines", "debts", *HISTORY_TABLES, *CONTRACT_EVENT_TABLES)
        self._cursor.execute(f"ANALYZE {', '.join(tables)}")

    def chain_noted(self, chain_id: int, genesis_hash: bytes) -> tuple[int, bytes]:
        """Note the chain if the database is new; return the id and genesis hash noted when it was."""
        self._cursor.execute(
            "INSERT INTO chain (chain_id, genesis_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (chain_id, genesis_hash),
        )
        self._cursor.execute("SELECT chain_id, genesis_hash FROM chain")
        row = self._cursor.fetchone()
        assert row is not None
        return row[0], row[1]

    def erase(self) -> None:
        """Forget everything that came from the chain; who follows the feed will load anew."""
        self._known.clear()
        # Not TRUNCATE: readers with an older snapshot would see the tables empty.
        for table in ("chain", "cursor", "networks", "blocks", "events", "trustlines", "debts", "index_status"):
            self._cursor.execute(f"DELETE FROM {table}")
        for table in (*HISTORY_TABLES, "contracts", *CONTRACT_EVENT_TABLES):
            self._cursor.execute(f"DELETE FROM {table}")
        # A position that nobody can stand at yet, so that everybody stands before it.
        self._cursor.execute(
            "UPDATE feed_horizon SET position = %s, identity = identity + 1", (self.next_feed_position(),)
        )
        for table in ("feed", "withdrawn_events", *WITHDRAWN_TABLES):
            self._cursor.execute(f"DELETE FROM {table}")

    def position(self) -> CursorPosition | None:
        """Return the block after which the database is the chain's state, None in a new database."""
        self._cursor.execute("SELECT block_number, block_hash, timestamp FROM cursor")
        row = self._cursor.fetchone()
        return None if row is None else CursorPosition(*row)

    def final_number(self) -> int:
        """Return the number of the block up to which nothing can be replaced, as of the last commit."""
        self._cursor.execute("SELECT final_number FROM cursor")
        row = self._cursor.fetchone()
        return 0 if row is None else int(row[0])

    def set_position(self, block: Block | CursorPosition, final_number: int) -> None:
        """Move the cursor and wake those who follow the feed; the last thing done in a transaction."""
        self._cursor.execute(
            "INSERT INTO cursor (block_number, block_hash, timestamp, final_number) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (singleton) DO UPDATE SET block_number = excluded.block_number, "
            "block_hash = excluded.block_hash, timestamp = excluded.timestamp, "
            "final_number = excluded.final_number",
            (block.number, block.hash, block.timestamp, final_number),
        )
        self.wake_readers()

    def wake_readers(self) -> None:
        """Wake those who follow the feed, once this transaction commits."""
        # Who reads from a replica waits until it has come to the position that is told.
        self._cursor.execute("SELECT pg_notify(%s, coalesce(max(position), 0)::text) FROM feed", (FEED_CHANNEL,))

    def networks(self) -> list[FollowedNetwork]:
        """Return all networks the database knows, wanted or not."""
        self._cursor.execute(f"SELECT {FOLLOWED_COLUMNS} FROM networks ORDER BY id")
        return [followed_from(row) for row in self._cursor.fetchall()]

    def add_network(self, info: NetworkInfo, synced_to: int | None = None) -> FollowedNetwork:
        """Add a network whose events are stored up to a block, None for the cursor's.

        ``info.is_frozen`` counts as its state before its first event.
        """
        self._cursor.execute(
            "INSERT INTO networks (address, name, symbol, decimals, fee_divisor, default_interest_rate, "
            "custom_interests, prevent_mediator_interests, first_block, starts_frozen, is_frozen, is_proxied, "
            "synced_to) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            f"RETURNING {FOLLOWED_COLUMNS}",
            (info.address, *_contract_values(info), info.is_frozen, info.is_frozen, info.is_proxied, synced_to),
        )
        row = self._cursor.fetchone()
        assert row is not None
        return followed_from(row)

    def confirm_network(self, network_id: int, info: NetworkInfo, at: int) -> None:
        """Note what the contract said after block ``at``, which is the cursor's.

        ``info.is_frozen`` then was its state from the beginning, if no event tells otherwise.
        """
        self._cursor.execute(
            "UPDATE networks SET (name, symbol, decimals, fee_divisor, default_interest_rate, custom_interests, "
            "prevent_mediator_interests, first_block, is_proxied, confirmed_at) = "
            "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) WHERE id = %s",
            (*_contract_values(info), info.is_proxied, at, network_id),
        )
        if not self.has_freeze_events(network_id):
            self.set_network_frozen(network_id, is_frozen=info.is_frozen, started_frozen=info.is_frozen)

    def doubt_networks_after(self, number: int) -> list[int]:
        """Note that blocks above ``number`` were replaced: what contracts said later counts no more.

        A network that did not exist by then is forgotten, to be found anew. Returns the ids of those forgotten.
        """
        self._cursor.execute("UPDATE networks SET confirmed_at = NULL WHERE confirmed_at > %s", (number,))
        self._cursor.execute("DELETE FROM networks WHERE first_block > %s RETURNING id", (number,))
        gone = [row[0] for row in self._cursor.fetchall()]
        for network_id in gone:
            self.forget_events_of(network_id)
        return gone

    def forget_network(self, network_id: int) -> None:
        """Remove a network and all that is stored of it."""
        self.forget_events_of(network_id)
        self._cursor.execute("DELETE FROM networks WHERE id = %s", (network_id,))

    def set_synced_to(self, network_id: int, number: int | None) -> None:
        """Note up to which block a network's events are stored, None for the cursor's."""
        self._cursor.execute("UPDATE networks SET synced_to = %s WHERE id = %s", (number, network_id))

    def set_repair_wanted(self, network_ids: Iterable[int], *, wanted: bool) -> None:
        """Order that the events of networks be read anew, or note that they were."""
        self._cursor.execute(
            "UPDATE networks SET repair_wanted = %s WHERE id = ANY(%s)", (wanted, list(network_ids))
        )

    def want_only(self, addresses: Sequence[Address]) -> list[int]:
        """Serve these networks and no others; return the ids of those that are no longer wanted or are again.

        One that is not wanted stays where it stands, and catches up from there when it is wanted again.
        """
        self._cursor.execute(
            "UPDATE networks SET is_wanted = NOT is_wanted, "
            "synced_to = CASE WHEN is_wanted THEN coalesce(synced_to, (SELECT block_number FROM cursor)) "
            "ELSE synced_to END WHERE is_wanted <> (address = ANY(%s)) RETURNING id",
            (list(addresses),),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def next_feed_position(self) -> int:
        """Take the next position on the feed."""
        self._cursor.execute("SELECT nextval(pg_get_serial_sequence('feed', 'position'))")
        row = self._cursor.fetchone()
        assert row is not None
        return int(row[0])

    def announce_blocks(
        self, position: int, first: int, last: Block | CursorPosition, undone_after: int | None, touched: int
    ) -> None:
        """Put on the feed that blocks were added, after those above ``undone_after`` were undone, if any.

        ``first`` is above ``last`` where nothing was added; ``touched`` is how many trustlines changed. Forgets
        what is too old for the feed.
        """
        self._cursor.execute(
            "INSERT INTO feed (position, kind, first_block, last_block, last_hash, undone_after, touched) "
            "VALUES (%s, 'blocks', %s, %s, %s, %s, %s)",
            (position, first, last.number, last.hash, undone_after, touched),
        )
        self._prune_feed(position - FEED_KEPT)

    def count(self, events: int, undone: int) -> None:
        """Add to what was counted since the database began: events written, and a reorg if blocks were undone."""
        added = [("events", events)] + ([("reorgs", 1), ("undone_blocks", undone)] if undone else [])
        self._cursor.execute(
            "INSERT INTO totals AS old (name, value) SELECT * FROM unnest(%s::text[], %s::bigint[]) "
            "ON CONFLICT (name) DO UPDATE SET value = old.value + excluded.value",
            tuple(map(list, zip(*added, strict=True))),
        )
        if undone:
            self._cursor.execute(
                "INSERT INTO totals AS old (name, value) VALUES ('deepest_reorg', %s) "
                "ON CONFLICT (name) DO UPDATE SET value = greatest(old.value, excluded.value)",
                (undone,),
            )

    def announce_network(
        self, network_id: int, block: Block | CursorPosition, *, is_joining: bool = False
    ) -> None:
        """Put on the feed that all of a network is new to readers; ``is_joining`` if it was not served before."""
        self._cursor.execute(
            "INSERT INTO feed (kind, first_block, last_block, last_hash, network_id, is_joining) "
            "VALUES ('network', %s, %s, %s, %s, %s)",
            (block.number + 1, block.number, block.hash, network_id, is_joining),
        )

    def choices(self) -> dict[Address, bool]:
        """Return the networks that an operator has added (true) or removed (false) by command."""
        return choices(self._cursor)

    def choose(self, address: Address, *, is_wanted: bool) -> None:
        """Note that an operator wants a network served, or not."""
        self._cursor.execute(
            "INSERT INTO network_choices (address, is_wanted) VALUES (%s, %s) "
            "ON CONFLICT (address) DO UPDATE SET is_wanted = excluded.is_wanted, noted_at = now()",
            (address, is_wanted),
        )

    def _prune_feed(self, last_gone: int) -> None:
        self._cursor.execute("DELETE FROM feed WHERE position <= %s", (last_gone,))
        if self._cursor.rowcount:
            for table in ("withdrawn_events", *WITHDRAWN_TABLES):
                self._cursor.execute(f"DELETE FROM {table} WHERE feed_position <= %s", (last_gone,))
            self._cursor.execute("UPDATE feed_horizon SET position = %s", (last_gone,))


def _contract_values(info: NetworkInfo) -> tuple[object, ...]:
    return (
        info.name,
        info.symbol,
        info.decimals,
        info.fee_divisor,
        info.default_interest_rate,
        info.custom_interests,
        info.prevent_mediator_interests,
        info.first_block,
    )
