"""Mailboxes of two processes over one database: counted together, bounded, forgotten in time, delivered once."""

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from relay.addresses import Address
from relay.messaging.delivery import Delivery
from relay.messaging.errors import MailboxFull, MessagingError, RelayFull, TooMany
from relay.messaging.limits import ClientRate
from relay.messaging.mailbox import Mailboxes, Rules
from relay.messaging.upkeep import Upkeep, forgetting
from relay.store.connection import connect
from relay.store.errors import DatabaseUnreachable
from relay.store.messages import Message, MessageListener, MessageStore
from relay.store.migrate import migrate
from relay.store.operating import OperatingPool
from relay.store.rates import RateStore
from relay.store.reading import FeedListener
from relay.streams.hub import End, Hub, Kind, News, Subscription
from tests.support.running_relay import until

NOW = 1_700_000_000
ADA, BO = bytes([0xA1]) * 20, bytes([0xB2]) * 20


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
def pool(url: str) -> Iterator[OperatingPool]:
    pool = OperatingPool(url, 8, 10.0)
    yield pool
    pool.close()


def mailboxes(pool: OperatingPool, rules: Rules, ticks: Callable[[], float] = time.monotonic) -> Mailboxes:
    return Mailboxes(pool, rules, chain_id=1, owner_of=lambda _: None, clock=lambda: NOW, ticks=ticks)


def outcomes(found: list[Mailboxes], number: int, receiver: Address = ADA, client: str = "here") -> list[str]:
    """Post to some processes in turn, and return what was said each time."""

    def post(order: int) -> str:
        try:
            found[order % len(found)].post(receiver, f"message {order}", None, client=client)
        except MessagingError as error:
            return type(error).__name__
        return "Ok"

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(post, range(number)))


def test_a_client_is_counted_by_all_processes_together(pool: OperatingPool) -> None:
    rules = Rules(per_client=5, per_receiver=0)
    found = outcomes([mailboxes(pool, rules), mailboxes(pool, rules)], 20)
    assert found.count("Ok") == 5
    assert found.count("TooMany") == 15
    assert outcomes([mailboxes(pool, rules)], 1, client="somewhere else") == ["Ok"]


def test_messages_to_a_user_are_counted_by_all_processes_together(pool: OperatingPool) -> None:
    rules = Rules(per_client=0, per_receiver=5)
    found = outcomes([mailboxes(pool, rules), mailboxes(pool, rules)], 20)
    assert found.count("Ok") == 5
    assert outcomes([mailboxes(pool, rules)], 1, receiver=BO) == ["Ok"]


def test_a_bucket_is_filled_again_by_the_clock_of_the_database(pool: OperatingPool) -> None:
    rates = RateStore(pool)
    assert [rates.take("x", b"a", 600) for _ in range(601)].count(True) in range(600, 602)
    time.sleep(0.35)
    assert [rates.take("x", b"a", 600) for _ in range(600)].count(True) in range(3, 60)


def test_who_is_over_the_limit_here_costs_the_database_nothing(pool: OperatingPool) -> None:
    asked: list[bytes] = []

    class Counting(RateStore):
        def take(self, what: str, who: bytes, per_minute: int) -> bool:
            asked.append(who)
            return super().take(what, who, per_minute)

    rate = ClientRate(Counting(pool), "x", 10, lambda: 0.0)
    assert [rate.allows("203.0.113.7") for _ in range(1000)].count(True) == 10
    assert len(asked) == 10
    assert b"203.0.113.7" not in asked[0], "the database need not know where clients are"


def test_idle_buckets_are_forgotten(pool: OperatingPool) -> None:
    rates = RateStore(pool)
    for what in ("old", "new"):
        assert rates.take(what, b"a", 1)
    with pool.transaction() as cursor:
        cursor.execute("UPDATE rates SET counted_at = counted_at - interval '61 s' WHERE what = 'old'")
    rates.forget_idle()
    with pool.transaction() as cursor:
        cursor.execute("SELECT what FROM rates")
        assert cursor.fetchall() == [("new",)]


