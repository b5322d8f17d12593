"""The command status: how the relay is doing, whether or not any of its processes runs."""

import argparse
import json
import logging
import sys

from relay import ground
from relay.commands.common import FAULT_STATUS, UNWELL_STATUS, read_settings
from relay.console.health import judge
from relay.console.status import status_document, status_lines
from relay.console.words import count, say
from relay.settings import Settings
from relay.settings.model import FinalitySource
from relay.store.errors import StoreError


def status(options: argparse.Namespace) -> int:
    """Tell how the relay is doing; return 0 if it follows the chain, 1 if not, 2 if that cannot be told."""
    settings = read_settings(options)
    # What is wrong with the nodes is part of the answer.
    logging.getLogger("relay.chain").setLevel(logging.CRITICAL)
    rule = _finality(settings)
    try:
        found = ground.relay_status(settings)
    except StoreError as error:
        if not options.json:
            raise
        _say_json({"healthy": False, "state": "unknown", "reason": str(error)})
        return FAULT_STATUS
    health = judge(found, ground.node_states(settings))
    if options.json:
        _say_json(status_document(health, rule))
    else:
        say(status_lines(health, ground.now(), rule))
    return 0 if health.is_well else UNWELL_STATUS


def _finality(settings: Settings) -> str:
    depth = settings.index.finality_depth
    by_depth = f"{count(depth, 'block')} below the head"
    return by_depth if settings.index.finality is FinalitySource.DEPTH else f"as the node says, else {by_depth}"


def _say_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
