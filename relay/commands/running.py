"""The command run: index and API as two processes."""

import argparse

from relay import ground, indexing
from relay.commands.common import on_hang_up, read_settings, stop_on_signal, tell_not_served
from relay.settings import find_addresses
from relay.store.migrate import migrate
from relay.supervisor import supervise


def run(options: argparse.Namespace) -> int:
    """Run index and API as two processes, until SIGTERM or SIGINT."""
    settings = read_settings(options)
    tell_not_served(settings)
    find_addresses(settings)
    ground.require_port(settings.rest)
    ground.require_push(settings)
    ground.require_reporting(settings)
    ground.operators_token(settings)
    ground.open_node(settings)
    migrate(settings.database.url)
    if options.rebuild:
        indexing.forget_chain(settings)
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
        hang_up=on_hang_up(),
        reloads=("serve",),
    )
