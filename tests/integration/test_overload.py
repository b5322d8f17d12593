"""A hundred clients that ask for the most expensive searches there are, and what all others notice of it."""

import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests

from relay.devnet.anvil import free_port
from tests.support.commands import SECONDS, environment, until
from tests.support.expensive_relay import LEFT, QUESTION, SEARCH_SECONDS, user
from tests.support.fake_services import CASH, text

pytest.importorskip(
    "graph._kernel", reason="only the compiled kernel gives in and lets others run", exc_type=ImportError
)

CLIENTS = 100
LASTS_SECONDS = 5.0
THREADS = 8


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The API of a relay whose searches spend all they may cost, and which takes over 20 commits a second."""
    port = free_port()
    words = [sys.executable, "-m", "tests.support.expensive_relay", str(port), str(THREADS)]
    process = subprocess.Popen(words, env=environment())
    base = f"http://127.0.0.1:{port}/api/v1"
    try:
        until("it serves", lambda: requests.get(f"{base}/networks", timeout=5).ok)
        yield base
    finally:
        process.terminate()
        process.wait(SECONDS)


def search(base: str) -> requests.Response:
    return requests.post(f"{base}/networks/{text(CASH)}/path-info", json=QUESTION, timeout=SECONDS)


def test_one_search_is_expensive(base: str) -> None:
    def seconds_of_a_cheap_call() -> float:
        began = time.monotonic()
        assert requests.get(f"{base}/networks", timeout=SECONDS).status_code == 200
        return time.monotonic() - began

    began = time.monotonic()
    answer = search(base)
    seconds = time.monotonic() - began
    assert answer.status_code == 200
    assert answer.json()["isProven"] is False, "it spent what a search may cost"
    assert seconds > 10 * min(seconds_of_a_cheap_call() for _ in range(5))


def test_cheap_calls_stay_fast_while_expensive_ones_queue_or_are_told_to_come_back(base: str) -> None:
    answers: list[tuple[int, str | None, float]] = []
    until_then = time.monotonic() + LASTS_SECONDS

    def insist() -> None:
        while time.monotonic() < until_then:
            began = time.monotonic()
            answer = search(base)
            answers.append((answer.status_code, answer.headers.get("Retry-After"), time.monotonic() - began))
            if answer.status_code == 503:
                time.sleep(0.5)

    clients = [threading.Thread(target=insist) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    waits = []
    with requests.Session() as session:
        while time.monotonic() < until_then:
            for path in ("/networks", f"/networks/{text(CASH)}/users/{text(user(LEFT, 1))}"):
                began = time.monotonic()
                assert session.get(f"{base}{path}", timeout=SECONDS).status_code == 200
                waits.append(time.monotonic() - began)
            time.sleep(0.02)
    for client in clients:
        client.join(SECONDS)
    counts = Counter(status for status, _, _ in answers)
    assert set(counts) == {200, 503}
    assert counts[200] >= 2
    assert all(int(retry or 0) > 0 for status, retry, _ in answers if status == 503)
    # A search, a second in the line, and what a busy machine adds.
    assert max(seconds for *_, seconds in answers) < 3 * SEARCH_SECONDS
    # On a quiet machine milliseconds; behind a search it would be seconds, behind all of them half a minute.
    assert statistics.median(waits) < 0.4
    assert max(waits) < SEARCH_SECONDS
