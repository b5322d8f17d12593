"""What the commands of ``tl-relay`` do: each takes the parsed options and returns its exit status."""

import argparse
import sys
from collections.abc import Callable

from relay import app
from relay.chain.errors import ChainError
from relay.commands.checking import verify
from relay.commands.common import FAULT_STATUS, tell_fault
from relay.commands.looking import status
from relay.commands.networks import networks
from relay.commands.running import demo, index, run, serve_api
from relay.index.errors import IndexFault
from relay.settings import SettingsError
from relay.store.errors import StoreError

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": demo,
    "index": index,
    "networks": networks,
    "run": run,
    "serve": serve_api,
    "status": status,
    "verify": verify,
}


def carry_out(options: argparse.Namespace) -> int:
    """Do what ``options.command`` names; a fault is one sentence on standard error and status 2."""
    # A library below web3 raises the limit so far that deeply nested input would end the interpreter.
    sys.setrecursionlimit(1000)
    try:
        return COMMANDS[options.command](options)
    except (SettingsError, ChainError, StoreError, IndexFault, app.Unavailable) as error:
        tell_fault(error)
        return FAULT_STATUS
    except BrokenPipeError:
        # Who reads the answer has seen enough, as in `tl-relay networks list | head -1`.
        sys.stderr.close()
        return 0
