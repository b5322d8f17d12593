"""A primary and a physical replica of it, both over Unix sockets."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2

from relay.devnet.postgres import PORT, SUPERUSER, EmbeddedPostgres, binaries
from tests.support.running_relay import until


@dataclass(frozen=True, slots=True)
class Pair:
    """``primary`` takes what is written, ``replica`` has it a moment later."""

    primary: EmbeddedPostgres
    replica: EmbeddedPostgres

    def url(self, name: str, target: str, *, replica_first: bool = False) -> str:
        """Return the libpq URL of a database on whichever of the two is the ``target``."""
        servers = [self.primary, self.replica]
        hosts = [_socket_directory(server) for server in (reversed(servers) if replica_first else servers)]
        return (
            f"postgresql://{SUPERUSER}@/{name}?host={quote(','.join(hosts), safe=',')}"
            f"&port={PORT},{PORT}&target_session_attrs={target}"
        )

    def synchronise(self) -> None:
        """Let the primary say that something is kept only when the replica has it as well."""
        run_alone(self.primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        run_alone(self.primary.url, "SELECT pg_reload_conf()")

    def connect_replica(self, name: str) -> "psycopg2.extensions.connection":
        """Return a connection to a database on the replica."""
        return psycopg2.connect(f"{self.replica.url.replace('/postgres?', f'/{name}?')}")

    def promote(self) -> None:
        """Make a primary of the replica; returns when it takes what is written."""
        run_alone(self.replica.url, "SELECT pg_promote()")

    def pause(self) -> None:
        """Let the replica stand where it is."""
        run_alone(self.replica.url, "SELECT pg_wal_replay_pause()")

        def is_paused() -> bool:
            return run_alone(self.replica.url, "SELECT pg_get_wal_replay_pause_state()") == "paused"

        until("the replica stands still", is_paused)

    def resume(self) -> None:
        """Let the replica go on."""
        run_alone(self.replica.url, "SELECT pg_wal_replay_resume()")

    def part(self) -> None:
        """Let nothing more come from the primary to the replica."""
        run_alone(self.replica.url, "ALTER SYSTEM SET primary_conninfo = ''")
        run_alone(self.replica.url, "SELECT pg_reload_conf()")

        def is_alone() -> bool:
            return run_alone(self.replica.url, "SELECT count(*) FROM pg_stat_wal_receiver") == 0

        until("the replica hears no more", is_alone)

    def await_replay(self) -> None:
        """Return when the replica has all that the primary has now."""
        end = run_alone(self.primary.url, "SELECT pg_current_wal_flush_lsn()::text")

        def has_come() -> bool:
            return bool(run_alone(self.replica.url, f"SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn"))

        until("the replica has come there", has_come)


def run_alone(url: str, statement: str) -> object:
    """Run a statement on a connection of its own, and return the first column of its first row."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]
    finally:
        connection.close()


@contextmanager
def replicated(folder: Path) -> Iterator[Pair]:
    """Run a primary and its replica until the end of the block."""
    primary = EmbeddedPostgres(folder / "primary", durable=False).start()
    # What is said to be kept is sent to the replica at once, as on any server that is not in a hurry.
    run_alone(primary.url, f"ALTER ROLE {SUPERUSER} SET synchronous_commit = on")
    replica = EmbeddedPostgres(folder / "replica", durable=False)
    try:
        _copy(primary, replica)
        replica.start()
        yield Pair(primary, replica)
    finally:
        replica.stop()
        primary.stop()


def _copy(primary: EmbeddedPostgres, replica: EmbeddedPostgres) -> None:
    """Make the replica's data directory; it belongs to whom the primary's belongs."""
    owner = primary.data_directory.stat()
    command = [
        str(binaries() / "pg_basebackup"),
        *("--pgdata", str(replica.data_directory), "--host", _socket_directory(primary), "--port", str(PORT)),
        *(
            "--username",
            SUPERUSER,
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
        ),
    ]
    subprocess.run(command, check=True, cwd="/", timeout=60, env={"LC_ALL": "C"}, capture_output=True)
    # The primary's socket lies in its data directory, and so does what locks it.
    for lock in replica.data_directory.glob(".s.PGSQL.*"):
        lock.unlink()
    if os.geteuid() == 0:
        for path in (replica.data_directory, *replica.data_directory.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _socket_directory(server: EmbeddedPostgres) -> str:
    found = run_alone(server.url, "SHOW unix_socket_directories")
    assert isinstance(found, str)
    return found
