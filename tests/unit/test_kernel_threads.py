"""Searches while trustlines change: each sees the network as it was at one moment, and nobody waits for long."""

import random
import threading
import time
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from tests.support.kernel_fuzz import NOW

kernel = pytest.importorskip("graph._kernel", reason="the kernel could not be built here", exc_type=ImportError)

BUDGET = 20_000
"""Where the receiver pays, a search may take exponential time."""

USERS = [bytes([number]) * 2 for number in range(60)]
State = tuple[Any, ...]


class Search(NamedTuple):
    """What was asked, what came back, and while how many changes were done: ``first`` to ``last``."""

    question: tuple[Any, ...]
    path: tuple[bytes, ...] | None
    first: int
    last: int


def random_state(rng: random.Random, pair: tuple[bytes, bytes]) -> State:
    """A trustline whose capacities lie close together, so that every change matters to someone."""
    given, received = rng.randint(0, 100), rng.randint(0, 100)
    return *pair, rng.randint(-received, given), given, received, 0, 0, rng.random() < 0.1, NOW


def apply(network: Any, state: State | None, pair: tuple[bytes, bytes]) -> None:
    network.drop(*pair) if state is None else network.put(*state)


def a_network(changes: list[tuple[tuple[bytes, bytes], State | None]]) -> Any:
    network = kernel.Network(20)
    for pair, state in changes:
        apply(network, state, pair)
    return network


class Race:
    """Threads that search in one network while this one changes it; ``done`` counts the changes made."""

    def __init__(self, searchers: int, seed: int) -> None:
        rng = random.Random(seed)
        pairs = rng.sample(list(combinations(USERS, 2)), 240)
        self.begin = [(pair, random_state(rng, pair)) for pair in pairs]
        self.changes = [
            (pair, None if rng.random() < 0.3 else random_state(rng, pair))
            for pair in rng.choices(pairs, k=100_000)
        ]
        self.network = a_network(list(self.begin))
        self._users = sorted({user for pair in pairs for user in pair})
        self.done = 0
        self.searches: list[list[Search]] = [[] for _ in range(searchers)]
        self.failures: list[BaseException] = []
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._search, args=(random.Random(seed + number), found), daemon=True)
            for number, found in enumerate(self.searches, 1)
        ]

    def run(self, seconds: float) -> None:
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + seconds
        for pair, state in self.changes:
            apply(self.network, state, pair)
            self.done += 1
            if self.done % 16 == 0:
                time.sleep(0.0005)
            if time.monotonic() > end:
                break
        self._is_over = True
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a search never came back"
        if self.failures:
            raise self.failures[0]

    def _search(self, rng: random.Random, found: list[Search]) -> None:
        try:
            while not self._is_over:
                sender, receiver = rng.sample(self._users, 2)
                receiver_pays = rng.random() < 0.3
                walked, target = (sender, receiver) if receiver_pays else (receiver, sender)
                question = (receiver_pays, [walked], target, rng.randint(1, 60), NOW)
                first = self.done
                _, path, *_ = self.network.cheapest(*question, budget=BUDGET)
                # A change takes hold before it is counted.
                last = self.done + 1
                found.append(Search(question, path, first, last))
        except BaseException as failure:
            self.failures.append(failure)

    def not_explained(self) -> list[Search]:
        """Play the changes back one by one: the searches whose answer is that of no moment while they ran."""
        waiting = sorted((search for found in self.searches for search in found), key=lambda search: -search.first)
        network = a_network(list(self.begin))
        running: list[Search] = []
        unexplained: list[Search] = []
        for moment in range(self.done + 1):
            if moment:
                pair, state = self.changes[moment - 1]
                apply(network, state, pair)
            while waiting and waiting[-1].first == moment:
                running.append(waiting.pop())
            still = [
                search for search in running if network.cheapest(*search.question, budget=BUDGET)[1] != search.path
            ]
            unexplained.extend(search for search in still if search.last <= moment)
            running = [search for search in still if search.last > moment]
        return unexplained + running


@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_during_changes_is_that_of_one_moment(seed: int) -> None:
    race = Race(searchers=3, seed=seed * 100)
    race.run(seconds=1.5)
    searches = [search for found in race.searches for search in found]
    assert race.not_explained() == []
    # The race was one: searches in every thread, changes meanwhile, and both kinds of answers.
    assert all(len(found) > 20 for found in race.searches)
    assert race.done > 200
    assert any(search.last - search.first > 1 for search in searches)
    assert {search.path is None for search in searches} == {True, False}


def test_an_answer_of_no_moment_is_told() -> None:
    race = Race(searchers=1, seed=7)
    race.run(seconds=0.3)
    right = next(search for search in race.searches[0] if search.path is not None)
    race.searches[0].append(right._replace(path=(b"?",)))
    assert race.not_explained() == [right._replace(path=(b"?",))]


def test_other_threads_run_while_a_search_does() -> None:
    """A search that would take years, between two parts that nothing joins, until its deadline."""
    rng = random.Random(3)
    network = kernel.Network(3, True)
    for part in (b"L", b"R"):
        for pair in combinations([part + bytes([number]) for number in range(30)], 2):
            rates = rng.randint(0, 2000), rng.randint(0, 2000)
            network.put(*pair, rng.randint(-50, 50), rng.randint(50, 100), rng.randint(50, 100), *rates, False, 0)
    begins, ended, outcomes = threading.Event(), threading.Event(), []

    def search() -> None:
        begins.set()
        outcomes.append(network.cheapest(True, [b"L\x00"], b"R\x00", 60, NOW, deadline=time.monotonic() + 0.5)[0])
        ended.set()

    thread = threading.Thread(target=search)
    thread.start()
    begins.wait()
    turns = 0
    while not ended.wait(timeout=0.005):
        turns += 1
    thread.join()
    assert outcomes == [kernel.SPENT]
    # With the interpreter's lock held through the search there would be a turn before it and one after it.
    assert turns > 10


def test_a_change_does_not_wait_until_searches_pause() -> None:
    """Two threads that search without end leave no moment without a reader; changes get in all the same."""
    race = Race(searchers=2, seed=11)
    longest = 0.0
    is_over = threading.Event()

    def search(number: int) -> None:
        rng = random.Random(number)
        while not is_over.is_set():
            for _ in range(200):
                race.network.widest(*rng.sample(race._users, 2), NOW)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for pair, state in race.changes[:200]:
        began = time.monotonic()
        apply(race.network, state, pair)
        longest = max(longest, time.monotonic() - began)
    is_over.set()
    for thread in threads:
        thread.join()
    assert longest < 5, "a change waited for seconds"
