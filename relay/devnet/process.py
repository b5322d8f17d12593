"""Child processes that never outlive us, and the leftovers of a predecessor that was killed.

Every child runs in a session of its own, so that Ctrl-C in a terminal reaches only us and we stop the children
in a good order. Should we be killed, the kernel ends them (Linux); a file that names each child lets the next
start end what is left nevertheless, and nothing else: a process is ours only if its command line is the recorded
one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass
class Child:
    """A running child process.

    ``name`` is for messages, ``log`` the file that holds its output, ``stop_signal`` asks it to end in good order,
    ``pid_file`` (if any) names it for the next start.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    pid_file: Path | None = None
    stopped: bool = field(default=False, init=False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Say whether the process still runs."""
        return self.process.poll() is None

    def stop(self, patience: float = 20.0) -> None:
        """End the process and whatever it started: ask, wait ``patience`` seconds at most, then kill."""
        if self.stopped:
            return
        self.stopped = True
        if self.is_running():
            with suppress(ProcessLookupError):
                self.process.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        if self.pid_file is not None:
            with suppress(OSError):
                self.pid_file.unlink(missing_ok=True)


def start_child(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    pid_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
) -> Child:
    """Start ``command`` (its first word an absolute path) with its output appended to ``log``.

    ``user`` is the (uid, gid) to run as, for root only. Call it from a thread that lives as long as the child
    shall: the kernel ties the child to that thread.

    Raises:
        OSError: if the log or the process file cannot be written or no process be had.

    """
    with _signals_held():
        return _start(name, command, log, stop_signal, pid_file, environment, user)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let no signal handler come between the birth of a process and its record."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(
    name: str,
    command: Sequence[str],
    log: Path,
    stop_signal: signal.Signals,
    pid_file: Path | None,
    environment: Mapping[str, str] | None,
    user: tuple[int, int] | None,
) -> Child:
    uid, gid = user or (-1, -1)
    prefix = [
        sys.executable,
        "-I",
        "-S",
        str(LAUNCHER),
        str(os.getpid()),
        str(int(stop_signal)),
        str(uid),
        str(gid),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=None if environment is None else dict(environment),
            cwd="/" if user is not None else None,
        )
    child = Child(name, process, log, stop_signal, pid_file)
    if pid_file is not None:
        try:
            record = {"pid": process.pid, "command": list(command), "signal": int(stop_signal)}
            pid_file.write_text(json.dumps(record), encoding="utf-8")
        except OSError:
            child.stop(patience=2)
            raise
    return child


def end_leftovers(pid_files: Iterable[Path], patience: float = 20.0) -> list[str]:
    """End the processes that these files name, if they still run and are what the file says; remove the files.

    Returns:
        The stems of the files whose process was found running.

    """
    found: list[tuple[str, psutil.Process, signal.Signals]] = []
    for pid_file in pid_files:
        with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
            record = json.loads(pid_file.read_text(encoding="utf-8"))
            process = psutil.Process(int(record["pid"]))
            if _is_ours(process, [str(word) for word in record["command"]]):
                found.append((pid_file.stem, process, signal.Signals(int(record["signal"]))))
        with suppress(OSError):
            pid_file.unlink(missing_ok=True)
    for _, process, stop_signal in found:
        end_process(process, stop_signal, patience)
    return [name for name, _, _ in found]


def end_process(process: psutil.Process, stop_signal: signal.Signals, patience: float) -> None:
    """Ask a process that is no child of ours to end, and kill it after ``patience`` seconds."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(stop_signal)
        deadline = time.monotonic() + patience
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                process.kill()
                deadline += patience
            time.sleep(0.05)


def _is_ours(process: psutil.Process, command: list[str]) -> bool:
    """Compare command lines; while the launcher has not yet become the command, its own ends with it."""
    running = process.cmdline()
    return bool(command) and running[-len(command) :] == command
