"""The demo as a user meets it: started, ended, killed, started again, and what it says when something is wrong.

A stand-in takes the relay's place; everything else is real.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from relay.devnet.anvil import free_port

PROGRAM = Path(__file__).parents[1] / "support" / "demo_with_stand_in.py"
PATIENCE = 90.0


@dataclass
class Demo:
    """A demo below ``directory`` as a process with ports of its own."""

    directory: Path
    port: int
    rpc_port: int
    process: "subprocess.Popen[str] | None" = None
    said: str = ""

    def start(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.directory), str(self.port), str(self.rpc_port), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(PROGRAM.parents[2])},
            # Whoever runs these tests under nohup hands down that hanging up is to be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - nothing else here
        )
        self.said = ""

    def wait_until_serving(self) -> None:
        self.wait_until("Press Ctrl-C")

    def wait_until(self, words: str) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return
        pytest.fail(f"the demo did not come to say {words!r}: {self.said}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.said += rest
        return self.process.returncode

    def rpc(self, method: str, *parameters: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        url = f"http://127.0.0.1:{self.rpc_port}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())["result"]

    def pid(self, part: str) -> int:
        return int(json.loads((self.directory / f"{part}.pid").read_text())["pid"])

    def running(self) -> list[psutil.Process]:
        """Every process that has to do with this directory, the demo's own left out."""
        own = None if self.process is None else self.process.pid
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            words = process.info["cmdline"] or []
            is_meant = str(self.directory) in " ".join(words) or str(self.rpc_port) in words
            if is_meant and process.pid not in (own, os.getpid()):
                found.append(process)
        return found

    def is_gone(self) -> bool:
        # Whether one may listen there is another question: any connection of another program may have the port.
        return not (self.running() or is_answered(self.port) or is_answered(self.rpc_port))


def is_answered(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, anvil_binary: str) -> Path:
    """One directory for the whole module, with a space in it; the first test to start a demo populates it."""
    return tmp_path_factory.mktemp("a demo") / ".demo"


@pytest.fixture
def demo(place: Path) -> Iterator[Demo]:
    """A demo in that directory, ended after the test whatever it did."""
    one = Demo(place, free_port(), free_port())
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.terminate()
        one.process.communicate(timeout=PATIENCE)


@contextmanager
def serving(demo: Demo, *words: str) -> Iterator[None]:
    demo.start(*words)
    demo.wait_until_serving()
    yield
    assert demo.end() == 0


def send_a_gift(demo: Demo) -> str:
    giver, taker = demo.rpc("eth_accounts")[:2]
    return str(demo.rpc("eth_sendTransaction", {"from": giver, "to": taker, "value": "0x1"}))


def test_it_shows_networks_people_and_requests_and_ends_without_a_trace(demo: Demo) -> None:
    with serving(demo):
        assert demo.rpc("eth_chainId") == "0x539"
    assert "CASH" in demo.said
    assert "Ada" in demo.said
    assert f"curl -s 'http://localhost:{demo.port}/api/v1/networks'" in demo.said
    assert "Traceback" not in demo.said
    assert demo.is_gone()
    addresses = json.loads((demo.directory / "addresses.json").read_text())
    assert len(addresses["networks"]) == 4
    assert addresses["identityImplementation"] == addresses["identityImplementations"][0]
    assert {"exchange", "unwEth", "identityProxyFactory"} < set(addresses)


def test_the_second_start_is_quick_and_continues_the_same_chain(demo: Demo) -> None:
    with serving(demo):
        gift = send_a_gift(demo)
    started = time.monotonic()
    with serving(demo):
        assert time.monotonic() - started < 15
        assert demo.rpc("eth_getTransactionReceipt", gift)["status"] == "0x1"
    assert "anew" not in demo.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_way_to_end_it_frees_everything(demo: Demo, number: signal.Signals) -> None:
    demo.start()
    demo.wait_until_serving()
    assert demo.end(number) == 0
    assert demo.is_gone()


@pytest.mark.parametrize("step", ["Looking for anvil", "Starting the local chain", "Starting PostgreSQL"])
def test_it_can_be_ended_while_it_still_starts(demo: Demo, step: str) -> None:
    demo.start()
    demo.wait_until(step)
    assert demo.end(signal.SIGINT) == 0
    assert "Traceback" not in demo.said
    assert demo.is_gone()


