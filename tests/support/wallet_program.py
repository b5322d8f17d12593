"""The published npm client, bundled with the program of tests/e2e/client and run by Node.js."""

import hashlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from relay.devnet import npm
from relay.devnet.errors import DevnetError

SOURCE = Path(__file__).parents[1] / "e2e" / "client"
SECONDS = 60

Judge = Callable[[dict[str, Any]], list[str]]
"""Says what is wrong with an HTTP exchange or a WebSocket frame, in sentences."""


class ClientError(Exception):
    """The client threw: its message."""


def build_program(prefix: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the command that runs the program, installed and bundled below ``prefix`` if that is not done yet.

    Raises:
        DevnetError: in one sentence, when it cannot be had.

    """
    lock_text = (SOURCE / "package-lock.json").read_bytes()
    packages = prefix / f"wallet-{hashlib.sha256(lock_text).hexdigest()[:12]}"
    text = (SOURCE / "program.js").read_bytes()
    bundle = packages / f"program-{hashlib.sha256(text).hexdigest()[:12]}.cjs"
    node = npm.find_node(npm.quiet, environ)
    with npm.locked(prefix / ".wallet.lock"):
        if not (packages / "node_modules").exists():
            npm.install_locked(SOURCE, packages, npm.quiet, environ)
        if not bundle.exists():
            _bundle(node, packages, bundle)
    return [node, str(bundle)]


def _bundle(node: str, packages: Path, bundle: Path) -> None:
    # esbuild looks for packages from the program's folder upwards.
    program = packages / "program.js"
    shutil.copyfile(SOURCE / "program.js", program)
    part = bundle.with_suffix(".part")
    esbuild = packages / "node_modules" / "esbuild" / "bin" / "esbuild"
    options = ["--bundle", "--platform=node", "--format=cjs", "--log-level=error", f"--outfile={part}"]
    command = [node, str(esbuild), str(program), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if result.returncode != 0:
        raise DevnetError(f"The wallet program cannot be bundled: {result.stderr.strip()[:500]}")
    part.rename(bundle)


@dataclass(frozen=True)
class Kept:
    """A result that stays in the program, where it can be an argument: numbers of 256 bits included."""

    value: Any
    key: str
    of: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> "Kept":
        return Kept(self.value[name], self.key, (*self.of, name))


class Stream:
    """What a subscription has delivered."""

    def __init__(self, program: "WalletProgram", key: str) -> None:
        self._program = program
        self._key = key
        self.arrived: queue.Queue[Any] = queue.Queue()

    def next(self, *types: str, seconds: float = 10) -> dict[str, Any]:
        """Return the next thing of one of these types (of any, if none is named), passing over others."""
        seen = []
        try:
            while True:
                value = self.arrived.get(timeout=seconds)
                if not types or value.get("type") in types:
                    break
                seen.append(value)
        except queue.Empty:
            faults = self._program.take_faults()
            raise AssertionError(f"no {' or '.join(types)} within {seconds} s, but {seen} {faults}") from None
        self._program.assert_no_faults()
        assert isinstance(value, dict)
        return value

    def rest(self, seconds: float = 0.5) -> list[dict[str, Any]]:
        """Return what else arrives until there is silence for ``seconds``."""
        values = []
        try:
            while True:
                values.append(self.arrived.get(timeout=seconds))
        except queue.Empty:
            self._program.assert_no_faults()
            return values

    def close(self) -> None:
        """End the subscription."""
        self._program.command("unsubscribe", stream=self._key)


class WalletProgram:
    """The running program; ``judge`` looks at everything that the relay answers to it."""

    def __init__(self, command: list[str], judge: Judge, log: Path) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._streams: dict[str, Stream] = {}
        self._faults: list[str] = []
        self._judge = judge
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
            )
        self._reader = threading.Thread(target=self._read, name="wallet-program", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)

    def command(self, do: str, **fields: Any) -> Any:
        """Have a command obeyed and return its result; see program.js.

        Raises:
            ClientError: the client threw.
            AssertionError: the relay answered something that the client's types do not promise.

        """
        answer = self._answer(do, fields)
        self.assert_no_faults()
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer.get("result")

    def subscribe(self, wallet: str, path: str) -> Stream:
        """Subscribe to an observable of the client."""
        key = f"stream{next(self._ids)}"
        stream = self._streams[key] = Stream(self, key)
        self.command("subscribe", wallet=wallet, path=path, stream=key)
        return stream

    def take_faults(self) -> list[str]:
        """Return what was wrong with what arrived, once."""
        faults, self._faults = self._faults, []
        return faults

    def assert_no_faults(self) -> None:
        """Fail if something arrived that the client's types do not promise."""
        faults = self.take_faults()
        assert not faults, "\n".join(faults)

    def _answer(self, do: str, fields: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        waiting: Future[dict[str, Any]] = Future()
        self._waiting[number] = waiting
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "do": do, **_encode(fields)})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        try:
            return waiting.result(SECONDS)
        except TimeoutError:
            raise AssertionError(f"the client does not answer: {line[:300]}\n{self._log.read_text()}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            if "frame" in line:
                self._faults += self._judge(line)
            elif "stream" in line:
                self._streams[line["stream"]].arrived.put(_decode(line["value"]))
            else:
                for exchange in line["wire"]:
                    self._faults += self._judge(exchange)
                self._waiting.pop(line["id"]).set_result(_decode(line))
        for waiting in self._waiting.values():
            waiting.set_exception(ClientError(f"the wallet program ended: {self._log.read_text()[-2000:]}"))


def _encode(value: Any) -> Any:
    if isinstance(value, Kept):
        return {"$kept": value.key, "$of": list(value.of)}
    if isinstance(value, Mapping):
        return {name: _encode(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(entry) for entry in value]
    return value


def _decode(value: Any) -> Any:
    """Turn what the program says into Python: its large numbers into int, what is undefined into nothing."""
    if isinstance(value, list):
        return [_decode(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$big" in value:
        return int(value["$big"])
    return {
        name: _decode(entry)
        for name, entry in value.items()
        if not (isinstance(entry, dict) and "$undefined" in entry)
    }