def test_of_messages_that_come_at_once_no_more_are_kept_than_may_be_unread(pool: OperatingPool) -> None:
    rules = Rules(per_client=0, per_receiver=0, max_unread=10)
    found = outcomes([mailboxes(pool, rules), mailboxes(pool, rules)], 40)
    assert found.count("Ok") == 10
    assert set(found) == {"Ok", MailboxFull.__name__}
    assert len(MessageStore(pool).claim_unread(ADA, 100, 30)) == 10


def test_a_flood_to_ever_new_addresses_ends_where_the_relay_is_full(pool: OperatingPool) -> None:
    now = 0.0
    rules = Rules(per_client=0, per_receiver=0, max_stored=20)
    first, second = (mailboxes(pool, rules, lambda: now) for _ in range(2))
    for number in range(20):
        first.post(number.to_bytes(20, "big"), "x", None, client="anybody")
    with pytest.raises(RelayFull):
        first.post(ADA, "x", None, client="anybody")
    with pytest.raises(RelayFull):
        second.post(ADA, "x", None, client="anybody")
    MessageStore(pool).forget_before(NOW + 1)
    now = 11.0
    second.post(ADA, "x", None, client="anybody")


def test_messages_leave_when_they_are_too_old_and_signatures_when_they_cannot_count(pool: OperatingPool) -> None:
    store, now = MessageStore(pool), NOW
    with pool.transaction() as cursor:
        for at in (NOW, NOW + 50):
            store.add(cursor, ADA, "Message", str(at), at, None)
        store.note_signature(cursor, b"old", NOW + 10)
        store.note_signature(cursor, b"new", NOW + 500)
    now = NOW + 101
    upkeep = Upkeep(forgetting(store, RateStore(pool), 100, lambda: now))
    upkeep.start()

    def left() -> bool:
        with pool.transaction() as cursor:
            cursor.execute("SELECT body FROM messages")
            bodies = [row[0] for row in cursor.fetchall()]
            cursor.execute("SELECT digest FROM message_signatures")
            return bodies == [str(NOW + 50)] and cursor.fetchall() == [(b"new",)]

    until("only what is young is left", left)
    upkeep.stop()


def test_upkeep_goes_on_after_a_fault() -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("failed")
        raise DatabaseUnreachable("gone")

    upkeep = Upkeep([fail, lambda: done.append("done")], seconds=0.01)
    upkeep.start()
    until("it was done again", lambda: done.count("done") >= 3)
    upkeep.stop()


