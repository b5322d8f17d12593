"""Clients of a load balancer, each with an address of its own, and a model to hold their answers against."""

import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

Transfer = tuple[int, str, str, str, int, str]
"""Block, network, sender, receiver, value, transaction hash."""


class Model:
    """What was transferred, by block; nothing else changes any balance."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []

    def balance(self, network: str, user: str, other: str, block: int) -> int:
        """Return the balance of a trustline after a block, as ``user`` sees it."""
        sums = {(user, other): -1, (other, user): 1}
        return sum(
            sums.get((sender, receiver), 0) * value
            for number, where, sender, receiver, value, _ in self.transfers
            if where == network and number <= block
        )

    def of(self, user: str, block: int, network: str | None = None) -> list[str]:
        """Return the hashes of a user's transfers up to a block, in their order."""
        return [
            transaction
            for number, where, sender, receiver, _, transaction in self.transfers
            if user in (sender, receiver) and number <= block and network in (None, where)
        ]


class _From(HTTPAdapter):
    """Connects from an address of its own, so that a load balancer takes it for somebody else."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more, source_address=(self._address, 0))


def session(address: str) -> requests.Session:
    made = requests.Session()
    made.mount("http://", _From(address))
    return made


@dataclass(frozen=True)
class Answer:
    """``kind`` and ``subject`` are what was asked; ``at`` is when, in seconds of the monotonic clock."""

    client: str
    kind: str
    subject: tuple[str, ...]
    at: float
    status: int
    block: int
    body: Any


@dataclass
class Reader:
    """Asks its questions again and again, and keeps the answers."""

    url: str
    address: str
    questions: list[tuple[str, tuple[str, ...], str, Any]]
    """Kind, subject, path, and the body of a POST (None: a GET)."""
    pause: float = 0.04
    answers: list[Answer] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Reader":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        with session(self.address) as asking:
            for kind, subject, path, body in cycle(self.questions):
                if self.stopping.wait(self.pause):
                    return
                at = time.monotonic()
                try:
                    answer = asking.request(
                        "GET" if body is None else "POST", self.url + path, json=body, timeout=20
                    )
                    number = int(answer.headers.get("X-Trustlines-Block", -1))
                    said = answer.json()
                    self.answers.append(Answer(self.address, kind, subject, at, answer.status_code, number, said))
                except (requests.RequestException, ValueError) as error:
                    self.answers.append(Answer(self.address, kind, subject, at, 0, -1, repr(error)))


@dataclass
class Watcher:
    """Follows a user's stream; where it breaks, connects again and looks up what it missed."""

    url: str
    address: str
    user: str
    seen: dict[str, int] = field(default_factory=dict)
    breaks: int = 0
    away_seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    is_subscribed: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Watcher":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        left_at: float | None = None
        while not self.stopping.is_set():
            try:
                with self._connected() as stream:
                    stream.send(json.dumps(_subscription(self.user)))
                    assert "result" in json.loads(stream.recv(timeout=5))
                    if left_at is not None:
                        self.away_seconds = max(self.away_seconds, time.monotonic() - left_at)
                        self._look_up()
                    self.is_subscribed.set()
                    self._follow(stream)
            except (OSError, WebSocketException, requests.RequestException, AssertionError):
                left_at = left_at or time.monotonic()
                self.breaks += self.is_subscribed.is_set()
                self.is_subscribed.clear()
                self.stopping.wait(0.1)
            else:
                left_at = None

    def _follow(self, stream: Any) -> None:
        while not self.stopping.is_set():
            try:
                told = json.loads(stream.recv(timeout=0.2))
            except TimeoutError:
                continue
            self._note(told["params"]["event"])

    def _look_up(self) -> None:
        with session(self.address) as asking:
            answer = asking.get(f"{self.url}/api/v1/users/{self.user}/events?type=Transfer", timeout=20)
        assert answer.status_code == 200
        for event in answer.json():
            self._note(event)

    def _note(self, event: dict[str, Any]) -> None:
        if event["type"] == "Transfer" and event.get("status") != "sent":
            self.seen[event["transactionHash"]] = event["blockNumber"]

    def _connected(self) -> Any:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        ours = socket.create_connection((parts.hostname, parts.port), 5, (self.address, 0))
        return connect(f"ws://{parts.netloc}/api/v1/streams/events", sock=ours, proxy=None, open_timeout=5)


@dataclass
class Correspondent:
    """Leaves messages in a mailbox, each until it is taken."""

    url: str
    address: str
    receiver: str
    taken: list[str] = field(default_factory=list)
    refused_seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "Correspondent":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        refused_at: float | None = None
        with session(self.address) as asking:
            while not self.stopping.wait(0.1):
                message = f"message {len(self.taken)}"
                asked_at = time.monotonic()
                url = f"{self.url}/api/v1/messages/{self.receiver}"
                answer = asking.post(url, json={"message": message}, timeout=30)
                if answer.status_code == 200:
                    self.taken.append(message)
                    if refused_at is not None:
                        self.refused_seconds = max(self.refused_seconds, time.monotonic() - refused_at)
                    refused_at = None
                else:
                    assert answer.status_code == 503, answer.text
                    refused_at = refused_at or asked_at


def missed_messages(url: str, receiver: str) -> list[str]:
    """Return the messages that wait for somebody."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "getMissedMessages", "params": {"type": "all", "user": receiver}}
    with connect(f"ws://{urlsplit(url).netloc}/api/v1/streams/messages", proxy=None, max_size=None) as stream:
        stream.send(json.dumps(call))
        return [entry["message"] for entry in json.loads(stream.recv(timeout=10))["result"]]


def _subscription(user: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"event": "all", "user": user}}


def longest_spell(answers: list[Answer], is_refusal: Callable[[Answer], bool]) -> float:
    """Return for how many seconds one client, at most, was refused one kind of answer in a row."""
    longest, began = 0.0, dict[tuple[str, str], float]()
    for answer in sorted(answers, key=lambda each: each.at):
        key = answer.client, answer.kind
        if is_refusal(answer):
            began.setdefault(key, answer.at)
        elif key in began:
            longest = max(longest, answer.at - began.pop(key))
    assert not began, "everybody was answered again"
    return longest


def goings_back(answers: list[Answer], route: Callable[[Answer], str]) -> list[Answer]:
    """Return the answers at an older block than the same client had on the same route before."""
    newest: dict[tuple[str, str], int] = defaultdict(int)
    found = []
    for answer in sorted(answers, key=lambda each: each.at):
        if answer.status == 200:
            key = answer.client, route(answer)
            if answer.block < newest[key]:
                found.append(answer)
            newest[key] = max(newest[key], answer.block)
    return found
