"""What every command stands on: the nodes, secrets in files, checks before a start, a look at how the relay runs.

It brings in neither the API nor the index, so that a command that needs none of them starts at once.
"""

import os
import socket
import time
from contextlib import closing
from pathlib import Path

from relay.admin.service import Administration
from relay.admin.token import read_token
from relay.chain.nodes import Nodes, NodeState
from relay.push.firebase import key_fault
from relay.reporting.starting import extra_fault
from relay.serving.listening import listen
from relay.settings import RestSettings, Settings
from relay.settings.live import PushSender
from relay.settings.operations import OperationsSettings
from relay.store.admin import AdminStore
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.operating import OperatingPool
from relay.store.status import RelayStatus, StatusReader


class Unavailable(Exception):
    """Something the relay needs at its start is not there; the text is one sentence naming it."""


def now() -> int:
    """Return the time in Unix seconds; the clock by which trustlines are valued."""
    return int(time.time())


def process_name() -> str:
    """Return what names this process in the database: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def nodes_of(settings: Settings) -> Nodes:
    """Return the nodes, not yet asked anything."""
    return Nodes(settings.node.urls, settings.node.timeout_seconds, settings.index.finality_depth)


def open_node(settings: Settings) -> Nodes:
    """Return the nodes, having heard from one of them; raises ChainError."""
    node = nodes_of(settings)
    node.ping()
    return node


def require_port(settings: RestSettings) -> None:
    """Raise CannotListen if the API could not listen where it should."""
    listen(settings).close()


def require_push(settings: Settings) -> None:
    """Raise Unavailable if push notifications are wanted but cannot be sent."""
    push = settings.push_notification
    if not push.enable:
        return
    if push.sender is PushSender.WEBHOOK:
        _require_secret("[push_notification] webhook_secret_path", push.webhook_secret_path)
        return
    fault = key_fault(push.firebase_credentials_path)
    if fault is not None:
        raise Unavailable(fault)


def require_reporting(settings: Settings) -> None:
    """Raise Unavailable if what operators are to see, here or elsewhere, cannot be told."""
    fault = extra_fault(settings)
    if fault is not None:
        raise Unavailable(fault)
    if settings.operations.metrics:
        _require_secret("[operations] metrics_token_path", settings.operations.metrics_token_path)


def _require_secret(setting: str, path: Path | None) -> None:
    try:
        is_empty = path is not None and _first_line(path) == b""
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{setting}: {path} cannot be read") from error
    if is_empty:
        raise Unavailable(f"{setting}: the file is empty")


def webhook_secret(settings: Settings) -> bytes:
    """Return the key by which receivers know our notifications; raises OSError or UnicodeDecodeError."""
    path = settings.push_notification.webhook_secret_path
    assert path is not None, "the settings see to it"
    return _first_line(path)


def metrics_token(settings: OperationsSettings) -> bytes | None:
    """Return what gives access to the figures, None where none is wanted; raises OSError or UnicodeDecodeError."""
    path = settings.metrics_token_path
    return None if path is None or not settings.metrics else _first_line(path)


def _first_line(path: Path) -> bytes:
    return path.read_text(encoding="utf-8").partition("\n")[0].strip().encode("utf-8")


def operators_token(settings: Settings) -> str | None:
    """Return the secret by which operators are known to the API, None for no operators; raises TokenFault."""
    path = settings.admin.token_path
    return None if path is None else read_token(path)


def administration(settings: Settings) -> Administration:
    """Return what operators do by command, the schema brought up to date; raises StoreError."""
    migrate(settings.database.url)
    store = AdminStore(OperatingPool(settings.database.url, size=1))
    return Administration(store, lambda: node_states(settings))


def relay_status(settings: Settings) -> RelayStatus:
    """Return how the relay runs, as the database tells; raises StoreError."""
    with closing(Pool(settings.database.url, size=1)) as pool:
        return StatusReader(pool).status()


def node_states(settings: Settings) -> tuple[NodeState, ...]:
    """Return how the nodes are at this moment, which takes up to 3 s; no fault of theirs raises."""
    return nodes_of(settings).check()
