"""What an operator sees of a relay: its state, its progress, and what becomes of it when the index must stop."""

import json
import os
import pty
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil, free_port
from relay.devnet.deploy import CASH, deploy_network
from tests.support.chain_actions import Life
from tests.support.commands import (
    SECONDS,
    assert_refused,
    command,
    environment,
    run,
    running,
    until,
    users_served,
)

PEOPLE = 5


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3, network: Contract) -> Life:
    life = Life(chain, web3, network, seed=5)
    for one, other in pairwise(life.people):
        life.send("updateTrustline", other, 100, 100, 0, 0, False, sender=one)
        life.send("updateTrustline", one, 100, 100, 0, 0, False, sender=other)
    return life


@pytest.fixture
def config(tmp_path: Path, chain: Anvil, network: Contract, life: Life, database_url: str) -> Path:
    (tmp_path / "addresses.json").write_text(json.dumps({"networks": [network.address]}))
    path = tmp_path / "relay.toml"
    path.write_text(
        f'[node]\nurls = ["{chain.url}"]\n[database]\nurl = "{database_url}"\n'
        f'[rest]\nport = {free_port()}\n[index]\npoll_seconds = 0.1\nfinality = "depth"\nfinality_depth = 3\n'
    )
    return path


def status(config: Path, **more: str) -> Any:
    return json.loads(run("status", "--json", "--config", config, **more).stdout)


def state(config: Path) -> str:
    return str(status(config)["state"])


def test_a_relay_that_never_ran_is_told_in_one_sentence(config: Path) -> None:
    assert_refused(run("status", "--config", config), "start `tl-relay index` once")
    assert_refused(run("networks", "list", "--config", config), "start `tl-relay index` once")
    assert_refused(run("verify", "--config", config), "start `tl-relay index` once")


def test_a_database_that_is_gone_is_told_in_one_sentence_and_status_2(config: Path) -> None:
    gone = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/relay"
    assert_refused(run("status", "--config", config, TL_RELAY_DATABASE_URL=gone), "the database is unreachable")
    told = run("status", "--json", "--config", config, TL_RELAY_DATABASE_URL=gone)
    assert told.returncode == 2
    document = json.loads(told.stdout)
    assert (document["healthy"], document["state"]) == (False, "unknown")
    assert "the database is unreachable" in document["reason"]
    assert "secret" not in told.stdout + told.stderr


