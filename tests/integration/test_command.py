"""The command ``tl-relay`` as an operator meets it: what it starts, what it says, and how it ends."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil, free_port
from relay.devnet.deploy import CASH, deploy_network
from relay.devnet.postgres import create_database, drop_database
from relay.store.connection import connect
from tests.support.chain_actions import Life
from tests.support.commands import (
    SECONDS,
    api,
    assert_refused,
    indexed_block,
    port_of,
    run,
    running,
    until,
    users_served,
)

TAKEOVER_SECONDS = 5.0
PEOPLE = 5


@pytest.fixture(scope="module")
def network(web3: Web3) -> Contract:
    return deploy_network(web3, CASH, "CurrencyNetwork")


@pytest.fixture(scope="module")
def life(chain: Anvil, web3: Web3, network: Contract) -> Life:
    life = Life(chain, web3, network, seed=5)
    life.act(40)
    for one, other in pairwise(life.people):
        life.send("updateTrustline", other, 100, 100, 0, 0, False, sender=one)
        life.send("updateTrustline", one, 100, 100, 0, 0, False, sender=other)
    return life


@pytest.fixture
def config(tmp_path: Path, chain: Anvil, network: Contract, database_url: str) -> Path:
    """Settings for the chain in a folder whose name has a space."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "addresses.json").write_text(json.dumps({"networks": [network.address]}))
    path = folder / "relay.toml"
    path.write_text(
        f'[node]\nurls = ["{chain.url}"]\n[database]\nurl = "{database_url}"\n'
        f"[rest]\nport = {free_port()}\n[index]\npoll_seconds = 0.1\n"
    )
    return path


