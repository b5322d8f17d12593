"""Pages of events among many in the database: found by index, and nobody reads much more than what is listed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from relay.contracts import ContractKind
from relay.devnet.postgres import create_database, drop_database
from relay.model import Event, EventType
from relay.store.connection import MOST_PREPARED, Cursor, Pool, connect
from relay.store.contract_reading import TOKEN_KINDS, ContractFilter
from relay.store.event_reading import EventFilter
from relay.store.migrate import migrate
from relay.store.pages import HASH_PIECE, EventPages, Mark, PageQuestion
from relay.store.stretch import Position
from relay.store.writing import Writer
from tests.support.fake_services import ADA, BO, CASH, CASH_INFO, FROZEN_INFO

TOKEN, EXCHANGE = bytes([0x70]) * 20, bytes([0xEC]) * 20
MANY = 24_000
LIMIT = 50
MOST_READ = 10 * LIMIT
"""Two walks for each table, past events of other types, and some more to see that the list goes on."""

TYPES = (EventType.TRANSFER,)
RARE = (EventType.ONBOARD,)
EXCHANGES = (ContractKind.EXCHANGE,)
MIDDLE = MANY // 8

FILL = f"""
INSERT INTO blocks (number, hash, timestamp)
    SELECT n, decode(lpad(to_hex(n), 64, '0'), 'hex'), n * 5 FROM generate_series(1, {MANY // 4}) n;
INSERT INTO events (block_number, log_index, network_id, type, transaction_hash, transaction_index, sender,
                    receiver, value)
    SELECT n / 4 + 1, n %% 4, 1 + (n / 5) %% 2, (ARRAY['Transfer', 'BalanceUpdate'])[1 + n / 8 %% 2]::event_type,
           decode(lpad(to_hex(n), 64, '0'), 'hex'), 0,
           CASE WHEN n %% 4 = 0 THEN %(bo)s ELSE substring(sha256(n::text::bytea) for 20) END,
           CASE WHEN n %% 400 = 0 THEN %(ada)s WHEN n %% 4 = 1 THEN %(bo)s
                ELSE substring(sha256((-n)::text::bytea) for 20) END, 1
    FROM generate_series(0, {MANY} - 5) n;
UPDATE events SET type = 'Onboard' WHERE block_number %% 2000 = 7;
INSERT INTO token_events (contract_id, block_number, log_index, type, transaction_hash, transaction_index, sender,
                          receiver, value)
    SELECT 1, block_number, log_index + 4, 'Transfer', transaction_hash, 0, sender, receiver, 1 FROM events;
INSERT INTO exchange_events (contract_id, block_number, log_index, type, transaction_hash, transaction_index,
                             order_hash, maker, taker, fee_recipient, maker_token, taker_token, maker_amount,
                             taker_amount)
    SELECT 2, block_number, log_index + 8, 'LogFill', transaction_hash, 0, '', sender, receiver, '', '', '', 1, 1
    FROM events;
INSERT INTO cursor (block_number, block_hash, timestamp) SELECT number, hash, timestamp FROM blocks
    ORDER BY number DESC LIMIT 1
"""


@pytest.fixture(scope="module")
def full_url(postgres_url: str) -> Iterator[str]:
    """A database where Ada has some hundred among many events, and Bo half of them."""
    url = create_database(postgres_url, "pages_of_many")
    migrate(url)
    writer = Writer(url, silence_seconds=60)
    assert writer.try_lock()
    with writer.transaction() as transaction:
        for info in (CASH_INFO, FROZEN_INFO):
            transaction.add_network(info)
        for kind, address in ((ContractKind.TOKEN, TOKEN), (ContractKind.EXCHANGE, EXCHANGE)):
            transaction.add_contract(kind, address, 0, None)
    connection = connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(FILL, {"ada": ADA, "bo": BO})
    connection.close()
    writer.analyse()
    writer.close()
    yield url
    drop_database(postgres_url, "pages_of_many")


class ExplainingPool(Pool):
    """A pool that has the plans of all that is asked while it goes on."""

    def __init__(self, url: str) -> None:
        super().__init__(url, size=2)
        self.plans: list[dict[str, Any]] = []

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """Hand out a cursor as the pool does, that explains before it answers."""
        with super().snapshot() as cursor, super().snapshot() as explaining:
            yield _Explaining(cursor, explaining, self.plans)

    @contextmanager
    def statement(self) -> Iterator[Any]:
        """Hand out such a cursor for a single statement."""
        with super().statement() as cursor, super().statement() as explaining:
            yield _Explaining(cursor, explaining, self.plans)


class _Explaining:
    def __init__(self, cursor: Cursor, explaining: Cursor, plans: list[dict[str, Any]]) -> None:
        self._cursor, self._explaining, self._plans = cursor, explaining, plans
        self.fetchone, self.fetchall, self.connection = cursor.fetchone, cursor.fetchall, cursor.connection

    def execute(self, query: str, parameters: Any = None) -> None:
        if query.startswith("PREPARE"):
            self._cursor.execute(query, parameters)
            self._explaining.execute(query, parameters)
            return
        self._explaining.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", parameters)
        ((plan,),) = self._explaining.fetchall()
        self._plans.append(plan[0]["Plan"])
        self._cursor.execute(query, parameters)


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


def rows_read(node: dict[str, Any]) -> float:
    """Return how many rows of a table a node looked at."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return (node["Actual Rows"] + removed) * node["Actual Loops"] if "Relation Name" in node else 0


LISTS = {
    "of a network": PageQuestion(EventFilter(TYPES, CASH)),
    "of a network, of a rare type": PageQuestion(EventFilter(RARE, CASH)),
    "of a busy user in a network": PageQuestion(EventFilter(TYPES, CASH, BO)),
    "of a busy user in all networks": PageQuestion(EventFilter(TYPES, None, BO)),
    "of a busy user everywhere": PageQuestion(
        EventFilter(TYPES, None, BO), ContractFilter((*EXCHANGES, *TOKEN_KINDS), None, BO)
    ),
    "of a quiet user everywhere": PageQuestion(
        EventFilter(TYPES, None, ADA), ContractFilter((*EXCHANGES, *TOKEN_KINDS), None, ADA)
    ),
    "of a token": PageQuestion(None, ContractFilter(TOKEN_KINDS, TOKEN)),
    "of a busy user of a token": PageQuestion(None, ContractFilter(TOKEN_KINDS, TOKEN, BO)),
    "of an exchange": PageQuestion(None, ContractFilter(EXCHANGES, EXCHANGE)),
    "of a busy user of an exchange": PageQuestion(None, ContractFilter(EXCHANGES, EXCHANGE, BO)),
    "of a busy user of all exchanges": PageQuestion(None, ContractFilter(EXCHANGES, None, BO)),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_page_reads_little_more_than_it_lists(full_url: str, name: str) -> None:
    pool = ExplainingPool(full_url)
    pages = EventPages(pool, lists_expected=True)
    start = replace(LISTS[name], most=LIMIT)
    middle = Mark(Position(MIDDLE, 2), MIDDLE.to_bytes(32)[:HASH_PIECE], pages.page(start).scope)
    for is_forward in (True, False):
        for asked in (start, replace(start, mark=middle), replace(start, since=MIDDLE * 5, until=MIDDLE * 8)):
            pool.plans.clear()
            page = pages.page(replace(asked, is_forward=is_forward))
            assert len(page.events) == LIMIT or "rare" in name
            found = [node for plan in pool.plans for node in nodes_of(plan)]
            read = {
                table: sum(rows_read(node) for node in found if node.get("Relation Name") == table)
                for table in LONG
            }
            assert max(read.values()) <= MOST_READ, (read, is_forward, asked)
    pool.close()


LONG = ("blocks", "events", "token_events", "exchange_events")
"""Tables that grow with the chain."""


def test_what_is_asked_again_is_planned_once_and_of_that_only_so_much_is_kept(full_url: str) -> None:
    pool = Pool(full_url, size=1)
    pages = EventPages(pool, lists_expected=True)
    for user in (ADA, BO, ADA):
        assert pages.page(PageQuestion(EventFilter(TYPES, CASH, user), most=LIMIT)).events
    assert len(prepared(pool)) == 1
    kinds = list(EventType)
    asked = [(first, second) for first in kinds for second in kinds]
    assert len(asked) > MOST_PREPARED
    for types in asked:
        page = pages.page(PageQuestion(EventFilter(types, CASH, BO), most=1))
        assert {event.type for event in page.events if isinstance(event, Event)} <= set(types)
    assert len(prepared(pool)) == MOST_PREPARED
    pool.close()


def prepared(pool: Pool) -> list[str]:
    with pool.statement() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return [name for (name,) in cursor.fetchall()]
