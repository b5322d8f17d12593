"""Reading from a physical replica: never less than was seen, and through a failover that loses commits."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest

from relay.model import Block
from relay.store.announcements import Announcements, ReplicaListener
from relay.store.connection import Pool
from relay.store.errors import CommitsLost, DatabaseBehind, QueryGivenUp, StoreError
from relay.store.feed import Commit, newest_commit
from relay.store.migrate import migrate
from relay.store.reading import StateReader
from relay.store.replicas import ReplicaPool
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks
from tests.conftest import or_skip
from tests.support.replication import Pair, replicated, run_alone
from tests.support.running_relay import until


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pairs = replicated(tmp_path_factory.mktemp("replication"))
    found = or_skip(pairs.__enter__)
    found.primary.create_database("relay")
    migrate(found.url("relay", "read-write"))
    found.await_replay()
    yield found
    pairs.__exit__(None, None, None)


def commit(url: str, *numbers: int) -> Commit:
    """Commit blocks as an index does, each by itself, and return the last commit."""
    writer = Writer(url, silence_seconds=60)
    for number in numbers:
        block = Block(number, number.to_bytes(32, "big"), b"", number)
        with writer.transaction() as transaction:
            transaction.announce_blocks(transaction.next_feed_position(), number, block, None, 0)
            transaction.set_position(block, 0)
    writer.close()
    return newest(url)


def newest(url: str) -> Commit:
    pool = Pool(url, size=1)
    with pool.snapshot() as cursor:
        found = newest_commit(cursor)
    pool.close()
    return found


def number_read(pool: Pool) -> int:
    with pool.snapshot() as cursor:
        cursor.execute("SELECT block_number FROM cursor")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def following(url: str) -> tuple[Follower, Networks]:
    networks = Networks()
    return Follower(StateReader(ReplicaPool(url, 2)), networks, lambda: pytest.fail("not to be run")), networks


def block_of(networks: Networks) -> int:
    assert networks.block is not None
    return networks.block.number


def test_what_is_read_is_never_older_than_what_was_seen(pair: Pair) -> None:
    primary, replica = pair.url("relay", "read-write"), pair.url("relay", "prefer-standby")
    seen = commit(primary, 1)
    pair.await_replay()
    reading = ReplicaPool(replica, 2, 0.3, lambda: seen)
    assert number_read(reading) == 1
    pair.pause()
    seen = commit(primary, 2)
    with pytest.raises(DatabaseBehind):
        number_read(reading)
    threading.Timer(0.2, pair.resume).start()
    patient = ReplicaPool(replica, 2, 5.0, lambda: seen)
    assert number_read(patient) == 2, "waited for"
    seen = Commit(seen.position, str(uuid.uuid4()))
    with pytest.raises(DatabaseBehind):
        number_read(reading)


def test_graphs_stay_where_they_are_while_the_replica_is_behind_them(pair: Pair) -> None:
    primary, replica = pair.url("relay", "read-write"), pair.url("relay", "prefer-standby")
    commit(primary, 1)
    pair.await_replay()
    pair.pause()
    commit(primary, 2)
    _, networks = following(primary)
    with StateReader(Pool(primary)).snapshot() as snapshot:
        networks.load(snapshot)
    follower = Follower(StateReader(ReplicaPool(replica, 2)), networks, lambda: pytest.fail("not to be run"))
    with pytest.raises(DatabaseBehind):
        follower.catch_up()
    assert block_of(networks) == 2
    pair.resume()
    commit(primary, 3)
    pair.await_replay()
    follower.catch_up()
    assert block_of(networks) == 3


def test_a_commit_is_told_by_the_primary_and_looked_for_without_one(pair: Pair) -> None:
    primary, replica = pair.url("relay", "read-write"), pair.url("relay", "prefer-standby")
    commit(primary, 1)
    pair.await_replay()
    announcements, networks = Announcements.at(primary), Networks()
    reader = StateReader(ReplicaPool(replica, 2))
    follower = Follower(reader, networks, lambda: ReplicaListener(announcements, lambda: networks.position))
    announcements.start()
    follower.start()
    try:
        until("it follows", lambda: networks.is_loaded)
        until("it hears", lambda: run_alone(pair.primary.url, _LISTENING) == 1)
        for number in range(2, 12):
            commit(primary, number)
            committed_at = time.monotonic()
            while block_of(networks) < number:
                assert time.monotonic() - committed_at < 10
                time.sleep(0.001)
        os.kill(pair.primary.child.pid, signal.SIGKILL)  # type: ignore[union-attr]
        pair.promote()
        commit(primary, 12)
        until("what came without a word is seen", lambda: block_of(networks) == 12)
        until("it hears at the new primary", lambda: run_alone(pair.replica.url, _LISTENING) == 1)
    finally:
        follower.stop()
        announcements.stop()


_LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


def test_a_query_that_keeps_the_replica_from_following_is_given_up_and_the_next_one_answers(pair: Pair) -> None:
    primary, replica = pair.url("relay", "read-write"), pair.url("relay", "prefer-standby")
    run_alone(pair.replica.url, "ALTER SYSTEM SET max_standby_streaming_delay = 0")
    run_alone(pair.replica.url, "SELECT pg_reload_conf()")
    commit(primary, 1)
    pair.await_replay()

    def renew_rows() -> None:
        commit(primary, 2, 3, 4)
        run_alone(primary, "VACUUM cursor")

    reading = ReplicaPool(replica, 2)
    disturbance = threading.Timer(0.3, renew_rows)
    disturbance.start()
    with pytest.raises(QueryGivenUp, match="conflict with recovery"), reading.snapshot() as cursor:
        cursor.execute("SELECT block_number, pg_sleep(20) FROM cursor")
    disturbance.join()
    pair.await_replay()
    assert number_read(reading) == 4


def test_commits_that_a_promoted_replica_lacks_are_not_taken_for_those_that_come_in_their_place(
    pair: Pair,
) -> None:
    url = pair.url("relay", "read-write")
    commit(url, 1, 2)
    pair.await_replay()
    follower, networks = following(url)
    follower.catch_up()
    pair.part()
    lost = commit(url, *range(3, 40))
    follower.catch_up()
    assert networks.commit == lost
    os.kill(pair.primary.child.pid, signal.SIGKILL)  # type: ignore[union-attr]
    pair.promote()
    with pytest.raises(CommitsLost):
        follower.catch_up()
    assert block_of(networks) == 39, "older answers are not given at once"
    # The same blocks come again, at other positions or at the same ones.
    while newest(url).position < lost.position:
        commit(url, newest(url).position)
    commit(url, 39, 40)
    follower.catch_up()
    assert block_of(networks) == 40
    assert networks.commit == newest(url)


def test_an_idle_connection_that_broke_is_replaced_before_anybody_notices(pair: Pair) -> None:
    primary = pair.url("relay", "read-write")
    commit(primary, 1)
    pair.await_replay()
    either = ReplicaPool(pair.url("relay", "any", replica_first=True), 4)
    with ExitStack() as held:
        cursors = [held.enter_context(either.snapshot()) for _ in range(4)]
        serving = [psutil.Process(cursor.connection.info.backend_pid) for cursor in cursors]
    os.kill(pair.replica.child.pid, signal.SIGKILL)  # type: ignore[union-attr]
    until("the replica is gone", lambda: is_gone(pair))
    # They notice a moment later that the process which started them has gone.
    until("so are those that served the connections", lambda: not any(map(is_at_work, serving)))
    assert number_read(either) == 1, "from the primary"


def test_the_primary_is_read_from_only_for_as_long_as_there_is_no_replica(pair: Pair) -> None:
    primary, either = pair.url("relay", "read-write"), pair.url("relay", "any", replica_first=True)
    commit(primary, 1)
    pair.replica.stop()
    patient, quick = ReplicaPool(either, 2), ReplicaPool(either, 2, renewal_seconds=0.05)
    assert not any(is_replica(pool) for pool in (patient, quick))
    pair.replica.start()
    time.sleep(0.1)
    assert is_replica(quick)
    assert not is_replica(patient)


def is_replica(pool: Pool) -> bool:
    with pool.snapshot() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        row = cursor.fetchone()
        return bool(row and row[0])


def is_at_work(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def is_gone(pair: Pair) -> bool:
    pool = Pool(pair.replica.url, size=1)
    try:
        with pool.snapshot():
            return False
    except StoreError:
        return True
    finally:
        pool.close()
