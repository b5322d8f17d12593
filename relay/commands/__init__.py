"""What the commands of ``tl-relay`` do: each takes the parsed options and returns its exit status."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module

from relay.commands.common import FAULT_STATUS, FAULTS, tell_fault

MODULES: dict[str, str] = {
    "admin": "admin",
    "demo": "demonstrating",
    "index": "indexing",
    "networks": "networks",
    "run": "running",
    "serve": "serving",
    "status": "looking",
    "verify": "checking",
}
"""Each command's module of this package, in which it is a function of its own name."""


def carry_out(options: argparse.Namespace) -> int:
    """Do what ``options.command`` names; a fault is one sentence on standard error and status 2."""
    # A library below web3 raises the limit so far that deeply nested input would end the interpreter.
    sys.setrecursionlimit(1000)
    try:
        return command(options.command)(options)
    except FAULTS as error:
        tell_fault(error)
        return FAULT_STATUS
    except BrokenPipeError:
        # Who reads the answer has seen enough, as in `tl-relay networks list | head -1`.
        sys.stderr.close()
        return 0


def command(name: str) -> Callable[[argparse.Namespace], int]:
    """Return what does a command; only what that needs is imported, so that a look at the relay starts at once."""
    module = import_module(f"relay.commands.{MODULES[name]}")
    does: Callable[[argparse.Namespace], int] = getattr(module, name)
    return does
