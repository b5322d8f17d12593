"""The answer of ``tl-relay networks list``."""

from collections.abc import Sequence

from relay.addresses import Address, to_checksum
from relay.console.health import judge
from relay.console.status import catching_up_text
from relay.console.words import columns, plain
from relay.store.rows import FollowedNetwork
from relay.store.status import RelayStatus


def network_lines(status: RelayStatus, configured: Sequence[Address]) -> list[str]:
    """Return the networks and how far each has been read; ``configured`` are those that the settings name."""
    rows = [
        (
            to_checksum(network.info.address),
            plain(network.info.symbol),
            plain(network.info.name),
            _standing(network, status),
        )
        for network in status.networks
    ]
    known = {network.info.address for network in status.networks}
    added = [address for address, is_wanted in status.choices.items() if is_wanted]
    wanted = [address for address in dict.fromkeys((*configured, *added)) if status.choices.get(address, True)]
    rows += [(to_checksum(address), "", "", "not taken in yet") for address in wanted if address not in known]
    return columns(rows) if rows else ["no network is known yet"]


def _standing(network: FollowedNetwork, status: RelayStatus) -> str:
    if not network.is_wanted:
        return "not served"
    if network.is_level:
        return "served"
    return f"catching up, {catching_up_text(network, judge(status, ()))}"
