"""What several commands need: settings, signals, statuses."""

import argparse
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import TextIO, cast

from rich.console import Console

from relay.admin.errors import TokenFault
from relay.chain.errors import ChainError
from relay.console.bars import AboveBars, terminal
from relay.ground import Unavailable
from relay.index.errors import IndexFault
from relay.logs import configure_logging
from relay.serving.listening import CannotListen
from relay.settings import Settings, SettingsError, load, without_account
from relay.store.errors import StoreError
from relay.supervisor import end_with_parent

logger = logging.getLogger("relay")

FAULT_STATUS = 2
"""The exit status of what an operator must mend."""

UNWELL_STATUS = 1
"""The exit status of a look that found something wanting: a relay that lags, a trustline that differs."""


FAULTS: tuple[type[Exception], ...] = (
    SettingsError,
    ChainError,
    StoreError,
    IndexFault,
    TokenFault,
    Unavailable,
    CannotListen,
)
"""What an operator must mend; the text is one sentence."""


def tell_fault(error: Exception) -> None:
    """Say in one line on standard error why the command ends."""
    print(f"tl-relay: {error}", file=sys.stderr)  # noqa: T201


def read_settings(options: argparse.Namespace, console: Console | None = None) -> Settings:
    """Return the settings, with logging set up by them; with a console, lines go above its bars.

    Raises:
        SettingsError: if they cannot be used.

    """
    overrides = {
        "relay.addresses_filepath": options.addresses,
        "relay.share": getattr(options, "share", None),
        "rest.port": getattr(options, "port", None),
    }
    settings = load(options.config, os.environ, overrides)
    configure_logging(settings.logging, None if console is None else cast("TextIO", AboveBars(console)))
    if options.with_parent:
        end_with_parent()
        return settings
    for remark in settings.remarks:
        logger.warning("%s", remark)
    return settings


def tell_not_served(settings: Settings) -> None:
    """Log what is configured, but cannot be served."""
    for part in without_account(settings):
        logger.warning("[%s] is configured, but not served: without [account] there is no key to send from", part)


def console_of(options: argparse.Namespace) -> Console | None:
    """Return the terminal to show progress on, None where there is none, or two processes would write to it."""
    return terminal(sys.stderr) if sys.stderr.isatty() and not options.with_parent else None


def on_hang_up() -> threading.Event | None:
    """Return what SIGHUP sets from now on; None at a terminal, where it means that nobody is there any more."""
    if sys.stderr.isatty():
        return None
    hang_up = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: hang_up.set())
    return hang_up


def stop_on_signal() -> threading.Event:
    """Return what SIGTERM and SIGINT set from now on."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping
