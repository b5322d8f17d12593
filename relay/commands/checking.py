"""The command verify: the database beside the contracts."""

import argparse

from rich.console import Console

from relay import ground, indexing
from relay.chain.nodes import Nodes
from relay.commands.common import UNWELL_STATUS, console_of, logger, read_settings
from relay.console.bars import comparing
from relay.console.verification import outcome_line
from relay.console.words import count, say
from relay.index.verify import Contents, Difference
from relay.settings import Settings


def verify(options: argparse.Namespace) -> int:
    """Compare every trustline with the chain; return 1 if any differs and could not be repaired."""
    console = console_of(options)
    settings = read_settings(options, console)
    node = ground.open_node(settings)
    differences = _compare(settings, node, console)
    if differences and options.repair:
        broken = {(type(difference), difference.network_id) for difference in differences}
        logger.info("having the events of %s read anew", count(len(broken), "contract"))
        indexing.repair(settings, node, differences)
        say(["", f"After reading the events of {count(len(broken), 'contract')} anew:"])
        differences = _compare(settings, node, console)
    elif differences:
        say(["`tl-relay verify --repair` has the events of the contracts that differ read anew."])
    return UNWELL_STATUS if differences else 0


def _compare(settings: Settings, node: Nodes, console: Console | None) -> list[Difference]:
    """Compare, saying each difference when it is found and the outcome at the end."""
    contents = indexing.stored_contents(settings)
    differences, compared = [], 0
    with comparing(console, _size(contents)) as show:

        def progress(more: int) -> None:
            nonlocal compared
            compared += more
            show(more)

        for difference in indexing.compare(node, contents, progress):
            differences.append(difference)
            say([str(difference)])
    for difference in indexing.compare_contracts(settings, node, contents):
        differences.append(difference)
        say([str(difference)])
    say([outcome_line(contents, len(differences), compared)])
    return differences


def _size(contents: Contents) -> int:
    return sum(map(len, contents.trustlines.values()))
