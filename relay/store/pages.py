"""Pages of lists of events: of networks and of other contracts together, each page as of one commit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TypeVar

from relay.model import Event
from relay.store.connection import Cursor, Pool
from relay.store.contract_expected import expected_contract_events
from relay.store.contract_reading import (
    ContractFilter,
    UserEvent,
    contract_events_along,
    served_contracts,
)
from relay.store.event_reading import EventFilter, events_along, events_of_network, served_networks
from relay.store.expected import ExpectedEvent, expected_events
from relay.store.stretch import LAST_BLOCK, Position, Stretch

HASH_PIECE = 8
"""So many bytes of a block's hash tell it from those that may replace it."""

SCOPE_SIZE = 4
"""The bytes of a scope."""

Filter = TypeVar("Filter", EventFilter, ContractFilter)


class MarkOutdated(Exception):
    """What a page was to go on from is not what it was: nobody can tell what the reader has not seen."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a list is to be gone on with, and what the reader who got so far has seen.

    ``hash_piece`` begins the hash of the block in which it is. As blocks name those before them, nothing below has
    changed while this one stands. ``scope`` stands for the contracts that were listed: what one brings that is
    served, or was read anew, only since then may lie below the mark.
    """

    position: Position
    hash_piece: bytes
    scope: bytes


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """Which events are wanted, of networks, of other contracts or of both (None: none of these), and which page.

    The page has at most ``most`` events. It goes on from ``mark``, ``is_forward`` to newer events or back to older
    ones, or from the end of the list. ``since`` is the first second, ``until`` the first that is too late.
    """

    networks: EventFilter | None
    contracts: ContractFilter | None = None
    most: int = 5_000
    is_forward: bool = True
    mark: Mark | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its ``events`` in the order of the chain, and those of transactions in no block yet.

    ``has_older`` and ``has_newer`` tell whether the list has more beyond it. What is ``expected`` is not there
    unless the list goes on with whatever comes and the page reaches so far.
    """

    events: list[ExpectedEvent]
    has_older: bool
    has_newer: bool
    scope: bytes
    expected: list[ExpectedEvent] = field(default_factory=list)


class EventPages:
    """Reads pages; ``lists_expected`` says whether transactions are remembered."""

    def __init__(self, pool: Pool, *, lists_expected: bool) -> None:
        self._pool = pool
        self._lists_expected = lists_expected

    def page(self, asked: PageQuestion) -> Page:
        """Return a page.

        Raises:
            UnknownContract: if a contract is asked for that is not served.
            MarkOutdated: if what was below the mark is not in the chain any more, or other contracts are served.
            DatabaseUnreachable, DatabaseBusy: if it cannot be read.

        """
        if _is_plain(asked):
            with self._pool.statement() as cursor:
                page = _read_plain(cursor, asked, self._lists_expected)
            if page is not None:
                return page
        with self._pool.snapshot() as cursor:
            return _read(cursor, asked, self._lists_expected)


def place_of(event: ExpectedEvent) -> Position:
    """Return where an event is in the chain: the events before it are older."""
    at = event if isinstance(event, Event) else event.origin
    return Position(at.block_number, at.log_index)


def cut_page(asked: PageQuestion, found: Sequence[ExpectedEvent], scope: bytes) -> Page:
    """Return the page that begins ``found``: in the order of the walk, and longer by one if there is more."""
    is_cut = len(found) > asked.most
    is_inside = asked.mark is not None
    events = list(found[: asked.most])
    if asked.is_forward:
        return Page(events, has_older=is_inside, has_newer=is_cut, scope=scope)
    return Page(events[::-1], has_older=is_cut, has_newer=is_inside, scope=scope)


def _is_plain(asked: PageQuestion) -> bool:
    """Whether it is the question of most wallets: the end of the list of a user's events in one network."""
    of = asked.networks
    is_of_one = of is not None and of.network is not None and of.user is not None and asked.contracts is None
    return is_of_one and asked.mark is None and asked.since is None and asked.until is None


def _read_plain(cursor: Cursor, asked: PageQuestion, lists_expected: bool) -> Page | None:
    """Return the page, None where more has to be asked."""
    of_networks = asked.networks
    assert of_networks is not None, "it is asked for"
    assert of_networks.network is not None, "it is asked for"
    found = events_of_network(cursor, of_networks, Stretch(asked.is_forward, asked.most + 1))
    if found is None:
        return cut_page(asked, [], _scope_of([]))
    if found.has_expected and lists_expected:
        return None
    return cut_page(asked, found.events, _scope_of([(of_networks.network, found.readings)]))