@pytest.fixture(scope="module")
def serving(
    chain: Anvil, network: Contract, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a relay that runs for several tests."""
    folder, database, port = (
        tmp_path_factory.mktemp("serving"),
        create_database(postgres_url, "serving"),
        free_port(),
    )
    (folder / "addresses.json").write_text(json.dumps({"networks": [network.address]}))
    config = folder / "relay.toml"
    config.write_text(f'[node]\nurls = ["{chain.url}"]\n[database]\nurl = "{database}"\n[rest]\nport = {port}\n')
    with running("run", "--config", config, log=folder / "log"):
        until("it serves", lambda: api(config, "/networks"), folder / "log")
        yield port
    drop_database(postgres_url, "serving")


def test_run_serves_what_is_on_the_chain_and_ends_with_everything_it_started(
    config: Path, life: Life, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running("run", "--config", config, log=log) as process:
        until("the users are served", lambda: users_served(config) == PEOPLE, log)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not accepts_connections(port_of(config))
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /api/v1/\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    ],
)
def test_a_request_too_broken_to_be_read_is_answered_in_json(
    serving: int, request_bytes: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", serving), timeout=SECONDS) as client:
        client.sendall(request_bytes)
        answer = b""
        while part := client.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert json.loads(body)["message"]


def test_children_end_when_their_command_is_killed(config: Path, life: Life, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("run", "--config", config, log=log) as process:
        until("the users are served", lambda: users_served(config) == PEOPLE, log)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(SECONDS)
        until("no child is left", lambda: not any(map(is_alive, children)), log)


@pytest.mark.parametrize("role", ["index", "serve"])
def test_a_killed_child_is_started_again(config: Path, life: Life, tmp_path: Path, role: str) -> None:
    log = tmp_path / "log"
    with running("run", "--config", config, log=log) as process:
        until("the users are served", lambda: users_served(config) == PEOPLE, log)
        child = next(c for c in psutil.Process(process.pid).children() if role in c.cmdline())
        child.kill()
        until("the child is back", lambda: role_is_running(process.pid, role, other_than=child.pid), log)
        assert f"{role} was ended by SIGKILL; starting it again" in log.read_text()
        until("the users are served", lambda: users_served(config) == PEOPLE, log)


def test_index_and_serve_work_as_two_commands(config: Path, life: Life, tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = run("serve", "--config", config)
    assert (before.returncode, before.stdout) == (2, "")
    assert "start `tl-relay index` once" in before.stderr
    with running("index", "--config", config, log=log):
        until("the schema is there", lambda: "ready" in log.read_text(), log)
        with running("serve", "--config", config, log=log):
            until("the users are served", lambda: users_served(config) == PEOPLE, log)
            seen = api(config, "/blocknumber")
            life.act(3)
            until("the new block is served", lambda: indexed_block(config) > seen, log)


def test_a_second_index_stands_by_and_takes_over(config: Path, life: Life, tmp_path: Path) -> None:
    first_log, second_log = tmp_path / "first", tmp_path / "second"
    with (
        running("index", "--config", config, log=first_log) as first,
        running("index", "--config", config, log=second_log) as second,
    ):
        processes = {first_log: first, second_log: second}
        until("one stands by", lambda: any("standing by" in log.read_text() for log in processes))
        until("one is ready", lambda: any("ready" in log.read_text() for log in processes))
        (standby,) = [log for log in processes if "standing by" in log.read_text()]
        (writer,) = [process for log, process in processes.items() if log != standby]
        writer.kill()
        writer.wait()
        began = time.monotonic()
        until("the standby takes over", lambda: "taking over" in standby.read_text(), standby)
        assert time.monotonic() - began < TAKEOVER_SECONDS


def test_an_index_that_stands_still_is_replaced_and_stands_by_when_it_goes_on(
    config: Path, life: Life, tmp_path: Path
) -> None:
    frozen_log, log = tmp_path / "frozen", tmp_path / "log"
    with running("index", "--config", config, log=frozen_log) as frozen:
        until("it follows", lambda: "reached the head" in frozen_log.read_text(), frozen_log)
        with running("index", "--config", config, log=log):
            until("the other stands by", lambda: "standing by" in log.read_text(), log)
            frozen.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            until("the other takes over", lambda: "taking over" in log.read_text(), log)
            assert time.monotonic() - began < TAKEOVER_SECONDS
            frozen.send_signal(signal.SIGCONT)
            until("the first stands by", lambda: "standing by" in frozen_log.read_text(), frozen_log)


def test_networks_are_added_and_removed_while_the_relay_runs(
    config: Path, life: Life, web3: Web3, tmp_path: Path
) -> None:
    log, addresses = tmp_path / "log", config.parent / "addresses.json"
    first = json.loads(addresses.read_text())["networks"]
    by_file, by_command = (deploy_network(web3, CASH, "CurrencyNetwork").address for _ in range(2))

    def serves(*wanted: str) -> bool:
        return {entry["address"] for entry in api(config, "/networks") or []} == set(wanted)

    with running("run", "--config", config, log=log):
        until("the first is served", lambda: serves(*first), log)
        addresses.write_text(json.dumps({"networks": [*first, by_file]}))
        until("the file's is served", lambda: serves(*first, by_file), log)
        said = run("networks", "add", by_command, "--config", config)
        assert (said.returncode, by_command in said.stdout) == (0, True), said.stderr
        until("the added one is served", lambda: serves(*first, by_file, by_command), log)
        addresses.write_text('{"networks": [')
        until("the mistake is told", lambda: "is not JSON" in log.read_text(), log)
        assert serves(*first, by_file, by_command)
        assert run("networks", "remove", by_file, "--config", config).returncode == 0
        until("the removed one is gone", lambda: serves(*first, by_command), log)
        listed = run("networks", "list", "--config", config).stdout.splitlines()
        assert [line.split()[-1] for line in listed] == ["served"] * 3
        assert all("CASH" in line for line in listed)
        assert any(by_file in line and "not served" in line for line in listed)
        told = run("status", "--config", config)
        assert told.returncode == 0, told.stderr
        assert "index      following the chain, since" in told.stdout
        assert ", the head\n" in told.stdout
        assert "networks   2 served, 1 removed" in told.stdout
        assert " serves block " in told.stdout
    until("the end is noticed", lambda: run("status", "--config", config).returncode == 1)


def test_an_address_that_is_no_network_is_not_added(config: Path, life: Life) -> None:
    stranger = "0x1111111111111111111111111111111111111111"
    assert_refused(run("networks", "add", stranger, "--config", config), stranger)
    assert_refused(run("networks", "add", "0x12", "--config", config), "ADDRESS", "0x12")
    assert_refused(run("networks", "remove", "--config", config), "which network?")


def test_verification_tells_differences_and_has_the_running_index_repair_them(
    config: Path, life: Life, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running("index", "--config", config, log=log):
        until("the head is reached", lambda: "reached the head" in log.read_text(), log)
        sound = run("verify", "--config", config)
        assert sound.returncode == 0, sound.stderr
        assert "no difference" in sound.stdout
        spoil(database_url)
        spoilt = run("verify", "--config", config)
        assert spoilt.returncode == 1
        assert "the database has" in spoilt.stdout
        repaired = run("verify", "--repair", "--config", config)
        assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    spoil(database_url)
    assert run("verify", "--repair", "--config", config).returncode == 0
    assert run("verify", "--config", config).returncode == 0


def spoil(url: str) -> None:
    connection = connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE trustlines SET balance = balance + 1, mtime = mtime + 1 WHERE given > 0")
    connection.close()


def test_past_finality_the_index_stops_and_says_so_while_the_api_goes_on(
    config: Path, chain: Anvil, life: Life, tmp_path: Path
) -> None:
    log, serve_log = tmp_path / "log", tmp_path / "serve"
    config.write_text(config.read_text() + 'finality = "depth"\nfinality_depth = 3\n')
    snapshot = chain.rpc("evm_snapshot")
    chain.rpc("anvil_mine", hex(10))
    with running("index", "--config", config, log=log) as index:
        until("the head is reached", lambda: "reached the head" in log.read_text(), log)
        with running("serve", "--config", config, log=serve_log):
            until("the users are served", lambda: users_served(config) == PEOPLE, serve_log)
            chain.rpc("evm_revert", snapshot)
            chain.rpc("evm_increaseTime", 1000)
            chain.rpc("anvil_mine", hex(20))
            assert index.wait(SECONDS) == 2
            assert "tl-relay index --rebuild" in log.read_text()
            told = run("status", "--config", config)
            assert told.returncode == 1
            assert "index      stopped, since" in told.stdout
            assert "tl-relay index --rebuild" in told.stdout
            assert users_served(config) == PEOPLE
            with running("index", "--rebuild", "--config", config, log=log):
                until("it follows again", lambda: run("status", "--config", config).returncode == 0, log)
                until("the users are served", lambda: users_served(config) == PEOPLE, serve_log)


def test_the_predecessors_config_serves_a_chain_of_somebody_else(
    chain: Anvil, network: Contract, life: Life, tmp_path: Path, postgres_url: str
) -> None:
    port, database = free_port(), create_database(postgres_url, "predecessor")
    (tmp_path / "addresses.json").write_text(json.dumps({"networks": [network.address], "unwEth": None}))
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [relay]
        addresses_filepath = "addresses.json"
        [relay.gas_price_computation]
        method = "rpc"
        gas_price = 0
        [trustline_index]
        enable = true
        full_sync_interval = 300.0
        [tx_relay]
        enable = true
        [node_rpc]
        type = "http"
        host = "127.0.0.1"
        port = {chain.port}
        use_ssl = false
        [faucet]
        enable = false
        [rest]
        port = {port}
        host = "127.0.0.1"
        [messaging]
        enable = true
        [delegate]
        enable = true
        [[delegate.fees]]
        base_fee = 0
        gas_price = 0
        [exchange]
        enable = true
        """
    )
    log = tmp_path / "log"
    # The predecessor has its database in libpq's own variables.
    parameters = connect(database).get_dsn_parameters()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    variables = {names[key]: value for key, value in parameters.items() if key in names}
    with running("run", "--config", path, log=log, **variables):
        served = until("networks", lambda: api(path, "/networks"), log)
        assert [entry["address"] for entry in served] == [network.address]
        until("users", lambda: users_served(path) == PEOPLE, log)
    said = log.read_text()
    assert "[delegate] is configured, but not served" in said
    drop_database(postgres_url, "predecessor")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("port = ", "prot = "), ["[rest] prot", "unknown key"]),
        (("poll_seconds = 0.1", 'poll_seconds = "soon"'), ["[index] poll_seconds", '"soon"']),
        (("[rest]", "[rset]"), ["[rset]", "unknown section"]),
        (("[node]", "[node"), ["relay.toml", "not TOML"]),
        (("http://127.0.0.1", "http://127.0.0.9"), ["127.0.0.9", "cannot be reached"]),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence_and_status_2(
    config: Path, life: Life, change: tuple[str, str], expected: list[str]
) -> None:
    config.write_text(config.read_text().replace(*change))
    for name in ("run", "index"):
        assert_refused(run(name, "--config", config), *expected)


