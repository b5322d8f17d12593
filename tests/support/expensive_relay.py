"""A relay in a process of its own, whose network makes searches expensive and changes all the time.

Run as ``python -m tests.support.expensive_relay PORT THREADS``.
"""

import random
import sys
import threading
import time
from dataclasses import replace
from itertools import combinations
from typing import Any

from graph.trustline import Trustline
from relay.api.admission import Admission
from relay.api.app import create_app
from relay.guarding import admission_limits, request_threads
from relay.serving.generation import Plan
from relay.serving.parent import Parent
from relay.settings import Settings, build
from relay.store.reading import Changes
from relay.store.rows import StoredNetwork
from tests.support.fake_services import CASH_INFO, FROZEN_INFO, INDEXED, MAX_BODY_BYTES, graphs, services, text

PART = 30
LEFT, RIGHT = bytes([0x11]), bytes([0x22])
SEARCH_SECONDS = 2.0
COMMIT_SECONDS = 0.05


def user(part: bytes, number: int) -> bytes:
    return part * 19 + bytes([number])


def trustlines() -> list[Trustline]:
    """Two parts that one trustline joins: finding ten ways across takes more than a search may cost."""
    rng, lines = random.Random(3), []
    for part in (LEFT, RIGHT):
        for lower, higher in combinations([user(part, number) for number in range(PART)], 2):
            given, received = rng.randint(50, 100), rng.randint(50, 100)
            rates = {"rate_given": rng.randint(0, 2000), "rate_received": rng.randint(0, 2000)}
            balance = rng.randint(-50, 50)
            lines.append(Trustline(lower, higher, balance=balance, given=given, received=received, **rates))
    return [*lines, Trustline(user(LEFT, PART - 1), user(RIGHT, 0), given=100, received=100)]


QUESTION = {
    "from": text(user(LEFT, 0)),
    "to": text(user(RIGHT, PART - 5)),
    "value": "20",
    "feePayer": "receiver",
    "maxParts": 16,
    "alternatives": 10,
}
"""A search that spends its budget of steps, or its time on a slow machine."""


class Expensive:
    """The API over a network that never stands still."""

    is_ready = True

    def __init__(self, settings: Settings) -> None:
        self._lines = trustlines()
        info = replace(CASH_INFO, fee_divisor=3, prevent_mediator_interests=True)
        self._stored = [StoredNetwork(1, info), StoredNetwork(2, FROZEN_INFO)]
        self._networks = graphs(self._lines, info)
        self._app = create_app(
            services(
                networks=self._networks,
                search_until=lambda: time.monotonic() + SEARCH_SECONDS,
                admission=Admission(admission_limits(settings)),
            ),
            max_body_bytes=MAX_BODY_BYTES,
        )
        threading.Thread(target=self._commit, daemon=True).start()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._app(environ, start_response)

    def stop(self) -> None:
        """Nothing is to be told to anybody."""

    def _commit(self) -> None:
        for position in range(1, 1_000_000):
            line = self._lines[position % len(self._lines)]
            self._networks.apply(Changes(INDEXED, position, self._stored, [(1, line.pair, line)], {}))
            time.sleep(COMMIT_SECONDS)


def main(port: int, threads: int) -> int:
    settings = build({"rest": {"port": port, "processes": 1, "threads": threads}}, None)
    plan = Plan(replace(settings.rest, threads=request_threads(settings)), lambda _standing: Expensive(settings))
    return Parent(lambda: plan, faults=(), tell_fault=lambda _: None, when_ready=lambda _: None).run()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
