"""A process's graphs: loaded at once, then kept in step by what changed."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from graph.trustline import Trustline
from relay.model import NetworkInfo
from relay.store.errors import CommitsLost, DatabaseBehind, DatabaseBusy, DatabaseUnreachable
from relay.store.feed import Commit
from relay.store.reading import Changes, Snapshot, TakeRows
from relay.store.rows import CursorPosition, StoredNetwork
from relay.sync.follower import Follower
from relay.sync.networks import Networks, UnknownNetwork

ADDRESS = b"\x09" * 20
A, B, C = b"A" * 20, b"B" * 20, b"C" * 20


def stored(network_id: int = 1, address: bytes = ADDRESS, *, is_frozen: bool = False) -> StoredNetwork:
    return StoredNetwork(network_id, NetworkInfo(address, "Cash", "CASH", 2, 100, 0, True, False, 1, is_frozen))


def block(number: int) -> CursorPosition:
    return CursorPosition(number, bytes([number] * 32), 1000 + number)


def handing_over(*lines: Trustline) -> Callable[[TakeRows], None]:
    """Hand over trustlines of network 1, one at a time."""

    def hand_over(take: TakeRows) -> None:
        for line in lines:
            take(1, [line.row])

    return hand_over


def loaded() -> Networks:
    networks = Networks()
    lines = handing_over(Trustline(A, B, given=10), Trustline(B, C, given=20))
    networks.load(Snapshot(block(5), 50, [stored()], lines))
    return networks


def test_a_snapshot_becomes_graphs_at_its_block() -> None:
    networks = loaded()
    assert networks.is_loaded
    assert (networks.block, networks.position) == (block(5), 50)
    assert networks.addresses() == [ADDRESS]
    assert networks.info(ADDRESS).symbol == "CASH"
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, B, C]
        assert graph.rules.fee_divisor == 100


def test_changes_open_alter_close_and_forget_trustlines() -> None:
    networks = loaded()
    changed = [(1, (A, B), Trustline(A, B)), (1, (B, C), None), (1, (A, C), Trustline(A, C, balance=3))]
    assert networks.apply(Changes(block(6), 60, [stored(is_frozen=True)], changed))
    assert (networks.block, networks.position) == (block(6), 60)
    with networks.reading(ADDRESS) as graph:
        assert list(graph.trustlines()) == [Trustline(A, C, balance=3)]
        assert graph.users == [A, B, C]
        assert graph.is_frozen


def test_changes_that_lack_a_network_which_is_served_ask_for_a_new_load() -> None:
    networks = loaded()
    assert not networks.apply(Changes(block(6), 60, [stored(), stored(2, b"\x08" * 20)], []))
    assert networks.position == 50


def test_a_network_is_taken_over_as_a_whole_beside_changes_of_others() -> None:
    networks, other = loaded(), b"\x08" * 20
    changed = [(1, (A, B), Trustline(A, B, given=99))]
    whole = {2: [Trustline(B, C, balance=4), Trustline(A, B)]}
    assert networks.apply(Changes(block(6), 60, [stored(), stored(2, other)], changed, whole))
    with networks.reading(other) as graph:
        assert list(graph.trustlines()) == [Trustline(B, C, balance=4)]
        assert graph.users == [A, B, C]
    with networks.reading(ADDRESS) as graph:
        assert graph.trustline(A, B) == Trustline(A, B, given=99)
        assert graph.trustline(B, C) == Trustline(B, C, given=20)


def test_a_network_read_anew_replaces_what_was_known_of_it() -> None:
    networks = loaded()
    assert networks.apply(Changes(block(6), 60, [stored()], [], {1: [Trustline(A, C, given=1)]}))
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, C]


def test_a_network_that_is_no_longer_served_is_unknown() -> None:
    networks = loaded()
    assert networks.apply(Changes(block(6), 60, [], []))
    assert networks.addresses() == []
    with pytest.raises(UnknownNetwork), networks.reading(ADDRESS):
        pass


def test_an_unknown_network_is_said_to_be_unknown() -> None:
    with pytest.raises(UnknownNetwork):
        loaded().info(A)
    with pytest.raises(UnknownNetwork), loaded().reading(A):
        pass


class ScriptedReader:
    """Answers each question with the next of its answers; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = deque(answers)
        self.is_empty = threading.Event()

    def _next(self) -> Any:
        if len(self.answers) == 1:
            self.is_empty.set()
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        answer = self._next()
        assert isinstance(answer, Snapshot)
        yield answer

    def changes_since(self, commit: Commit, known: Collection[int]) -> Changes | None:
        answer = self._next()
        assert answer is None or isinstance(answer, Changes)
        return answer


