"""The order book: taking orders in, and telling what is in it."""

from dataclasses import dataclass

from relay.addresses import Address
from relay.exchange.checks import Contracts, check
from relay.exchange.errors import BookFull, TooMany
from relay.exchange.funding import Funding
from relay.exchange.rules import NOBODY, ask_price, bid_price, can_be_taken, order_hash
from relay.messaging.limits import ClientRate
from relay.model import Order
from relay.store.orders import Added, OrderFilter, OrderStore, StoredOrder


@dataclass(frozen=True, slots=True)
class Limits:
    """Open orders in all and of one maker, and orders a minute from one client (0: any number)."""

    orders: int = 10_000
    per_maker: int = 100
    per_client: int = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """The orders that anybody could take in a pair of tokens, the best price first, then the oldest.

    ``asks`` offer the base token for the quote token, ``bids`` ask for it.
    """

    bids: list[StoredOrder]
    asks: list[StoredOrder]


class OrderBook:
    """The orders of all API processes, which lie in Postgres; methods raise StoreError if that fails."""

    def __init__(
        self,
        store: OrderStore,
        funding: Funding,
        contracts: Contracts,
        limits: Limits,
        rate: ClientRate,
    ) -> None:
        """Prepare; ``rate`` is how often one client may submit."""
        self._store = store
        self._funding = funding
        self._contracts = contracts
        self._limits = limits
        self._rate = rate

    @property
    def exchanges(self) -> list[Address]:
        """The exchanges whose orders are taken."""
        return list(self._contracts.exchanges)

    @property
    def unw_eths(self) -> list[Address]:
        """The contracts that wrap ether."""
        return list(self._contracts.unw_eths)

    def submit(self, order: Order, *, client: str) -> StoredOrder:
        """Take an order into the book and return it; one that is known is returned as it stands.

        ``client`` is whom it came from.

        Raises:
            Unacceptable, TooMany, BookFull: if it is refused.
            ChainError: if the node does not tell whether its maker can fill it.

        """
        if not self._rate.allows(client):
            raise TooMany(f"more than {self._limits.per_client} orders a minute from one client")
        digest = order_hash(order)
        check(order, digest, self._contracts, self._funding.is_network, self._funding.now())
        known = self._store.find(digest)
        if known is not None:
            return known
        self._funding.require(order, digest)
        self._add(digest, order)
        return self._store.find(digest) or StoredOrder(digest, order)

    def pair(self, base: Address, quote: Address) -> Pair:
        """Return the orders of a pair of tokens that anybody could take now."""
        asks = [stored for stored in self._takeable(base, quote) if stored.order.taker == NOBODY]
        bids = [stored for stored in self._takeable(quote, base) if stored.order.taker == NOBODY]
        # Python's sort keeps the oldest first among equal prices.
        asks.sort(key=lambda stored: ask_price(stored.order))
        bids.sort(key=lambda stored: -bid_price(stored.order))
        return Pair(bids, asks)

    def orders(self, wanted: OrderFilter) -> list[StoredOrder]:
        """Return the matching orders of which something is left, oldest first.

        Unlike a pair this has orders for one taker only, and those whose maker cannot fill them at the moment: as
        they may come back, their maker must be able to find and cancel them.
        """
        return [
            stored
            for stored in self._store.open(self._funding.now(), wanted)
            if stored.order.exchange in self._contracts.exchanges
            and can_be_taken(stored.order, stored.available_taker)
        ]

    def order(self, digest: bytes) -> StoredOrder | None:
        """Return an order by its hash, whatever has become of it, None if it is not known (any more)."""
        return self._store.find(digest)

    def _takeable(self, maker_token: Address, taker_token: Address) -> list[StoredOrder]:
        wanted = OrderFilter(maker_token=maker_token, taker_token=taker_token)
        return [stored for stored in self.orders(wanted) if stored.unfunded_since is None]

    def _add(self, digest: bytes, order: Order) -> None:
        limits = self._limits
        added = self._store.add(
            digest, order, self._funding.now(), most=limits.orders, most_of_maker=limits.per_maker
        )
        if added is Added.MAKER_HAS_TOO_MANY:
            raise TooMany(f"maker: has {limits.per_maker} open orders, as many as one may have")
        if added is Added.FULL:
            raise BookFull("the order book takes no more orders at the moment")
