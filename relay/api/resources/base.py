"""What all resources share: the services, dispatching, and reading a graph at one moment."""

from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

from flask import Response, request
from flask_restful import Resource

from graph.network import NetworkGraph
from graph.paths import Engine, engine_of
from relay.addresses import Address
from relay.api import caching
from relay.api.admission import Cost
from relay.api.answer import Answer, json_answer
from relay.api.edge import BLOCK_KEY
from relay.api.errors import RETRY_SECONDS
from relay.api.faults import Loading
from relay.api.services import Services
from relay.model import NetworkInfo

_LONG = (Cost.SEARCH, Cost.WHOLE_NETWORK)


class Reading(NamedTuple):
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
    """A resource over the services handed to it.

    Attributes:
        depends_on_block_only: whether what is got follows from the graphs' block and the URL alone: neither from
            the clock nor from the node, the database or a header. Clients that have it already are then told so
            without computing anything.
        needs_graphs: whether it cannot be answered before the networks are loaded.
        cost: what answering takes.

    """

    depends_on_block_only: ClassVar[bool] = False
    needs_graphs: ClassVar[bool] = True

    _environ: dict[str, Any]

    def __init__(self, services: Services, cost: Cost = Cost.CHEAP) -> None:
        self.services = services
        self.cost = cost

    def admitted(self) -> AbstractContextManager[None]:
        """Wait until this may be answered; raises Overloaded if that is not soon."""
        return self.services.admission.entered(self.cost)

    def dispatch_request(self, **url: Any) -> Response:
        """Call the method asked for, and write what it returns as JSON."""
        if self.needs_graphs:
            networks = self.services.networks
            if not networks.is_loaded:
                raise Loading("the relay is still loading its networks", retry_after=RETRY_SECONDS)
            networks.standing.catch_up()
        self._environ = request.environ
        method = self._environ["REQUEST_METHOD"].lower()
        if method == "head":
            method = "get"
        if self.depends_on_block_only and method == "get":
            return self._get_by_block(url)
        return _answer(getattr(self, method)(**url))

    def _get_by_block(self, url: dict[str, Any]) -> Response:
        tag = self._tag()
        told = self._environ.get("HTTP_IF_NONE_MATCH")
        # "*" means anything that is there, and whether something is will be known only afterwards.
        if tag is not None and told is not None and told != "*" and caching.is_match(told, tag):
            self.note_block()
            answer: Response = Answer(b"", 304)
        else:
            answer = _answer(self.get(**url))
            if tag is None or self._tag() != tag:
                # The state moved meanwhile: which one of the two was read is not known.
                return answer
        answer.headers["ETag"] = tag
        return answer

    def _tag(self) -> str | None:
        environ = self._environ
        return caching.tag_of_state(
            self.services.networks, self.services.version, environ["PATH_INFO"], environ["QUERY_STRING"]
        )

    def reading(self, network: Address) -> AbstractContextManager[Reading]:
        """Hold a network's graph still; nothing else may be waited for meanwhile.

        Entering raises UnknownNetwork if it is not served.
        """
        return _Held(self, network)

    def read(self, network: Address, graph: NetworkGraph) -> Reading:
        """Return a graph that is held still as it is read now."""
        self.note_block()
        deadline = self.services.search_until()
        info = self.services.networks.info(network)
        return Reading(info, graph, self.valuation_time(), deadline, engine_of(graph, deadline))

    def note_block(self) -> None:
        """Keep the block that the graphs stand at for the answer's header; the earliest of several counts."""
        block = self.services.networks.block
        if block is not None:
            self._environ.setdefault(BLOCK_KEY, block.number)

    def valuation_time(self) -> int:
        """Return the present, in Unix seconds: the clock's, but not before the newest indexed block."""
        # The next block, in which a transfer would be executed, cannot be earlier than the last one.
        block = self.services.networks.block
        now = self.services.clock()
        return now if block is None else max(now, block.timestamp)


class _Held:
    """The time during which a resource reads a network."""

    __slots__ = ("_held", "_network", "_resource")

    def __init__(self, resource: ApiResource, network: Address) -> None:
        networks = resource.services.networks
        self._resource, self._network = resource, network
        self._held = networks.reading(network, briefly=resource.cost not in _LONG)

    def __enter__(self) -> Reading:
        graph = self._held.__enter__()
        try:
            return self._resource.read(self._network, graph)
        except BaseException:
            self._held.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        self._held.__exit__(None, None, None)


def _answer(made: Any) -> Response:
    return made if isinstance(made, Response) else json_answer(made)
