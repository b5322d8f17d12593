"""The command admin: what operators decide, straight in the database, whether or not a process runs."""

import argparse
import getpass
import socket
from collections.abc import Callable
from contextlib import suppress

from relay import ground
from relay.addresses import Address, to_checksum
from relay.admin.service import Administration
from relay.commands.common import read_settings
from relay.console.words import columns, count, moment, plain, say
from relay.settings.reading import EthereumAddress, Place
from relay.store.admin import Part

_DAY_SECONDS = 86_400


def admin(options: argparse.Namespace) -> int:
    """Do what ``options.action`` names, and say what came of it."""
    settings = read_settings(options)
    act = _ACTIONS[options.action]
    given = _read(options)
    say(act(ground.administration(settings), given, _who()))
    return 0


def _read(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with addresses read; a mistake in them is found before the database is asked."""
    for name in ("address", "user"):
        text = getattr(options, name, None)
        if text is not None:
            setattr(options, name, EthereumAddress().read(text, Place((), name="ADDRESS")))
    if options.action == "prune-messages":
        if options.older_than is None and options.user is None:
            raise ground.Unavailable("which messages? --older-than DAYS, --user ADDRESS or both")
        if options.older_than is not None and not 0 <= options.older_than <= 36_500:
            raise ground.Unavailable("--older-than: expected a number of days from 0 to 36500")
    return options


def _who() -> str:
    name = "somebody"
    with suppress(OSError, KeyError, ImportError):  # a container may know no name for its user
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()} by command"


def _nodes(administration: Administration, _: argparse.Namespace, __: str) -> list[str]:
    rows = []
    for node in administration.nodes():
        head = "no block" if node.head is None else f"at block {node.head}"
        rows.append((node.url, node.fault or head))
    return columns(rows)


def _reconnect(administration: Administration, _: argparse.Namespace, who: str) -> list[str]:
    administration.reconnect(who)
    return ["All processes choose their nodes anew within about a second."]


def _pause(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    part = Part(given.part)
    if not administration.pause(part, who):
        return [f"The {part} is paused already."]
    return [f"The {part} stands still within about a second; `tl-relay admin resume {part}` lets it go on."]


def _resume(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    part = Part(given.part)
    return [f"The {part} goes on." if administration.resume(part, who) else f"The {part} was not paused."]


def _ban(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    is_new = administration.ban(given.address, given.reason, who)
    return [_of(given.address, "is not served any more" if is_new else "was banned already")]


def _unban(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    return [
        _of(given.address, "is served again" if administration.unban(given.address, who) else "was not banned")
    ]


def _bans(administration: Administration, _: argparse.Namespace, __: str) -> list[str]:
    rows = [
        (to_checksum(ban.address), moment(ban.since), plain(ban.by), plain(ban.reason, 500))
        for ban in administration.bans()
    ]
    return columns(rows) if rows else ["Nobody is banned."]


def _revoke_token(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    removed = administration.revoke_token(given.token, who)
    return [f"The device was registered for {count(removed, 'user')}, and is told nothing more."]


def _prune_messages(administration: Administration, given: argparse.Namespace, who: str) -> list[str]:
    seconds = None if given.older_than is None else given.older_than * _DAY_SECONDS
    removed = administration.prune_messages(seconds, given.user, who)
    return [f"Removed {count(removed, 'message')}."]


def _of(address: Address, said: str) -> str:
    return f"{to_checksum(address)} {said}."


_ACTIONS: dict[str, Callable[[Administration, argparse.Namespace, str], list[str]]] = {
    "nodes": _nodes,
    "reconnect": _reconnect,
    "pause": _pause,
    "resume": _resume,
    "ban": _ban,
    "unban": _unban,
    "bans": _bans,
    "revoke-token": _revoke_token,
    "prune-messages": _prune_messages,
}