def test_a_missing_file_is_named(config: Path, tmp_path: Path) -> None:
    assert_refused(run("run", "--config", tmp_path / "none.toml"), "none.toml", "does not exist")
    missing = tmp_path / "nowhere.json"
    assert_refused(run("run", "--config", config, "--addresses", missing), "nowhere.json", "does not exist")


def test_an_address_without_a_network_is_named(config: Path, tmp_path: Path) -> None:
    stranger = "0x1111111111111111111111111111111111111111"
    addresses = tmp_path / "strangers.json"
    addresses.write_text(json.dumps({"networks": [stranger]}))
    for name in ("index", "run"):
        assert_refused(run(name, "--config", config, "--addresses", addresses), stranger)


def test_an_unreachable_database_is_named_without_its_password(config: Path) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/relay"
    for name in ("run", "index", "serve"):
        refused = run(name, "--config", config, TL_RELAY_DATABASE_URL=url)
        assert_refused(refused, "database", "127.0.0.1")
        assert "secret" not in refused.stderr


def test_a_port_in_use_is_named(config: Path, life: Life) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(run("run", "--config", config, "--port", port), str(port), "in use")


def test_a_wrong_option_is_refused_by_name(config: Path) -> None:
    assert_refused(run("run", "--config", config, "--port", "many"), "--port")
    assert run("run", "--confg", config).returncode == 2
    assert run("dance").returncode == 2


