"""The directory in which a demo lives: what lies in it, and who may use it at the moment."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.devnet.errors import DevnetError


@dataclass(frozen=True, slots=True)
class Home:
    """The files of a demo below ``directory`` (absolute).

    ``complete`` exists once the chain has been populated to the end and says how to recognise it.
    """

    directory: Path

    @property
    def addresses(self) -> Path:
        """The addresses of the contracts."""
        return self.directory / "addresses.json"

    @property
    def people(self) -> Path:
        """The inhabitants with their addresses and keys."""
        return self.directory / "people.json"

    @property
    def chain(self) -> Path:
        """The last state of the chain."""
        return self.directory / "chain.json"

    @property
    def complete(self) -> Path:
        """The mark of a populated chain."""
        return self.directory / "complete.json"

    @property
    def database(self) -> Path:
        """The data directory of PostgreSQL."""
        return self.directory / "postgres"

    @property
    def settings(self) -> Path:
        """The settings of the relay."""
        return self.directory / "relay.toml"

    @property
    def keystore(self) -> Path:
        """The encrypted key that the relay sends with."""
        return self.directory / "relay-key.json"

    @property
    def password(self) -> Path:
        """The password of that key."""
        return self.directory / "relay-key-password.txt"

    def log(self, part: str) -> Path:
        """Return the log of a part: anvil, postgres or relay."""
        return self.directory / f"{part}.log"

    def pid_file(self, part: str) -> Path:
        """Return the file that names the process of a part."""
        return self.directory / f"{part}.pid"

    def pid_files(self) -> list[Path]:
        """Return the files that name processes, in the order in which these are to be ended."""
        return [self.pid_file(part) for part in ("relay", "postgres", "anvil")]

    def set_aside(self, path: Path) -> Path:
        """Rename what cannot be used, so that it can be looked at; an older one makes room."""
        aside = path.with_name(path.name + ".damaged")
        remove(aside)
        path.rename(aside)
        return aside

    def forget_chain(self) -> None:
        """Remove the chain and what is only true of it."""
        for path in (self.complete, self.chain, self.addresses, self.people):
            remove(path)

    def forget(self) -> None:
        """Remove everything that a demo makes, and nothing else."""
        self.forget_chain()
        database_parts = [self.database, self.database.with_name(self.database.name + ".part")]
        logs = [self.log(part) for part in ("anvil", "postgres", "relay")]
        damaged = [self.chain.with_name("chain.json.damaged"), self.database.with_name("postgres.damaged")]
        for path in (*database_parts, *logs, *damaged, self.settings, self.keystore, self.password):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a directory with all that is in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def occupied(directory: Path) -> Iterator[Home]:
    """Make the directory if need be and keep other demos out of it.

    Raises:
        DevnetError: if another demo runs in it.
        OSError: if it cannot be made or written.

    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise DevnetError(f"Another demo runs in {directory}: end it first.") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield Home(directory)
