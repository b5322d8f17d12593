"""The part of the composition root that wires the order book of exchanges."""

import logging
import time
from collections.abc import Callable

from relay.chain.calls import ChainCalls
from relay.exchange.book import Limits, OrderBook
from relay.exchange.checks import Contracts
from relay.exchange.funding import Funding
from relay.exchange.upkeep import TURN_LOCK, Keeper, Upkeep
from relay.settings import Settings, find_addresses
from relay.store.connection import Pool
from relay.store.operations import Turn, WritingPool
from relay.store.orders import OrderStore
from relay.sync.networks import Networks

logger = logging.getLogger(__name__)

_DAY_SECONDS = 86_400


def build_order_book(
    settings: Settings, reading: Pool, networks: Networks, node: ChainCalls, clock: Callable[[], int]
) -> OrderBook | None:
    """Return the order book and begin to look after it, None where it is switched off."""
    section = settings.exchange
    if not section.enable:
        return None
    contracts = traded_contracts(settings)
    if not contracts.exchanges:
        logger.warning("[exchange] is switched on, but the address file names no exchange: no order will be taken")
    database = settings.database
    store = OrderStore(reading, WritingPool(database.url, database.pool_size, database.wait_seconds))
    funding = Funding(node, networks, contracts, clock)
    upkeep = Upkeep(store, funding, node, networks, keep_seconds=section.keep_days * _DAY_SECONDS)
    Keeper(Turn(database.url, TURN_LOCK), upkeep.round, section.check_seconds).start()
    limits = Limits(section.max_orders, section.max_orders_per_maker, section.max_per_client)
    return OrderBook(store, funding, contracts, limits, time.monotonic)


def traded_contracts(settings: Settings) -> Contracts:
    """Return the exchanges and tokens that the address file names."""
    addresses = find_addresses(settings)
    return Contracts(
        exchanges=() if addresses.exchange is None else (addresses.exchange,),
        unw_eths=() if addresses.unw_eth is None else (addresses.unw_eth,),
    )
