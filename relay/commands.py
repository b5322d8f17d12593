"""What the commands of ``tl-relay`` do: each takes the parsed options and returns its exit status."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from relay import app
from relay.addresses import to_checksum
from relay.chain.errors import ChainError
from relay.index.errors import IndexFault
from relay.logs import configure_logging
from relay.saying import is_well, network_lines, say, status_lines, verification_lines
from relay.serving import serve
from relay.settings import Settings, SettingsError, find_addresses, load
from relay.settings.reading import EthereumAddress, Place
from relay.store.errors import StoreError
from relay.store.migrate import migrate
from relay.supervisor import end_with_parent, supervise

logger = logging.getLogger("relay")

FAULT_STATUS = 2
"""The exit status of what an operator must mend."""


def carry_out(options: argparse.Namespace) -> int:
    """Do what ``options.command`` names; a fault is one sentence on standard error and status 2."""
    # A library below web3 raises the limit so far that deeply nested input would end the interpreter.
    sys.setrecursionlimit(1000)
    try:
        return COMMANDS[options.command](options)
    except (SettingsError, ChainError, StoreError, IndexFault, app.Unavailable) as error:
        print(f"tl-relay: {error}", file=sys.stderr)  # noqa: T201
        return FAULT_STATUS


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


def run(options: argparse.Namespace) -> int:
    """Run index and API as two processes, until SIGTERM or SIGINT."""
    settings = _settings(options)
    find_addresses(settings)
    app.require_port(settings.rest)
    app.require_push(settings)
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


def index(options: argparse.Namespace) -> int:
    """Keep the database in step with the chain, until SIGTERM or SIGINT."""
    settings = _settings(options)
    addresses = find_addresses(settings)
    node = app.open_node(settings)
    if options.rebuild:
        app.forget_chain(settings)
    app.build_index(settings, addresses.networks, node, _stop_on_signal()).run()
    return 0


def serve_api(options: argparse.Namespace) -> int:
    """Answer requests from the database, until SIGTERM or SIGINT."""
    settings = _settings(options)
    app.require_port(settings.rest)
    app.require_push(settings)
    app.require_schema(settings)
    node = app.open_node(settings)
    chain_id = node.chain_id()

    def say_ready() -> None:
        logger.info("serving http://%s/api/v1", settings.rest.bind)

    serve(lambda: app.build_api(settings, node, chain_id), settings.rest, when_ready=say_ready)
    return 0


def networks(options: argparse.Namespace) -> int:
    """List the networks, or add or remove some while the relay runs."""
    settings = _settings(options)
    if options.action == "list":
        say(network_lines(app.relay_status(settings)))
        return 0
    addresses = [EthereumAddress().read(text, Place((), name="ADDRESS")) for text in options.addresses_given]
    if not addresses:
        raise app.Unavailable(f"which network? tl-relay networks {options.action} ADDRESS")
    is_wanted = options.action == "add"
    if is_wanted:
        node = app.open_node(settings)
        for address in addresses:
            app.require_network(node, address)
    for address in addresses:
        app.choose_network(settings, address, is_wanted=is_wanted)
        said = "will be served once it has been read" if is_wanted else "will no longer be served"
        say([f"{to_checksum(address)} {said}"])
    return 0


def status(options: argparse.Namespace) -> int:
    """Tell how the relay runs; return 1 where the index is not running or not able to go on."""
    found = app.relay_status(_settings(options))
    say(status_lines(found))
    return 0 if is_well(found) else 1


def verify(options: argparse.Namespace) -> int:
    """Compare every trustline with the chain; return 1 if any differs and could not be repaired."""
    settings = _settings(options)
    node = app.open_node(settings)
    compared = 0

    def count(more: int) -> None:
        nonlocal compared
        compared += more

    contents, differences = app.verify(settings, node, count)
    say(verification_lines(contents, differences, compared))
    if differences and options.repair:
        app.repair(settings, node, sorted({difference.network_id for difference in differences}))
        compared = 0
        contents, differences = app.verify(settings, node, count)
        say(["", "After reading the events of these networks anew:"])
        say(verification_lines(contents, differences, compared))
    return 1 if differences else 0


def demo(options: argparse.Namespace) -> int:
    """Run a local chain, a database and a relay, until SIGTERM or SIGINT."""
    try:
        from relay.devnet.demo import run_demo  # noqa: PLC0415 - the local world is an extra
    except ModuleNotFoundError as error:
        raise app.Unavailable(
            f"the demo needs {error.name}, which the extra brings: pip install 'trustlines-credit-relay[devnet]'"
        ) from error
    return run_demo(options.directory, options.port, options.rpc_port, fresh=options.fresh)


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": demo,
    "index": index,
    "networks": networks,
    "run": run,
    "serve": serve_api,
    "status": status,
    "verify": verify,
}
