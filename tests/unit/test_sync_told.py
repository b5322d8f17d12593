"""Processes of one machine that share what they have told: none answers from an older state than another."""

import threading
import time
from collections.abc import Callable

import pytest

from relay.sync.told import Standing, Told

ENDLESS = 5.0
"""A wait so long that one that ends earlier has been ended."""
AT_ONCE = 2.0
SHORT = 0.3


@pytest.fixture
def told() -> Told:
    return Told(4)


def following(told: Told, place: int, position: int, seconds: float = ENDLESS) -> Standing:
    standing = Standing(told, place, seconds)
    standing.note(position)
    standing.looked()
    return standing


def waits(standing: Standing) -> float:
    began = time.monotonic()
    standing.catch_up()
    return time.monotonic() - began


def soon(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Timer(0.03, act)
    thread.start()
    return thread


def test_who_is_as_far_as_the_others_does_not_wait(told: Told) -> None:
    following(told, 0, 7)
    assert waits(following(told, 1, 7)) < AT_ONCE
    assert waits(following(told, 2, 8)) < AT_ONCE


def test_who_is_alone_does_not_wait() -> None:
    standing = Standing()
    standing.note(3)
    standing.looked()
    assert waits(standing) < AT_ONCE


def test_who_is_behind_waits_until_it_has_caught_up(told: Told) -> None:
    following(told, 0, 8)
    behind = following(told, 1, 7)
    thread = soon(lambda: behind.note(8))
    assert 0.02 < waits(behind) < AT_ONCE
    thread.join()
    assert waits(behind) < AT_ONCE


def test_what_another_comes_to_during_the_wait_is_not_waited_for(told: Told) -> None:
    ahead, behind = following(told, 0, 8), following(told, 1, 7)

    def go_on() -> None:
        ahead.note(9)
        behind.note(8)

    thread = soon(go_on)
    assert waits(behind) < AT_ONCE
    thread.join()


def test_nobody_waits_long(told: Told) -> None:
    following(told, 0, 8)
    behind = following(told, 1, 7, SHORT)
    for _ in range(2):
        assert SHORT <= waits(behind) < AT_ONCE


def test_who_rests_or_has_lost_the_database_does_not_wait(told: Told) -> None:
    following(told, 0, 8)
    behind = following(told, 1, 7)
    thread = soon(behind.away)
    assert waits(behind) < AT_ONCE, "it ends a wait, too"
    thread.join()
    assert waits(behind) < AT_ONCE
    behind.looked()
    thread = soon(lambda: behind.note(8))
    assert waits(behind) > 0.02, "it follows again"
    thread.join()


def test_a_position_that_the_feed_does_not_lead_to_is_not_waited_for(told: Told) -> None:
    of_another_feed = following(told, 0, 5_000)
    here = following(told, 1, 7, SHORT)
    assert waits(here) >= SHORT
    here.looked()
    here.looked()
    assert waits(here) < SHORT
    of_another_feed.note(6_000)
    assert waits(here) >= SHORT, "it could be one of this feed"


def test_a_look_that_does_not_get_there_ends_a_wait(told: Told) -> None:
    following(told, 0, 5_000)
    here = following(told, 1, 7)
    thread = soon(lambda: (here.looked(), here.looked())[0])
    assert waits(here) < AT_ONCE
    thread.join()


def test_who_came_to_another_database_goes_back_and_keeps_nobody_waiting(told: Told) -> None:
    one, other = following(told, 0, 5_000), following(told, 1, 5_000)
    one.note(3)
    other.note(3)
    assert told.furthest() == 3
    assert max(waits(one), waits(other)) < AT_ONCE
