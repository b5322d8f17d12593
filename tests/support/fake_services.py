"""The API over services that are played: a small network; a node, events and gas that say what they are told."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask.testing import FlaskClient

from graph.trustline import Trustline
from relay.addresses import Address, to_checksum
from relay.api.app import create_app
from relay.api.services import PlannedTransfer, Services
from relay.model import Block, Event, NetworkInfo
from relay.store.contract_reading import ContractFilter
from relay.store.event_reading import EventFilter
from relay.store.expected import ExpectedEvent
from relay.store.history_reading import StoredDebt, StoredTransfer, Window
from relay.store.pages import Page, PageQuestion
from relay.store.reading import Snapshot, TakeRows
from relay.store.rows import CursorPosition, StoredNetwork
from relay.sync.networks import Networks

NOW = 1_700_000_000
INDEXED_BLOCK = 100
MAX_BODY_BYTES = 128 * 1024

CASH = bytes.fromhex("c0b33d88c704455075a0724aa167a286da778dde")
FROZEN_NETWORK = bytes.fromhex("55bdaaf9f941a5bb3eacc8d876eeff90b90ddac9")
ADA, BO, CY, DEE, EVE = (bytes([letter]) * 20 for letter in (0xA1, 0xB2, 0xC3, 0xD4, 0xE5))
STRANGER = bytes([0xF6]) * 20

CASH_INFO = NetworkInfo(
    address=CASH,
    name="Cäsh",
    symbol="CASH",
    decimals=4,
    fee_divisor=100,
    default_interest_rate=0,
    custom_interests=True,
    prevent_mediator_interests=False,
    first_block=1,
    is_frozen=False,
)
FROZEN_INFO = replace(
    CASH_INFO, address=FROZEN_NETWORK, name="Ice", symbol="ICE", default_interest_rate=1000, is_frozen=True
)

INDEXED = CursorPosition(INDEXED_BLOCK, bytes(32), NOW)

TRUSTLINES = (
    # Ada owes Bo 50 of 1000; Bo is owed 300 by Cy; the line of Ada and Dee is frozen; Eve once had one with Dee.
    Trustline(ADA, BO, balance=-50, given=400, received=1000, rate_given=200, rate_received=100, mtime=NOW),
    Trustline(BO, CY, balance=300, given=700, received=500, mtime=NOW),
    Trustline(ADA, DEE, balance=30, given=60, received=90, is_frozen=True, mtime=NOW),
    Trustline(DEE, EVE),
)


def text(address: Address) -> str:
    return to_checksum(address)


@dataclass
class FakeNode:
    """A node with a head, one account and, if told so, a fault."""

    head_number: int = INDEXED_BLOCK + 1
    fault: Exception | None = None

    def head(self) -> Block:
        self._answer()
        return Block(self.head_number, bytes(32), bytes(32), NOW)

    def balance(self, address: Address) -> int:
        self._answer()
        return 2_377_634_165_348_042_492 if address == ADA else 0

    def pending_nonce(self, address: Address) -> int:
        self._answer()
        return 58 if address == ADA else 0

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class FakeEvents:
    """Answers the same events to everybody, and remembers what it was asked."""

    found: Sequence[ExpectedEvent] = ()
    fault: Exception | None = None
    expected: Sequence[ExpectedEvent] = ()
    pages: list[PageQuestion] = field(default_factory=list)

    @property
    def asked(self) -> list[EventFilter]:
        return [page.networks for page in self.pages if page.networks is not None]

    @property
    def asked_of_contracts(self) -> list[ContractFilter]:
        return [page.contracts for page in self.pages if page.contracts is not None]

    def page(self, asked: PageQuestion) -> Page:
        if self.fault is not None:
            raise self.fault
        self.pages.append(asked)
        found, expected = (
            [event for event in events if _is_of(event, asked)] for events in (self.found, self.expected)
        )
        return Page(found, has_older=False, has_newer=False, scope=bytes(4), expected=expected)


def _is_of(event: ExpectedEvent, asked: PageQuestion) -> bool:
    return (asked.networks if isinstance(event, Event) else asked.contracts) is not None


@dataclass
class FakeHistories:
    """Tells of the past what it was given, and remembers what it was asked."""

    entries: list[bytes] = field(default_factory=list)
    total: int = 0
    transfers: list[StoredTransfer] = field(default_factory=list)
    at: dict[tuple[bytes, int], StoredTransfer | None] = field(default_factory=dict)
    owed: list[StoredDebt] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def interests(
        self, network: Address, user: Address, other: Address | None, window: Window
    ) -> list[tuple[Address, list[bytes]]]:
        self.asked.append((network, user, other, window))
        return [(other or BO, self.entries)] if self.entries else []

    def mediation_fees(self, network: Address, user: Address, window: Window) -> list[bytes]:
        self.asked.append((network, user, window))
        return self.entries

    def transferred(self, network: Address, sender: Address, receiver: Address, window: Window) -> int:
        self.asked.append((network, sender, receiver, window))
        return self.total

    def transfers_of(self, transaction_hash: bytes) -> list[StoredTransfer]:
        self.asked.append(transaction_hash)
        return self.transfers

    def transfer_at(self, block_hash: bytes, log_index: int) -> StoredTransfer | None:
        return self.at[block_hash, log_index]

    def debts(self, user: Address) -> list[StoredDebt]:
        return self.owed


@dataclass
class FakeRelaying:
    """Takes every transaction, unless told otherwise."""

    fault: Exception | None = None
    taken: list[str] = field(default_factory=list)

    def relay(self, raw_transaction: str) -> bytes:
        if self.fault is not None:
            raise self.fault
        self.taken.append(raw_transaction)
        return bytes([7]) * 32


@dataclass
class FakeGas:
    """Estimates the same for all, and remembers what it was asked."""

    asked: list[PlannedTransfer] = field(default_factory=list)

    def __call__(self, planned: PlannedTransfer) -> int:
        self.asked.append(planned)
        return 76_324


def graphs(
    trustlines: Iterable[Trustline] = TRUSTLINES,
    info: NetworkInfo = CASH_INFO,
    block: CursorPosition | None = INDEXED,
    position: int = 0,
) -> Networks:
    """Return graphs of ``info`` with these trustlines, and of a frozen network with the same."""
    networks = Networks()
    lines = list(trustlines)
    stored = [StoredNetwork(1, info), StoredNetwork(2, FROZEN_INFO)]

    def hand_over(take: TakeRows) -> None:
        for network in stored:
            take(network.id, [line.row for line in lines])

    networks.load(Snapshot(block, position, stored, hand_over))
    return networks


def services(**changed: Any) -> Services:
    """Return services of which some are others than usual."""
    usual: dict[str, Any] = {
        "events": FakeEvents(),
        "node": FakeNode(),
        "relaying": FakeRelaying(),
        "estimate_gas": FakeGas(),
        "gas_price": lambda: 20_000_000_000,
        "clock": lambda: NOW,
        "search_until": lambda: 0.0,
        "version": "1.2.3",
        "histories": FakeHistories(),
    }
    if "networks" not in changed:
        usual["networks"] = graphs()
    return Services(**{**usual, **changed})


def client(**changed: Any) -> FlaskClient:
    """Return a client of the API over these services."""
    return create_app(services(**changed), max_body_bytes=MAX_BODY_BYTES).test_client()


def raising(fault: Exception) -> Callable[..., Any]:
    """Return a function that fails, whatever it is called with."""

    def fail(*_: Any) -> Any:
        raise fault

    return fail
