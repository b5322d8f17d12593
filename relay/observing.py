"""The composition of what operators see: health, figures, log, reports. Part of the composition root."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graph.compiled import kernel_network
from relay import __version__, telemetry
from relay.api.application import Application
from relay.api.bounded import Bounded
from relay.api.measuring import Measuring
from relay.api.operations import Admission, Operations
from relay.api.readiness import LagLimits, Readiness
from relay.chain.nodes import NodeState
from relay.clients import Clients
from relay.ground import metrics_token
from relay.settings import Settings
from relay.store.connection import Pool
from relay.store.vitals import VitalsReader
from relay.sync.networks import Networks

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_WAIT_SECONDS = 0.5
"""How long the one connection is waited for; longer than it is busy, unless the database hangs."""


def observed(
    settings: Settings,
    app: Application,
    networks: Networks,
    node_states: Callable[[], Sequence[NodeState]],
    clients: Clients,
) -> "WSGIApplication":
    """Return the API with what operators see of it."""
    section = settings.operations
    vitals = Bounded(VitalsReader(Pool(settings.database.url, size=1, wait_seconds=_WAIT_SECONDS)).read)
    measuring = Measuring(
        app,
        is_logging=settings.logging.access,
        slow_seconds=settings.logging.slow_seconds,
        clients=clients,
    )
    return Operations(
        measuring,
        Readiness(networks, vitals.get, LagLimits(section.max_lag_seconds, section.max_lag_blocks)),
        vitals=vitals.get,
        nodes=node_states,
        build=telemetry.build_info(__version__, is_compiled=kernel_network() is not None),
        admission=Admission(section.metrics_networks, metrics_token(section)) if section.metrics else None,
    )
