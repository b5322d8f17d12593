"""The command index: the database kept in step with the chain."""

import argparse
import gc

from relay import ground, indexing
from relay.commands.common import console_of, read_settings, stop_on_signal, tell_fault
from relay.console.bars import Bars
from relay.index.errors import PastFinality
from relay.settings import find_addresses
from relay.supervisor import STOPPED_STATUS


def index(options: argparse.Namespace) -> int:
    """Keep the database in step with the chain, until SIGTERM or SIGINT."""
    console = console_of(options)
    settings = read_settings(options, console)
    ground.require_reporting(settings)
    addresses = find_addresses(settings)
    node = ground.open_node(settings)
    if options.rebuild:
        indexing.forget_chain(settings)
    # A batch is tens of thousands of objects and not one cycle; to look for some took a fifth of the time.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    display = None if console is None else Bars(console)
    service = indexing.build_index(settings, addresses.networks, node, stop_on_signal(), display=display)
    try:
        service.run()
    except PastFinality as stop:
        if not options.with_parent:
            raise
        tell_fault(stop)
        return STOPPED_STATUS
    return 0
