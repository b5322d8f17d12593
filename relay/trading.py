"""The part of the composition root that wires the order book of exchanges."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from relay.chain.calls import ChainCalls
from relay.exchange.book import Limits, OrderBook
from relay.exchange.checks import Contracts
from relay.exchange.funding import Funding
from relay.exchange.upkeep import TURN_LOCK, Keeper, Upkeep
from relay.messaging.limits import ClientRate
from relay.settings import Settings, find_addresses
from relay.store.connection import Pool
from relay.store.guard import Guard
from relay.store.operating import OperatingPool
from relay.store.operations import Turn, WritingPool
from relay.store.orders import OrderStore
from relay.store.rates import RateStore
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Trading:
    """The parts; all of them None where the exchange is switched off."""

    book: OrderBook | None = None
    upkeep: Upkeep | None = None
    keeper: Keeper | None = None

    def start(self) -> None:
        """Begin to look after the book."""
        if self.keeper is not None:
            self.keeper.start()

    def stop(self) -> None:
        """Stop looking after the book; returns when that has ended."""
        if self.keeper is not None:
            self.keeper.stop()


def build_trading(
    settings: Settings,
    reading: Pool,
    networks: Networks,
    node: ChainCalls,
    clock: Callable[[], int],
    contracts: Contracts | None = None,
    guard: Guard | None = None,
) -> Trading:
    """Return the order book and what looks after it.

    ``contracts`` are those of the address file by default, ``guard`` watches over the database that is written to.
    """
    section, database = settings.exchange, settings.database
    if not section.enable:
        return Trading()
    contracts = contracts or traded_contracts(settings)
    if not contracts.exchanges:
        logger.warning("[exchange] is on, but the address file names no exchange: no order will be taken")
    store = OrderStore(reading, WritingPool(database.url, database.pool_size, database.wait_seconds, guard))
    funding = Funding(node, networks, contracts, clock)
    rates = RateStore(OperatingPool(database.url, database.pool_size, database.wait_seconds, guard))
    upkeep = Upkeep(
        store,
        funding,
        node,
        networks,
        keep_seconds=section.keep_days * _DAY_SECONDS,
        most_purses=section.checks_per_round,
        forget_rates=rates.forget_idle,
    )
    rate = ClientRate(rates, "orders from", section.max_per_client, time.monotonic)
    limits = Limits(section.max_orders, section.max_orders_per_maker, section.max_per_client)
    return Trading(
        book=OrderBook(store, funding, contracts, limits, rate),
        upkeep=upkeep,
        keeper=Keeper(Turn(database.url, TURN_LOCK), upkeep.round, section.check_seconds),
    )


def traded_contracts(settings: Settings) -> Contracts:
    """Return the exchanges and tokens that the address file names."""
    addresses = find_addresses(settings)
    return Contracts(exchanges=addresses.exchanges, unw_eths=addresses.unw_eths, tokens=addresses.tokens)
