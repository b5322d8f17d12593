"""Work that has time: it gives way to whatever else the machine has to do."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_NICER_BY = 10
_LEAST_FAVOURED = 19


def giving_way(act: Callable[[], T], set_priority: Callable[[int, int, int], None] = os.setpriority) -> T:
    """Return what ``act`` returns, or raise what it raises, having called it in a thread of low priority.

    A thread of its own, as no process may take back that it once was nice. Where ``set_priority`` may not be
    called, the priority is that of all others.
    """
    with ThreadPoolExecutor(1, "background", initializer=_be_nice, initargs=(set_priority,)) as pool:
        return pool.submit(act).result()


def _be_nice(set_priority: Callable[[int, int, int], None]) -> None:
    # Only Linux knows the priority of a thread.
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # A sandbox may refuse it; the past is filled in all the same.
        with suppress(OSError):
            niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICER_BY
            set_priority(os.PRIO_PROCESS, thread, min(niceness, _LEAST_FAVOURED))
