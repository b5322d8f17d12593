"""The index over two nodes of one chain, of which one fails and one lags behind."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from web3 import Web3

from relay.chain.errors import NodeUnreachable
from relay.chain.nodes import Nodes
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import deploy_network
from tests.integration.test_index_on_chain import SEED, TERMS, address_of
from tests.support.bad_server import BadServer, reply, result
from tests.support.chain_actions import Life
from tests.support.indexing import dump, make_indexer, open_writer


class Door:
    """A node of the chain behind which anvil stands: it can hang, hang up, or know no block after ``last``."""

    def __init__(self, chain: Anvil) -> None:
        self.chain = chain
        self.last: int | None = None
        self.hangs = self.is_down = False

    def __call__(self, connection: socket.socket, request: Any) -> None:
        if self.hangs:
            connection.recv(1)
        if self.hangs or self.is_down:
            raise OSError
        if isinstance(request, list):
            reply(connection, json.dumps([json.loads(self._answer(one)) for one in request]).encode())
        else:
            reply(connection, self._answer(request))

    def _answer(self, request: Any) -> bytes:
        if self.last is not None and request["method"] == "eth_getBlockByNumber":
            tag = request["params"][0]
            number = self.last if tag == "latest" else int(tag, 16)
            if number > self.last:
                return result(request, None)
            request = {**request, "params": [hex(number), False]}
        if self.last is not None and request["method"] == "eth_getLogs":
            criteria = request["params"][0]
            if int(criteria["fromBlock"], 16) > self.last:
                return result(request, [])
            criteria = {**criteria, "toBlock": hex(min(self.last, int(criteria["toBlock"], 16)))}
            request = {**request, "params": [criteria]}
        body = json.dumps(request).encode()
        with urlopen(Request(self.chain.url, body, {"Content-Type": "application/json"})) as answer:
            return bytes(answer.read())


@pytest.fixture
def doors(chain: Anvil) -> Iterator[tuple[Door, Door, Nodes]]:
    first, second = Door(chain), Door(chain)
    with BadServer(first) as a, BadServer(second) as b:
        yield first, second, Nodes([a.url, b.url], timeout=4)


def test_a_node_that_lags_behind_never_looks_like_a_reorg(
    chain: Anvil, web3: Web3, doors: tuple[Door, Door, Nodes], database_url: str
) -> None:
    first, second, nodes = doors
    network = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED)
    life.act(20)
    writer = open_writer(database_url)
    try:
        indexer = make_indexer(nodes, writer, [address_of(network)])  # type: ignore[arg-type]
        indexer.prepare()
        while indexer.step() is not None:
            pass
        at_head = dump(database_url)
        second.last = web3.eth.block_number - 5
        for is_down, hangs in ((True, False), (False, True)):
            first.is_down, first.hangs = is_down, hangs
            with pytest.raises(NodeUnreachable):
                indexer.step()
            assert dump(database_url) == at_head
            assert "is behind" in str(nodes.states()[1].fault)
        second.last = None
        life_goes_on = web3.eth.block_number
        chain.rpc("anvil_mine", "0x3")
        time.sleep(1.1)  # the nodes were looked at a moment ago
        began = time.monotonic()
        step = indexer.step()
        assert time.monotonic() - began < 3
        assert step is not None
        assert (step.undone, step.block.number) == (0, life_goes_on + 3)
    finally:
        writer.close()


def test_a_node_that_fails_in_the_middle_of_a_step_is_replaced_within_it(
    chain: Anvil, web3: Web3, doors: tuple[Door, Door, Nodes], database_url: str
) -> None:
    first, _, nodes = doors
    network = deploy_network(web3, TERMS, "CurrencyNetwork")
    life = Life(chain, web3, network, SEED + 1)
    life.act(30)
    answer, seen = first._answer, []

    def hang_at_the_logs(request: Any) -> bytes:
        seen.append(request["method"])
        if request["method"] == "eth_getLogs":
            first.hangs = True
            time.sleep(5)
        return answer(request)

    writer = open_writer(database_url)
    try:
        indexer = make_indexer(nodes, writer, [address_of(network)])  # type: ignore[arg-type]
        indexer.prepare()
        first._answer = hang_at_the_logs  # type: ignore[method-assign]
        began = time.monotonic()
        step = indexer.step()
        assert time.monotonic() - began < 4
        assert step is not None
        assert step.undone == 0
        assert "eth_getLogs" in seen
        events = step.events
        while step.block.number < web3.eth.block_number:
            step = indexer.step()
            assert step is not None
            events += step.events
        assert events > 0
    finally:
        writer.close()
