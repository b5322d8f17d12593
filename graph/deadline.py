"""The time at which a search gives in: the only clock of this package, and the one that its kernel looks at."""

import time


def is_over(deadline: float) -> bool:
    """Whether ``deadline`` has passed, in seconds of ``time.monotonic``; 0 stands for never."""
    return 0 < deadline <= time.monotonic()
