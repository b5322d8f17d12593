"""Many read at once, a writer is alone, and neither side is kept waiting for good."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from graph.trustline import Trustline
from relay.model import NetworkInfo
from relay.store.reading import Changes, Snapshot
from relay.store.rows import CursorPosition, StoredNetwork
from relay.sync.locking import ReadersWriterLock
from relay.sync.networks import Networks

SOON = 0.05
"""Seconds after which a thread that could get in would have got in."""
LONG = 10


class Visitor:
    """A thread that goes in, says so, and stays until it is told to leave."""

    def __init__(self, enter: Callable[[], AbstractContextManager[object]]) -> None:
        self._enter = enter
        self.entered, self._leaving = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self._thread.start()

    def _visit(self) -> None:
        with self._enter():
            self.entered.set()
            assert self._leaving.wait(LONG)

    def is_inside(self, seconds: float = LONG) -> bool:
        return self.entered.wait(seconds)

    def leave(self) -> None:
        self._leaving.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()


def test_readers_read_at_the_same_time() -> None:
    lock = ReadersWriterLock()
    readers = [Visitor(lock.reading) for _ in range(3)]
    assert all(reader.is_inside() for reader in readers)
    for reader in readers:
        reader.leave()


def test_a_writer_waits_for_all_who_read_and_nobody_reads_or_writes_beside_it() -> None:
    lock = ReadersWriterLock(courtesy=LONG)
    first, second = Visitor(lock.reading), Visitor(lock.reading)
    assert first.is_inside()
    assert second.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    first.leave()
    assert not writer.is_inside(SOON)
    second.leave()
    assert writer.is_inside()
    reader, other = Visitor(lock.reading), Visitor(lock.writing)
    assert not reader.is_inside(SOON)
    assert not other.is_inside(SOON)
    writer.leave()
    assert other.is_inside()
    assert not reader.is_inside(SOON)
    other.leave()
    assert reader.is_inside()
    reader.leave()


def test_a_writer_that_waits_goes_before_readers_who_come_later() -> None:
    lock = ReadersWriterLock(courtesy=LONG)
    early = Visitor(lock.reading)
    assert early.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    late = Visitor(lock.reading)
    assert not late.is_inside(SOON)
    early.leave()
    assert writer.is_inside()
    assert not late.is_inside(SOON)
    writer.leave()
    assert late.is_inside()
    late.leave()


def test_readers_pass_a_writer_that_somebody_keeps_waiting_for_long() -> None:
    lock = ReadersWriterLock(courtesy=0.01)
    slow = Visitor(lock.reading)
    assert slow.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    late = Visitor(lock.reading)
    assert late.is_inside()
    slow.leave()
    assert not writer.is_inside(SOON)
    late.leave()
    assert writer.is_inside()
    writer.leave()


def test_a_writer_that_has_waited_too_long_is_passed_no_more() -> None:
    now = 100.0
    lock = ReadersWriterLock(courtesy=0.01, patience=5, clock=lambda: now)
    slow = Visitor(lock.reading)
    assert slow.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    now = 105.0
    late = Visitor(lock.reading)
    assert not late.is_inside(2 * SOON)
    slow.leave()
    assert writer.is_inside()
    writer.leave()
    assert late.is_inside()
    late.leave()


@pytest.mark.parametrize("kind", ["reading", "writing"])
def test_who_fails_inside_leaves_the_lock_behind(kind: str) -> None:
    lock = ReadersWriterLock()
    with pytest.raises(ZeroDivisionError), getattr(lock, kind)():
        raise ZeroDivisionError
    writer = Visitor(lock.writing)
    assert writer.is_inside()
    writer.leave()


ADDRESS, A, B = b"\x09" * 20, b"A" * 20, b"B" * 20
STORED = StoredNetwork(1, NetworkInfo(ADDRESS, "Cash", "CASH", 2, 100, 0, True, False, 1, False))


def state(number: int) -> tuple[CursorPosition, Trustline]:
    return CursorPosition(number, bytes(32), number), Trustline(A, B, balance=number, given=number)


def test_many_who_read_see_each_a_whole_state_while_changes_arrive() -> None:
    networks = Networks()
    block, line = state(1)
    networks.load(Snapshot(block, 1, [STORED], lambda take: take(1, [line.row])))
    torn: list[object] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            with networks.reading(ADDRESS) as graph:
                first, number = graph.trustline(A, B), networks.block
                again = graph.trustline(A, B)
                if first is None or first != again or number is None or first.balance != number.number:
                    torn.append((first, again, number))

    readers = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 500):
        block, line = state(number)
        assert networks.apply(Changes(block, number, [STORED], [(1, (A, B), line)]))
    is_over.set()
    for reader in readers:
        reader.join(LONG)
        assert not reader.is_alive()
    assert not torn


def test_two_searches_hold_the_same_network_at_once_and_an_update_waits_for_both() -> None:
    networks = Networks()
    block, line = state(1)
    networks.load(Snapshot(block, 1, [STORED], lambda take: take(1, [line.row])))
    first, second = (Visitor(lambda: networks.reading(ADDRESS)) for _ in range(2))
    assert first.is_inside()
    assert second.is_inside()
    done = threading.Event()

    def update() -> None:
        block, line = state(2)
        networks.apply(Changes(block, 2, [STORED], [(1, (A, B), line)]))
        done.set()

    threading.Thread(target=update, daemon=True).start()
    assert not done.wait(SOON)
    assert networks.info(ADDRESS).symbol == "CASH"
    assert networks.addresses() == [ADDRESS]
    first.leave()
    assert not done.wait(SOON)
    second.leave()
    assert done.wait(LONG)


def test_a_short_look_is_not_kept_waiting_by_a_writer_who_waits_for_a_long_one() -> None:
    lock = ReadersWriterLock(courtesy=LONG, patience=0)
    search = Visitor(lock.reading)
    assert search.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    other_search = Visitor(lock.reading)
    look = Visitor(lambda: lock.reading(briefly=True))
    assert look.is_inside()
    assert not other_search.is_inside(SOON)
    look.leave()
    search.leave()
    assert writer.is_inside()
    late = Visitor(lambda: lock.reading(briefly=True))
    assert not late.is_inside(SOON)
    writer.leave()
    assert other_search.is_inside()
    other_search.leave()
    assert late.is_inside()
    late.leave()


def test_short_looks_alone_give_way_to_a_writer() -> None:
    lock = ReadersWriterLock(courtesy=LONG)
    look = Visitor(lambda: lock.reading(briefly=True))
    assert look.is_inside()
    writer = Visitor(lock.writing)
    assert not writer.is_inside(SOON)
    late = Visitor(lambda: lock.reading(briefly=True))
    assert not late.is_inside(SOON)
    look.leave()
    assert writer.is_inside()
    assert not late.is_inside(SOON)
    writer.leave()
    assert late.is_inside()
    late.leave()


def test_a_writer_gets_in_although_short_looks_never_pause() -> None:
    lock, is_over = ReadersWriterLock(), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            with lock.reading(briefly=True):
                pass

    threads = [threading.Thread(target=look, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        writer = Visitor(lock.writing)
        assert writer.is_inside()
        writer.leave()
    is_over.set()
    for thread in threads:
        thread.join(LONG)
