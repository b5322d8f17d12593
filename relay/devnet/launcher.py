"""A program that prepares its own process and then becomes another one.

Run by path, in a fresh interpreter, by :mod:`relay.devnet.process`; it must import nothing of the relay. It
does what is unsafe between fork and exec of a threaded parent: it ties the process to the life of its parent
and, where asked, gives up root. Usage: ``launcher.py PARENT_PID SIGNAL UID GID COMMAND [ARGUMENT ...]``, UID and
GID -1 to stay who we are.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class CapabilityHeader(ctypes.Structure):
    """struct __user_cap_header_struct of capget(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapabilityWord(ctypes.Structure):
    """struct __user_cap_data_struct of capget(2): 32 capabilities in three sets."""

    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def become(uid: int, gid: int) -> None:
    """Become another user, keeping only the right to reach files below directories closed to that user.

    A checkout may lie below a directory that only root may enter. Instead of opening that directory to everybody,
    the process keeps the capabilities to pass through it, as far as it has them itself.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    header, words = CapabilityHeader(CAPABILITY_VERSION_3, 0), (CapabilityWord * 2)()
    wanted = 0
    if libc is not None and libc.capget(ctypes.byref(header), words) == 0:
        wanted = words[0].permitted & (1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without this, access(2) would answer for the user as if the process had no capabilities.
        libc.prctl(PR_SET_SECUREBITS, libc.prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) | SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if libc is None or not wanted:
        return
    kept = (CapabilityWord * 2)(CapabilityWord(wanted, wanted, wanted), CapabilityWord(0, 0, 0))
    if libc.capset(ctypes.byref(header), kept) == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if wanted >> capability & 1:
                libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have the kernel send us ``signal_number`` when our parent ends; leave at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def main() -> None:
    """Prepare this process as the arguments say and become the command."""
    parent, signal_number, uid, gid = (int(argument) for argument in sys.argv[1:5])
    command = sys.argv[5:]
    # Our parent blocks signals while it starts us, and a new program inherits that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        if uid >= 0:
            become(uid, gid)
        # After the change of user: that change clears the wish.
        die_with_parent(parent, signal_number)
        os.execv(command[0], command)  # noqa: S606 - to become the command without a shell is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
