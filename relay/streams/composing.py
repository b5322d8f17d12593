"""From what happened on the chain to what each user is told."""

from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter

from graph.trustline import Pair, Trustline
from relay.addresses import Address
from relay.model import Event
from relay.store.contract_reading import users_of
from relay.store.happenings import Happenings
from relay.streams.contract_payloads import of_contract_event
from relay.streams.payloads import Payload, of_event, of_totals, of_trustline
from relay.sync.networks import Networks, UnknownNetwork

Wanted = Callable[[Address], bool]
"""Whether anybody wants to know what concerns a user."""


def compose(happened: Happenings, networks: Networks, is_wanted: Wanted) -> Iterator[tuple[Address, Payload]]:
    """Yield what users are told, in order: the events first, then how trustlines and totals stand now.

    The graphs stand where ``happened`` ends, or later. A trustline that changed several times is told of once, as
    it stands.
    """
    yield from _events(happened, is_wanted)
    concerned: dict[tuple[Address, Address], None] = {}
    for network, pair in happened.touched:
        users = [user for user in pair if is_wanted(user)]
        concerned |= {(network, user): None for user in users}
        for user in users:
            yield from _trustline(networks, network, pair, user)
    for network, user in concerned:
        yield from _totals(networks, network, user)


def _events(happened: Happenings, is_wanted: Wanted) -> Iterator[tuple[Address, Payload]]:
    """Yield the events of networks and of other contracts in the order of the chain."""
    of_networks = ((event.block_number, event.log_index, event) for event in happened.events)
    of_others = ((e.origin.block_number, e.origin.log_index, e) for e in happened.contract_events)
    for _, _, event in merge(of_networks, of_others, key=itemgetter(0, 1)):
        if isinstance(event, Event):
            for user in dict.fromkeys((event.sender, event.receiver)):
                if user is not None and is_wanted(user):
                    yield user, of_event(event, happened.head, user)
        else:
            for user in users_of(event):
                if is_wanted(user):
                    yield user, of_contract_event(event, happened.head, user)


def _trustline(
    networks: Networks, network: Address, pair: Pair, user: Address
) -> Iterator[tuple[Address, Payload]]:
    other = pair[1] if user == pair[0] else pair[0]
    at = _time(networks)
    try:
        with networks.reading(network) as graph:
            view = graph.view(user, other, at)
    except UnknownNetwork:
        return
    yield user, of_trustline(network, view or Trustline(*pair).seen_by(user), at)


def _totals(networks: Networks, network: Address, user: Address) -> Iterator[tuple[Address, Payload]]:
    at = _time(networks)
    try:
        with networks.reading(network) as graph:
            totals = graph.totals(user, at)
    except UnknownNetwork:
        return
    yield user, of_totals(network, user, totals, at)


def _time(networks: Networks) -> int:
    """Return the time of the block that the graphs stand at: what changed is told as of the chain."""
    return 0 if networks.block is None else networks.block.timestamp
