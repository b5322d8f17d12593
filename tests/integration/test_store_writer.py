"""Who may write: one at a time, and never one who stands still."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from relay.model import Block
from relay.store.connection import Connection, Pool, connect
from relay.store.errors import DatabaseUnreachable
from relay.store.migrate import migrate
from relay.store.status import FollowerBoard, IndexState, IndexStatus, StatusReader
from relay.store.writing import Writer

TAKEOVER_SECONDS = 5.0


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@contextmanager
def writing(url: str, **more: float) -> Iterator[Writer]:
    writer = Writer(url, **more)  # type: ignore[arg-type]
    yield writer
    writer.close()


def seconds_until_locked(url: str) -> float:
    """How long another process waits for the lock."""
    began = time.monotonic()
    with writing(url) as other:
        while not other.try_lock():
            assert time.monotonic() - began < 30
            time.sleep(0.05)
    return time.monotonic() - began


def test_one_that_is_well_keeps_the_lock_although_it_writes_nothing(url: str) -> None:
    with writing(url, silence_seconds=0.4) as writer, writing(url) as other:
        assert writer.try_lock()
        time.sleep(2)
        assert not other.try_lock()
        with writer.transaction() as transaction:
            assert transaction.position() is None


def test_one_that_falls_silent_loses_the_lock_and_is_told_so_when_it_comes_back(url: str) -> None:
    with writing(url) as writer:
        assert writer.try_lock()
        writer._heartbeat.stop()
        assert seconds_until_locked(url) < TAKEOVER_SECONDS
        with pytest.raises(DatabaseUnreachable), writer.transaction() as transaction:
            transaction.position()


def test_one_that_falls_silent_within_a_transaction_loses_the_lock_and_what_it_wrote(url: str) -> None:
    with writing(url) as writer:
        assert writer.try_lock()
        with pytest.raises(DatabaseUnreachable), writer.transaction() as transaction:  # noqa: PT012
            transaction.set_position(Block(7, b"x" * 32, b"", 0), 0)
            assert seconds_until_locked(url) < TAKEOVER_SECONDS
            transaction.position()
    with writing(url) as other, other.transaction() as transaction:
        assert transaction.position() is None


def test_a_long_transaction_may_be_silent(url: str) -> None:
    with writing(url, silence_seconds=0.3) as writer:
        with writer.transaction(is_long=True) as transaction:
            time.sleep(1)
            transaction.set_position(Block(7, b"x" * 32, b"", 0), 0)
        with writer.transaction() as transaction:
            assert transaction.position() is not None


def test_a_statement_that_never_returns_is_given_up(url: str) -> None:
    """The server keeps the connection open and says nothing: here, by a lock that nobody lets go."""
    began = time.monotonic()
    with writing(url, statement_seconds=1.0) as writer, connected(url) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE cursor")
        with pytest.raises(DatabaseUnreachable, match="timeout"), writer.transaction() as transaction:
            transaction.position()
    assert time.monotonic() - began < 5


def test_a_connection_that_swallows_everything_is_cut(url: str) -> None:
    """Nothing on the server's side helps here: it runs no statement of ours any more."""
    connection = connect(url)
    writer = Writer(url, lambda _: connection, silence_seconds=0.5, patience_seconds=1.0)
    with pytest.raises(DatabaseUnreachable), writer.transaction() as transaction:  # noqa: PT012
        transaction._cursor.execute("SET LOCAL statement_timeout = 0")
        transaction._cursor.execute("SELECT pg_sleep(20)")
    writer.close()


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    connection = psycopg2.connect(url)
    yield connection
    connection.close()


def test_a_killed_session_gives_up_the_lock_at_once(url: str) -> None:
    with writing(url) as writer:
        assert writer.try_lock()
        threading.Timer(0.2, lambda: kill_others(url)).start()
        assert seconds_until_locked(url) < TAKEOVER_SECONDS


def kill_others(url: str) -> None:
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE locktype = 'advisory' AND l.database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )


def test_the_index_tells_its_state_and_since_when(url: str) -> None:
    pool = Pool(url)
    reader = StatusReader(pool)
    assert reader.status().index is None
    with writing(url) as writer:
        head = Block(9, b"h" * 32, b"", 1234)
        writer.report(IndexStatus("here:1", IndexState.FOLLOWING, "", head, 3))
        first = reader.status().index
        writer.report(IndexStatus("here:1", IndexState.FOLLOWING, "", head, 4))
        second = reader.status().index
        writer.report(IndexStatus("here:1", IndexState.WAITING, "the node is away"))
        third = reader.status().index
    assert first is not None
    assert second is not None
    assert third is not None
    assert (second.since, second.final_number) == (first.since, 4)
    assert third.since > first.since
    assert (third.state, third.reason, third.head_number) == (IndexState.WAITING, "the node is away", 9)
    assert third.age_seconds < 5
    pool.close()


def test_api_processes_are_on_the_board_until_they_leave(url: str) -> None:
    pool = Pool(url)
    one, other = FollowerBoard(url, "here:1"), FollowerBoard(url, "there:2")
    one.note(5, None)
    other.note(7, None)
    one.note(6, None)
    told = StatusReader(pool).status().followers
    assert [(follower.process, follower.position) for follower in told] == [("here:1", 6), ("there:2", 7)]
    with connected(url) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE followers SET updated_at = now() - interval '5 minutes' WHERE process = 'there:2'")
    one.note(8, None)
    assert [follower.process for follower in StatusReader(pool).status().followers] == ["here:1"]
    one.close()
    assert StatusReader(pool).status().followers == []
    other.close()
    pool.close()