def test_status_tells_what_the_index_and_the_api_do_and_when_they_are_gone(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("run", "--config", config, log=log) as process:
        until("an API process follows", lambda: users_served(config) == PEOPLE and status(config)["api"], log)
        found = until("all is well", lambda: (found := status(config))["healthy"] and found, log)
        assert found["lag"] == {"blocks": 0, "seconds": 0}
        assert found["api"][0]["block"] == found["indexed"]["number"] == found["head"]["number"]
        assert found["nodes"][0]["inUse"]
        assert found["rows"]["trustlines"] == PEOPLE - 1
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()
    told = until(
        "its end is noticed", lambda: (told := run("status", "--config", config)).returncode == 1 and told
    )
    assert f"index      not running: {found['leader']} was last heard of" in told.stdout


def test_a_node_that_is_gone_is_waited_for_and_told(
    config: Path, anvil_binary: str, network: Contract, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Anvil(anvil_binary) as node:
        web3 = Web3(Web3.HTTPProvider(node.url))
        mine = deploy_network(web3, CASH, "CurrencyNetwork").address
        (config.parent / "addresses.json").write_text(json.dumps({"networks": [mine]}))
        config.write_text(re.sub(r'urls = \[".*"\]', f'urls = ["{node.url}"]', config.read_text()))
        with running("index", "--config", config, log=log):
            until("it follows", lambda: state(config) == "following", log)
            node.stop()
            until("it waits", lambda: state(config) == "waiting", log)
            told = run("status", "--config", config)
    assert told.returncode == 1
    assert "index      waiting, since" in told.stdout
    assert told.stdout.count("cannot be reached") == 2
    assert "as the index told last" in told.stdout
    assert told.stderr == ""


def test_an_index_that_must_stop_soon_after_the_start_leaves_the_api_as_it_is(
    config: Path, chain: Anvil, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    snapshot = chain.rpc("evm_snapshot")
    chain.rpc("anvil_mine", hex(10))
    with running("run", "--config", config, log=log) as process:
        until("the users are served", lambda: users_served(config) == PEOPLE, log)
        until("it follows", lambda: state(config) == "following", log)
        chain.rpc("evm_revert", snapshot)
        chain.rpc("evm_increaseTime", 1000)
        chain.rpc("anvil_mine", hex(20))
        until("the index has stopped", lambda: "index has stopped, the rest goes on" in log.read_text(), log)
        assert process.poll() is None
        assert users_served(config) == PEOPLE
        told = run("status", "--config", config)
        assert told.returncode == 1
        assert "index      stopped, since" in told.stdout
        assert "tl-relay index --rebuild" in told.stdout
        with running("index", "--rebuild", "--config", config, log=log):
            until("it follows again", lambda: state(config) == "following", log)
            until("the users are served", lambda: users_served(config) == PEOPLE, log)
    assert process.returncode == 0


def test_a_fault_of_configuration_still_ends_all_of_it(config: Path) -> None:
    refused = run("run", "--config", config, TL_RELAY_RELAY_NETWORKS="0x1111111111111111111111111111111111111111")
    assert_refused(refused, "0x1111111111111111111111111111111111111111")


def test_on_a_terminal_the_index_shows_a_bar_and_then_one_line_per_block(
    config: Path, life: Life, chain: Anvil
) -> None:
    chain.rpc("anvil_mine", hex(300))
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        command("index", "--config", config),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env=environment(TERM="xterm", COLUMNS="120", TL_RELAY_INDEX_BATCH_BLOCKS="1"),
        start_new_session=True,
    )
    os.close(terminal)
    screen = Screen(main)
    try:
        screen.read_until("has reached the head of the chain")
        life.act(1)
        screen.read_until(f"block {int(chain.rpc('eth_blockNumber'), 16)}")
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0
        screen.read_rest()
        os.close(main)
    bar = re.search(
        r"chain [━╸╺ ]+ +\d+% block [\d,]+ of [\d,]+, [\d,]+ events, .* blocks/s, .* left", screen.text
    )
    assert bar, screen.text
    assert screen.raw.rfind("\x1b[?25h") > screen.raw.rfind("\x1b[?25l"), "the cursor is there again"


class Screen:
    """All that was written to a terminal."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.raw = ""

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def read_until(self, words: str) -> None:
        deadline = time.monotonic() + SECONDS
        os.set_blocking(self._file, False)
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            self.read_rest()
            time.sleep(0.05)

    def read_rest(self) -> None:
        try:
            while part := os.read(self._file, 65536):
                self.raw += part.decode(errors="replace")
        except OSError:
            return


def test_without_a_terminal_the_log_can_be_json(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("index", "--config", config, log=log, TL_RELAY_LOGGING_FORMAT="json"):
        until("it follows", lambda: "reached the head" in log.read_text(), log)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    (reached,) = [record for record in records if "reached the head" in record["message"]]
    assert reached["level"] == "info"
    assert reached["events"] > 0


def test_networks_say_what_becomes_of_them(config: Path, web3: Web3, tmp_path: Path) -> None:
    log, more = tmp_path / "log", deploy_network(web3, CASH, "CurrencyNetwork").address
    with running("index", "--config", config, log=log):
        until("it follows", lambda: "reached the head" in log.read_text(), log)
        added = run("networks", "add", more, more.lower(), "--config", config)
        assert added.stdout.count(more) == 1
        assert "as soon as it has been read" in added.stdout
        until("it is served", lambda: all(entry["isServed"] for entry in status(config)["networks"]), log)
        assert "served already" in run("networks", "add", more, "--config", config).stdout
        assert "no longer be served" in run("networks", "remove", more, "--config", config).stdout
        # An index that ends before it has looked would leave the network served.
        until("it is served no more", lambda: not all(e["isServed"] for e in status(config)["networks"]), log)
    again = run("networks", "add", more, "--config", config).stdout
    assert "will be served again" in again
    assert "No index is running now" in again


def test_a_mistake_among_several_networks_changes_nothing(config: Path, web3: Web3) -> None:
    network, stranger = deploy_network(web3, CASH, "CurrencyNetwork").address, "0x" + "1" * 40
    assert_refused(run("networks", "add", network, stranger, "--config", config), stranger)
    assert_refused(run("networks", "list", "--config", config), "start `tl-relay index` once")


@pytest.mark.parametrize(
    "arguments", [["networks"], ["networks", "dance"], ["networks", "list", "0x1"], ["status", "now"]]
)
def test_nonsense_is_answered_with_how_it_is_used(arguments: list[str]) -> None:
    told = run(*arguments)
    assert told.returncode == 2
    assert told.stderr.startswith("usage: tl-relay")


@pytest.mark.parametrize("arguments", [[], ["status"], ["networks"], ["networks", "add"], ["verify"], ["index"]])
def test_help_says_what_a_command_is_for(arguments: list[str]) -> None:
    told = run(*arguments, "--help")
    assert told.returncode == 0
    assert "usage: tl-relay" in told.stdout
