"""Lists over the past in pages: filled, cut and filled again they are what they are when filled once."""

import os
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from graph.transfer import FeePayer
from graph.trustline import pair_of
from relay.devnet.postgres import create_database, drop_database
from relay.store.connection import connect
from relay.store.history_rows import PAGE_ENTRIES, Accrual, Page, TransferRecord, interest_entry, mediation_entries
from relay.store.migrate import migrate
from relay.store.writing import Writer
from tests.support.fake_services import CASH_INFO

SEED = int(os.environ.get("TEST_SEED", "20261128"))
ROUNDS = 60
NETWORK = 1
"""The only network's number."""
USERS = [bytes([number]) * 20 for number in (1, 2, 3, 4)]


@dataclass
class Past:
    """What the blocks of a chain told, block after block."""

    accruals: list[Accrual] = field(default_factory=list)
    transfers: list[TransferRecord] = field(default_factory=list)

    def upto(self, number: int) -> "Past":
        """Return what the blocks up to a number told."""
        return Past(
            [each for each in self.accruals if each.block_number <= number],
            [each for each in self.transfers if each.block_number <= number],
        )

    def __add__(self, other: "Past") -> "Past":
        return Past(self.accruals + other.accruals, self.transfers + other.transfers)

    def lists(self) -> dict[tuple[bytes, ...], list[tuple[int, int, str]]]:
        """Return the entries of every list, by whose it is."""
        found: dict[tuple[bytes, ...], list[tuple[int, int, str]]] = defaultdict(list)
        for each in self.accruals:
            found[each.pair].append((each.block_number, each.timestamp, interest_entry(each)))
        for transfer in self.transfers:
            for mediator, text in mediation_entries(transfer):
                found[mediator,].append((transfer.block_number, transfer.timestamp, text))
        return found


def told(rng: random.Random, first: int, last: int) -> Past:
    """Return what some blocks tell: of some users much, of others next to nothing."""
    past = Past()
    for number in range(first, last + 1):
        for _ in range(rng.choice((0, 0, 1, 3, 3 * PAGE_ENTRIES if rng.random() < 0.05 else 1))):
            one, other = rng.choice([USERS[:2]] * 8 + [USERS[1:3], USERS[2:]])
            past.accruals.append(
                Accrual(NETWORK, pair_of(one, other), number, 5 * number, rng.choice((-1, 1)) * 10, 1000)
            )
        for index in range(rng.choice((0, 1, 2))):
            path = tuple(rng.sample(USERS, rng.choice((2, 3, 3, 4))))
            amounts = tuple(range(100 + len(path), 101, -1))
            hashed = rng.randbytes(32)
            past.transfers.append(
                TransferRecord(NETWORK, number, 5 * number, hashed, 0, index, FeePayer.SENDER, path, amounts)
            )
    return past


def prepare(url: str) -> str:
    migrate(url)
    with closing(Writer(url, silence_seconds=60)) as writer, writer.transaction() as transaction:
        assert transaction.add_network(CASH_INFO).id == NETWORK
    return url


@pytest.fixture
def url(database_url: str) -> str:
    return prepare(database_url)


@pytest.fixture
def second_url(postgres_url: str) -> Iterator[str]:
    yield prepare(create_database(postgres_url, "second_history_pages"))
    drop_database(postgres_url, "second_history_pages")


def add(writer: Writer, past: Past) -> None:
    with writer.transaction() as transaction:
        transaction.add_history(past.accruals, past.transfers)


def undo(writer: Writer, number: int) -> None:
    pairs = [(NETWORK, pair_of(one, other)) for one, other in pairwise(USERS)]
    with writer.transaction() as transaction:
        transaction.undo_history(number, pairs)


def pages(url: str) -> dict[tuple[bytes, ...], list[tuple[int, Page]]]:
    """Return the pages of every list with their numbers, by whose it is."""
    found: dict[tuple[bytes, ...], list[tuple[int, Page]]] = defaultdict(list)
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        for table, names in (("interests", "lower, higher"), ("mediations", "mediator")):
            cursor.execute(f"SELECT page, blocks, times, sizes, entries, {names} FROM {table} ORDER BY page")
            for number, blocks, times, sizes, entries, *whose in cursor.fetchall():
                found[tuple(whose)].append((number, Page(blocks, times, sizes, entries)))
    return found


def entries_of(filled: Sequence[tuple[int, Page]]) -> list[Any]:
    return [entry for _, page in filled for entry in page]


def test_lists_are_what_the_chain_told_and_their_pages_the_same_however_they_were_filled(
    url: str, second_url: str
) -> None:
    rng = random.Random(SEED)
    past, head = Past(), 0
    with closing(Writer(url, silence_seconds=60)) as writer:
        for _ in range(ROUNDS):
            if rng.random() < 0.3:
                head = max(0, head - rng.choice((0, 1, 2, 30, 200)))
                past = past.upto(head)
                undo(writer, head)
            else:
                last = head + rng.choice((1, 1, 1, 2, 50))
                news = told(rng, head + 1, last)
                add(writer, news)
                past, head = past + news, last
    found = pages(url)
    assert {whose: entries_of(filled) for whose, filled in found.items()} == past.lists(), f"TEST_SEED={SEED}"
    for filled in found.values():
        assert [number for number, _ in filled] == list(range(len(filled))), f"TEST_SEED={SEED}"
        assert all(len(page.blocks) == PAGE_ENTRIES for _, page in filled[:-1]), f"TEST_SEED={SEED}"
    with closing(Writer(second_url, silence_seconds=60)) as writer:
        add(writer, past)
    assert pages(second_url) == found, f"TEST_SEED={SEED}"


def test_pages_of_1024_blocks_that_an_earlier_version_left_go_on_in_order(url: str) -> None:
    rng = random.Random(SEED)
    old = told(rng, 1, 2000)
    lists, whose = old.lists(), (USERS[0], USERS[1])
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        for number in (0, 1):
            blocks, times, texts = zip(*[each for each in lists[whose] if each[0] // 1024 == number], strict=True)
            cursor.execute(
                "INSERT INTO interests VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (NETWORK, *whose, number, list(blocks), list(times), list(map(len, texts)), ",".join(texts)),
            )
    with closing(Writer(url, silence_seconds=60)) as writer:
        new = told(rng, 2001, 2200)
        add(writer, new)
        assert entries_of(pages(url)[whose]) == (old + new).lists()[whose]
        for number in (2100, 2000, 1500, 1023, 1000):
            undo(writer, number)
            assert entries_of(pages(url)[whose]) == (old + new).upto(number).lists()[whose]
        again = told(rng, 1001, 1100)
        add(writer, again)
        assert entries_of(pages(url)[whose]) == (old.upto(1000) + again).lists()[whose]
