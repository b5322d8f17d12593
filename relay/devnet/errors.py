"""What can go wrong while a local world is set up, each with one sentence for the person at the keyboard."""

import errno
from pathlib import Path

DISK_FULL_TEXT = "No space left on device"


class DevnetError(Exception):
    """A local chain, database or tool could not be had; the message is one sentence fit for a user."""


class DiskFull(DevnetError):
    """There is no space left to write to."""


class Unavailable(DevnetError):
    """The machine lacks something that we cannot bring along (no network, an unknown platform)."""


def disk_full(where: Path | str) -> DevnetError:
    """Return the error that says that the disk below ``where`` is full."""
    return DiskFull(f"The disk is full: no space is left to write below {where}.")


def from_os_error(error: OSError, where: Path | str) -> DevnetError:
    """Return the one-sentence error for an operating system fault met while working below ``where``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(error.filename or where)
    reason = error.strerror or str(error)
    return DevnetError(f"Cannot use {error.filename or where}: {reason}.")


def tail(log: Path, lines: int = 5) -> str:
    """Return the last ``lines`` non-empty lines of a log file, or an empty text if it cannot be read."""
    try:
        content = log.read_bytes()[-16384:].decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join([line for line in content.splitlines() if line.strip()][-lines:])
