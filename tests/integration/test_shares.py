"""A process with a share of the networks reads these and no others."""

from collections.abc import Iterator
from contextlib import contextmanager

from relay.model import Block, NetworkInfo
from relay.share import Share
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.reading import StateReader
from relay.store.writing import Writer, WriteTransaction
from relay.sync.follower import Follower, Listener
from relay.sync.networks import Networks

OURS, THEIRS, LATER = (bytes(19) + bytes([last]) for last in (0x13, 0xF8, 0x27))
A, B = (bytes([letter]) * 20 for letter in b"AB")


@contextmanager
def writing(url: str, number: int) -> Iterator[WriteTransaction]:
    """Write the commit of a block."""
    writer = Writer(url, silence_seconds=60)
    block = Block(number, number.to_bytes(32, "big"), b"", number)
    with writer.transaction() as transaction:
        yield transaction
        transaction.announce_blocks(transaction.next_feed_position(), number, block, None, 1)
        transaction.set_position(block, 0)
    writer.close()


def add(transaction: WriteTransaction, address: bytes, number: int) -> None:
    """Add a network with a trustline, and tell of it."""
    info = NetworkInfo(address, "Cash", "CASH", 2, 100, 0, True, False, 1, False)
    network = transaction.add_network(info)
    transaction._cursor.execute(
        "INSERT INTO trustlines VALUES (%s, %s, %s, 0, 5, 5, 0, 0, false, 0)", (network.id, A, B)
    )
    transaction.announce_network(network.id, Block(number, bytes(32), b"", number))


def never() -> Listener:
    raise AssertionError("these followers are not started")


def test_graphs_are_made_of_the_share_alone_also_of_networks_that_come_later(database_url: str) -> None:
    migrate(database_url)
    with writing(database_url, 1) as transaction:
        add(transaction, OURS, 1)
        add(transaction, THEIRS, 1)
    pool, parts = Pool(database_url), {"part": Networks(), "whole": Networks()}
    shares = {"part": Share.parse("0-7"), "whole": None}
    followers = {
        name: Follower(StateReader(pool, shares[name]), networks, never) for name, networks in parts.items()
    }
    for follower in followers.values():
        follower.catch_up()
    assert parts["part"].addresses() == [OURS]
    assert parts["whole"].addresses() == [OURS, THEIRS]
    with writing(database_url, 2) as transaction:
        add(transaction, LATER, 2)
        add(transaction, LATER[:-1] + b"\xff", 2)
    taken = {name: follower.catch_up() for name, follower in followers.items()}
    assert taken == {"part": 1, "whole": 2}
    assert parts["part"].addresses() == [OURS, LATER]
    assert len(parts["whole"].addresses()) == 4
    assert {networks.block.number for networks in parts.values() if networks.block} == {2}
    with parts["part"].reading(LATER) as graph:
        assert graph.users == [A, B]
    pool.close()
