"""Fetching a stretch of blocks: what belongs together is taken, what contradicts itself is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from relay.addresses import Address
from relay.chain import abi
from relay.chain.bloom import mask_of
from relay.chain.wire import Log
from relay.index.errors import Inconsistent
from relay.index.source import fetch_stretch
from relay.model import Block, EventType

NETWORK = b"\x09" * 20
FREEZE = abi.contract("CurrencyNetwork").entry("event", "NetworkFreeze")


def hash_of(number: int, fork: str = "") -> bytes:
    return f"{fork}{number}".encode().rjust(32, b".")


def chain(length: int, fork: str = "") -> list[Block]:
    return [Block(n, hash_of(n, fork), hash_of(n - 1, fork), 1000 + n) for n in range(length)]


class FakeNode:
    """A node that serves given blocks and one freeze of the network in each block asked for."""

    def __init__(self, blocks: Sequence[Block], freezes_in: Sequence[int] = (), *, is_dated: bool = True) -> None:
        self.served = list(blocks)
        self.freezes_in = freezes_in
        self.is_dated = is_dated
        self.asked_for: list[int] = []
        self.before_logs: Callable[[], None] = lambda: None

    def chain_id(self) -> int:
        return 1

    def head(self) -> Block:
        return self.served[-1]

    def block(self, number: int) -> Block | None:
        return self.served[number] if number < len(self.served) else None

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        self.asked_for += numbers
        return [self.block(number) for number in numbers]

    def finalized(self) -> Block | None:
        return None

    def logs_of_block(self, addresses: Sequence[Address], block: Block) -> list[Log]:
        assert self.served[block.number] == block
        return self.logs(addresses, block.number, block.number)

    def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
        self.before_logs()
        return [
            Log(
                address=addresses[0],
                topics=(abi.topic(FREEZE),),
                data=b"",
                block_number=number,
                block_hash=self.served[number].hash,
                block_timestamp=self.served[number].timestamp if self.is_dated else None,
                transaction_hash=bytes(32),
                transaction_index=0,
                log_index=0,
            )
            for number in self.freezes_in
            if first <= number <= last
        ]


def test_final_blocks_are_taken_from_their_logs_alone() -> None:
    node = FakeNode(chain(100), freezes_in=[5, 50])
    stretch = fetch_stretch(node, [NETWORK], 1, 80, unfinal_from=90, parent=hash_of(0))
    assert node.asked_for == [80]
    assert [block.number for block in stretch.blocks] == [5, 50, 80]
    assert [(event.type, event.timestamp) for event in stretch.events] == [
        (EventType.NETWORK_FREEZE, 1005),
        (EventType.NETWORK_FREEZE, 1050),
    ]


def test_the_headers_of_blocks_that_can_be_replaced_are_all_kept() -> None:
    stretch = fetch_stretch(FakeNode(chain(20)), [NETWORK], 1, 19, unfinal_from=15, parent=hash_of(0))
    assert [block.number for block in stretch.blocks] == [15, 16, 17, 18, 19]
    assert stretch.last == chain(20)[19]


def test_logs_without_a_timestamp_get_that_of_their_header() -> None:
    node = FakeNode(chain(100), freezes_in=[5], is_dated=False)
    stretch = fetch_stretch(node, [NETWORK], 1, 80, unfinal_from=90, parent=hash_of(0))
    assert stretch.events[0].timestamp == 1005


def test_a_block_that_is_not_built_on_the_last_one_is_refused() -> None:
    node = FakeNode(chain(20))
    with pytest.raises(Inconsistent, match="block 10 is not built"):
        fetch_stretch(node, [NETWORK], 10, 19, unfinal_from=5, parent=b"another block".ljust(32))


def test_headers_that_do_not_follow_each_other_are_refused() -> None:
    node = FakeNode([*chain(15), *chain(20, fork="b")[15:]])
    with pytest.raises(Inconsistent, match="block 15 is not built"):
        fetch_stretch(node, [NETWORK], 10, 19, unfinal_from=5, parent=hash_of(9))


def test_a_chain_that_changes_between_headers_and_logs_is_noticed() -> None:
    node = FakeNode(chain(20), freezes_in=[12])

    def reorganise() -> None:
        node.served[10:] = [replace(block, hash=hash_of(block.number, "b")) for block in node.served[10:]]

    node.before_logs = reorganise
    with pytest.raises(Inconsistent, match="block 19 was replaced"):
        fetch_stretch(node, [NETWORK], 10, 19, unfinal_from=5, parent=hash_of(9))


def test_logs_of_other_blocks_than_those_asked_for_are_refused() -> None:
    class Confused(FakeNode):
        def logs_of_block(self, addresses: Sequence[Address], block: Block) -> list[Log]:
            return [replace(log, block_number=10**6) for log in super().logs_of_block(addresses, block)]

    with pytest.raises(Inconsistent, match="a log of block 1000000 came among those of blocks 19 to 19"):
        fetch_stretch(Confused(chain(20), freezes_in=[19]), [NETWORK], 19, 19, unfinal_from=5, parent=hash_of(18))


def test_logs_that_a_node_leaves_out_of_a_range_are_asked_for_by_the_blocks_they_must_be_in() -> None:
    """It has not come so far when it is asked for a range; what a header says of its logs gives it away."""

    class Lagging(FakeNode):
        def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
            logs = super().logs(addresses, first, last)
            return logs if first == last else [log for log in logs if log.block_number < 15]

    bits = mask_of(NETWORK) | mask_of(abi.topic(FREEZE))
    bloom = bits.to_bytes(256, "big")
    blocks = [replace(block, logs_bloom=bloom if block.number in (12, 17) else bytes(256)) for block in chain(20)]
    stretch = fetch_stretch(Lagging(blocks, [12, 17]), [NETWORK], 10, 19, unfinal_from=5, parent=hash_of(9))
    assert [event.block_number for event in stretch.events] == [12, 17]


def test_a_head_that_goes_back_meanwhile_is_noticed() -> None:
    with pytest.raises(Inconsistent, match="no header of block 15"):
        fetch_stretch(FakeNode(chain(15)), [NETWORK], 10, 19, unfinal_from=5, parent=hash_of(9))
