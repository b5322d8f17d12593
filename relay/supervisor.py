"""Index and API as two processes of one command: started together, restarted alone, ended together."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from relay.endings import how_it_ended

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_WATCH = "parent"

STOPPED_STATUS = 3
"""The status with which a command tells its supervisor that it must stop for reasons that lie outside of the relay
and its settings: an operator is to decide, and the others go on meanwhile."""

WITH_PARENT = "--with-parent"
"""The option that makes a command end when its standard input does, which is to say with its parent."""


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = 1.0
    status: int | None = field(default=None)


def supervise(
    commands: Mapping[str, Sequence[str]],
    stopping: threading.Event,
    hang_up: threading.Event | None = None,
    reloads: Collection[str] = (),
) -> int:
    """Run the commands until ``stopping`` is set; return the exit status for the whole.

    Whenever ``hang_up`` is set, those named in ``reloads`` are sent SIGHUP.

    A command that ends by itself is started again after a growing pause. One that ends with status 2 before it
    ever ran steadily has said what an operator must mend before anything can work: then everything ends with
    status 2. With STOPPED_STATUS it says that it cannot go on while the others can: they do, and it is started
    again after the longest pause, to see whether what stopped it has been resolved.
    """
    children = [_Child(name, command) for name, command in commands.items()]
    try:
        while not stopping.is_set():
            for child in children:
                if _tend(child) == 2:
                    return 2
            if hang_up is not None and hang_up.is_set():
                hang_up.clear()
                for child in children:
                    if child.process is not None and child.name in reloads:
                        child.process.send_signal(signal.SIGHUP)
            stopping.wait(_POLL_SECONDS)
        return 0
    finally:
        _end(children)


def end_with_parent() -> None:
    """Send this process SIGTERM when its standard input ends, in a thread of its own; once is enough."""
    if any(thread.name == _WATCH for thread in threading.enumerate()):
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name=_WATCH, daemon=True).start()


def _tend(child: _Child) -> int | None:
    """Start a child that is due, and note one that has ended; return the status that must end everything."""
    now = time.monotonic()
    if child.process is None:
        if now >= child.start_at:
            child.process = _start(child.command)
            child.started_at = now
        return None
    status = child.process.poll()
    if status is None:
        return None
    child.process = None
    was_steady = now - child.started_at >= _STEADY_SECONDS
    if status == 2 and not was_steady and child.status is None:
        return 2
    child.status = status
    if status == STOPPED_STATUS:
        child.start_at = now + _LONGEST_PAUSE_SECONDS
        logger.error(
            "%s has stopped, the rest goes on; looking again in %g s (`tl-relay status` tells more)",
            child.name,
            _LONGEST_PAUSE_SECONDS,
        )
        return None
    child.pause = 1.0 if was_steady else min(child.pause * 2, _LONGEST_PAUSE_SECONDS)
    child.start_at = now + child.pause
    logger.error("%s %s; starting it again in %g s", child.name, how_it_ended(status), child.pause)
    return None


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    # A session of its own: Ctrl-C at the terminal reaches the supervisor, which ends its children in good order.
    return subprocess.Popen(
        [sys.executable, "-m", "relay.cli", *command, WITH_PARENT], stdin=subprocess.PIPE, start_new_session=True
    )


def _end(children: Sequence[_Child]) -> None:
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
