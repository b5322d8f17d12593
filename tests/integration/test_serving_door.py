"""Who takes in a connection, where several share a port."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from relay.serving.door import Crowd, Door

SECONDS = 10.0


class Guest(asyncio.Protocol):
    """A connection that a door took in."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self._house.change(1)

    def connection_lost(self, _error: Exception | None) -> None:
        self._house.change(-1)


class House:
    """What a process is to its door."""

    def __init__(self, listener: socket.socket, crowd: Crowd, place: int) -> None:
        self.held = 0
        self.door = Door(listener, crowd, place, lambda: Guest(self))

    def change(self, by: int) -> None:
        self.held += by
        self.door.holds(self.held)


class Exhausted(socket.socket):
    """A socket that has no file descriptor left for the first connections."""

    refusals = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with Exhausted(socket.AF_INET, socket.SOCK_STREAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen(100)
        opened.setblocking(False)
        yield opened


def clients(opened: ExitStack, listener: socket.socket, number: int) -> list[socket.socket]:
    """Connect so many clients; they wait until somebody takes them in."""
    address = listener.getsockname()
    return [opened.enter_context(socket.create_connection(address, SECONDS)) for _ in range(number)]


async def until_held(number: int, *houses: House) -> None:
    async with asyncio.timeout(SECONDS):
        while sum(house.held for house in houses) != number:
            await asyncio.sleep(0.001)


def test_a_burst_of_connections_is_shared(listener: socket.socket) -> None:
    async def share() -> None:
        crowd = Crowd(8)
        houses = [House(listener.dup(), crowd, place) for place in (1, 4, 6)]
        for house in houses:
            house.door.open()
        await until_held(30, *houses)
        assert all(9 <= house.held <= 11 for house in houses), [house.held for house in houses]
        for house in houses:
            house.door.close()

    with ExitStack() as opened:
        clients(opened, listener, 30)
        asyncio.run(share())


def test_who_lost_its_connections_is_the_first_to_take_in_others(listener: socket.socket) -> None:
    async def share(opened: ExitStack) -> None:
        crowd = Crowd(2)
        one, other = (House(listener.dup(), crowd, place) for place in range(2))
        one.door.open()
        first = clients(opened, listener, 10)
        await until_held(10, one)
        other.door.open()
        clients(opened, listener, 10)
        await until_held(20, one, other)
        assert abs(other.held - 10) <= 1, "it comes up to the one that was alone"
        for client in first:
            client.close()
        await until_held(10, one, other)
        clients(opened, listener, 10)
        await until_held(20, one, other)
        assert abs(one.held - 10) <= 1
        for house in (one, other):
            house.door.close()

    with ExitStack() as opened:
        asyncio.run(share(opened))


def test_nobody_waits_long_for_a_process_that_hangs_or_at_all_for_one_that_left(listener: socket.socket) -> None:
    async def take(opened: ExitStack) -> None:
        crowd = Crowd(2)
        house = House(listener.dup(), crowd, 0)
        house.door.open()
        crowd.note(1, 0)
        clients(opened, listener, 10)
        await until_held(10, house)
        assert crowd.others_hold_fewer(0)
        crowd.leave(1)
        assert not crowd.others_hold_fewer(0)
        clients(opened, listener, 10)
        await until_held(20, house)
        house.door.close()
        house.door.close()
        assert not crowd.others_hold_fewer(1), "who has closed its door is no reason to stand back"

    with ExitStack() as opened:
        asyncio.run(take(opened))


def test_without_file_descriptors_it_says_so_and_tries_again(
    listener: Exhausted, caplog: pytest.LogCaptureFixture
) -> None:
    async def take(opened: ExitStack) -> None:
        house = House(listener, Crowd(1), 0)
        listener.refusals = 2
        house.door.open()
        clients(opened, listener, 3)
        await until_held(3, house)
        house.door.close()

    with ExitStack() as opened:
        asyncio.run(take(opened))
    assert caplog.text.count("no connection can be taken in for a while: too many open files") == 2
