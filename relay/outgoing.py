"""The part of the composition root that wires what sends transactions: the relay's own, and those of users."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relay.addresses import Address, to_checksum
from relay.chain.relaying import Relaying, TransactionNode
from relay.chain.sending import AskedNode, Sending
from relay.chain.signing import SigningKey
from relay.delegate import pricing
from relay.delegate.faucet import Faucet, Gifts
from relay.delegate.fees import FeeOffer, offers
from relay.delegate.identities import Identities
from relay.delegate.keeper import Keeper
from relay.delegate.metatransactions import GasCaps, MetaTransactions
from relay.delegate.pushing import Patience
from relay.delegate.relaying import RelayedUpkeep, RememberingRelaying
from relay.delegate.signer import Limits, Signer
from relay.delegate.simulation import Simulation
from relay.delegate.statuses import Statuses
from relay.delegate.upkeep import Upkeep
from relay.settings import (
    DelegateGasPriceMethod,
    DelegateSettings,
    FaucetSettings,
    RestSettings,
    Settings,
    find_addresses,
)
from relay.store.connection import Pool
from relay.store.contract_reading import ContractReader
from relay.store.guard import Guard
from relay.store.operations import Turn, WritingPool, signer_lock
from relay.store.relayed import RelayedTransactions
from relay.store.sending import Sendings

logger = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
"""How often what was sent is looked after while nothing moves."""


class OutgoingNode(AskedNode, TransactionNode, Protocol):
    """What all of this needs of a node."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The parts; None is what is switched off."""

    statuses: Statuses
    lists_expected: bool
    relaying: RememberingRelaying | None
    meta_transactions: MetaTransactions | None
    identities: Identities | None
    faucet: Faucet | None
    keepers: tuple[Keeper, ...]

    def start(self) -> None:
        """Begin to look after what was sent."""
        for keeper in self.keepers:
            keeper.start()

    def stop(self) -> None:
        """Stop looking after what was sent; returns when that has ended."""
        for keeper in self.keepers:
            keeper.stop()


def build_outgoing(
    settings: Settings,
    node: OutgoingNode,
    chain_id: int,
    key: SigningKey | None,
    reading: Pool,
    clock: Callable[[], int],
    guard: Guard | None = None,
    require_welcome: Callable[[Address], None] = lambda _: None,
) -> Outgoing:
    """Return the parts that the settings switch on; without ``key`` there are none that send by themselves.

    ``guard`` watches over the database that is written to, ``require_welcome`` may refuse senders by an exception.

    Raises:
        ChainError, StoreError: if node or database fail.

    """
    sending = Sending(node)
    database = settings.database
    pool = WritingPool(database.url, database.pool_size, database.wait_seconds, guard)
    keepers: list[Keeper] = []
    relayed = RelayedTransactions(pool) if settings.tx_relay.enable else None
    patience = Patience(settings.delegate.replace_after_seconds)
    relaying = None
    if relayed is not None:
        relaying = RememberingRelaying(
            Relaying(node, chain_id), chain_id, relayed, Simulation(sending), clock, require_welcome
        )
        upkeep = RelayedUpkeep(
            sending,
            relayed,
            clock,
            remember_seconds=3600 * settings.tx_relay.remember_hours,
            settle_blocks=patience.settle_blocks,
        )
        turn = Turn(settings.database.url)
        keepers.append(Keeper("keeper of users' transactions", turn, upkeep.tend, ROUND_SECONDS))
    signer = None if key is None else _build_signer(settings.delegate, sending, pool, key, chain_id, clock)
    meta_transactions, identities, faucet = None, None, None
    if signer is not None:
        turn = Turn(settings.database.url, signer_lock(signer.store.id))
        keepers.append(Keeper("keeper of own transactions", turn, Upkeep(signer, patience).tend, ROUND_SECONDS))
        if settings.delegate.enable:
            meta_transactions = _build_meta_transactions(settings.delegate, signer, chain_id, clock)
            addresses = find_addresses(settings)
            identities = Identities(
                signer,
                addresses.identity_proxy_factories,
                addresses.identity_implementations,
                settings.delegate.max_identities_per_day,
                *deployments_at_once(settings.rest),
            )
        if settings.faucet.enable:
            faucet = Faucet(signer, _gifts(settings.faucet), clock)
    return Outgoing(
        statuses=Statuses(sending, None if signer is None else signer.store, relayed, ContractReader(reading)),
        lists_expected=bool(keepers),
        relaying=relaying,
        meta_transactions=meta_transactions,
        identities=identities,
        faucet=faucet,
        keepers=tuple(keepers),
    )


def deployments_at_once(settings: RestSettings) -> tuple[int, int]:
    """Return how many deployments of identities are waited for at once, and how many more wait for their turn."""
    return max(1, settings.threads // 2), settings.threads // 4


def _build_signer(
    settings: DelegateSettings,
    node: Sending,
    pool: WritingPool,
    key: SigningKey,
    chain_id: int,
    clock: Callable[[], int],
) -> Signer:
    store = Sendings(pool, key.address, chain_id, node.genesis_hash(), node.nonce(key.address))
    logger.info("sending transactions from %s", to_checksum(key.address))
    limits = Limits(settings.max_in_flight, settings.max_waiting)
    return Signer(key, node, store, _pricing(settings), limits, clock)


def _pricing(settings: DelegateSettings) -> pricing.Pricing:
    match settings.gas_price_method:
        case DelegateGasPriceMethod.FIXED:
            return pricing.fixed(settings.gas_price or 0)
        case DelegateGasPriceMethod.BOUND:
            return pricing.bound(settings.min_gas_price or 0, settings.max_gas_price or 0)
        case DelegateGasPriceMethod.RPC:
            return pricing.by_node()


def _build_meta_transactions(
    settings: DelegateSettings, signer: Signer, chain_id: int, clock: Callable[[], int]
) -> MetaTransactions:
    configured = []
    for fee in settings.fees:
        recipient = fee.fee_recipient or signer.address
        if fee.currency_network is None:
            configured.append(FeeOffer(fee.base_fee, fee.gas_price, recipient))
        else:
            configured.append(FeeOffer(fee.base_fee, fee.gas_price, recipient, fee.currency_network))
    if any(offer.is_free for offer in offers(configured, signer.address)):
        logger.info("meta-transactions are executed for nothing")
    caps = GasCaps(settings.max_gas_limit, settings.max_lost_gas_per_day, settings.max_gas_per_day)
    simulation = Simulation(signer.node, signer.store)
    return MetaTransactions(signer, simulation, offers(configured, signer.address), caps, chain_id, clock)


def _gifts(settings: FaucetSettings) -> Gifts:
    return Gifts(settings.amount, settings.enough, settings.per_address_and_day, settings.per_day)
