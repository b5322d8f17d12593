"""The index processes of a simulation: started, killed and started again, and what they leave in their logs."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.simulation.faults import Act, Trap
from tests.simulation.index_process import run_index

SURPRISE = "Traceback (most recent call last)"
TAIL_CHARACTERS = 6000


def processes() -> multiprocessing.context.ForkServerContext:
    """Return where processes come from: forked from one that has imported everything, within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.simulation.index_process"])
    return context


class IndexProcesses:
    """One index process or several over the same database; those that end are started again on request."""

    def __init__(self, directory: Path) -> None:
        self._context = processes()
        self._directory = directory
        self._running: list[multiprocessing.context.ForkServerProcess] = []
        self._traces: list[Path] = []
        self.kills = 0
        self.log = directory / "index.log"

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that have been started and not been seen to end."""
        return [process.pid for process in self._running if process.pid is not None]

    def start(self, variables: Mapping[str, object], trap: Trap | None = None) -> None:
        """Start one more process, with a trap in it if one is given."""
        trace = self._directory / f"trace-{len(self._traces)}"
        process = self._context.Process(
            target=run_index, args=(dict(variables), trap, trace, self.log), daemon=True
        )
        process.start()
        self._traces.append(trace)
        self._running.append(process)

    def kill(self) -> int:
        """Kill -9 all that run; return how many that were."""
        count = 0
        for process in self._running:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                count += 1
        for process in self._running:
            process.join()
        self._bury()
        return count

    def alive(self) -> int:
        """Return how many processes run, having counted those that traps have killed.

        Raises:
            AssertionError: if one has ended in another way than by kill -9.

        """
        self._bury()
        return len(self._running)

    def stop(self) -> None:
        """End all in good order."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.join(10)
            if process.is_alive():
                process.kill()
        self._running.clear()

    def points(self) -> Counter[str]:
        """Return how often each point was passed, and each trap closed, by the processes so far."""
        found: Counter[str] = Counter()
        for trace in self._traces:
            found.update(_lines(trace))
        return found

    def points_of_last(self) -> Counter[str]:
        """Return how often the process started last has passed each point."""
        return Counter(_lines(self._traces[-1]))

    def deaths(self) -> Counter[str]:
        """Return the points at which processes were killed by a trap."""
        prefix = f"{Act.DIE}: "
        return Counter(
            {name.removeprefix(prefix): n for name, n in self.points().items() if name.startswith(prefix)}
        )

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-TAIL_CHARACTERS:] if self.log.exists() else ""

    def require_no_surprise(self) -> None:
        """Raise AssertionError if a process wrote a traceback, as it does of what nobody expected."""
        if self.log.exists():
            text = self.log.read_text(errors="replace")
            at = text.find(SURPRISE)
            assert at < 0, f"the index was surprised:\n{text[max(0, at - 1000) : at + 4000]}"

    def _bury(self) -> None:
        for process in list(self._running):
            if process.exitcode is None:
                continue
            self._running.remove(process)
            if process.exitcode == -signal.SIGKILL:
                self.kills += 1
            else:
                raise AssertionError(
                    f"an index process ended by itself, status {process.exitcode}:\n{self.tail()}"
                )


def _lines(trace: Path) -> list[str]:
    return trace.read_text().splitlines() if trace.exists() else []
