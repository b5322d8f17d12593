"""Lists of events and states of trustlines in the database: found by index, and never those of somebody else."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from graph.trustline import Trustline
from relay.model import Block, Event, EventType, NetworkInfo, Terms
from relay.store.connection import Pool, connect
from relay.store.event_reading import EventFilter, EventReader, events_query
from relay.store.migrate import migrate
from relay.store.stretch import Stretch
from relay.store.writing import Writer, WriteTransaction

NETWORK, OTHER = b"\x01" * 20, b"\x02" * 20
ANNA, BOB, CLARA = b"a" * 20, b"b" * 20, b"c" * 20
TWIN = ANNA[:19] + b"!"
"""Shares all that an index knows of Anna's address."""


@pytest.fixture
def writer(database_url: str) -> Iterator[Writer]:
    migrate(database_url)
    writer = Writer(database_url, silence_seconds=60)
    assert writer.try_lock()
    yield writer
    writer.close()


@pytest.fixture
def reader(database_url: str, writer: Writer) -> Iterator[EventReader]:
    pool = Pool(database_url)
    yield EventReader(pool)
    pool.close()


def block(number: int) -> Block:
    return Block(number, number.to_bytes(32), b"", 1000 + number)


def event(number: int, index: int, sender: bytes, receiver: bytes, **more: Any) -> Event:
    given: dict[str, Any] = {"type": EventType.TRANSFER, "value": 7, "network": NETWORK, **more}
    at = block(number)
    return Event(
        block_number=number,
        block_hash=at.hash,
        timestamp=at.timestamp,
        transaction_hash=bytes(32),
        transaction_index=0,
        log_index=index,
        sender=sender,
        receiver=receiver,
        **given,
    )


def add_network(transaction: WriteTransaction, address: bytes) -> int:
    info = NetworkInfo(
        address,
        "Hours",
        "H",
        2,
        100,
        0,
        custom_interests=True,
        prevent_mediator_interests=False,
        first_block=1,
        is_frozen=False,
    )
    return transaction.add_network(info).id


def store(writer: Writer, *events: Event) -> None:
    with writer.transaction() as transaction:
        ids = {network: add_network(transaction, network) for network in (NETWORK, OTHER)}
        transaction.add_blocks(map(block, sorted({event.block_number for event in events})))
        opened = EventType.TRUSTLINE_UPDATE, EventType.BALANCE_UPDATE
        transaction.add_events((ids[e.network], e, False if e.type in opened else None) for e in events)


def asked(reader: EventReader, user: bytes | None = None, **more: Any) -> list[tuple[int, int]]:
    types = more.pop("types", [EventType.TRANSFER])
    found = reader.events(EventFilter(types, user=user, **more))
    return [(event.block_number, event.log_index) for event in found]


def test_a_users_events_are_those_sent_and_received_in_the_order_of_the_chain(
    writer: Writer, reader: EventReader
) -> None:
    store(
        writer,
        event(1, 0, ANNA, BOB),
        event(1, 1, BOB, CLARA),
        event(1, 2, BOB, ANNA),
        event(2, 9, CLARA, ANNA),
        event(2, 10, ANNA, CLARA, network=OTHER),
        event(3, 0, ANNA, BOB, type=EventType.BALANCE_UPDATE),
    )
    assert asked(reader, ANNA) == [(1, 0), (1, 2), (2, 9), (2, 10)]
    assert asked(reader, ANNA, network=NETWORK) == [(1, 0), (1, 2), (2, 9)]
    assert asked(reader, ANNA, from_block=2) == [(2, 9), (2, 10)]
    assert asked(reader, ANNA, types=[EventType.BALANCE_UPDATE]) == [(3, 0)]
    assert asked(reader) == [(1, 0), (1, 1), (1, 2), (2, 9), (2, 10)]


def test_the_newest_events_are_the_last_ones_however_many_came_before(writer: Writer, reader: EventReader) -> None:
    store(writer, *(event(n, i, *((ANNA, BOB) if i % 2 else (BOB, ANNA))) for n in range(1, 9) for i in range(4)))
    assert asked(reader, ANNA, newest=6) == [(7, 2), (7, 3), (8, 0), (8, 1), (8, 2), (8, 3)]
    assert asked(reader, newest=1) == [(8, 3)]
    assert len(asked(reader, ANNA, newest=1000)) == 32


def test_an_event_between_a_user_and_themselves_is_listed_once(writer: Writer, reader: EventReader) -> None:
    store(writer, event(1, 0, ANNA, ANNA), event(1, 1, ANNA, BOB))
    assert asked(reader, ANNA) == [(1, 0), (1, 1)]


