"""A process's graphs: loaded at once, then kept in step by what changed."""

import threading
from collections import deque
from collections.abc import Collection
from typing import Any

import pytest

from graph.trustline import Trustline
from relay.model import NetworkInfo
from relay.store.errors import DatabaseBusy, DatabaseUnreachable
from relay.store.reading import Changes, Snapshot
from relay.store.rows import CursorPosition, StoredNetwork
from relay.sync.follower import Follower
from relay.sync.networks import Networks, UnknownNetwork

ADDRESS = b"\x09" * 20
A, B, C = b"A" * 20, b"B" * 20, b"C" * 20


def stored(network_id: int = 1, address: bytes = ADDRESS, *, is_frozen: bool = False) -> StoredNetwork:
    return StoredNetwork(network_id, NetworkInfo(address, "Cash", "CASH", 2, 100, 0, True, False, 1, is_frozen))


def block(number: int) -> CursorPosition:
    return CursorPosition(number, bytes([number] * 32), 1000 + number)


def loaded() -> Networks:
    networks = Networks()
    lines = [(1, Trustline(A, B, given=10)), (1, Trustline(B, C, given=20))]
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


def test_changes_of_another_set_of_networks_ask_for_a_new_load() -> None:
    networks = loaded()
    assert not networks.apply(Changes(block(6), 60, [stored(), stored(2, b"\x08" * 20)], []))
    assert networks.position == 50


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

    def snapshot(self) -> Snapshot:
        answer = self._next()
        assert isinstance(answer, Snapshot)
        return answer

    def changes_since(self, position: int, known: Collection[int]) -> Changes | None:
        answer = self._next()
        assert answer is None or isinstance(answer, Changes)
        return answer


class Announcing:
    """A listener that hears of a commit at once."""

    def wait(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        pass


def followed(*answers: Any) -> Networks:
    networks, reader = Networks(), ScriptedReader(*answers)
    follower = Follower(reader, networks, Announcing, retry_seconds=0.001)
    follower.start()
    assert reader.is_empty.wait(10)
    follower.stop()
    return networks


FIRST = Snapshot(block(5), 50, [stored()], [(1, Trustline(A, B, given=10))])
NEXT = Changes(block(6), 60, [stored()], [(1, (B, C), Trustline(B, C, given=7))])
NOTHING = Changes(block(6), 60, [stored()], [])


def test_a_follower_loads_and_then_takes_over_what_changes() -> None:
    networks = followed(FIRST, NEXT, NOTHING)
    assert networks.block == block(6)
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, B, C]


@pytest.mark.parametrize("trouble", [DatabaseUnreachable("gone"), DatabaseBusy("later"), ZeroDivisionError("odd")])
def test_a_follower_outlives_a_lost_database_and_what_nobody_expects(trouble: Exception) -> None:
    networks = followed(trouble, trouble, FIRST, NEXT, NOTHING)
    assert networks.block == block(6)


def test_a_follower_whose_database_was_away_loads_anew_for_it_may_be_another() -> None:
    another = Snapshot(block(3), 7, [stored()], [(1, Trustline(A, C, given=1))])
    nothing = Changes(block(3), 7, [stored()], [])
    networks = followed(FIRST, NEXT, DatabaseUnreachable("gone"), another, nothing)
    assert (networks.block, networks.position) == (block(3), 7)
    with networks.reading(ADDRESS) as graph:
        assert graph.users == [A, C]


def test_a_follower_kept_waiting_for_a_connection_goes_on_where_it_was() -> None:
    networks = followed(FIRST, DatabaseBusy("later"), NEXT, NOTHING)
    assert networks.block == block(6)


def test_a_follower_that_fell_behind_the_feed_loads_anew() -> None:
    later = Snapshot(block(9), 900, [stored()], [])
    networks = followed(FIRST, None, later, Changes(block(9), 900, [stored()], []))
    assert networks.position == 900
    with networks.reading(ADDRESS) as graph:
        assert graph.users == []
