"""The log of the feed in Postgres is what happened: held against what was written down while it did."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from relay.contracts import ContractKind
from relay.index.recording import undo
from relay.model import Block, Event, NetworkInfo
from relay.store.connection import Pool
from relay.store.feed_log import Change, FeedLog, Log, Mark, NotOnFeed, NotYet, Place, Reached
from relay.store.migrate import migrate
from relay.store.writing import Writer, WriteTransaction
from tests.support.feed_model import IDENTITY, AnyEvent, Commit, FeedModel, ModelLog

NETWORK, TOKEN, EXCHANGE = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
USERS = [bytes([number]) * 20 for number in (0xA1, 0xB2, 0xC3)]
TWIN = USERS[0][:19] + b"!"
"""Shares all that an index knows of a user's address."""

INFO = NetworkInfo(NETWORK, "Cash", "CASH", 2, 100, 0, False, False, 0, False)


class Database:
    """Writes commits of a model as the index does."""

    def __init__(self, url: str) -> None:
        migrate(url)
        self.writer = Writer(url, silence_seconds=60)
        assert self.writer.try_lock()
        self.pool = Pool(url)
        self.log = FeedLog(self.pool)
        with self.writer.transaction() as transaction:
            self.network = transaction.add_network(INFO).id
            transaction.add_contract(ContractKind.TOKEN, TOKEN, 0, None)
            transaction.add_contract(ContractKind.EXCHANGE, EXCHANGE, 0, None)
            self.contracts = {found.address: found.id for found in transaction.contracts()}
            transaction.set_position(Block(0, bytes(32), b"", 0), 0)
            transaction._cursor.execute("UPDATE feed_horizon SET identity = %s", (IDENTITY,))

    def position(self) -> int:
        with self.writer.transaction() as transaction:
            return transaction.next_feed_position()

    def write(self, commit: Commit) -> None:
        with self.writer.transaction() as transaction:
            if commit.undone_after is not None:
                undo(transaction, commit.undone_after, commit.position)
            transaction.add_blocks(commit.blocks)
            self.add(transaction, commit.added)
            first = commit.last.number - len(commit.blocks) + 1
            transaction.announce_blocks(commit.position, first, commit.last, commit.undone_after, 0)
            transaction.set_position(commit.last, 0)

    def add(self, transaction: WriteTransaction, events: Sequence[AnyEvent]) -> None:
        transaction.add_events((self.network, event, None) for event in events if isinstance(event, Event))
        transaction.add_contract_events(
            (self.contracts[event.origin.contract], event) for event in events if not isinstance(event, Event)
        )

    def join(self, *, is_joining: bool) -> None:
        with self.writer.transaction() as transaction:
            position = transaction.position()
            assert position is not None
            transaction.announce_network(self.network, position, is_joining=is_joining)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    yield found
    found.writer.close()
    found.pool.close()


def comparable(log: Log) -> tuple[object, ...]:
    return (log.mark, log.end, log.entries, sorted(log.touched), log.is_too_much)


@pytest.mark.parametrize("seed", range(4))
def test_from_any_place_to_any_commit_the_log_is_what_happened(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    model = FeedModel(seed, [*USERS, TWIN], NETWORK, (TOKEN, EXCHANGE))
    known = ModelLog(model)
    marks = [database.log.mark()]
    places = [Reached.whole(marks[0])]
    known.start = marks[0]
    for _ in range(25):
        database.write(model.commit(database.position()))
        known.shown += 1
        marks.append(database.log.mark())
        assert marks[-1] == known.mark()
        places.append(Reached.whole(marks[-1]))
        # Somebody may stop in the middle of what is told at once.
        batch = known.since(Reached.whole(chance.choice(marks[:-1])))
        places += [Reached.whole(batch.mark).at(batch.end)]
    for base in marks[::2]:
        whole = Reached.whole(base)
        places += [whole.at(entry.place) for entry in known.since(whole).entries[::3]]
    for _ in range(300):
        reached, until = chance.choice(places), chance.choice(marks)
        user = chance.choice([None, *USERS, TWIN])
        try:
            wanted = comparable(known.since(reached, until, user))
        except NotYet:
            with pytest.raises(NotYet):
                database.log.since(reached, until, user)
        else:
            assert comparable(database.log.since(reached, until, user)) == wanted


def some(database: Database, count: int = 5, seed: int = 1) -> list[Mark]:
    model = FeedModel(seed, USERS, NETWORK)
    marks = [database.log.mark()]
    for _ in range(count):
        database.write(model.commit(database.position()))
        marks.append(database.log.mark())
    return marks


def test_a_place_of_before_a_rebuild_is_told_from_one_that_is_too_old(database: Database) -> None:
    marks = some(database)
    with database.writer.transaction() as transaction:
        transaction._prune_feed(marks[2].position)
    with pytest.raises(NotOnFeed) as too_old:
        database.log.require(Reached.whole(marks[1]))
    assert not too_old.value.is_foreign
    database.log.require(Reached.whole(marks[3]))
    with database.writer.transaction() as transaction:
        transaction.erase()
    with pytest.raises(NotOnFeed) as rebuilt:
        database.log.require(Reached.whole(marks[3]))
    assert rebuilt.value.is_foreign
    database.log.require(Reached.whole(database.log.mark()))


def test_a_place_in_what_a_lost_server_had_committed_is_foreign(database: Database) -> None:
    marks = some(database)
    other = replace(marks[3], tag=b"else")
    with pytest.raises(NotOnFeed) as lost:
        database.log.since(Reached.whole(other))
    assert lost.value.is_foreign
    with pytest.raises(NotYet):
        database.log.require(Reached.whole(replace(marks[-1], position=marks[-1].position + 1)))


def test_what_a_network_brings_along_is_no_news_and_what_a_repair_leaves_is(database: Database) -> None:
    marks = some(database)
    before = database.log.since(Reached.whole(marks[0]))
    assert before.entries
    database.join(is_joining=False)
    assert database.log.since(Reached.whole(marks[0])).entries == before.entries
    database.join(is_joining=True)
    left = database.log.since(Reached.whole(marks[0])).entries
    assert [entry for entry in left if entry.place.change is Change.ADDED] == []


def test_more_than_is_asked_for_is_said_and_left_out(database: Database) -> None:
    marks = some(database, 12)
    whole = database.log.since(Reached.whole(marks[0]))
    few = database.log.since(Reached.whole(marks[0]), most=3)
    assert len(whole.entries) > 3
    assert (few.is_too_much, few.entries, few.mark) == (True, [], whole.mark)


def test_places_are_in_the_order_in_which_things_happen() -> None:
    added, withdrawn = Change.ADDED, Change.WITHDRAWN
    places = [
        Place(0, added, 5, 0),
        Place(0, added, 5, 1),
        Place(0, added, 6, 0),
        Place(9, withdrawn, -6, 0),
        Place(9, withdrawn, -5, -1),
        Place(9, added, 5, 0),
    ]
    assert sorted(places) == places
