"""How many blocks are asked for at once."""

import pytest

from relay.index.batching import BatchSize


def ask(size: BatchSize, limit: int, times: int, logs_per_block: int = 0) -> list[int]:
    """Ask so often of a node that answers up to ``limit`` blocks; return the sizes that it refused."""
    refused = []
    for _ in range(times):
        asked = size.blocks
        if asked > limit:
            size.refuse(asked)
            refused.append(asked)
        else:
            size.accept(asked, asked * logs_per_block)
    return refused


@pytest.mark.parametrize("limit", [1, 5, 100, 1999])
def test_a_limit_is_found_and_then_respected(limit: int) -> None:
    size = BatchSize(2000, 10_000)
    ask(size, limit, 30)
    assert limit / 2 < size.blocks <= limit
    assert ask(size, limit, 30) == []


def test_a_limit_that_is_gone_is_forgotten_after_a_while() -> None:
    size = BatchSize(2000, 10_000)
    ask(size, 10, 40)
    ask(size, 10_000, 100)
    assert size.blocks == 2000


def test_busy_blocks_are_asked_for_by_fewer_and_quiet_ones_by_more() -> None:
    size = BatchSize(2000, 10_000)
    size.accept(2000, 200_000)
    assert size.blocks == 100
    size.accept(100, 10_000)
    assert size.blocks == 100
    ask(size, 10_000, 10)
    assert size.blocks == 2000


def test_there_is_always_one_block_to_ask_for() -> None:
    size = BatchSize(1, 10)
    size.refuse(1)
    size.accept(1, 10**6)
    assert size.blocks == 1
