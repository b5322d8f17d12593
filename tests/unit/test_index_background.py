"""Work that gives way to whatever else the machine has to do."""

import pytest

from relay.index.background import giving_way


def test_what_comes_of_it_is_handed_back() -> None:
    assert giving_way(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        giving_way(lambda: 1 // 0)


def test_where_priorities_may_not_be_changed_it_is_done_all_the_same() -> None:
    asked: list[tuple[int, int, int]] = []

    def refuse(which: int, who: int, priority: int) -> None:
        asked.append((which, who, priority))
        raise PermissionError

    assert giving_way(lambda: 7, refuse) == 7
    assert len(asked) <= 1
