"""Random requests against a relay that runs: none makes it fail.

A few thousand by default. ``FUZZ_REQUESTS=100000 FUZZ_SEED=7`` makes so many others; one that found something is
named by its seed and number, and `Attacker.attack` makes it again.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import pytest
import requests

from relay.problems import KINDS
from tests.support.described_world import Ask, Player
from tests.support.hostile import PREFIX, Attack, Attacker, Base, bases_of, names_of
from tests.support.wallet_world import SECONDS, World

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "20180706"))
CLIENTS = 6

INTENDED = {
    "overloaded": "bounds are there to be met",
    "too_many_streams": "one client may hold so many",
    "behind_cursor": "a cursor of a block to come",
    "paused": "an attack with the operators' token may pause the delegate",
}
"""Codes of the 502 and 503 that are no faults here, where database and node are well; and why."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MEMBERS = {"message", "code", "status", "type", "title", "detail", "requestId"}
LEAKS = re.compile(rb"Traceback|psycopg|SELECT |postgres|File \"|webhook-secret|a-token=that", re.I)
HEADER = re.compile(r"[A-Za-z0-9-]+: [^\x00-\x08\x0a-\x1f\x7f]*")


@pytest.fixture(scope="module")
def attacker(world: World, asks: dict[str, Ask]) -> Attacker:
    described = Player(world).described.document
    network = {"network": world.networks["CASH"], "user": str(asks["getUserDetails"].parameters["user"])}
    more = [
        *(
            Base("GET", path)
            for path in ("/health", "/ready", "/metrics", "/", f"{PREFIX}/nothing", "/favicon.ico")
        ),
        Base("GET", f"{PREFIX}/users/{{user}}/events/stream", network, {"cursor": ""}),
        Base("GET", f"{PREFIX}/networks/{{network}}/users/{{user}}/events/stream", network),
        *(Base("GET", f"{PREFIX}/streams/{kind}") for kind in ("events", "messages", "nothing")),
        *(
            Base(method, f"{PREFIX}/admin/{path}")
            for method in ("GET", "PUT", "POST")
            for path in ("bans", "x", "")
        ),
    ]
    return Attacker([*bases_of(described, asks), *more], names_of(described))


def answer_to(port: int, attack: Attack) -> bytes:
    """Return what comes back until the connection ends, or the beginning of a stream."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        found = b""
        try:
            client.sendall(attack.data)
            if not attack.is_whole:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                found += part
                head = found[:400].lower()
                if head.startswith(b"http/1.1 101 ") or b"text/event-stream" in head or is_complete(found, attack):
                    break
        except ConnectionError:
            # A server may end a connection on which it is sent what it does not read.
            pass
        return found


def is_complete(answer: bytes, attack: Attack) -> bool:
    """Say whether an answer is there, on a connection that may go on."""
    head, end, body = answer.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    if end and attack.data.startswith(b"HEAD "):
        # What is answered to it has the length of a body that does not come.
        return True
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return length is not None and len(body) >= int(length[1])


def faults_of(attack: Attack, answer: bytes) -> Iterator[str]:
    """Yield what is wrong with an answer."""
    if not answer:
        if attack.is_whole:
            yield "no answer"
        return
    head, _, body = answer.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    if not head:
        return
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if LEAKS.search(answer) and not body.startswith((b'{"openapi', b"#", b"<!doctype")):
        yield "it says what is nobody's business"
    if not all(map(HEADER.fullmatch, lines)):
        yield f"odd headers: {lines}"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if "x-injected" in headers:
        yield "a header is the client's"
    if status == 101:
        return
    if headers.get("x-content-type-options") != "nosniff" or not headers.get("x-request-id"):
        yield f"{status} lacks headers"
    if status >= 400 and not attack.data.startswith(b"HEAD") and "content-encoding" not in headers:
        yield from _faults_of_error(status, headers, body)
    elif status >= 500:
        yield str(status)


def _faults_of_error(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    try:
        told = json.loads(body[: int(headers.get("content-length", len(body)))])
    except ValueError:
        yield f"{status} is no JSON: {body[:200]!r}"
        return
    if "ready" in told:
        return
    if missing := MEMBERS - set(told):
        yield f"{status} lacks {missing}"
        return
    if told["status"] != status or told["code"] not in KINDS or told["requestId"] != headers.get("x-request-id"):
        yield f"{status} is told as {told}"
    if status >= 500 and told["code"] not in INTENDED:
        yield f"{status}: {told}"


def test_whatever_is_sent_the_relay_answers_and_lives(
    world: World, attacker: Attacker, record_property: Callable[[str, object], None]
) -> None:
    numbers, lock = count(), threading.Lock()
    statuses: Counter[str] = Counter()
    faults: list[str] = []

    def attack_on() -> None:
        while True:
            with lock:
                number = next(numbers)
            if number >= REQUESTS or len(faults) > 20:
                return
            attack = attacker.attack(SEED, number)
            began = time.monotonic()
            try:
                answer = answer_to(world.port, attack)
            except OSError as error:
                faults.append(f"{SEED}:{number}: {error!r}: {attack.data[:300]!r}")
                continue
            waited = time.monotonic() - began
            found = [*faults_of(attack, answer), *([f"took {waited:.1f} s"] if waited > 5 else [])]
            statuses[answer.removeprefix(CONTINUE)[9:12].decode("latin-1") or "none"] += 1
            faults.extend(f"{SEED}:{number}: {fault}: {attack.data[:300]!r}" for fault in found)

    threads = [threading.Thread(target=attack_on) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record_property("statuses", dict(statuses))
    sys.stderr.write(f"{REQUESTS} requests with seed {SEED}: {sorted(statuses.items())}\n")
    assert not faults, "\n".join(faults)
    assert requests.get(f"http://127.0.0.1:{world.port}/health", timeout=SECONDS).json() == {"alive": True}
    log = world.log.read_text(errors="replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 2000 :][:6000]
    assert not re.search(r"was ended by|ended with status", log), "a process died"
    assert statuses["200"] > REQUESTS / 6, "most of it did not reach deep enough"
    assert statuses["422"] > REQUESTS / 20
    assert len(statuses) > 8