def test_nobody_sees_the_events_of_one_whose_address_begins_the_same(writer: Writer, reader: EventReader) -> None:
    store(writer, event(1, 0, ANNA, BOB), event(1, 1, TWIN, BOB), event(1, 2, BOB, TWIN))
    assert asked(reader, ANNA) == [(1, 0)]
    assert asked(reader, TWIN) == [(1, 1), (1, 2)]


def test_a_network_that_is_not_served_has_no_events(writer: Writer, reader: EventReader) -> None:
    store(writer, event(1, 0, ANNA, BOB), event(1, 1, ANNA, BOB, network=OTHER))
    with writer.transaction() as transaction:
        transaction.want_only([OTHER])
    assert asked(reader, ANNA) == asked(reader) == [(1, 1)]


def test_the_newest_events_of_a_user_are_found_by_index_alone(database_url: str, writer: Writer) -> None:
    users = [bytes([number]) * 20 for number in range(100)]
    store(
        writer, *(event(n, i, users[n % 100], users[(n + i) % 100]) for n in range(1, 1001) for i in range(1, 6))
    )
    writer.analyse()
    connection = connect(database_url)
    with connection, connection.cursor() as cursor:
        query, parameters = events_query(
            EventFilter([EventType.TRANSFER], user=users[7]), [1, 2], Stretch(is_forward=False, most=5)
        )
        cursor.execute("EXPLAIN " + query, parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    connection.close()
    assert "events_of_sender" in plan
    assert "events_of_receiver" in plan
    assert "Seq Scan on events" not in plan


def terms(number: int, index: int, sender: bytes, receiver: bytes, given: int, received: int) -> Event:
    values = Terms(given, received, 0, 0, is_frozen=False)
    return event(number, index, sender, receiver, type=EventType.TRUSTLINE_UPDATE, value=None, terms=values)


def test_a_trustline_is_restored_from_its_own_events_alone(writer: Writer) -> None:
    """Two trustlines whose users share all that an index knows of them."""
    low, high = sorted((ANNA, TWIN))
    kept = {low: Trustline(low, BOB, 5, 10, 20, mtime=1002), high: Trustline(high, BOB, -3, 1, 2, mtime=1003)}
    balance = EventType.BALANCE_UPDATE
    store(
        writer,
        terms(1, 0, low, BOB, 10, 20),
        terms(1, 1, BOB, high, 2, 1),
        event(2, 0, low, BOB, type=balance, value=5),
        event(3, 0, BOB, high, type=balance, value=3),
        event(4, 0, low, BOB, type=balance, value=99),
    )
    with writer.transaction() as transaction:
        network_id = transaction.networks()[0].id
        stale = [(network_id, replace(line, balance=99)) for line in kept.values()]
        transaction.save_trustlines(stale)
        undone = transaction.undo_after(3)
        assert undone.trustlines == [(network_id, (low, BOB))]
        transaction.restore_trustlines([(network_id, (user, BOB)) for user in kept])
    with writer.transaction() as transaction:
        keys = [(network_id, (user, BOB)) for user in kept]
        assert transaction.trustlines(keys) == {(network_id, line.pair): line for line in kept.values()}


def test_what_a_transaction_wrote_is_not_remembered_if_it_was_not_kept(writer: Writer) -> None:
    line = Trustline(ANNA, BOB, 5, 10, 20)
    with writer.transaction() as transaction:
        network_id = add_network(transaction, NETWORK)
        transaction.save_trustlines([(network_id, line)])
    key = (network_id, line.pair)
    with pytest.raises(ZeroDivisionError), writer.transaction() as transaction:  # noqa: PT012
        transaction.save_trustlines([(network_id, replace(line, balance=1 // 1))])
        assert transaction.trustlines([key])[key].balance == 1
        transaction.position()
        raise ZeroDivisionError
    with writer.transaction() as transaction:
        assert transaction.trustlines([key, (network_id, (ANNA, CLARA))]) == {key: line}


def test_what_was_forgotten_is_not_remembered(writer: Writer) -> None:
    line = Trustline(ANNA, BOB, 5, 10, 20)
    with writer.transaction() as transaction:
        network_id = add_network(transaction, NETWORK)
        transaction.save_trustlines([(network_id, line)])
        transaction.forget_events_of(network_id)
        assert transaction.trustlines([(network_id, line.pair)]) == {}


def test_headers_without_events_are_forgotten_below_the_final_block(writer: Writer, database_url: str) -> None:
    store(writer, event(2, 0, ANNA, BOB), event(4, 0, ANNA, BOB, network=OTHER))
    with writer.transaction() as transaction:
        transaction.add_blocks(map(block, (1, 2, 3, 4, 5, 6)))
        transaction.prune_blocks(1, 6)
        assert sorted(transaction.block_hashes(0, 10)) == [2, 4, 6]
