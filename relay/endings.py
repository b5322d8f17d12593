"""How processes end, in words."""

import signal


def how_it_ended(status: int) -> str:
    """Return the end of a process in words; ``status`` as subprocess tells it, negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
