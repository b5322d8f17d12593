"""The worker processes as their parent knows them."""

import os
import select
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.serving.door import Crowd
from relay.serving.worker import Application
from relay.settings import RestSettings
from relay.sync.told import Standing, Told

FIRST_PAUSE_SECONDS = 0.25
"""The pause before the first worker that died is replaced; it grows with every further one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve: ``make_app`` is called in every worker.

    ``feed`` names the database that workers follow: positions on the feed of another one are not comparable.
    """

    rest: RestSettings
    make_app: Callable[[Standing], Application]
    feed: str = ""


@dataclass(eq=False)
class Worker:
    """A process that serves: ``ready`` tells when it begins to, -1 once that is known."""

    pid: int
    place: int
    ready: int
    started_at: float
    is_ready: bool = False
    kill_at: float | None = None

    def look_whether_ready(self) -> bool:
        """Say whether it has begun to serve since the last time."""
        if self.ready < 0 or not select.select([self.ready], [], [], 0)[0]:
            return False
        self.is_ready = bool(os.read(self.ready, 1))
        self.forget()
        return self.is_ready

    def status(self) -> int | None:
        """Return how it ended, as subprocess tells it: negative for a signal; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; as the end of the process was not waited for, its number is nobody else's."""
        os.kill(self.pid, number)

    def forget(self) -> None:
        """Let go of what belongs to it."""
        if self.ready >= 0:
            os.close(self.ready)
            self.ready = -1


@dataclass(eq=False)
class Generation:
    """The workers that serve one plan."""

    plan: Plan
    listener: socket.socket
    told: Told
    crowd: Crowd
    workers: list[Worker] = field(default_factory=list)
    start_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    has_served: bool = False

    @property
    def number_missing(self) -> int:
        """How many workers are still to be started."""
        return self.plan.rest.number_of_processes - len(self.workers)

    @property
    def is_complete(self) -> bool:
        """Whether all workers serve."""
        return self.number_missing <= 0 and all(worker.is_ready for worker in self.workers)

    def bury(self) -> list[tuple[Worker, int]]:
        """Return the workers that have ended, and how; they are of this generation no longer."""
        dead = [(worker, status) for worker in self.workers if (status := worker.status()) is not None]
        for worker, _ in dead:
            self.workers.remove(worker)
            self.crowd.leave(worker.place)
            worker.forget()
        return dead