def test_when_it_is_killed_its_parts_end_and_the_next_start_goes_on(demo: Demo) -> None:
    demo.start()
    demo.wait_until_serving()
    gift = send_a_gift(demo)
    time.sleep(3)
    demo.end(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while not demo.is_gone() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert demo.is_gone()
    with serving(demo):
        assert demo.rpc("eth_getTransactionReceipt", gift)["status"] == "0x1"


def test_leftovers_of_a_killed_one_are_ended_and_nothing_else(demo: Demo) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        demo.directory.mkdir(exist_ok=True)
        record = {"pid": bystander.pid, "command": ["/usr/bin/anvil", "--port", "1"], "signal": 15}
        (demo.directory / "anvil.pid").write_text(json.dumps(record))
        leftover = subprocess.Popen(["/bin/sleep", "600"])
        record = {"pid": leftover.pid, "command": ["/bin/sleep", "600"], "signal": 15}
        (demo.directory / "relay.pid").write_text(json.dumps(record))
        with serving(demo):
            assert bystander.poll() is None
            assert leftover.wait(timeout=5) == -signal.SIGTERM
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("variable", ["PORT", "RPC_PORT"])
def test_a_port_in_use_is_named_together_with_the_way_out(demo: Demo, variable: str) -> None:
    with socket.create_server(("127.0.0.1", demo.port if variable == "PORT" else demo.rpc_port)) as occupant:
        demo.start()
        assert demo.wait() == 2
        assert f"Port {occupant.getsockname()[1]} is in use: choose another with {variable}," in demo.said
    assert "Traceback" not in demo.said
    assert not demo.running()


def test_a_second_one_in_the_same_directory_is_refused(demo: Demo) -> None:
    with serving(demo):
        second = Demo(demo.directory, free_port(), free_port())
        second.start()
        assert second.wait() == 2
        assert "Another demo runs in" in second.said
        assert demo.rpc("eth_chainId") == "0x539"


@pytest.mark.parametrize("part", ["relay", "anvil", "postgres"])
def test_when_a_part_dies_it_says_which_and_where_to_look(demo: Demo, part: str) -> None:
    demo.start()
    demo.wait_until_serving()
    os.kill(demo.pid(part), signal.SIGKILL)
    assert demo.wait() == 1
    assert f"{part}.log" in demo.said
    assert "Traceback" not in demo.said
    assert demo.is_gone()


def test_a_damaged_database_is_set_aside_and_the_chain_goes_on(demo: Demo) -> None:
    with serving(demo):
        gift = send_a_gift(demo)
    (demo.directory / "postgres" / "global" / "pg_control").write_bytes(b"")
    with serving(demo):
        assert demo.rpc("eth_getTransactionReceipt", gift)["status"] == "0x1"
    assert "postgres.damaged" in demo.said


def test_a_damaged_chain_is_set_aside_and_all_begins_anew(demo: Demo) -> None:
    with serving(demo):
        gift = send_a_gift(demo)
    chain = demo.directory / "chain.json"
    chain.write_text(chain.read_text()[:1000])
    with serving(demo):
        assert demo.rpc("eth_getTransactionReceipt", gift) is None
    assert "cannot be used and is kept as chain.json.damaged" in demo.said
    assert "so does the database" in demo.said


def test_a_missing_chain_is_made_anew(demo: Demo) -> None:
    with serving(demo):
        pass
    (demo.directory / "chain.json").unlink()
    with serving(demo):
        pass
    assert "missing: beginning anew" in demo.said


def test_a_fresh_one_forgets_its_own_files_only(demo: Demo) -> None:
    with serving(demo):
        gift = send_a_gift(demo)
    (demo.directory / "notes.txt").write_text("mine")
    with serving(demo, "fresh"):
        assert demo.rpc("eth_getTransactionReceipt", gift) is None
    assert (demo.directory / "notes.txt").read_text() == "mine"


def test_a_directory_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = Demo(tmp_path / "file" / ".demo", free_port(), free_port())
    blocked.start()
    assert blocked.wait() == 2
    assert len(blocked.said.strip().splitlines()) == 1
    assert str(tmp_path / "file") in blocked.said
