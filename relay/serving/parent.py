"""The parent of the workers: it owns the port, starts them, and replaces those that die or have old settings."""

import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from relay.endings import how_it_ended
from relay.serving.door import Crowd
from relay.serving.generation import FIRST_PAUSE_SECONDS, Generation, Plan, Worker
from relay.serving.listening import CannotListen, listen
from relay.serving.worker import Ties, work
from relay.sync.told import Standing, Told

logger = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""A worker that is told to stop is killed after so long."""
FAULT_STATUS = 2
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_POLL_SECONDS = 1.0
_MOST_PLACES = 256
_HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


class Parent:
    """Runs workers until SIGTERM or SIGINT.

    The port is opened once and inherited, so connections that wait on it are not lost with a worker. On SIGHUP the
    plan is made anew: if that fails the old one goes on, else workers that serve the new one are started, and only
    when all of them answer are the old ones told to finish. The memory in which workers note what they have told
    outlives them.
    """

    def __init__(
        self,
        make_plan: Callable[[], Plan],
        *,
        faults: tuple[type[Exception], ...],
        tell_fault: Callable[[Exception], None],
        when_ready: Callable[[Plan], None],
    ) -> None:
        """Prepare.

        Arguments:
            make_plan: reads and checks the settings.
            faults: what it, or making an application, raises where an operator must mend something.
            tell_fault: tells such a fault.
            when_ready: called once the first worker answers.

        """
        self._make_plan = make_plan
        self._faults: tuple[type[Exception], ...] = (*faults, CannotListen)
        self._tell_fault = tell_fault
        self._when_ready = when_ready
        self._leaving: list[Worker] = []
        self._coming: Generation | None = None
        self._is_stopping = self._is_to_reload = False
        self._wake, self._woken = socket.socketpair()
        # Only this process holds the other end, so it ends with it.
        self._alive, self._alive_here = os.pipe()

    def run(self) -> int:
        """Serve; return the exit status: 0, or 2 if the first workers found a fault that an operator must mend.

        Raises:
            CannotListen, or one of the faults: if serving cannot even begin.

        """
        plan = self._make_plan()
        self._current = Generation(plan, listen(plan.rest), Told(_MOST_PLACES), Crowd(_MOST_PLACES))
        self._catch_signals()
        # What is there now stays; the collector need not touch, and thereby copy, the pages shared with workers.
        gc.freeze()
        try:
            while not self._is_stopping:
                if self._tend() == FAULT_STATUS:
                    return FAULT_STATUS
                self._wait()
            return 0
        finally:
            self._end()

    def _catch_signals(self) -> None:
        def note(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGHUP:
                self._is_to_reload = True
            elif number != signal.SIGCHLD:
                self._is_stopping = True

        self._wake.setblocking(False)
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        # At a terminal the hang-up means what it always did: that nobody is there any more.
        hang_up = [] if sys.stderr.isatty() else [signal.SIGHUP]
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *hang_up):
            signal.signal(number, note)

    def _wait(self) -> None:
        unready = [worker.ready for generation in self._generations() for worker in generation.workers]
        now = time.monotonic()
        due = [worker.kill_at for worker in self._leaving if worker.kill_at is not None]
        due += [generation.start_at for generation in self._generations() if generation.number_missing > 0]
        seconds = min([_POLL_SECONDS, *(max(0.0, at - now) for at in due)])
        wake = self._wake.fileno()
        if wake in select.select([wake, *(fd for fd in unready if fd >= 0)], [], [], seconds)[0]:
            self._wake.recv(1024)

    def _generations(self) -> list[Generation]:
        return [self._current] if self._coming is None else [self._current, self._coming]

    def _tend(self) -> int | None:
        """Do what is due; return the status with which all is to end, None if it goes on."""
        for generation in self._generations():
            began = [worker.look_whether_ready() for worker in generation.workers]
            if any(began):
                self._note_ready(generation)
            dead = generation.bury()
            if dead and self._note_death(generation, dead) == FAULT_STATUS:
                return FAULT_STATUS
        self._see_off()
        if self._coming is not None and self._coming.is_complete:
            self._change_over(self._coming)
        if self._is_to_reload and self._coming is None:
            self._is_to_reload = False
            self._begin_reload()
        for generation in self._generations():
            while generation.number_missing > 0 and time.monotonic() >= generation.start_at:
                self._start(generation)
        return None

    def _note_ready(self, generation: Generation) -> None:
        if not generation.has_served and generation is self._current:
            self._when_ready(generation.plan)
        generation.has_served = True

    def _note_death(self, generation: Generation, dead: Sequence[tuple[Worker, int]]) -> int | None:
        worker, status = next((one for one in dead if one[1] == FAULT_STATUS), dead[-1])
        how = how_it_ended(status)
        if generation is self._coming and not worker.is_ready:
            logger.error("the new settings do not work, the old ones go on: a process %s", how)
            self._give_up(generation)
            return None
        if status == FAULT_STATUS and not generation.has_served and generation is self._current:
            return FAULT_STATUS
        now = time.monotonic()
        was_steady = now - worker.started_at >= _STEADY_SECONDS
        generation.pause = FIRST_PAUSE_SECONDS if was_steady else min(generation.pause * 2, _LONGEST_PAUSE_SECONDS)
        generation.start_at = now + generation.pause
        logger.error("a process that serves %s; starting another in %g s", how, generation.pause)
        return None

    def _start(self, generation: Generation) -> None:
        taken = {worker.place for one in self._generations() for worker in one.workers}
        taken |= {worker.place for worker in self._leaving}
        place = next(place for place in range(_MOST_PLACES) if place not in taken)
        ready_here, ready = os.pipe()
        sys.stderr.flush()
        # A signal that arrives before a worker has its own handlers must not be lost in a copy of ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        pid = os.fork()
        if pid == 0:
            os.close(ready_here)
            self._work(generation, place, ready)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        os.close(ready)
        generation.workers.append(Worker(pid, place, ready_here, time.monotonic()))

    def _work(self, generation: Generation, place: int, ready: int) -> NoReturn:
        """Be a worker."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            # Ctrl-C and the end of a terminal reach all processes there; the parent says what is to be done.
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            os.close(self._alive_here)
            told, others_serve = generation.told, self._others_serve(generation)
            app = generation.plan.make_app(Standing(told, place))
            ties = Ties(self._alive, ready, others_serve, generation.crowd, place)
            work(app, generation.plan.rest, generation.listener, ties)
            status = 0
        except self._faults as error:
            self._tell_fault(error)
            status = FAULT_STATUS
        except BaseException:
            logger.exception("a process that serves failed")
        finally:
            logging.shutdown()
            # Threads that still answer would be waited for.
            os._exit(status)

    def _others_serve(self, generation: Generation) -> Callable[[], bool]:
        """Return what tells a worker whether others can answer while it loads."""
        if any(worker.is_ready for one in self._generations() for worker in one.workers):
            return lambda: True
        # At the start all of them load: who is first serves.
        return lambda: not generation.has_served and generation.told.furthest() > 0

    def _begin_reload(self) -> None:
        try:
            plan = self._make_plan()
            is_same_port = plan.rest.bind == self._current.plan.rest.bind
            listener = self._current.listener if is_same_port else listen(plan.rest)
        except self._faults as error:
            logger.error("the settings are not taken over, the old ones go on: %s", error)
            return
        is_same_feed = plan.feed == self._current.plan.feed
        told = self._current.told if is_same_feed else Told(_MOST_PLACES)
        self._coming = Generation(plan, listener, told, Crowd(_MOST_PLACES))
        logger.info("read the settings anew; starting processes with them")

    def _change_over(self, coming: Generation) -> None:
        old, self._current, self._coming = self._current, coming, None
        if old.listener is not coming.listener:
            old.listener.close()
        self._dismiss(old)
        logger.info("the new settings are in force; processes with the old ones finish what they do")

    def _give_up(self, coming: Generation) -> None:
        self._coming = None
        if coming.listener is not self._current.listener:
            coming.listener.close()
        self._dismiss(coming)

    def _dismiss(self, generation: Generation) -> None:
        for worker in generation.workers:
            worker.signal(signal.SIGTERM)
            worker.kill_at = time.monotonic() + GRACE_SECONDS
            self._leaving.append(worker)

    def _see_off(self) -> None:
        for worker in list(self._leaving):
            if worker.status() is not None:
                self._leaving.remove(worker)
                worker.forget()
            elif worker.kill_at is not None and time.monotonic() >= worker.kill_at:
                worker.signal(signal.SIGKILL)
                worker.kill_at = None

    def _end(self) -> None:
        for generation in self._generations():
            generation.listener.close()
            self._dismiss(generation)
        while self._leaving:
            self._see_off()
            time.sleep(0.01)
