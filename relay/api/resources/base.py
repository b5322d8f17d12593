"""What all resources share: the services, and reading a graph at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import g
from flask_restful import Resource

from graph.network import NetworkGraph
from graph.paths import Engine, engine_of
from relay.addresses import Address
from relay.api.services import Services
from relay.model import NetworkInfo


@dataclass(frozen=True, slots=True)
class Reading:
    """A network's graph, held still, and what searches it.

    ``at`` is the time of valuation in Unix seconds; searches, those of ``engine`` too, give in at ``deadline``, in
    seconds of ``time.monotonic``.
    """

    info: NetworkInfo
    graph: NetworkGraph
    at: int
    deadline: float
    engine: Engine


class ApiResource(Resource):  # type: ignore[misc]
    """A resource over the services handed to it."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @contextmanager
    def reading(self, network: Address) -> Iterator[Reading]:
        """Hold a network's graph still; nothing else may be waited for meanwhile.

        Raises:
            UnknownNetwork: if it is not served.

        """
        networks = self.services.networks
        with networks.reading(network) as graph:
            self.note_block()
            deadline = self.services.search_until()
            engine = engine_of(graph, deadline)
            yield Reading(networks.info(network), graph, self.valuation_time(), deadline, engine)

    def note_block(self) -> None:
        """Keep the block that the graphs stand at for the answer's header; the earliest of several counts."""
        block = self.services.networks.block
        if block is not None and "block_number" not in g:
            g.block_number = block.number

    def valuation_time(self) -> int:
        """Return the present, in Unix seconds: the clock's, but not before the newest indexed block."""
        # The next block, in which a transfer would be executed, cannot be earlier than the last one.
        block = self.services.networks.block
        now = self.services.clock()
        return now if block is None else max(now, block.timestamp)
