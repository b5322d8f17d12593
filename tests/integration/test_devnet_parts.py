"""The parts of the local world, each alone."""

import os
import signal
import time
from pathlib import Path

import psycopg2
import pytest
from web3 import Web3

from relay.devnet.anvil import Anvil, install_anvil
from relay.devnet.deploy import CASH, FAVOURS, contract_at, deploy_network, deploy_world
from relay.devnet.errors import DevnetError, Unavailable
from relay.devnet.postgres import EmbeddedPostgres


def answer_of(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return None if row is None else row[0]
    finally:
        connection.close()


def write(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def test_each_test_gets_an_empty_database_of_its_own(database_url: str) -> None:
    assert answer_of(database_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    assert str(answer_of(database_url, "SELECT current_database()")).startswith("test_")


@pytest.mark.parametrize(
    "place",
    ["plain", "with some spaces", "with, a comma and ümlauts", "deep/" + "d" * 120],
    ids=["plain", "spaces", "odd", "deep"],
)
def test_postgres_runs_wherever_the_checkout_lies(tmp_path: Path, place: str) -> None:
    with EmbeddedPostgres(tmp_path / place / "data", durable=False) as server:
        assert answer_of(server.create_database("some where"), "SELECT current_database()") == "some where"


def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data") as server:
        write(server.url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert answer_of(server.url, "SELECT n FROM kept") == 7


def test_postgres_recovers_when_it_was_killed(tmp_path: Path) -> None:
    killed = EmbeddedPostgres(tmp_path / "data").start()
    write(killed.url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    assert killed.child is not None
    os.kill(killed.child.pid, signal.SIGKILL)
    # Not buried yet: as under a container's first process that does not reap.
    with EmbeddedPostgres(tmp_path / "data") as server:
        assert answer_of(server.url, "SELECT n FROM kept") == 7
    killed.stop()


def test_postgres_opens_no_port_and_frees_its_socket(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        assert answer_of(server.url, "SHOW listen_addresses") == ""
        url = server.url
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)


def test_a_damaged_data_directory_is_said_in_one_sentence(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", durable=False):
        pass
    (tmp_path / "data" / "global" / "pg_control").unlink()
    with pytest.raises(DevnetError, match="does not start") as caught:
        EmbeddedPostgres(tmp_path / "data", durable=False).start()
    assert "\n" not in str(caught.value)


def test_the_chain_answers_with_its_id_and_mines_on_demand(anvil: Anvil) -> None:
    before = int(anvil.rpc("eth_blockNumber"), 16)
    anvil.mine()
    assert int(anvil.rpc("eth_chainId"), 16) == 1337
    assert int(anvil.rpc("eth_blockNumber"), 16) == before + 1


def test_a_chain_continues_from_its_dump_and_its_clock_is_right(tmp_path: Path, anvil_binary: str) -> None:
    dump = tmp_path / "a state.json"
    with Anvil(anvil_binary, dump=dump, timestamp=1_704_067_200) as chain:
        chain.mine(1_704_067_300)
        tip = chain.rpc("eth_getBlockByNumber", "latest", False)["hash"]
    with Anvil(anvil_binary, load=dump) as chain:
        assert chain.rpc("eth_getBlockByNumber", "0x1", False)["hash"] == tip
        chain.mine()
        assert abs(int(chain.rpc("eth_getBlockByNumber", "0x2", False)["timestamp"], 16) - time.time()) < 5


def test_a_chain_on_a_taken_port_is_refused_in_one_sentence(anvil: Anvil, anvil_binary: str) -> None:
    with pytest.raises(DevnetError, match=f"port {anvil.port} is in use"):
        Anvil(anvil_binary, port=anvil.port).start()


def test_a_damaged_state_is_refused_in_one_sentence(tmp_path: Path, anvil_binary: str) -> None:
    damaged = tmp_path / "state.json"
    damaged.write_text('{"block": ')
    with pytest.raises(DevnetError, match="anvil") as caught:
        Anvil(anvil_binary, load=damaged).start()
    assert "\n" not in str(caught.value)


def test_a_network_is_deployed_with_the_terms_asked_for(w3: Web3) -> None:
    network = deploy_network(w3, FAVOURS, "CurrencyNetwork")
    assert network.functions.symbol().call() == "FAV"
    assert network.functions.decimals().call() == 2
    assert network.functions.capacityImbalanceFeeDivisor().call() == 100
    assert network.functions.preventMediatorInterests().call() is True
    assert network.functions.isNetworkFrozen().call() is False


def test_the_exchange_of_a_world_may_move_credit_in_its_networks(w3: Web3) -> None:
    world = deploy_world(w3)
    for address in world.networks:
        assert (
            contract_at(w3, "CurrencyNetwork", address).functions.globalAuthorized(world.exchange).call() is True
        )


def test_an_ownable_network_starts_frozen(w3: Web3) -> None:
    network = deploy_network(w3, CASH, "CurrencyNetworkOwnable")
    assert network.functions.isNetworkFrozen().call() is True


def test_an_anvil_that_does_not_run_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DevnetError, match=r"ANVIL=.*no such file"):
        install_anvil(tmp_path, environ={"ANVIL": str(tmp_path / "no such file")})


def test_without_a_network_the_reason_is_said_and_nothing_half_done_stays(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    offline = {"npm_config_registry": nowhere, "PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0"}
    kept = {name: value for name, value in os.environ.items() if name != "ANVIL"}
    with pytest.raises(Unavailable, match="npm") as caught:
        install_anvil(tmp_path / "npm", environ=kept | offline)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "npm").iterdir()] == [".lock"]