class Announcing:
    """A listener that hears of a commit at once."""

    def wait(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


class Board:
    """Keeps what a follower notes; the first time it fails."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, CursorPosition | None]] = []
        self.is_closed = False

    def note(self, position: int, block: CursorPosition | None) -> None:
        self.noted.append((position, block))
        if len(self.noted) == 1:
            raise DatabaseUnreachable("gone")

    def close(self) -> None:
        self.is_closed = True


def followed(*answers: Any, **more: Any) -> Networks:
    networks, reader = Networks(), ScriptedReader(*answers)
    follower = Follower(reader, networks, Announcing, retry_seconds=0.001, **more)
    follower.start()
    assert reader.is_empty.wait(10)
    follower.stop()
    return networks


FIRST = Snapshot(block(5), 50, [stored()], handing_over(Trustline(A, B, given=10)))
NEXT = Changes(block(6), 60, [stored()], [(1, (B, C), Trustline(B, C, given=7))])
NOTHING = Changes(block(6), 60, [stored()], [])
FIRST_AGAIN = Changes(block(5), 50, [stored()], [])


def test_a_follower_loads_and_then_takes_over_what_changes() -> None:
    networks = followed(FIRST, NEXT, NOTHING)
    assert networks.block == block(6)
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, B, C]


@pytest.mark.parametrize("trouble", [DatabaseUnreachable("gone"), DatabaseBusy("later"), ZeroDivisionError("odd")])
def test_a_follower_outlives_a_lost_database_and_what_nobody_expects(trouble: Exception) -> None:
    networks = followed(trouble, trouble, FIRST, NEXT, NOTHING)
    assert networks.block == block(6)


def test_a_follower_whose_database_is_back_as_another_one_goes_over_to_that_when_it_is_as_far() -> None:
    behind, level = CommitsLost("another", 3), CommitsLost("another", 6)
    another = Snapshot(block(6), 7, [stored()], handing_over(Trustline(A, C, given=1)))
    nothing = Changes(block(6), 7, [stored()], [])
    networks = followed(FIRST, NEXT, DatabaseUnreachable("gone"), behind, level, another, nothing)
    assert (networks.block, networks.position) == (block(6), 7)
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, C]


def test_a_follower_goes_back_to_what_a_database_lost_only_after_a_while() -> None:
    lost = CommitsLost("restored", 3)
    restored = Snapshot(block(3), 7, [stored()], handing_over(Trustline(A, C, given=1)))
    networks = followed(FIRST, NEXT, lost, lost, lost, clock=lambda: 1.0)
    assert networks.block == block(6)
    now = iter(range(0, 1000, 6))
    networks = followed(
        FIRST, NEXT, lost, lost, restored, Changes(block(3), 7, [stored()], []), clock=lambda: next(now)
    )
    assert networks.block == block(3)


def test_a_follower_does_not_go_back_to_what_a_replica_has_that_is_behind() -> None:
    """Neither while it says so, nor where everything is to be loaded and another replica is met."""
    older = Snapshot(block(5), 55, [stored()], handing_over())
    networks = followed(FIRST, NEXT, DatabaseBehind("at 55"), DatabaseBehind("at 55"), NOTHING)
    assert networks.block == block(6)
    networks = followed(FIRST, NEXT, None, older, NOTHING)
    assert networks.block == block(6)
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, B, C]


def test_a_follower_kept_waiting_for_a_connection_goes_on_where_it_was() -> None:
    networks = followed(FIRST, DatabaseBusy("later"), NEXT, NOTHING)
    assert networks.block == block(6)


def test_a_follower_that_fell_behind_the_feed_loads_anew() -> None:
    later = Snapshot(block(9), 900, [stored()], handing_over())
    networks = followed(FIRST, None, later, Changes(block(9), 900, [stored()], []))
    assert networks.position == 900
    with networks.reading(ADDRESS) as graph:
        assert graph.users == []


def test_a_follower_notes_how_far_it_has_come_once_a_second_at_most() -> None:
    board, now = Board(), iter(range(1000))
    followed(FIRST, FIRST_AGAIN, NEXT, NOTHING, board=board, clock=lambda: next(now) / 2)
    assert board.noted[:2] == [(50, block(5)), (60, block(6))]
    assert board.is_closed
    impatient = Board()
    followed(FIRST, NEXT, NOTHING, board=impatient, clock=lambda: 0.0)
    assert impatient.noted == [(60, block(6))]


def test_a_follower_rests_after_taking_over_very_many_trustlines() -> None:
    """While the index catches up, requests go before being up to date."""
    lines = [(1, (B, C), Trustline(B, C, given=given)) for given in range(1, 1001)]
    many, later = Changes(block(6), 60, [stored()], lines), Changes(block(7), 70, [stored()], [])
    networks, reader, now = Networks(), ScriptedReader(FIRST, many, later), iter(range(1000))
    follower = Follower(reader, networks, Announcing, clock=lambda: float(next(now)))
    follower.start()
    end = time.monotonic() + 10
    while networks.position < many.position and time.monotonic() < end:
        time.sleep(0.01)
    assert not reader.is_empty.wait(0.3)
    assert networks.position == many.position
    follower.stop()
    # What is less is followed at once.
    assert followed(FIRST, replace(many, trustlines=lines[:999]), later).position == later.position
