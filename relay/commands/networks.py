"""The command networks: which are served, and how one is added or removed while the relay runs."""

import argparse
from contextlib import suppress

from relay import ground, indexing
from relay.addresses import Address, to_checksum
from relay.commands.common import read_settings
from relay.console.health import Standing, judge
from relay.console.networks import network_lines
from relay.console.words import say
from relay.settings import Settings, SettingsError, find_addresses
from relay.settings.reading import EthereumAddress, Place
from relay.store.migrate import migrate
from relay.store.status import RelayStatus


def networks(options: argparse.Namespace) -> int:
    """List the networks, or add or remove some while the relay runs."""
    settings = read_settings(options)
    if options.action == "list":
        say(network_lines(ground.relay_status(settings), _configured(settings)))
        return 0
    given = [EthereumAddress().read(text, Place((), name="ADDRESS")) for text in options.addresses_given]
    addresses = list(dict.fromkeys(given))
    if not addresses:
        raise ground.Unavailable(f"which network? tl-relay networks {options.action} ADDRESS")
    is_wanted = options.action == "add"
    if is_wanted:
        # All of them before the first is noted, so that a mistake changes nothing.
        node = ground.open_node(settings)
        for address in addresses:
            indexing.require_network(node, address)
    migrate(settings.database.url)
    before = ground.relay_status(settings)
    for address in addresses:
        indexing.choose_network(settings, address, is_wanted=is_wanted)
        said = _added(address, before) if is_wanted else _removed(address, before, _configured(settings))
        say([f"{to_checksum(address)} {said}"])
    if judge(before, ()).standing in (Standing.NEVER_RAN, Standing.NOT_RUNNING, Standing.STOPPED):
        say(["No index is running now: this takes effect when one does (`tl-relay index` or `tl-relay run`)."])
    return 0


def _configured(settings: Settings) -> tuple[Address, ...]:
    with suppress(SettingsError):
        return find_addresses(settings).networks
    return ()


def _added(address: Address, before: RelayStatus) -> str:
    known = {network.info.address: network for network in before.networks}.get(address)
    if known is None:
        return "will be served as soon as it has been read; `tl-relay networks list` shows how far that is"
    if not known.is_wanted:
        return "will be served again, as soon as what it missed has been read"
    return "is served already" if known.is_level else "is being read already, and will be served then"


def _removed(address: Address, before: RelayStatus, configured: tuple[Address, ...]) -> str:
    known = {network.info.address: network for network in before.networks}.get(address)
    if known is not None and known.is_wanted:
        return "will no longer be served; what was read of it is kept, `tl-relay networks add` brings it back"
    if known is not None or before.choices.get(address) is False:
        return "is not served as it is"
    if address in configured or before.choices.get(address):
        return "will not be served"
    return "is not known here; it will not be served, whatever settings or a registry say later"
