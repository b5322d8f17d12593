"""``tl-relay demo``: a whole Trustlines world on one machine, from nothing to requests to try, until Ctrl-C."""

import json
import os
import shlex
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from relay.devnet.account import provide_account
from relay.devnet.anvil import install_anvil, port_is_free, tools_directory
from relay.devnet.chain_state import DemoChain
from relay.devnet.console import Console
from relay.devnet.errors import DISK_FULL_TEXT, DevnetError, DiskFull, disk_full, from_os_error, tail
from relay.devnet.files import write_atomically
from relay.devnet.guide import guide
from relay.devnet.home import Home, occupied, remove
from relay.devnet.postgres import EmbeddedPostgres
from relay.devnet.process import Child, end_leftovers, start_child
from relay.devnet.village import Village
from relay.store.connection import Pool
from relay.store.errors import StoreError
from relay.store.status import IndexState, StatusReader

FAULT_STATUS = 2
PART_DIED_STATUS = 1
RELAY_SECONDS = 120
KEEP_SECONDS = 1.0
AWAIT_SECONDS = 0.25
DATABASE = "relay"
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

RelayCommand = Callable[[Path], Sequence[str]]


def relay_of_this_installation(settings: Path) -> list[str]:
    """Return the command that runs the relay with a settings file."""
    return [sys.executable, "-m", "relay.cli", "run", "--config", str(settings)]


def run_demo(
    directory: Path,
    port: int = 5000,
    rpc_port: int = 8545,
    *,
    fresh: bool = False,
    relay_command: RelayCommand = relay_of_this_installation,
    stream: TextIO | None = None,
) -> int:
    """Run the demo below ``directory`` until it is asked to end; call it from the main thread.

    ``port`` is the API's, ``rpc_port`` the node's, both of 127.0.0.1; ``fresh`` forgets the last demo. Whatever
    happens, nothing that was started is left running.

    Returns:
        0 after Ctrl-C or SIGTERM, 1 when a part of the demo died, 2 when it cannot run on this machine as it is.

    """
    console = Console(stream or sys.stdout)
    try:
        with _ended_by_signals() as ending, occupied(directory) as home, ExitStack() as parts:
            parts.callback(end_leftovers, home.pid_files())
            try:
                _Demo(home, port, rpc_port, relay_command, console, parts, ending.check).run(fresh=fresh)
            finally:
                ending.has_begun = True
    except _PartDied as died:
        return _report(died, PART_DIED_STATUS)
    except DevnetError as error:
        return _report(error, FAULT_STATUS)
    except OSError as error:
        return _report(from_os_error(error, directory.absolute()), FAULT_STATUS)
    except KeyboardInterrupt:
        pass
    with suppress(OSError):
        console.say("The demo has ended; the next start continues it.")
    return 0


class _PartDied(DevnetError):
    """A part of the running demo ended by itself."""


