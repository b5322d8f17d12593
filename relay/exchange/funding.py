"""Whether makers can fill their orders: what they have, what the exchange may take of it, what credit they have.

A fill moves the maker's token from the maker to the taker and the other one back. Of a token contract the
exchange can move what the maker has and allows. In a currency network it makes a transfer from the maker, who
pays the fees, and one to the maker; who the taker will be is not known, and an order may be filled in parts over
several paths. So what counts is all that could leave the maker over its trustlines, and all that could reach it:
more than that nobody can take, and that much its neighbours can.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.addresses import Address, to_checksum
from relay.chain.calls import ChainCalls
from relay.chain.errors import ChainError
from relay.chain.exchange import UNLIMITED, authorized, takeable, unavailable
from relay.exchange.checks import Contracts
from relay.exchange.errors import Unacceptable
from relay.exchange.rules import can_be_taken, partial_amount
from relay.model import Order
from relay.store.orders import StoredOrder
from relay.sync.networks import Networks, UnknownNetwork

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purse:
    """What is asked of a token contract or a currency network: what an exchange may take of a maker there."""

    token: Address
    exchange: Address
    maker: Address


@dataclass(frozen=True, slots=True)
class Capacity:
    """What could leave a user of a currency network, and what could reach it, over trustlines not frozen."""

    spendable: int = 0
    receivable: int = 0


class Funding:
    """Looks at the node and at the graphs of this process."""

    def __init__(
        self, node: ChainCalls, networks: Networks, contracts: Contracts, clock: Callable[[], int]
    ) -> None:
        self._node = node
        self._networks = networks
        self._contracts = contracts
        self._clock = clock
        self._silent: set[Address] = set()

    def now(self) -> int:
        """Return the present in Unix seconds, not before the newest indexed block: no fill can be earlier."""
        block = self._networks.block
        return self._clock() if block is None else max(self._clock(), block.timestamp)

    def is_network(self, token: Address) -> bool:
        """Say whether a token is a currency network that is served."""
        try:
            self._networks.info(token)
        except UnknownNetwork:
            return False
        return True

    def require(self, order: Order, order_hash: bytes) -> None:
        """Raise Unacceptable unless something is left of a new order and its maker can fill all of that.

        Raises:
            ChainError: if the node does not tell.

        """
        left_taker = order.taker_amount - unavailable(self._node, order.exchange, order_hash)
        if not can_be_taken(order, left_taker):
            raise Unacceptable("takerTokenAmount", "the order has been filled or cancelled already")
        self._require_offered(order, partial_amount(left_taker, order.taker_amount, order.maker_amount))
        if self.is_network(order.taker_token):
            receivable = self._capacity(order.taker_token, order.maker).receivable
            if receivable < left_taker:
                raise Unacceptable(
                    "takerTokenAmount", f"the maker can be paid {receivable} at most in this network"
                )

    def purses(self, orders: Iterable[StoredOrder]) -> list[Purse]:
        """Return what the node has to be asked about some orders, each once, in their order."""
        return list(dict.fromkeys(purse_of(stored.order) for stored in orders))

    def ask(self, purses: Iterable[Purse]) -> dict[Purse, int]:
        """Return how much can be taken from purses; what the node does not tell is left out, and logged once."""
        groups: defaultdict[tuple[Address, Address], list[Purse]] = defaultdict(list)
        for purse in purses:
            groups[purse.token, purse.exchange].append(purse)
        found: dict[Purse, int] = {}
        for (token, _), group in groups.items():
            # One by one: a token that fails must not keep the others from being looked at.
            try:
                found |= self._ask(token, group)
                self._silent.discard(token)
            except ChainError as error:
                level = logging.DEBUG if token in self._silent else logging.WARNING
                logger.log(level, "what makers have of the token %s is not known: %s", to_checksum(token), error)
                self._silent.add(token)
        return found

    def are_funded(self, orders: Sequence[StoredOrder], purses: Mapping[Purse, int]) -> dict[bytes, bool]:
        """Say for each order, by its hash, whether its maker can fill what is left; left out if that is not known.

        ``purses`` are what `ask` returned, now or a little earlier.
        """
        capacities: dict[tuple[Address, Address], Capacity] = {}

        def capacity(token: Address, user: Address) -> Capacity:
            if (token, user) not in capacities:
                capacities[token, user] = self._capacity(token, user)
            return capacities[token, user]

        found = {}
        for stored in orders:
            order, purse = stored.order, purse_of(stored.order)
            most = [purses.get(purse)]
            if not self._contracts.is_token(order.maker_token):
                most.append(capacity(order.maker_token, order.maker).spendable)
            is_short = any(limit is not None and limit < stored.available_maker for limit in most)
            if not self._contracts.is_token(order.taker_token):
                is_short |= capacity(order.taker_token, order.maker).receivable < stored.available_taker
            if is_short or purse in purses:
                found[stored.hash] = not is_short
        return found

    def _require_offered(self, order: Order, amount: int) -> None:
        """Raise Unacceptable unless the maker can give an amount of what it offers; raises ChainError."""
        purse = purse_of(order)
        most = self._ask(purse.token, [purse])[purse]
        if self.is_network(order.maker_token):
            if not most:
                raise Unacceptable(
                    "makerTokenAddress", "this network does not let the exchange move the maker's credit"
                )
            spendable = self._capacity(order.maker_token, order.maker).spendable
            if spendable < amount:
                raise Unacceptable("makerTokenAmount", f"the maker can spend {spendable} at most in this network")
        elif most < amount:
            raise Unacceptable(
                "makerTokenAmount", f"the exchange can take {most} at most, by the maker's balance and allowance"
            )

    def _ask(self, token: Address, purses: Sequence[Purse]) -> dict[Purse, int]:
        """Return how much can be taken from purses of one token and exchange; raises ChainError."""
        exchange, makers = purses[0].exchange, [purse.maker for purse in purses]
        if self._contracts.is_token(token):
            is_wrapped = token in self._contracts.unw_eths
            most = takeable(self._node, token, exchange, makers, is_wrapped_ether=is_wrapped)
        else:
            may_move = authorized(self._node, token, exchange, makers)
            most = [UNLIMITED if may else 0 for may in may_move]
        return dict(zip(purses, most, strict=True))

    def _capacity(self, network: Address, user: Address) -> Capacity:
        """Return what can leave and reach a user; nothing where network or trustlines are frozen or unknown."""
        spendable = receivable = 0
        try:
            with self._networks.reading(network, briefly=True) as graph:
                if graph.is_frozen:
                    return Capacity()
                for view in graph.views(user, self.now()):
                    if not view.is_frozen:
                        spendable += max(0, view.left_received)
                        receivable += max(0, view.left_given)
        except UnknownNetwork:
            return Capacity()
        return Capacity(spendable, receivable)


def purse_of(order: Order) -> Purse:
    """Return out of what the maker of an order pays."""
    return Purse(order.maker_token, order.exchange, order.maker)