def test_a_database_ahead_of_a_reset_chain_says_so_and_is_rebuilt_on_request(
    config: Path, life: Life, anvil_binary: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running("index", "--config", config, log=log):
        until("the head is reached", lambda: "reached the head" in log.read_text(), log)
    with Anvil(anvil_binary, timestamp=1_600_000_000) as reset:
        web3 = Web3(Web3.HTTPProvider(reset.url))
        network = deploy_network(web3, CASH, "CurrencyNetwork")
        one, other = (life := Life(reset, web3, network, seed=1)).people[:2]
        life.send("updateTrustline", other, 100, 100, 0, 0, False, sender=one)
        life.send("updateTrustline", one, 100, 100, 0, 0, False, sender=other)
        (config.parent / "addresses.json").write_text(json.dumps({"networks": [network.address]}))
        variables = {"TL_RELAY_NODE_URLS": reset.url}
        for name in ("index", "run"):
            assert_refused(run(name, "--config", config, **variables), "another chain", "--rebuild")
        with running("run", "--config", config, "--rebuild", log=log, **variables):
            until("the users are served", lambda: users_served(config) == 2, log)


def test_version_and_help_are_told() -> None:
    assert run("--version").stdout.startswith("tl-relay ")
    told = run("--help").stdout
    assert all(name in told for name in ("demo", "run", "index", "serve"))


def role_is_running(parent: int, role: str, other_than: int) -> bool:
    children = psutil.Process(parent).children()
    return any(role in child.cmdline() and child.pid != other_than for child in children if is_alive(child))


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def accepts_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
