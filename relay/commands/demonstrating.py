"""The command demo: a local chain, a database and a relay."""

import argparse

from relay.ground import Unavailable


def demo(options: argparse.Namespace) -> int:
    """Run a local chain, a database and a relay, until SIGTERM or SIGINT."""
    try:
        from relay.devnet.demo import run_demo  # noqa: PLC0415 - the local world is an extra
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"the demo needs {error.name}, which the extra brings: pip install 'trustlines-credit-relay[devnet]'"
        ) from error
    return run_demo(options.directory, options.port, options.rpc_port, fresh=options.fresh)
