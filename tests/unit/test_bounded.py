"""What may hang is asked once at a time, and nobody waits for it longer than was agreed."""

import threading
import time
from collections.abc import Callable

import pytest

from relay.api.bounded import Bounded, NotAnswered


class Hanging:
    """Answers only when it is let go."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        self.may_go.wait(10)
        return self.asked


def seconds_of(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def test_an_answer_is_kept_for_a_moment() -> None:
    now, asked = [0.0], []
    bounded = Bounded(lambda: asked.append(1) or len(asked), keep_seconds=1.0, clock=lambda: now[0])
    assert [bounded.get() for _ in range(3)] == [1, 1, 1]
    now[0] = 1.0
    assert bounded.get() == 2


def test_a_fault_is_told_to_all_who_ask_in_that_moment_and_then_it_is_tried_again() -> None:
    now, faults = [0.0], [ValueError("first")]

    def ask() -> str:
        if faults:
            raise faults.pop()
        return "well"

    bounded = Bounded(ask, keep_seconds=1.0, clock=lambda: now[0])
    for _ in range(2):
        with pytest.raises(ValueError, match="first"):
            bounded.get()
    now[0] = 1.5
    assert bounded.get() == "well"


def test_what_hangs_keeps_nobody_and_occupies_one_thread_however_many_ask() -> None:
    hanging = Hanging()
    bounded = Bounded(hanging, keep_seconds=0.0, wait_seconds=0.05)

    def is_given_up() -> None:
        with pytest.raises(NotAnswered):
            bounded.get()

    assert 0.04 < seconds_of(is_given_up) < 1
    asking = [threading.Thread(target=is_given_up) for _ in range(20)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(5)
    assert hanging.asked == 1
    hanging.may_go.set()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert bounded.get() >= 1
            break
        except NotAnswered:
            time.sleep(0.01)
    else:
        pytest.fail("it answers again, but nobody hears of it")
