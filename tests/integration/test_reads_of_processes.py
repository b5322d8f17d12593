"""A relay with two processes on one port: what one has told the other does not take back; new settings."""

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from tests.support.chain_actions import Life
from tests.support.running_relay import SECONDS, RunningRelay, running_relay, until

COMMITS = 40


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def relay(
    chain: Anvil, network: Contract, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRelay]:
    folder, database = tmp_path_factory.mktemp("processes"), create_database(postgres_url, "processes")
    with running_relay(folder, chain.url, database, network.address, "[rest]\n", workers=2) as found:
        until("the chain is read", lambda: found.get("/networks").json())
        yield found
    drop_database(postgres_url, "processes")


def workers(relay: RunningRelay) -> list[psutil.Process]:
    parents = psutil.Process(relay.commands[0].pid).children()
    return [worker for parent in parents if "serve" in parent.cmdline() for worker in parent.children()]


def client_of_each_worker(relay: RunningRelay) -> list[http.client.HTTPConnection]:
    """Return connections that stay open, one to each process."""
    clients: dict[int, http.client.HTTPConnection] = {}

    def connect() -> bool:
        client = http.client.HTTPConnection("127.0.0.1", relay.ports[0], timeout=SECONDS)
        block_told(client)
        port = client.sock.getsockname()[1]
        for worker in workers(relay):
            if any(one.raddr and one.raddr.port == port for one in worker.net_connections("tcp")):
                clients.setdefault(worker.pid, client)
        return len(clients) == 2

    until("both processes have taken a connection", connect)
    return list(clients.values())


def block_told(client: http.client.HTTPConnection) -> int:
    client.request("GET", "/api/v1/networks")
    answer = client.getresponse()
    answer.read()
    assert answer.status == 200
    return int(answer.headers["X-Trustlines-Block"])


def test_no_answer_is_older_than_one_before_whichever_process_gives_it(relay: RunningRelay, chain: Anvil) -> None:
    is_over = threading.Event()

    def go_on() -> None:
        for _ in range(COMMITS):
            chain.rpc("anvil_mine", "0x1")
            time.sleep(0.06)
        is_over.set()

    with ExitStack() as opened:
        clients = client_of_each_worker(relay)
        for client in clients:
            opened.callback(client.close)
        mining = threading.Thread(target=go_on)
        mining.start()
        opened.callback(mining.join)
        told = [block_told(clients[0])]
        while not is_over.is_set():
            told += [block_told(client) for client in clients]
        assert told == sorted(told)
        assert len(set(told)) > COMMITS // 4, "there were commits to differ by"


def test_what_a_stream_told_is_known_to_every_process(
    relay: RunningRelay, chain: Anvil, web3: Web3, network: Contract
) -> None:
    life = Life(chain, web3, network, seed=11)
    one, other = life.people[:2]
    clients = client_of_each_worker(relay)
    with relay.stream("events") as stream:
        stream.ask("subscribe", event="all", user=one)
        for limit in range(1, 8):
            assert life.send("updateTrustline", other, 1000 * limit, 1, 0, 0, False, sender=one)
            (event,) = stream.events(1)
            assert event["type"] == "TrustlineUpdateRequest"
            assert min(map(block_told, clients)) >= web3.eth.block_number
    for client in clients:
        client.close()


def test_settings_are_read_anew_while_it_serves(relay: RunningRelay) -> None:
    config, before = relay.log.parent / "relay.toml", {worker.pid for worker in workers(relay)}
    good = config.read_text()

    def hang_up(text: str, expected: str) -> None:
        config.write_text(text)
        relay.commands[0].send_signal(signal.SIGHUP)
        until(expected, lambda: expected in relay.log.read_text())
        assert relay.get("/networks").json()

    hang_up(f"{good}prot = 1\n", "the old ones go on: ")
    assert {worker.pid for worker in workers(relay)} == before
    hang_up(f"{good}threads = 3\n", "the new settings are in force")
    until("the old ones have gone", lambda: not {worker.pid for worker in workers(relay)} & before)
    assert len(workers(relay)) == 2
    assert relay.get("/networks").json()
