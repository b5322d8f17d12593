"""The part of the composition root that wires what protects a relay: bounds on what is answered, and operators."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from relay.addresses import Address
from relay.admin.orders import Heeder, Orders
from relay.admin.service import Administration
from relay.api.admission import Cost, Limits
from relay.api.operators import Operators
from relay.chain.nodes import Nodes
from relay.ground import operators_token
from relay.outgoing import deployments_at_once
from relay.settings import Settings
from relay.store.admin import AdminStore
from relay.store.guard import Guard
from relay.store.operating import OperatingPool


def admission_limits(settings: Settings) -> Limits:
    """Return how many expensive calls are answered at once, and how many wait."""
    section, half = settings.overload, max(1, settings.rest.threads // 2)
    at_once = {
        # More of them than processors would only take time from each other, and from all the rest.
        Cost.SEARCH: section.max_searches or min(half, _share_of_processors(settings)),
        Cost.WHOLE_NETWORK: section.max_whole_networks,
        Cost.DATABASE: section.max_database_calls,
        Cost.NODE: section.max_node_calls,
    }
    limits = {cost: most or half for cost, most in at_once.items()}
    return Limits(limits, section.max_waiting, section.wait_seconds)


def _share_of_processors(settings: Settings) -> int:
    return max(1, (os.cpu_count() or 1) // settings.rest.number_of_processes)


def request_threads(settings: Settings) -> int:
    """Return how many threads the server needs, so that expensive calls never hold those of cheap ones."""
    deployments = sum(deployments_at_once(settings.rest)) if settings.delegate.enable else 0
    return settings.rest.threads + admission_limits(settings).threads + deployments


@dataclass(frozen=True, slots=True)
class Operating:
    """What the API needs to know of operators; None where they use the command only."""

    orders: Orders
    operators: Operators | None
    administration: Administration | None

    @property
    def require_welcome(self) -> Callable[[Address], None]:
        """What refuses those who are banned."""
        return self.orders.require_welcome


def build_operating(settings: Settings, node: Nodes, guard: Guard) -> Operating:
    """Heed from now on what operators decide; raises TokenFault."""
    token = operators_token(settings)
    store, orders = AdminStore(OperatingPool(settings.database.url, 2, guard=guard)), Orders()
    heeder = Heeder(store, orders, node.reconnect).start()
    if token is None:
        return Operating(orders, None, None)
    administration = Administration(store, node.check, reconnect=node.reconnect, refresh=heeder.refresh)
    return Operating(orders, Operators(token, time.monotonic), administration)
