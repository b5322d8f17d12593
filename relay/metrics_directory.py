"""The directory in which the processes of a command keep their figures together; it must be named early.

Prometheus' library looks for it when it is imported, so this module, which names it, imports nothing of it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names it."""


@contextmanager
def shared_directory() -> Iterator[None]:
    """Let this process, and those that it starts meanwhile, tell their figures together.

    One that was named already, by a command that started this one or by an operator, stays in use.

    Raises:
        OSError: if none can be made.

    """
    if os.environ.get(DIRECTORY):
        yield
        return
    made = tempfile.mkdtemp(prefix="tl-relay-metrics-")
    os.environ[DIRECTORY] = made
    try:
        yield
    finally:
        os.environ.pop(DIRECTORY, None)
        shutil.rmtree(made, ignore_errors=True)
