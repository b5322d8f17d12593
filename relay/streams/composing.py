"""From what happened on the chain to what each user is told."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter

from graph.trustline import Pair, Trustline
from relay.addresses import Address
from relay.model import Event
from relay.store.contract_reading import UserEvent, users_of
from relay.store.feed_log import Change, Entry, Log, Place
from relay.store.happenings import Happenings
from relay.streams.contract_payloads import of_contract_event
from relay.streams.payloads import WITHDRAWN, Payload, of_event, of_totals, of_trustline
from relay.sync.networks import Networks, UnknownNetwork

Wanted = Callable[[Address], bool]
"""Whether anybody wants to know what concerns a user."""


def compose(happened: Happenings, networks: Networks, is_wanted: Wanted) -> Iterator[tuple[Address, Payload]]:
    """Yield what users are told, in order: the events first, then how trustlines and totals stand now.

    The graphs stand where ``happened`` ends, or later. A trustline that changed several times is told of once, as
    it stands.
    """
    yield from _events(happened, is_wanted)
    for _, user, payload in _states(happened.touched, networks, is_wanted):
        yield user, payload


@dataclass(frozen=True, slots=True)
class Told:
    """What a user is told, and of which network (None: of another contract).

    ``place`` is where the event stands in the log, None for how things stand. ``is_undone`` is said of what only
    those are told who want to know of all that is withdrawn: withdrawals, and what has been withdrawn since.
    """

    user: Address
    network: Address | None
    payload: Payload
    place: Place | None = None
    is_undone: bool = False


def tell(log: Log, networks: Networks, is_wanted: Wanted) -> Iterator[Told]:
    """Yield what users are told of a log, in its order: events and withdrawals, then trustlines and totals now."""
    for entry in log.entries:
        yield from _entry(entry, log.head, is_wanted)
    for network, user, payload in _states(log.touched, networks, is_wanted):
        yield Told(user, network, payload)


def _entry(entry: Entry, head: int, is_wanted: Wanted) -> Iterator[Told]:
    event, is_withdrawal = entry.event, entry.place.change == Change.WITHDRAWN
    for user in _users(event):
        if not is_wanted(user):
            continue
        if isinstance(event, Event):
            network, payload = event.network, of_event(event, head, user)
        else:
            network, payload = None, of_contract_event(event, head, user)
        if is_withdrawal:
            payload["status"] = WITHDRAWN
        yield Told(user, network, payload, entry.place, is_withdrawal or entry.is_passing)


def _users(event: Event | UserEvent) -> Iterable[Address]:
    if isinstance(event, Event):
        return dict.fromkeys(user for user in (event.sender, event.receiver) if user is not None)
    return users_of(event)


def _states(
    touched: Iterable[tuple[Address, Pair]], networks: Networks, is_wanted: Wanted
) -> Iterator[tuple[Address, Address, Payload]]:
    """Yield (network, user, payload): how trustlines stand, and then the totals of those who have them."""
    concerned: dict[tuple[Address, Address], None] = {}
    for network, pair in touched:
        users = [user for user in pair if is_wanted(user)]
        concerned |= {(network, user): None for user in users}
        for user in users:
            for found, payload in _trustline(networks, network, pair, user):
                yield network, found, payload
    for network, user in concerned:
        for found, payload in _totals(networks, network, user):
            yield network, found, payload


def _events(happened: Happenings, is_wanted: Wanted) -> Iterator[tuple[Address, Payload]]:
    """Yield the events of networks and of other contracts in the order of the chain."""
    of_networks = ((event.block_number, event.log_index, event) for event in happened.events)
    of_others = ((e.origin.block_number, e.origin.log_index, e) for e in happened.contract_events)
    for block, log, event in merge(of_networks, of_others, key=itemgetter(0, 1)):
        for told in _entry(Entry(Place(0, Change.ADDED, block, log), event), happened.head, is_wanted):
            yield told.user, told.payload


def _trustline(
    networks: Networks, network: Address, pair: Pair, user: Address
) -> Iterator[tuple[Address, Payload]]:
    other = pair[1] if user == pair[0] else pair[0]
    at = _time(networks)
    try:
        with networks.reading(network, briefly=True) as graph:
            view = graph.view(user, other, at)
    except UnknownNetwork:
        return
    yield user, of_trustline(network, view or Trustline(*pair).seen_by(user), at)


def _totals(networks: Networks, network: Address, user: Address) -> Iterator[tuple[Address, Payload]]:
    at = _time(networks)
    try:
        with networks.reading(network, briefly=True) as graph:
            totals = graph.totals(user, at)
    except UnknownNetwork:
        return
    yield user, of_totals(network, user, totals, at)


def _time(networks: Networks) -> int:
    """Return the time of the block that the graphs stand at: what changed is told as of the chain."""
    return 0 if networks.block is None else networks.block.timestamp
