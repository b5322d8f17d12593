"""A relay of one process over a real chain and a real database, its API behind a real HTTP server."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from werkzeug.serving import make_server

from relay.addresses import Address
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.network import read_network
from relay.chain.node import Node
from relay.chain.relaying import Relaying
from relay.drawing import Draughtsman
from relay.index.indexer import Indexer, Options
from relay.store.connection import Pool
from relay.store.history_reading import HistoryReader
from relay.store.migrate import migrate
from relay.store.pages import EventPages
from relay.store.reading import FeedListener, StateReader
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks

MAX_BODY_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class ServedRelay:
    """A running relay: ``url`` is the API's prefix, ``at`` tells the time that it takes for the present."""

    url: str
    node: Node
    at: Callable[[], int]
    update: Callable[[], None]
    """Indexes what is new on the chain and takes it into the graphs."""

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, f"{self.url}/{path}", timeout=30, **more)

    def get(self, path: str) -> requests.Response:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.request("POST", path, json=body)

    def ask(self, path: str) -> Any:
        """Return the JSON of an answer that must be a success."""
        return json_of(self.get(path))

    def tell(self, path: str, **body: Any) -> Any:
        """Return the JSON of an answer to a POST that must be a success."""
        return json_of(self.post(path, body))


def json_of(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@contextmanager
def serve(node: Node, addresses: Sequence[Address], database_url: str, chain_id: int) -> Iterator[ServedRelay]:
    """Index the networks, then serve them until the end of the block; the present is the last block's time."""
    migrate(database_url)
    writer = Writer(database_url, silence_seconds=60)
    assert writer.try_lock()
    indexer = Indexer(
        node, writer, addresses, lambda address, first: read_network(node, address, first), Options()
    )
    indexer.prepare()
    pool, networks = Pool(database_url), Networks()
    follower = Follower(StateReader(pool), networks, lambda: FeedListener(database_url))

    def update() -> None:
        while indexer.step():
            pass
        follower.catch_up()

    update()
    services = Services(
        networks=networks,
        events=EventPages(pool, lists_expected=False),
        node=node,
        relaying=Relaying(node, chain_id),
        estimate_gas=estimate_gas,
        gas_price=node.gas_price,
        clock=lambda: 0,
        search_until=lambda: 0.0,
        version="1.2.3",
        histories=HistoryReader(pool),
        pictures=Draughtsman(),
    )
    server = make_server("127.0.0.1", 0, create_app(services, max_body_bytes=MAX_BODY_BYTES), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def at() -> int:
        assert networks.block is not None
        return networks.block.timestamp

    try:
        yield ServedRelay(f"http://127.0.0.1:{server.port}/api/v1", node, at, update)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        pool.close()
        writer.close()