def _read(cursor: Cursor, asked: PageQuestion, lists_expected: bool) -> Page:
    # Nothing is asked about a kind that is not wanted: a query costs more than what it finds.
    of_networks, of_contracts = asked.networks, asked.contracts
    networks = {} if of_networks is None else served_networks(cursor, of_networks.network)
    contracts = {} if of_contracts is None else served_contracts(cursor, of_contracts)
    scope = _scope(cursor, networks, contracts)
    if asked.mark is not None:
        _require_standing(cursor, asked.mark, scope)
    stretch = Stretch(asked.is_forward, asked.most + 1, None if asked.mark is None else asked.mark.position)
    found: list[ExpectedEvent] = []
    if of_networks is not None:
        found += events_along(cursor, _within(cursor, asked, of_networks), networks, stretch)
    if of_contracts is not None and contracts:
        others: list[UserEvent] = contract_events_along(
            cursor, _within(cursor, asked, of_contracts), contracts, stretch
        )
        found = [*found, *others] if not found or not others else _merged(found, others, stretch)
    page = cut_page(asked, found, scope)
    is_open = asked.until is None and all(f is None or f.to_block is None for f in (of_networks, of_contracts))
    if lists_expected and is_open and not page.has_newer:
        # A transaction may be indexed before it is noted that it is in a block, and then with other events.
        mined = {_transaction_of(event) for event in page.events}
        expected = [event for event in _expected(cursor, asked) if _transaction_of(event) not in mined]
        return replace(page, expected=expected)
    return page


def _transaction_of(event: ExpectedEvent) -> bytes:
    return event.transaction_hash if isinstance(event, Event) else event.origin.transaction_hash


def _merged(found: list[ExpectedEvent], others: list[UserEvent], stretch: Stretch) -> list[ExpectedEvent]:
    return sorted((*found, *others), key=place_of, reverse=not stretch.is_forward)


def _expected(cursor: Cursor, asked: PageQuestion) -> list[ExpectedEvent]:
    expected: list[ExpectedEvent] = []
    if asked.networks is not None:
        expected += expected_events(cursor, asked.networks)
    if asked.contracts is not None:
        expected += expected_contract_events(cursor, asked.contracts)
    return expected


def _scope(cursor: Cursor, networks: Iterable[int], contracts: Iterable[int]) -> bytes:
    cursor.execute(_SCOPE, (list(networks), list(contracts)))
    return _scope_of(cursor.fetchall())


def _scope_of(served: list[tuple[bytes, int]]) -> bytes:
    """Return what stands for contracts by their addresses, in that order, and how often they were read anew."""
    return blake2b(repr(served).encode(), digest_size=SCOPE_SIZE).digest()


_SCOPE = """
SELECT address, readings FROM networks WHERE id = ANY(%s::integer[]) UNION ALL
SELECT address, readings FROM contracts WHERE id = ANY(%s::integer[]) ORDER BY address
"""


def _require_standing(cursor: Cursor, mark: Mark, scope: bytes) -> None:
    cursor.execute("SELECT hash FROM blocks WHERE number = %s", (mark.position.block_number,))
    row = cursor.fetchone()
    if row is None or row[0][:HASH_PIECE] != mark.hash_piece or scope != mark.scope:
        raise MarkOutdated


def _within(cursor: Cursor, asked: PageQuestion, wanted: Filter) -> Filter:
    """Return a filter with the blocks of a span of time: events are found by block."""
    if asked.since is not None:
        wanted = replace(wanted, from_block=max(wanted.from_block, _first_block_at(cursor, asked.since)))
    if asked.until is not None:
        last = _first_block_at(cursor, asked.until) - 1
        wanted = replace(wanted, to_block=last if wanted.to_block is None else min(wanted.to_block, last))
    return wanted


def _first_block_at(cursor: Cursor, time: int) -> int:
    """Return the first stored block that is not before a time; the blocks of all events are stored."""
    cursor.execute(
        "SELECT number FROM blocks WHERE timestamp >= %s ORDER BY timestamp, number LIMIT 1",
        (min(time, LAST_BLOCK),),
    )
    row = cursor.fetchone()
    return LAST_BLOCK if row is None else int(row[0])
