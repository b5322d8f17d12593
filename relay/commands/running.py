"""The commands that go on until they are told to stop: run, index, serve, demo."""

import argparse
import gc

from relay import app
from relay.commands.common import console_of, logger, read_settings, stop_on_signal, tell_fault, tell_not_served
from relay.console.bars import Bars
from relay.index.errors import PastFinality
from relay.serving import serve
from relay.settings import find_addresses
from relay.store.migrate import migrate
from relay.supervisor import STOPPED_STATUS, supervise


def run(options: argparse.Namespace) -> int:
    """Run index and API as two processes, until SIGTERM or SIGINT."""
    settings = read_settings(options)
    tell_not_served(settings)
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
        stop_on_signal(),
    )


def index(options: argparse.Namespace) -> int:
    """Keep the database in step with the chain, until SIGTERM or SIGINT."""
    console = console_of(options)
    settings = read_settings(options, console)
    addresses = find_addresses(settings)
    node = app.open_node(settings)
    if options.rebuild:
        app.forget_chain(settings)
    # A batch is tens of thousands of objects and not one cycle; to look for some took a fifth of the time.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    display = None if console is None else Bars(console)
    service = app.build_index(settings, addresses.networks, node, stop_on_signal(), display=display)
    try:
        service.run()
    except PastFinality as stop:
        if not options.with_parent:
            raise
        tell_fault(stop)
        return STOPPED_STATUS
    return 0


def serve_api(options: argparse.Namespace) -> int:
    """Answer requests from the database, until SIGTERM or SIGINT."""
    settings = read_settings(options)
    if not options.with_parent:
        tell_not_served(settings)
    app.require_port(settings.rest)
    app.require_push(settings)
    app.require_schema(settings)
    node = app.open_node(settings)
    chain_id = node.chain_id()
    key = app.load_account(settings, chain_id)

    def say_ready() -> None:
        logger.info("serving http://%s/api/v1", settings.rest.bind)

    serve(lambda: app.build_api(settings, node, chain_id, key), settings.rest, when_ready=say_ready)
    return 0


def demo(options: argparse.Namespace) -> int:
    """Run a local chain, a database and a relay, until SIGTERM or SIGINT."""
    try:
        from relay.devnet.demo import run_demo  # noqa: PLC0415 - the local world is an extra
    except ModuleNotFoundError as error:
        raise app.Unavailable(
            f"the demo needs {error.name}, which the extra brings: pip install 'trustlines-credit-relay[devnet]'"
        ) from error
    return run_demo(options.directory, options.port, options.rpc_port, fresh=options.fresh)
