"""Running ``tl-relay`` as an operator does, and looking at what it serves."""

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

SECONDS = 30


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TL_RELAY_", "PG"))}
    kept.pop("DATABASE_URL", None)
    return kept | more


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "relay.cli", *map(str, arguments)]


def run(*arguments: object, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment(**more),
    )


@contextmanager
def running(*arguments: object, log: Path, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that is ended with all its children, whatever a test does to it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command(*arguments), stdout=output, stderr=output, env=environment(**more), start_new_session=True
        )
    try:
        yield process
    finally:
        family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                for member in family:
                    member.kill()
                raise


def until(what: str, holds: Callable[[], Any], log: Path | None = None) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            found = holds()
        except requests.RequestException:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {SECONDS} s: {what}\n{log.read_text() if log else ''}")


def port_of(config: Path) -> int:
    port = tomllib.loads(config.read_text())["rest"]["port"]
    assert isinstance(port, int)
    return port


def api(config: Path, path: str) -> Any:
    answer = requests.get(f"http://127.0.0.1:{port_of(config)}/api/v1{path}", timeout=SECONDS)
    return answer.json() if answer.ok else None


def users_served(config: Path) -> int:
    networks = api(config, "/networks")
    return networks[0]["numUsers"] if networks else 0


def assert_refused(result: "subprocess.CompletedProcess[str]", *said: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    sentence = next(line for line in result.stderr.splitlines() if line.startswith("tl-relay: "))
    for part in said:
        assert part in sentence, result.stderr


def indexed_block(config: Path) -> int:
    answer = requests.get(f"http://127.0.0.1:{port_of(config)}/api/v1/networks", timeout=SECONDS)
    return int(answer.headers["X-Trustlines-Block"])