class _Demo:
    """The parts of one demo, started one after the other."""

    def __init__(
        self,
        home: Home,
        port: int,
        rpc_port: int,
        relay: RelayCommand,
        console: Console,
        parts: ExitStack,
        check_end: Callable[[], None],
    ) -> None:
        self._check_end = check_end
        self._home = home
        self._port = port
        self._rpc_port = rpc_port
        self._relay_command = relay
        self._console = console
        self._parts = parts
        self._continues = False
        self._base = f"http://localhost:{port}/api/v1"

    def run(self, *, fresh: bool) -> None:
        """Start everything and stay until interrupted."""
        end_leftovers(self._home.pid_files())
        if fresh:
            self._home.forget()
        _require_port(self._port, "PORT")
        _require_port(self._rpc_port, "RPC_PORT")
        if self._port == self._rpc_port:
            raise DevnetError(f"PORT and RPC_PORT are both {self._port}: they must differ.")
        with self._console.step("Looking for anvil") as step:
            binary = install_anvil(tools_directory(), step.tell)
        chain = DemoChain(self._home, binary, self._rpc_port)
        self._parts.callback(chain.stop, self._console.say)
        village = self._start_chain(chain)
        database = self._start_database()
        relay = self._start_relay(chain, database)
        self._show(chain, village)
        self._watch(chain, database, relay)

    def _start_chain(self, chain: DemoChain) -> Village:
        with self._console.step("Starting the local chain"):
            village = chain.resume(self._console.say)
        self._continues = village is not None and self._home.database.exists()
        if village is None:
            if self._home.database.exists():
                self._console.say("The chain begins anew, and so does the database.")
                remove(self._home.database)
            with self._console.step("Deploying the contracts and letting a village live its first year") as step:
                village = chain.begin(step.progress)
        provide_account(self._home, chain.node)
        return village

    def _start_database(self) -> EmbeddedPostgres:
        home = self._home
        server = EmbeddedPostgres(home.database, log=home.log("postgres"), pid_file=home.pid_file("postgres"))
        self._parts.callback(server.stop)
        with self._console.step("Starting PostgreSQL"):
            try:
                url = server.start().database_url(DATABASE)
            except DevnetError as error:
                if not home.database.exists() or isinstance(error, DiskFull):
                    raise
                server.stop()
                aside = home.set_aside(home.database)
                self._console.say(
                    f"The database of the last time cannot be used and is kept as {aside.name}; "
                    f"a new one is filled from the chain. {error}"
                )
                url = server.start().database_url(DATABASE)
        write_atomically(home.settings, _settings(self._rpc_port, url, self._port, home))
        return server

    def _start_relay(self, chain: DemoChain, database: EmbeddedPostgres) -> Child:
        with self._console.step("Starting the relay"):
            try:
                return self._launch_relay(chain, database)
            except _PartDied as died:
                if not self._continues:
                    raise
                # A chain that lost its last blocks may lie behind a database that knows them.
                self._console.say(f"The relay does not go on with its database, so that is read anew. {died}")
                database.drop_database(DATABASE)
                database.database_url(DATABASE)
                return self._launch_relay(chain, database)

    def _launch_relay(self, chain: DemoChain, database: EmbeddedPostgres) -> Child:
        home = self._home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TL_RELAY_", "PG"))}
        kept.pop("DATABASE_URL", None)
        command = self._relay_command(home.settings)
        relay = start_child("relay", command, home.log("relay"), pid_file=home.pid_file("relay"), environment=kept)
        self._parts.callback(relay.stop)
        try:
            self._await_relay(chain, database, relay)
        except BaseException:
            relay.stop()
            raise
        return relay

    def _await_relay(self, chain: DemoChain, database: EmbeddedPostgres, relay: Child) -> None:
        began = time.monotonic()
        deadline = began + RELAY_SECONDS
        database_url = database.database_url(DATABASE)
        while not self._serves(chain.block_number()):
            self._check_end()
            _require_running(relay.is_running(), "relay", relay.log)
            _require_index(database_url, time.monotonic() - began)
            if time.monotonic() > deadline:
                raise DevnetError(f"The relay does not serve after {RELAY_SECONDS} s; its log is {relay.log}.")
            time.sleep(AWAIT_SECONDS)

    def _serves(self, block_number: int) -> bool:
        """Say whether the relay answers and has read the chain up to a block."""
        with suppress(OSError, ValueError, TypeError):
            networks, indexed = _get(f"{self._base.replace('localhost', '127.0.0.1')}/networks")
            return bool(networks) and int(indexed) >= block_number
        return False

    def _show(self, chain: DemoChain, village: Village) -> None:
        def nonce_of(person: Any) -> int:
            return int(chain.node.rpc("eth_getTransactionCount", person.address, "pending"), 16)

        self._console.say("\n" + guide(village, self._base, nonce_of))
        self._console.say(
            f"\nThe relay serves {self._base}; the chain (id 1337) answers at {chain.node.url}.\n"
            f"How it is doing: {_status_command(self._home.settings)}\n"
            f"Everything lies in {self._home.directory}. Press Ctrl-C to end."
        )

    def _watch(self, chain: DemoChain, database: EmbeddedPostgres, relay: Child) -> None:
        home = self._home
        while True:
            self._check_end()
            if self._console.is_gone() and os.getppid() == os.getsid(0):
                # A terminal that closes tells the leader of its session: make in that place just waits for us.
                raise KeyboardInterrupt
            _require_running(chain.node.is_running(), "local chain", home.log("anvil"))
            _require_running(database.is_running(), "database", home.log("postgres"))
            _require_running(relay.is_running(), "relay", home.log("relay"))
            with suppress(DevnetError):
                chain.keep()
            time.sleep(KEEP_SECONDS)


