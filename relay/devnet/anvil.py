"""A local Ethereum chain: the anvil binary, got from npm, started and stopped."""

import json
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from relay.devnet import npm
from relay.devnet.errors import DISK_FULL_TEXT, DevnetError, Unavailable, disk_full, tail
from relay.devnet.process import Child, start_child

VERSION = "1.7.1"
CHAIN_ID = 1337
START_SECONDS = 60


def tools_directory() -> Path:
    """Return the directory for what npm brings: ``.cache/npm`` of the checkout, else one of the user's cache."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "setup.py").exists():
        return checkout / ".cache" / "npm"
    return Path.home() / ".cache" / "trustlines-credit-relay" / "npm"


def install_anvil(prefix: Path, say: npm.Say = npm.quiet, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the anvil binary below ``prefix``, installing it there if need be.

    Several processes may call this at once, and an installation that was cut short is repaired. The
    variable ``ANVIL`` of the environment names a binary to use instead, for machines without a network.

    Raises:
        DevnetError: in one sentence, when it cannot be had.

    """
    named = environ.get("ANVIL")
    if named:
        if not _runs(Path(named)):
            raise DevnetError(f"ANVIL={named} is not an anvil that runs here.")
        return Path(named)
    target = prefix / f"anvil-{VERSION}"
    binary = target / "node_modules" / "@foundry-rs" / _platform_package() / "bin" / "anvil"
    if _runs(binary):
        return binary
    try:
        with npm.locked(prefix / ".lock"):
            if not _runs(binary):
                npm.install(f"@foundry-rs/anvil@{VERSION}", target, say, environ)
    except OSError as error:
        raise DevnetError(f"Cannot install anvil into {prefix}: {error.strerror}.") from error
    if not _runs(binary):
        raise Unavailable(f"anvil {VERSION} does not run on this machine ({platform.platform()}).")
    return binary


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Say whether a server may listen on a TCP port of this machine, and nobody does yet.

    Raises:
        PermissionError: if we may not listen on that port.

    """
    for host in ("127.0.0.1", "::1"):
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise
        except OSError:
            return False
    return True


class Anvil:
    """A running anvil on 127.0.0.1 with chain id 1337, mining a block for every transaction.

    ``port`` 0 picks a free one. ``load`` is a state file to begin with, ``dump`` the file that receives the state
    at the end and every ``dump_seconds``. ``timestamp`` is the genesis block's, in Unix seconds: from there the
    chain's clock runs at real speed; it is ignored with ``load``, where the clock shows the present time.
    ``log`` receives what anvil prints, by default a temporary file.
    """

    def __init__(
        self,
        binary: Path | str,
        *,
        port: int = 0,
        load: Path | None = None,
        dump: Path | None = None,
        dump_seconds: int | None = None,
        timestamp: int | None = None,
        log: Path | None = None,
        pid_file: Path | None = None,
    ) -> None:
        self.binary = Path(binary)
        self.port = port
        self._options = _state_options(load, dump, dump_seconds)
        if timestamp is not None and load is None:
            self._options += ["--timestamp", str(timestamp)]
        self._log = log
        self._pid_file = pid_file
        self._scratch: Path | None = None
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The JSON-RPC endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start the process and wait until it answers.

        Raises:
            DevnetError: in one sentence, when it ends or stays silent.

        """
        if self.port == 0:
            self.port = free_port()
        elif not port_is_free(self.port):
            raise DevnetError(f"The local chain cannot start: port {self.port} is in use.")
        self._scratch = Path(tempfile.mkdtemp(prefix="tl-anvil-"))
        log = self._log or self._scratch / "anvil.log"
        self.child = start_child("anvil", self._command(), log, pid_file=self._pid_file)
        try:
            self._wait_until_ready(self.child)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process, which writes its state if it was told where, and free the port."""
        if self.child is not None:
            self.child.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def is_running(self) -> bool:
        """Say whether the process runs."""
        return self.child is not None and self.child.is_running()

    def rpc(self, method: str, *parameters: Any) -> Any:
        """Call a JSON-RPC method and return its result.

        Raises:
            DevnetError: if the node does not answer or answers with an error.

        """
        try:
            answer = _post(self.url, method, parameters)
        except (OSError, ValueError) as error:
            raise DevnetError(f"The local chain at {self.url} does not answer {method}: {error}.") from error
        if "error" in answer:
            raise DevnetError(f"The local chain refuses {method}: {answer['error'].get('message')}.")
        return answer["result"]

    def mine(self, timestamp: int | None = None) -> None:
        """Mine one block, at ``timestamp`` (Unix seconds) if given."""
        self.rpc("evm_mine", *([] if timestamp is None else [timestamp]))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(CHAIN_ID)]
        # Transactions stay in the order in which they were sent, so that a chain can be made twice.
        # Past states, gigabytes in the end, would stay behind in the home directory for good.
        if self._scratch is not None:
            options += ["--cache-path", str(self._scratch / "states")]
        return [str(self.binary), *options, "--order", "fifo", "--quiet", *self._options]

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not child.is_running():
                raise self._failure(child.log)
            with suppress(OSError, ValueError):
                if _post(self.url, "eth_chainId", ()).get("result") == hex(CHAIN_ID) and child.is_running():
                    return
            time.sleep(0.03)
        raise DevnetError(f"The local chain does not answer at {self.url} after {START_SECONDS} seconds.")

    def _failure(self, log: Path) -> DevnetError:
        last = tail(log, 20)
        if DISK_FULL_TEXT in last:
            return disk_full(log.parent)
        if "Address already in use" in last or "AddrInUse" in last:
            return DevnetError(f"The local chain cannot start: port {self.port} is in use.")
        reason = last.splitlines()[-1] if last else "it said nothing"
        return DevnetError(f"The local chain (anvil) ended at once: {reason.rstrip('.')}.")


def _state_options(load: Path | None, dump: Path | None, dump_seconds: int | None) -> list[str]:
    options = [] if load is None else ["--load-state", str(load)]
    if dump is not None:
        options += ["--dump-state", str(dump)]
        if dump_seconds is not None:
            options += ["--state-interval", str(dump_seconds)]
    return options


def _post(url: str, method: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own http URL
    # No proxy of the environment stands between us and our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        answer = json.loads(response.read())
    if not isinstance(answer, dict):
        raise ValueError("not a JSON-RPC answer")
    return answer


def _runs(binary: Path) -> bool:
    try:
        result = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and "anvil" in result.stdout


def _platform_package() -> str:
    """Return the name of the npm package that holds the binary for this machine."""
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if system not in ("linux", "darwin") or machine is None:
        raise Unavailable(f"There is no anvil for this machine ({platform.system()} on {platform.machine()}).")
    return f"anvil-{system}-{machine}"
