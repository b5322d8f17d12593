"""Expensive calls wait for their turn, a bounded number for a bounded time; cheap ones never do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relay.api.admission import Admission, Cost, Limits, Overloaded
from tests.support.fake_services import ADA, CASH, CY, client, text

LONG = 10


class Caller(threading.Thread):
    """Somebody who wants to be answered; ``outcome`` is "inside", then "left" or what refused them."""

    def __init__(self, admission: Admission, cost: Cost) -> None:
        super().__init__(daemon=True)
        self._admission, self._cost = admission, cost
        self._may_leave, self._changed = threading.Event(), threading.Event()
        self.outcome: str = ""
        self.start()

    def run(self) -> None:
        try:
            with self._admission.entered(self._cost):
                self.outcome = "inside"
                self._changed.set()
                assert self._may_leave.wait(LONG)
            self.outcome = "left"
        except Overloaded as refusal:
            self.outcome = str(refusal.description)
            self._changed.set()

    def learn(self, seconds: float = LONG) -> str:
        self._changed.wait(seconds)
        return self.outcome

    def leave(self) -> None:
        self._may_leave.set()
        self.join(LONG)
        assert self.outcome == "left"


@contextmanager
def inside(admission: Admission, cost: Cost, number: int) -> Iterator[list[Caller]]:
    callers = [Caller(admission, cost) for _ in range(number)]
    assert [caller.learn() for caller in callers] == ["inside"] * number
    yield callers
    for caller in callers:
        if caller.outcome == "inside":
            caller.leave()


def test_as_many_as_allowed_are_inside_and_who_waits_goes_in_by_the_order_of_arrival() -> None:
    admission = Admission(Limits({Cost.SEARCH: 2}, waiting=4, seconds=LONG))
    with inside(admission, Cost.SEARCH, 2) as first:
        second = Caller(admission, Cost.SEARCH)
        assert second.learn(0.1) == ""
        third = Caller(admission, Cost.SEARCH)
        assert third.learn(0.1) == ""
        first[0].leave()
        assert second.learn() == "inside"
        assert third.learn(0.1) == ""
        second.leave()
        assert third.learn() == "inside"
        third.leave()


def test_who_has_waited_in_vain_is_refused_and_takes_no_turn_along() -> None:
    admission = Admission(Limits({Cost.SEARCH: 1}, waiting=4, seconds=0.1))
    with inside(admission, Cost.SEARCH, 1):
        began = time.monotonic()
        assert "too many searches" in Caller(admission, Cost.SEARCH).learn()
        assert 0.09 < time.monotonic() - began < LONG / 2
    for _ in range(3):
        with inside(admission, Cost.SEARCH, 1):
            pass


def test_beyond_those_that_may_wait_a_call_is_refused_at_once() -> None:
    admission = Admission(Limits({Cost.SEARCH: 1}, waiting=2, seconds=LONG))
    with inside(admission, Cost.SEARCH, 1) as callers:
        waiting = Caller(admission, Cost.SEARCH)
        assert waiting.learn(0.1) == ""
        began = time.monotonic()
        with pytest.raises(Overloaded), admission.entered(Cost.SEARCH):
            pass
        assert time.monotonic() - began < 0.5
        callers[0].leave()
        assert waiting.learn() == "inside"
        waiting.leave()


def test_one_kind_leaves_the_others_their_turns_and_their_places_in_the_line() -> None:
    admission = Admission(Limits({Cost.SEARCH: 1, Cost.DATABASE: 1}, waiting=2, seconds=LONG))
    with inside(admission, Cost.SEARCH, 1) as searching:
        waiting = Caller(admission, Cost.SEARCH)
        assert waiting.learn(0.1) == ""
        with inside(admission, Cost.DATABASE, 1) as asking:
            another = Caller(admission, Cost.DATABASE)
            assert another.learn(0.1) == ""
            asking[0].leave()
            assert another.learn() == "inside"
            another.leave()
        searching[0].leave()
        assert waiting.learn() == "inside"
        waiting.leave()


def test_cheap_calls_never_wait() -> None:
    admission = Admission(Limits({Cost.SEARCH: 1}))
    with inside(admission, Cost.SEARCH, 1), inside(admission, Cost.CHEAP, 20):
        pass


def test_a_fault_inside_gives_the_turn_back() -> None:
    admission = Admission(Limits({Cost.NODE: 1}))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.entered(Cost.NODE):
            raise ZeroDivisionError


def test_no_turn_is_lost_or_doubled_when_many_come_leave_and_give_up() -> None:
    admission = Admission(Limits({Cost.SEARCH: 3}, waiting=16, seconds=0.002))
    lock, now, most, outcomes = threading.Lock(), 0, 0, {"in": 0, "refused": 0}

    def come() -> None:
        nonlocal now, most
        for _ in range(200):
            try:
                with admission.entered(Cost.SEARCH):
                    with lock:
                        now += 1
                        most = max(most, now)
                        outcomes["in"] += 1
                    time.sleep(0.001)
                    with lock:
                        now -= 1
            except Overloaded:
                with lock:
                    outcomes["refused"] += 1

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3
    assert min(outcomes.values()) > 0
    with inside(admission, Cost.SEARCH, 3):
        pass


def test_a_refused_call_is_told_when_to_come_back_and_cheap_ones_are_answered() -> None:
    admission = Admission(Limits({Cost.SEARCH: 1, Cost.WHOLE_NETWORK: 1}))
    api = client(admission=admission)
    question = {"from": text(ADA), "to": text(CY), "value": "400"}
    with inside(admission, Cost.SEARCH, 1), inside(admission, Cost.WHOLE_NETWORK, 1):
        refused = api.post(f"/api/v1/networks/{text(CASH)}/path-info", json=question)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "too many searches" in refused.get_json()["message"]
        assert api.get(f"/api/v1/networks/{text(CASH)}/dump").status_code == 503
        # What is wrong with a question can be said at once.
        assert api.post(f"/api/v1/networks/{text(CASH)}/path-info", json={}).status_code == 422
        assert api.get("/api/v1/networks").status_code == 200
        assert api.get(f"/api/v1/networks/{text(CASH)}/users/{text(ADA)}").status_code == 200
    assert api.post(f"/api/v1/networks/{text(CASH)}/path-info", json=question).status_code == 200
    assert api.get(f"/api/v1/networks/{text(CASH)}/dump").status_code == 200
