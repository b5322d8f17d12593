"""The command ``tl-relay``: what can be typed. What is then done stands in `relay.commands`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from relay import __version__
from relay.metrics_directory import shared_directory
from relay.supervisor import WITH_PARENT

FAULT_STATUS = 2
"""The exit status of what an operator must mend."""

INTERRUPTED_STATUS = 130
"""The exit status, by the shells' convention, of what Ctrl-C ended before it could end by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 if all is well, 2 for a fault that is said on stderr."""
    options = parse(arguments)
    try:
        # Before the rest is imported, the library of figures too.
        with shared_directory() if options.command in {"run", "serve"} else nullcontext():
            # Only now: this brings in all of the relay, which takes a second.
            from relay.commands import carry_out  # noqa: PLC0415

            return carry_out(options)
    except OSError as error:
        sys.stderr.write(f"tl-relay: {error.strerror or error}: {error.filename or 'the system refuses'}\n")
        return FAULT_STATUS
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was typed, ``sys.argv`` by default; ends the process with status 2 where that is no command."""
    return _parser().parse_args(arguments)


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

    def command(
        name: str, text: str, *parents: argparse.ArgumentParser, more: str = "", among: Any = commands
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = among.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}. {more}".strip(),
            parents=parents,
            allow_abbrev=False,
        )
        return parser

    command("run", "index and API together, for one machine", common, port, rebuild)
    command(
        "index",
        "keep the database in step with the chain",
        common,
        rebuild,
        more="On a terminal it shows its progress. A second one on the same database stands by. "
        "It ends with status 2 where only an operator can help, and says how.",
    )
    serve = command("serve", "answer requests from the database", common, port)
    serve.add_argument(
        "--share", metavar="DIGITS", help="hold the networks whose address ends so only, for example 0-7"
    )
    status = command(
        "status",
        "tell how the relay is doing",
        common,
        more="Exit status: 0 if the index follows the chain, 1 if it lags, waits, has stopped or does not run, "
        "2 if that cannot be told.",
    )
    status.add_argument("--json", action="store_true", help="as JSON, for programs")
    _add_networks(
        command("networks", "list the networks, add or remove some while the relay runs"), command, common
    )
    _add_admin(command("admin", "what operators decide: nodes, pauses, bans, what is removed"), command, common)
    verify = command(
        "verify",
        "compare every trustline with the chain",
        common,
        more="Exit status: 0 if nothing differs, 1 if something does, 2 if it cannot be told.",
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


def _add_networks(
    parser: argparse.ArgumentParser,
    command: Callable[..., argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    command("list", "list the networks and how far each has been read", common, among=actions)
    add = command(
        "add",
        "serve further networks",
        common,
        among=actions,
        more="Only these are read, the others are followed meanwhile. It counts more than settings and registry.",
    )
    remove = command(
        "remove",
        "serve networks no longer",
        common,
        among=actions,
        more="What was read of them is kept. It counts more than settings and registry.",
    )
    for each in (add, remove):
        each.add_argument("addresses_given", nargs="*", metavar="ADDRESS", help="of a network's contract")


def _add_admin(
    parser: argparse.ArgumentParser,
    command: Callable[..., argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)

    def action(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        return command(name, text, common, among=actions, more=more)

    action("nodes", "look at the nodes and tell how they are")
    action(
        "reconnect",
        "have all processes forget what went wrong with their nodes and choose anew",
        "They do within about a second, the first node that is fit.",
    )
    for name, text in (("pause", "let the index or the delegate stand still"), ("resume", "let it go on")):
        action(name, text, "It counts for all processes, and after every start.").add_argument(
            "part", choices=("index", "delegate"), help="what is meant"
        )
    ban = action(
        "ban",
        "serve an identity or a sender no more",
        "No meta-transactions, no gifts, no raw transactions, no messages that it signed.",
    )
    ban.add_argument("--reason", default="", metavar="TEXT", help="for operators; users are not told")
    unban = action("unban", "serve it again")
    for each in (ban, unban):
        each.add_argument("address", metavar="ADDRESS", help="of an identity or an account")
    action("bans", "list who is not served")
    action("revoke-token", "forget a device that push notifications go to").add_argument(
        "token", metavar="TOKEN", help="as it was registered"
    )
    prune = action("prune-messages", "remove messages, read or not", "At least one of the two is needed.")
    prune.add_argument("--older-than", type=int, metavar="DAYS", help="those that are so old")
    prune.add_argument("--user", metavar="ADDRESS", help="those to a user")


if __name__ == "__main__":
    sys.exit(main())
