"""The requests that a benchmark of the server asks, and their form in a file: method, path and body by tabs."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.networks import Question
from relay.addresses import Address, to_checksum

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request; ``kind`` says under which name its time is counted."""

    kind: str
    path: str
    body: str = ""

    @property
    def method(self) -> str:
        """POST where there is a body."""
        return "POST" if self.body else "GET"


def write(path: Path, asks: Iterable[Ask]) -> Path:
    """Write a file for a load generator."""
    lines = (f"{ask.kind}\t{ask.method}\t{ask.path}\t{ask.body}\n" for ask in asks)
    path.write_text("".join(lines), encoding="ascii")
    return path


def read(path: Path) -> list[Ask]:
    """Return what `write` wrote."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [Ask(kind, place, body) for kind, _, place, body in (line.split("\t") for line in lines)]


def small_reads(network: Address, users: Sequence[Address], seed: int = 5) -> Mapping[str, list[Ask]]:
    """Return the small reads by their kind: networks, user details, a user's trustlines; of random users."""
    rng = random.Random(seed)  # noqa: S311 - which users, no secrets
    place = f"{PREFIX}/networks/{to_checksum(network)}"
    chosen = [to_checksum(rng.choice(users)) for _ in range(500)]
    return {
        "networks": [Ask("networks", f"{PREFIX}/networks")],
        "user details": [Ask("user details", f"{place}/users/{user}") for user in chosen],
        "a user's trustlines": [Ask("a user's trustlines", f"{place}/users/{user}/trustlines") for user in chosen],
    }


def events(network: Address, users: Sequence[Address], query: str = "", seed: int = 6) -> list[Ask]:
    """Return requests for the events of random users."""
    rng = random.Random(seed)  # noqa: S311 - which users, no secrets
    place = f"{PREFIX}/networks/{to_checksum(network)}/users"
    return [Ask("events", f"{place}/{to_checksum(rng.choice(users))}/events{query}") for _ in range(200)]


def paths(network: Address, asked: Iterator[Question], number: int, **more: Any) -> list[Ask]:
    """Return so many requests for a path."""
    place = f"{PREFIX}/networks/{to_checksum(network)}/path-info"
    found = []
    for _ in range(number):
        question = next(asked)
        body = {
            "from": to_checksum(question.sender),
            "to": to_checksum(question.receiver),
            "value": str(question.value),
            **more,
        }
        found.append(Ask("path-info", place, json.dumps(body)))
    return found