def _require_running(running: bool, name: str, log: Path) -> None:
    if not running:
        # The relay says a fault in a line of its own form, which need not be the last of its processes.
        lines = tail(log, 20).splitlines()
        last = next(
            (line for line in reversed(lines) if line.startswith("tl-relay: ")), lines[-1] if lines else ""
        )
        if DISK_FULL_TEXT in tail(log):
            raise disk_full(log.parent)
        said = f" Its last words: {last}" if last else ""
        raise _PartDied(f"The {name} has ended by itself; its log is {log}.{said}")


def _require_index(database_url: str, seconds: float) -> None:
    """Raise _PartDied if the relay's index has stopped for good within so many seconds; its API would go on."""
    with suppress(StoreError), closing(Pool(database_url, size=1)) as pool:
        index = StatusReader(pool).status().index
        if index is not None and index.state is IndexState.STOPPED and index.age_seconds < seconds:
            raise _PartDied(f"The index has stopped: {index.reason}")


def _require_port(port: int, variable: str) -> None:
    """Raise DevnetError unless a server can listen on the port."""
    if not 0 < port < 65536:
        raise DevnetError(f"{variable}={port} is no TCP port: choose one from 1 to 65535.")
    try:
        free = port_is_free(port)
    except PermissionError:
        raise DevnetError(f"Only root may listen on port {port}: choose another with {variable}.") from None
    if not free:
        raise DevnetError(
            f"Port {port} is in use: choose another with {variable}, as in make demo {variable}=7000."
        )


def _status_command(settings: Path) -> str:
    command = Path(sys.executable).parent / "tl-relay"
    program = [str(command)] if command.exists() else [sys.executable, "-m", "relay.cli"]
    return shlex.join([*program, "status", "--config", str(settings)])


def _settings(rpc_port: int, database_url: str, port: int, home: Home) -> str:
    """Return the relay's settings file; JSON's strings and numbers are TOML's as well."""

    def text(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)

    return "\n".join(
        [
            "# Written anew at every start of the demo.",
            "[node]",
            f"urls = [{text(f'http://127.0.0.1:{rpc_port}')}]",
            "[database]",
            f"url = {text(database_url)}",
            "[rest]",
            'host = "127.0.0.1"',
            f"port = {port}",
            "[relay]",
            f"addresses_filepath = {text(home.addresses)}",
            # What a wallet may ask for, all of it free: no fee is named.
            "[account]",
            f"keystore_path = {text(home.keystore)}",
            f"keystore_password_path = {text(home.password)}",
            "[faucet]",
            "enable = true",
            "[delegate]",
            "enable = true",
            "[messaging]",
            "enable = true",
            "[exchange]",
            "enable = true",
            "",
        ]
    )


def _get(url: str) -> tuple[Any, Any]:
    """Return the relay's answer and the block that it stands at; /blocknumber would tell the node's."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as response:
        return json.loads(response.read()), response.headers["X-Trustlines-Block"]


def _report(error: Exception, status: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"tl-relay demo: {error}\n")
    return status


class _Ending:
    """Whether the demo was asked to end, and whether it has begun to."""

    def __init__(self) -> None:
        self.is_requested = False
        self.has_begun = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt what goes on; but the end itself, once begun, is not to be interrupted."""
        self.is_requested = True
        if not self.has_begun:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if that of a signal got lost, as in a destructor, where none can be raised."""
        if self.is_requested:
            raise KeyboardInterrupt


@contextmanager
def _ended_by_signals() -> Iterator[_Ending]:
    """Turn the ending signals into KeyboardInterrupt until the end has begun."""
    ending = _Ending()
    # Under nohup the end of the terminal is to be survived.
    survived = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
    before = {
        number: signal.signal(number, ending.on_signal) for number in ENDING_SIGNALS if number not in survived
    }
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
