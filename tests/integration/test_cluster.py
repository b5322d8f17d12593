"""Several machines, on loopback: a primary, a replica, an index, three API processes and nginx; some die."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from eth_account import Account
from eth_typing import HexStr
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import CHAIN_ID, Anvil, free_port
from relay.devnet.deploy import BEER, deploy_network
from tests.conftest import or_skip
from tests.support.clients import (
    Answer,
    Correspondent,
    Model,
    Reader,
    Watcher,
    goings_back,
    longest_spell,
    missed_messages,
    session,
)
from tests.support.commands import environment
from tests.support.load_balancer import balancing, nginx_binary
from tests.support.replication import Pair, replicated
from tests.support.running_relay import until

logger = logging.getLogger(__name__)

CREDIT = 10**6
PEOPLE = 5
API = "/api/v1"
NOTICED_SECONDS = 1.0
"""So long it takes, at least, until somebody notices that the primary is dead and promotes the replica."""

START_SECONDS = 120.0
"""A busy machine takes its time to start five processes."""

RECEIVER = "0x00000000000000000000000000000000000000A1"
DEV_PHRASE = "test test test test test test test test test test test junk"


@dataclass
class Cluster:
    """``processes`` are named: index, whole-1, whole-2, share."""

    url: str
    pair: Pair
    ports: dict[str, int]
    processes: dict[str, "subprocess.Popen[bytes]"]
    log: Path

    def kill(self, name: str) -> None:
        process = self.processes[name]
        for member in psutil.Process(process.pid).children(recursive=True):
            member.kill()
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def networks(web3: Web3) -> dict[str, Contract]:
    """Two networks, one of which the process with the share holds."""
    found: dict[str, Contract] = {}
    while len(found) < 2:
        network = deploy_network(web3, BEER, "CurrencyNetwork")
        found["held" if network.address[-1] in "01234567" else "free"] = network
    return found


@pytest.fixture(scope="module")
def people(web3: Web3, networks: dict[str, Contract]) -> list[str]:
    """People in a ring, each with a trustline to the next one in both networks."""
    found = web3.eth.accounts[1 : PEOPLE + 1]
    hashes = []
    for network in networks.values():
        for one, other in zip(found, found[1:] + found[:1], strict=True):
            for user, friend in ((one, other), (other, one)):
                call = network.functions.updateTrustline(friend, CREDIT, CREDIT, 0, 0, False)
                hashes.append(call.transact({"from": user, "gas": 1_000_000}))
    assert all(web3.eth.wait_for_transaction_receipt(each)["status"] == 1 for each in hashes)
    return list(found)


@pytest.fixture(scope="module")
def cluster(
    chain: Anvil, networks: dict[str, Contract], people: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    or_skip(nginx_binary)
    with ExitStack() as stack:
        pair = or_skip(lambda: stack.enter_context(replicated(folder)))
        pair.primary.create_database("relay")
        pair.await_replay()
        pair.synchronise()
        config = folder / "relay.toml"
        config.write_text(
            f'[relay]\nnetworks = {[each.address for each in networks.values()]}\n[node]\nurls = ["{chain.url}"]\n'
            f'[database]\nurl = "{pair.url("relay", "read-write")}"\n'
            f'read_url = "{pair.url("relay", "prefer-standby", replica_first=True)}"\n'
            "[index]\npoll_seconds = 0.05\n"
            "[messaging]\nenable = true\nmax_per_client = 0\nmax_per_receiver = 0\nmax_unread = 10000\n"
        )
        ports = {name: free_port() for name in ("whole-1", "whole-2", "share")}
        processes: dict[str, subprocess.Popen[bytes]] = {}
        log = folder / "log"
        stack.callback(lambda: end(processes))

        def start(name: str, *arguments: object) -> None:
            words = [sys.executable, "-m", "relay.cli", *map(str, arguments), "--config", str(config)]
            with log.open("ab") as output:
                processes[name] = subprocess.Popen(words, stdout=output, stderr=output, env=environment())

        start("index", "index")
        until("there is a schema on the replica", lambda: has_tables(pair), START_SECONDS)
        for name, port in ports.items():
            start(name, "serve", "--port", port, *(["--share", "0-7"] if name == "share" else []))
        machines = {
            "10.0.0.11:5000": ports["whole-1"],
            "10.0.0.12:5000": ports["whole-2"],
            "10.0.0.13:5000": ports["share"],
            "10.0.0.14:5000": ports["whole-2"],
        }
        url = stack.enter_context(balancing(folder, machines))
        held = networks["held"].address
        try:
            for name, port in ports.items():
                until(f"{name} serves", partial(serves, port, held, len(people)), START_SECONDS)
            yield Cluster(url, pair, ports, processes, log)
        except AssertionError as error:
            error.add_note(log.read_text())
            raise


def has_tables(pair: Pair) -> bool:
    connection = pair.connect_replica("relay")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('feed') IS NOT NULL")
        row = cursor.fetchone()
    connection.close()
    return bool(row and row[0])


def serves(port: int, network: str, people: int) -> bool:
    answer = requests.get(f"http://127.0.0.1:{port}{API}/networks/{network}/users", timeout=10)
    return answer.ok and len(answer.json()) == people


def end(processes: dict[str, "subprocess.Popen[bytes]"]) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@dataclass
class Payer:
    """Sends transfers through the relay, one after the other, until each is in a block."""

    url: str
    web3: Web3
    people: list[str]
    networks: list[Contract]
    model: Model
    refused_seconds: float = 0.0
    nonces: dict[str, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    fault: Exception | None = None

    def __post_init__(self) -> None:
        Account.enable_unaudited_hdwallet_features()
        self.keys = [
            Account.from_mnemonic(DEV_PHRASE, account_path=f"m/44'/60'/0'/0/{number}")
            for number in range(1, len(self.people) + 1)
        ]
        assert [key.address for key in self.keys] == self.people
        self.session = session("127.0.0.9")
        self.count = 0

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self.stopping.set()

    def _run(self) -> None:
        try:
            while not self.stopping.wait(0.05):
                self.pay()
        except Exception as error:
            self.fault = error

    def pay(self) -> None:
        self.count += 1
        place = self.count % len(self.people)
        sender, receiver = self.people[place], self.people[(place + 1) % len(self.people)]
        network, value = self.networks[self.count % len(self.networks)], self.count
        transaction = {
            "chainId": CHAIN_ID,
            "nonce": self.nonces.setdefault(
                sender, self.web3.eth.get_transaction_count(Web3.to_checksum_address(sender))
            ),
            "gasPrice": 3 * 10**9,
            "gas": 500_000,
            "to": network.address,
            "value": 0,
            "data": network.encode_abi("transfer", [value, 0, [sender, receiver], b""]),
        }
        self.nonces[sender] += 1
        raw = "0x" + self.keys[place].sign_transaction(transaction).raw_transaction.hex()
        hash_ = self._relay(raw)
        receipt = self.web3.eth.wait_for_transaction_receipt(HexStr(hash_), poll_latency=0.01)
        assert receipt["status"] == 1
        paid = (receipt["blockNumber"], network.address, sender, receiver, value, hash_)
        self.model.transfers.append(paid)

    def _relay(self, raw: str) -> str:
        """Send a signed transaction, and the same one again for as long as the relay says to come later."""
        began = time.monotonic()
        while True:
            answer = self.session.post(f"{self.url}{API}/relay", json={"rawTransaction": raw}, timeout=30)
            if answer.status_code == 200:
                self.refused_seconds = max(self.refused_seconds, time.monotonic() - began)
                return str(answer.json())
            assert answer.status_code == 503, answer.text
            assert time.monotonic() - began < 30, answer.text
            time.sleep(0.1)


def questions(networks: dict[str, Contract], one: str, other: str) -> list[tuple[str, tuple[str, ...], str, Any]]:
    found: list[tuple[str, tuple[str, ...], str, Any]] = []
    for name, contract in networks.items():
        network = contract.address
        base = f"{API}/networks/{network}"
        subject = (network, one, other)
        found += [
            (f"trustline {name}", subject, f"{base}/users/{one}/trustlines/{other}", None),
            (f"path {name}", subject, f"{base}/path-info", {"from": one, "to": other, "value": "1"}),
            (f"events {name}", subject, f"{base}/users/{one}/events?type=Transfer", None),
        ]
    everywhere = ("", one, other)
    return [
        *found,
        ("trustlines everywhere", everywhere, f"{API}/users/{one}/trustlines", None),
        ("events everywhere", everywhere, f"{API}/users/{one}/events?type=Transfer", None),
    ]


def assert_right(answer: Answer, model: Model) -> None:
    """Hold an answer against the model at the block that the answer names."""
    network, one, other = answer.subject
    block, body = answer.block, answer.body
    kind = answer.kind.split()[0]
    if kind == "trustline":
        assert int(body["balance"]) == model.balance(network, one, other, block), answer
    elif kind == "path":
        assert body["path"] == [one, other], answer
        assert (body["fees"], body["value"]) == ("0", "1"), answer
    elif kind == "trustlines":
        assert len(body) == 4, answer
        for line in body:
            expected = model.balance(line["currencyNetwork"], one, line["counterParty"], block)
            assert int(line["balance"]) == expected, answer
    else:
        listed = [event for event in body if event["status"] != "sent"]
        assert [event["transactionHash"] for event in listed] == model.of(
            one, max([block, *(event["blockNumber"] for event in listed)]), network or None
        ), answer


def test_clients_see_no_wrong_answer_while_an_api_process_and_then_the_primary_die(
    cluster: Cluster, networks: dict[str, Contract], people: list[str], web3: Web3
) -> None:
    for path in (f"/networks/{networks['free'].address}", "/networks", f"/users/{people[0]}/trustlines", "/relay"):
        assert requests.get(f"http://127.0.0.1:{cluster.ports['share']}{API}{path}", timeout=10).status_code == 421
    assert len(requests.get(f"{cluster.url}{API}/networks", timeout=10).json()) == 2, "from one that holds all"
    model = Model()
    payer = Payer(cluster.url, web3, people, list(networks.values()), model)
    neighbours = list(zip(people, people[1:] + people[:1], strict=True))
    readers = [
        Reader(cluster.url, f"127.0.1.{number}", questions(networks, *neighbours[number % PEOPLE])).start()
        for number in range(1, 7)
    ]
    watchers = [Watcher(cluster.url, f"127.0.2.{number}", people[number % PEOPLE]).start() for number in range(12)]
    correspondent = Correspondent(cluster.url, "127.0.3.1", RECEIVER).start()

    paying = payer.start()
    for watcher in watchers:
        assert watcher.is_subscribed.wait(20)
    time.sleep(2)
    killed_at = time.monotonic()
    cluster.kill("whole-1")
    time.sleep(3)
    assert cluster.pair.primary.child is not None
    os.kill(cluster.pair.primary.child.pid, signal.SIGKILL)
    lost_at, paid_before = time.monotonic(), len(model.transfers)
    time.sleep(NOTICED_SECONDS)
    cluster.pair.promote()
    until("what is sent is taken again", lambda: len(model.transfers) >= paid_before + 10)
    back_at = time.monotonic()
    cluster.kill("share")
    time.sleep(2)
    payer.stop()
    paying.join(30)
    correspondent.stop()
    assert payer.fault is None, payer.fault
    last = model.transfers[-1][0]
    until(
        "all is told", lambda: all(len(watcher.seen) == len(model.of(watcher.user, last)) for watcher in watchers)
    )
    until("everybody has come to the end", lambda: all(at_end(reader, last) for reader in readers))
    for reader in readers:
        reader.stop()
    for watcher in watchers:
        watcher.stop()

    answers = [answer for reader in readers for answer in reader.answers]
    for answer in answers:
        assert answer.status in (200, 503), answer
        if answer.status == 200:
            assert_right(answer, model)
    assert len({answer.block for answer in answers}) > 10, "they are of many blocks"
    refused = longest_spell(answers, lambda answer: answer.status == 503)
    back = goings_back(answers, lambda answer: "share" if answer.kind.endswith(" held") else "whole")
    logger.info(
        "%d answers, %d of them after the primary had died and %d of them 503, for %.2f s at most to the same "
        "question; relaying refused for %.2f s (%.2f s until ten were in blocks); %d transfers; "
        "%d messages, refused for %.2f s; "
        "streams broke %d times, for %.2f s at most; %d answers older than the one before",
        len(answers),
        sum(answer.at > lost_at for answer in answers),
        sum(answer.status == 503 for answer in answers),
        refused,
        payer.refused_seconds,
        back_at - lost_at,
        len(model.transfers),
        len(correspondent.taken),
        correspondent.refused_seconds,
        sum(watcher.breaks for watcher in watchers),
        max(watcher.away_seconds for watcher in watchers),
        len(back),
    )
    assert refused < 5
    assert payer.refused_seconds < NOTICED_SECONDS + 10
    assert 0 < correspondent.refused_seconds < NOTICED_SECONDS + 10, "without a primary no message is taken"
    assert set(correspondent.taken) <= set(missed_messages(cluster.url, RECEIVER)), "what was taken is kept"
    for watcher in watchers:
        assert sorted(watcher.seen) == sorted(model.of(watcher.user, last))
    assert any(watcher.breaks for watcher in watchers), "some were connected to the process that died"
    # Whose process died is answered by another one, which may be a moment behind.
    assert all(0 <= answer.at - killed_at < 2 or answer.kind.endswith(" held") for answer in back), back


def at_end(reader: Reader, last: int) -> bool:
    recent = {answer.kind: answer for answer in list(reader.answers)[-20:] if answer.status == 200}
    return len(recent) == len(reader.questions) and all(answer.block >= last for answer in recent.values())
