"""The command ``tl-relay``."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from relay import __version__, app
from relay.chain.errors import ChainError
from relay.index.errors import IndexFault
from relay.logs import configure_logging
from relay.serving import serve
from relay.settings import Settings, SettingsError, find_addresses, load
from relay.store.errors import StoreError
from relay.store.migrate import migrate
from relay.supervisor import WITH_PARENT, end_with_parent, supervise

logger = logging.getLogger("relay")

FAULT_STATUS = 2
"""The exit status of what an operator must mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 after a stop on request, 2 for a fault that is said on stderr."""
    # A library below web3 raises the limit so far that deeply nested input would end the interpreter.
    sys.setrecursionlimit(1000)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (SettingsError, ChainError, StoreError, IndexFault, app.Unavailable) as error:
        print(f"tl-relay: {error}", file=sys.stderr)  # noqa: T201
        return FAULT_STATUS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tl-relay", description="A relay server for Trustlines credit networks.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tl-relay {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="the settings, TOML (see config/relay.toml)")
    common.add_argument("--addresses", metavar="FILE", help="the addresses of the networks, JSON")
    common.add_argument(WITH_PARENT, action="store_true", dest="with_parent", help=argparse.SUPPRESS)
    port = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    port.add_argument("--port", metavar="N", help="the port of the API")
    rebuild = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    rebuild.add_argument("--rebuild", action="store_true", help="forget what is stored and read the chain anew")

    def command(name: str, text: str, run: object, *parents: argparse.ArgumentParser) -> None:
        entry = commands.add_parser(name, help=text, description=text, parents=parents, allow_abbrev=False)
        entry.set_defaults(run=run)

    command("run", "index and API together, for one machine", _run, common, port, rebuild)
    command("index", "keep the database in step with the chain", _index, common, rebuild)
    command("serve", "answer requests from the database", _serve, common, port)
    demo = commands.add_parser(
        "demo", help="a local chain with people on it, a database and a relay", allow_abbrev=False
    )
    demo.add_argument("--port", type=int, default=5000, metavar="N", help="the port of the API (default 5000)")
    demo.add_argument("--rpc-port", type=int, default=8545, metavar="N", help="the node's port (default 8545)")
    demo.add_argument("--fresh", action="store_true", help="forget the last demo and begin anew")
    demo.add_argument(
        "--directory", type=Path, default=Path(".demo"), metavar="DIR", help="where all of it lies (default .demo)"
    )
    demo.set_defaults(run=_demo)
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    overrides = {"relay.addresses_filepath": options.addresses, "rest.port": getattr(options, "port", None)}
    settings = load(options.config, os.environ, overrides)
    configure_logging(settings.logging)
    if options.with_parent:
        end_with_parent()
        return settings
    for remark in settings.remarks:
        logger.warning("%s", remark)
    for part in settings.not_yet_served:
        logger.warning("[%s] is configured, but not served by this version", part)
    return settings


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options)
    find_addresses(settings)
    app.require_port(settings.rest)
    app.open_node(settings)
    migrate(settings.database.url)
    if options.rebuild:
        app.forget_chain(settings)
    passed_on: list[str] = []
    for name in ("config", "addresses"):
        if getattr(options, name) is not None:
            passed_on += [f"--{name}", str(getattr(options, name))]
    return supervise(
        {
            "index": ["index", *passed_on],
            "serve": ["serve", *passed_on, "--port", str(settings.rest.port)],
        },
        _stop_on_signal(),
    )


def _index(options: argparse.Namespace) -> int:
    settings = _settings(options)
    addresses = find_addresses(settings)
    node = app.open_node(settings)
    if options.rebuild:
        app.forget_chain(settings)
    app.build_index(settings, addresses.networks, node, _stop_on_signal()).run()
    return 0


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    app.require_port(settings.rest)
    app.require_schema(settings)
    node = app.open_node(settings)
    chain_id = node.chain_id()

    def say_ready() -> None:
        logger.info("serving http://%s/api/v1", settings.rest.bind)

    serve(lambda: app.build_api(settings, node, chain_id), settings.rest, when_ready=say_ready)
    return 0


def _demo(options: argparse.Namespace) -> int:
    from relay.devnet.demo import run_demo  # noqa: PLC0415 - the local world is an extra

    return run_demo(options.directory, options.port, options.rpc_port, fresh=options.fresh)


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


if __name__ == "__main__":
    sys.exit(main())