def test_listening_works_with_thousands_of_files_open(url: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with ExitStack() as opened:
            for _ in range(1100):
                opened.enter_context(Path("/dev/null").open())
            messages, feed = MessageListener(url), FeedListener(url)
            assert messages.wait(0.01) == []
            assert feed.wait(0.01) is False
            messages.close()
            feed.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Reader:
    """Follows a user in one process and confirms what arrives, as a connection does."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def tell(self, subscription: Subscription, news: News) -> None:
        assert news.event is not None
        self.heard.append(orjson.loads(news.event)["message"])
        if news.receipt is not None:
            news.receipt.arrived()

    def has_room(self) -> bool:
        return True

    def allow(self, size: int) -> None:
        raise AssertionError("nothing is resumed here")

    def end(self, why: End) -> None:
        raise AssertionError(why)


class Process:
    """What one API process runs of messages, its hub without an event loop."""

    def __init__(self, url: str, pool: Any) -> None:
        self.hub, self.reader, self.blocked = Hub(), Reader(), False
        self.hub.subscribe((Kind.MESSAGES, ADA), self.reader)
        self.url = url
        self.delivery = Delivery(MessageStore(pool), self.hub, self._publish, self._listen)
        self.delivery.start()

    def _publish(self, news: Any) -> None:
        found: list[News] = list(news)
        self.hub.publish(found)

    def _listen(self) -> MessageListener:
        if self.blocked:
            raise DatabaseUnreachable("not yet")
        return MessageListener(self.url)


def cut(url: str, like: str = "LISTEN%") -> int:
    """End the sessions of the database whose last statement was such a one."""
    connection = connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
            (like,),
        )
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    return int(row[0])


def test_a_process_that_lost_the_database_for_a_while_brings_what_others_brought_meanwhile(
    url: str, pool: OperatingPool
) -> None:
    box = mailboxes(pool, Rules(per_client=0, per_receiver=0))
    one, other = Process(url, pool), Process(url, pool)
    until("both listen", lambda: listeners(pool) == 2)
    box.post(ADA, "before", None, client="x")
    until("both have it", lambda: one.reader.heard == other.reader.heard == ["before"])
    other.blocked = True
    assert cut(url) == 2
    until("one of them listens again", lambda: listeners(pool) == 1)
    box.post(ADA, "meanwhile", None, client="x")
    until("one has it", lambda: one.reader.heard == ["before", "meanwhile"])
    until("and it counts as read", lambda: MessageStore(pool).claim_unread(ADA, 10, 0.0) == [])
    other.blocked = False
    until("so has the other", lambda: other.reader.heard == ["before", "meanwhile"])
    box.post(ADA, "after", None, client="x")
    for process in (one, other):
        until("nothing twice", lambda process=process: process.reader.heard == ["before", "meanwhile", "after"])
        process.delivery.stop()


def test_every_message_comes_once_and_in_order_while_connections_break(url: str, pool: OperatingPool) -> None:
    box = mailboxes(pool, Rules(per_client=0, per_receiver=0))
    processes = [Process(url, pool), Process(url, pool)]
    until("both listen", lambda: listeners(pool) == 2)
    sent = [f"message {number}" for number in range(60)]
    for number, text in enumerate(sent):
        box.post(ADA, text, None, client="x")
        if number % 15 == 7:
            cut(url)
    for process in processes:
        until("all is there", lambda process=process: len(process.reader.heard) >= len(sent))
    time.sleep(1.2)
    for process in processes:
        assert process.reader.heard == sent
        process.delivery.stop()
    assert MessageStore(pool).claim_unread(ADA, 100, 1.0) == []


def test_what_was_read_while_the_database_was_away_is_noted_later(url: str, pool: OperatingPool) -> None:
    class Failing(MessageStore):
        is_away = True

        def note_read(self, ids: Any) -> None:
            if self.is_away:
                raise DatabaseUnreachable("away")
            super().note_read(ids)

        def claim(self, ids: Any, seconds: float) -> list[Message]:
            return super().claim(ids, 0.0)

    store, hub, reader = Failing(pool), Hub(), Reader()
    hub.subscribe((Kind.MESSAGES, ADA), reader)
    delivery = Delivery(store, hub, hub.publish, lambda: MessageListener(url))
    delivery.start()
    until("it listens", lambda: listeners(pool) == 1)
    mailboxes(pool, Rules()).post(ADA, "hello", None, client="x")
    until("it arrives", lambda: reader.heard == ["hello"])

    def unread() -> int:
        with pool.transaction() as cursor:
            return store.number_unread(cursor, ADA, 10)

    assert unread() == 1
    store.is_away = False
    until("it is noted", lambda: unread() == 0)
    delivery.stop()
    assert reader.heard == ["hello"]


def listeners(pool: OperatingPool) -> int:
    with pool.transaction() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
        )
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def test_too_many_is_one_sentence_naming_the_limit(pool: OperatingPool) -> None:
    box = mailboxes(pool, Rules(per_client=1))
    box.post(ADA, "x", None, client="here")
    with pytest.raises(TooMany, match="more than 1 messages a minute from one client"):
        box.post(ADA, "x", None, client="here")
