"""When the database is to look anew at what is in its tables."""

from relay.index.statistics import Statistics


def filled(enough: int, total: int, batch: int) -> list[int]:
    """Fill in so many events, and return after how many of them a look was due."""
    statistics, looks = Statistics(enough), []
    for number in range(batch, total + 1, batch):
        statistics.filled_in(batch)
        if statistics.is_due(is_level=False):
            looks.append(number)
            statistics.renewed()
    return looks


def test_while_much_is_to_come_it_looks_after_the_first_and_then_seldom() -> None:
    assert filled(100, total=9_000, batch=10) == [100, 900, 8_100]


def test_large_batches_count_as_what_they_bring() -> None:
    assert filled(100, total=9_000, batch=1_000) == [1_000, 9_000]


def test_in_the_end_it_looks_again_if_that_is_worth_it() -> None:
    statistics = Statistics(100)
    statistics.filled_in(100)
    statistics.renewed()
    statistics.filled_in(99)
    assert not statistics.is_due(is_level=True)
    statistics.filled_in(1)
    assert statistics.is_due(is_level=True)
    assert not statistics.is_due(is_level=False)
    statistics.renewed()
    assert not statistics.is_due(is_level=True)


def test_nothing_is_due_where_nothing_is_filled_in() -> None:
    assert not Statistics(1).is_due(is_level=True)
