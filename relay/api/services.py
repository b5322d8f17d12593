"""What the API is built from: the parts that the composition root hands in."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graph.transfer import Transfer
from graph.trustline import Trustline
from relay.addresses import Address
from relay.admin.orders import Orders
from relay.admin.service import Administration
from relay.api.admission import Admission
from relay.api.limits import Limits
from relay.api.operators import Operators
from relay.clients import Clients
from relay.contracts import ContractKind, IdentityEvent
from relay.delegate.faucet import Faucet
from relay.delegate.identities import Identities
from relay.delegate.metatransactions import MetaTransactions
from relay.delegate.statuses import Statuses
from relay.drawing import Sketch
from relay.exchange.book import OrderBook
from relay.messaging.mailbox import Mailboxes
from relay.model import Block, NetworkInfo
from relay.push.tokens import Devices
from relay.share import Share
from relay.store.history_reading import StoredDebt, StoredTransfer, Window
from relay.store.pages import Page, PageQuestion
from relay.sync.networks import Networks


class EventSource(Protocol):
    """Lists stored events page by page; `relay.store.pages.EventPages` does."""

    def page(self, asked: PageQuestion) -> Page:
        """Return a page; raises UnknownContract, MarkOutdated and StoreError."""


class ContractEvents(Protocol):
    """Lists what is stored of other contracts; `relay.store.contract_reading.ContractReader` does.

    All raise StoreError.
    """

    def addresses(self, kinds: Sequence[ContractKind]) -> list[Address]:
        """Return the contracts of these kinds that are served."""

    def require(self, contract: Address, kinds: Sequence[ContractKind]) -> None:
        """Raise UnknownContract unless one of these kinds is served at an address."""

    def fees_of(self, transaction_hash: bytes) -> list[IdentityEvent]:
        """Return the fees that identities booked in a transaction."""


class Histories(Protocol):
    """Lists derived from events; `relay.store.history_reading.HistoryReader` is one. All raise StoreError."""

    def interests(
        self, network: Address, user: Address, other: Address | None, window: Window
    ) -> list[tuple[Address, list[bytes]]]:
        """Return a user's interest by the other's address: pieces of JSON objects separated by commas."""

    def mediation_fees(self, network: Address, user: Address, window: Window) -> list[bytes]:
        """Return what a user earned as a mediator: pieces of JSON objects separated by commas."""

    def transferred(self, network: Address, sender: Address, receiver: Address, window: Window) -> int:
        """Return the sum of all transfers from one user to another."""

    def transfers_of(self, transaction_hash: bytes) -> list[StoredTransfer]:
        """Return the transfers of a transaction."""

    def transfer_at(self, block_hash: bytes, log_index: int) -> StoredTransfer | None:
        """Return the transfer that an event is part of, None if of none; raises KeyError for an unknown event."""

    def debts(self, user: Address) -> list[StoredDebt]:
        """Return all that is owed to a user or by it, network by network."""


class Pictures(Protocol):
    """Draws networks; `relay.drawing.Draughtsman` does."""

    def picture(self, key: Hashable, kind: str, take: Callable[[], Sketch]) -> bytes:
        """Return a picture, ``kind`` svg or png, of what ``take`` finds; ``key`` names what is drawn."""


class NodeView(Protocol):
    """What the API asks of the node itself; every method raises ChainError."""

    def head(self) -> Block:
        """Return the newest block."""

    def balance(self, address: Address) -> int:
        """Return the balance of an account in wei."""

    def pending_nonce(self, address: Address) -> int:
        """Return the next nonce of an account, counting transactions that wait."""


class TransactionRelay(Protocol):
    """Takes signed transactions to the node; `relay.chain.relaying.Relaying` does."""

    def relay(self, raw_transaction: str) -> bytes:
        """Return the 32-byte hash of a signed transaction (hex text) that the node has taken.

        Raises:
            MalformedTransaction: if it is none; the node was not asked.
            WrongChain: if it is signed for another chain; the node was not asked.
            NodeRefused: if the node does not take it.
            ChainError: if the node cannot be asked.

        """


@dataclass(frozen=True, slots=True)
class PlannedTransfer:
    """A transfer that a search found, with all that its gas depends on.

    ``trustlines`` are those of its hops, in the order of the path, as stored before the transfer; ``at`` is the
    time of valuation in Unix seconds.
    """

    network: NetworkInfo
    transfer: Transfer
    trustlines: tuple[Trustline, ...]
    at: int
    extra_data: bytes = b""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the API.

    Attributes:
        networks: the graphs of this process and the block they stand at.
        events: the stored events.
        node: the node, for what only it knows.
        relaying: takes transactions to the node; None where relaying is switched off.
        estimate_gas: the gas that a transfer will be charged, without asking the node.
        gas_price: the gas price told to clients, in wei; may raise ChainError.
        clock: the time in Unix seconds.
        search_until: when a search that begins now is to give in, in seconds of ``time.monotonic``; 0 for never.
        version: the relay's version.
        histories: lists derived from events.
        pictures: draws networks; None where nothing is there to draw with.
        meta_transactions, identities, faucet: what is paid by the relay; each None where it is switched off.
        deploys_identities: whether new identities are made.
        statuses: what became of transactions.
        messaging: takes messages; None where messaging is switched off.
        devices: registers devices for push notifications; None where these are switched off.
        clients: names the clients of requests.
        order_book: the orders of exchanges; None where these are switched off.
        contracts: what is stored of tokens, exchanges and identities; None where only networks are served.
        streams: the kinds of streams that are served in front of the API.
        limits: how often a client may ask.
        token_balance: what a token's contract (the first argument) says a user has; raises ChainError.
        max_events: so many an answer lists at most.
        admission: lets calls in; by default all of them at once.
        orders: what operators decided; by default nothing.
        operators, administration: who may decide, and what decides; None where operators use the command only.

    """

    networks: Networks
    events: EventSource
    node: NodeView
    relaying: TransactionRelay | None
    estimate_gas: Callable[[PlannedTransfer], int]
    gas_price: Callable[[], int]
    clock: Callable[[], int]
    search_until: Callable[[], float]
    version: str
    histories: Histories
    pictures: Pictures | None = None
    meta_transactions: MetaTransactions | None = None
    identities: Identities | None = None
    faucet: Faucet | None = None
    deploys_identities: bool = False
    statuses: Statuses | None = None
    messaging: Mailboxes | None = None
    devices: Devices | None = None
    clients: Clients = field(default_factory=Clients)
    order_book: OrderBook | None = None
    contracts: ContractEvents | None = None
    token_balance: Callable[[Address, Address], int] | None = None
    limits: Limits = field(default_factory=Limits)
    streams: tuple[str, ...] = ()
    max_events: int = 5_000
    admission: Admission = field(default_factory=Admission)
    orders: Orders = field(default_factory=Orders)
    operators: Operators | None = None
    administration: Administration | None = None
    share: Share | None = None
