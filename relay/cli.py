"""The command ``tl-relay``: what can be typed. What is then done stands in `relay.commands`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from relay import __version__
from relay.supervisor import WITH_PARENT

INTERRUPTED_STATUS = 130
"""The exit status, by the shells' convention, of what Ctrl-C ended before it could end by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 after a stop on request, 2 for a fault that is said on stderr."""
    options = _parser().parse_args(arguments)
    try:
        # Only now: this brings in all of the relay, which takes a second.
        from relay.commands import carry_out  # noqa: PLC0415

        return carry_out(options)
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tl-relay", description="A relay server for Trustlines credit networks.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tl-relay {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="the settings, TOML (see config/relay.toml)")
    common.add_argument("--addresses", metavar="FILE", help="the addresses of the networks, JSON")
    common.add_argument(WITH_PARENT, action="store_true", dest="with_parent", help=argparse.SUPPRESS)
    port = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    port.add_argument("--port", metavar="N", help="the port of the API")
    rebuild = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    rebuild.add_argument("--rebuild", action="store_true", help="forget what is stored and read the chain anew")

    def command(name: str, text: str, *parents: argparse.ArgumentParser) -> None:
        commands.add_parser(name, help=text, description=text, parents=parents, allow_abbrev=False)

    command("run", "index and API together, for one machine", common, port, rebuild)
    command("index", "keep the database in step with the chain", common, rebuild)
    command("serve", "answer requests from the database", common, port)
    command("status", "tell how the relay runs", common)
    networks = commands.add_parser(
        "networks", help="list the networks, add or remove some", parents=[common], allow_abbrev=False
    )
    networks.add_argument("action", choices=["list", "add", "remove"])
    networks.add_argument("addresses_given", nargs="*", metavar="ADDRESS", help="of the contract")
    verify = commands.add_parser(
        "verify", help="compare every trustline with the chain", parents=[common], allow_abbrev=False
    )
    verify.add_argument("--repair", action="store_true", help="read the events of networks that differ anew")
    demo = commands.add_parser(
        "demo", help="a local chain with people on it, a database and a relay", allow_abbrev=False
    )
    demo.add_argument("--port", type=int, default=5000, metavar="N", help="the port of the API (default 5000)")
    demo.add_argument("--rpc-port", type=int, default=8545, metavar="N", help="the node's port (default 8545)")
    demo.add_argument("--fresh", action="store_true", help="forget the last demo and begin anew")
    demo.add_argument(
        "--directory", type=Path, default=Path(".demo"), metavar="DIR", help="where all of it lies (default .demo)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
