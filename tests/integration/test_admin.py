"""What operators decide, by command and by HTTP, as a running relay and its status take it."""

import json
import logging
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account
from web3 import Web3

from relay import ground
from relay.addresses import parse_address
from relay.admin.errors import Banned, DelegatePaused, TokenFault
from relay.admin.orders import Heeder, Orders
from relay.admin.token import read_token
from relay.cli import main
from relay.devnet.anvil import CHAIN_ID, Anvil, free_port
from relay.devnet.postgres import create_database
from relay.settings import load
from relay.store.admin import AdminStore, Part
from relay.store.migrate import migrate
from relay.store.operating import OperatingPool
from tests.support.commands import SECONDS, assert_refused, run, running, until
from tests.support.delegating import Wallet, World, as_json, write_keystore
from tests.support.identity_world import deploy_identity_world, make_wallets

TOKEN = "0123456789abcdef" * 4
"""The same in every process that collects the tests."""
ADA, BO = bytes([0xA1]) * 20, bytes([0xB2]) * 20


@pytest.fixture
def store(database_url: str) -> Iterator[AdminStore]:
    migrate(database_url)
    pool = OperatingPool(database_url, 2)
    yield AdminStore(pool)
    pool.close()


def test_decisions_are_kept_and_heard_of_everywhere(store: AdminStore) -> None:
    here, there = Orders(), Orders()
    reconnected: list[str] = []
    heeders = [
        Heeder(store, here, lambda: reconnected.append("here")),
        Heeder(store, there, lambda: reconnected.append("there")),
    ]

    def look() -> None:
        for heeder in heeders:
            heeder.refresh()

    store.ask_to_reconnect()
    look()
    assert reconnected == [], "what was wanted before a process began is no news to it"
    assert store.ban(ADA, "spam", "me")
    assert not store.ban(ADA, "more spam", "somebody else")
    assert [(ban.address, ban.reason, ban.by) for ban in store.bans()] == [(ADA, "more spam", "me")]
    assert store.pause(Part.DELEGATE, "me")
    assert not store.pause(Part.DELEGATE, "me")
    store.ask_to_reconnect()
    look()
    for orders in (here, there):
        with pytest.raises(Banned):
            orders.require_welcome(ADA)
        orders.require_welcome(BO)
        with pytest.raises(DelegatePaused):
            orders.require_delegate()
        assert not orders.is_paused(Part.INDEX)
    assert reconnected == ["here", "there"]
    assert store.unban(ADA)
    assert not store.unban(ADA)
    assert store.resume(Part.DELEGATE)
    assert not store.resume(Part.DELEGATE)
    look()
    here.require_welcome(ADA)
    there.require_delegate()
    assert reconnected == ["here", "there"]


def test_what_is_removed_is_what_was_meant(store: AdminStore, database_url: str) -> None:
    pool = OperatingPool(database_url, 1)
    with pool.transaction() as cursor:
        for receiver, days in ((ADA, 0), (ADA, 10), (BO, 0), (BO, 10), (BO, 20)):
            cursor.execute(
                "INSERT INTO messages (receiver, type, body, sent_at) "
                "VALUES (%s, 'Message', 'x', now() - %s * interval '1 day')",
                (receiver, days),
            )
        for user in (ADA, BO):
            for token in ("lost", "kept"):
                cursor.execute("INSERT INTO push_tokens (user_address, token) VALUES (%s, %s)", (user, token))
                cursor.execute(
                    "INSERT INTO push_notifications (user_address, token, event, due_at, changed_at) "
                    "VALUES (%s, %s, '{}', now(), now())",
                    (user, token),
                )
    assert store.prune_messages(15 * 86_400, None) == 1
    assert store.prune_messages(5 * 86_400, ADA) == 1
    assert store.prune_messages(None, BO) == 2
    assert store.prune_messages(0, None) == 1
    assert store.revoke_token("lost") == 2
    assert store.revoke_token("lost") == 0
    with pool.transaction() as cursor:
        cursor.execute("SELECT token, count(*) FROM push_tokens GROUP BY token")
        assert cursor.fetchall() == [("kept", 2)]
        cursor.execute("SELECT DISTINCT token FROM push_notifications")
        assert cursor.fetchall() == [("kept",)]
    pool.close()


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "admin-token"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (TOKEN, 0o644, "by everybody"),
        (TOKEN, 0o602, "by everybody"),
        ("too-short", 0o600, "less than 16"),
        ("", 0o600, "less than 16"),
        ("ä" * 20, 0o600, "ASCII"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path: Path, text: str, mode: int, said: str) -> None:
    with pytest.raises(TokenFault, match=said) as fault:
        read_token(token_file(tmp_path, text, mode))
    assert str(fault.value).startswith("[admin] token_path: ")
    assert TOKEN not in str(fault.value)


def test_a_good_token_is_the_first_line(tmp_path: Path) -> None:
    path = token_file(tmp_path, f"{TOKEN}\nsomething else\n", 0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert read_token(path) == TOKEN
    with pytest.raises(TokenFault, match="cannot be read"):
        read_token(tmp_path / "nothing")


@dataclass(frozen=True)
class Relay:
    """A relay that runs, with operators."""

    config: Path
    log: Path
    base: str
    world: World
    wallet: Wallet

    def admin(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, f"{self.base}/admin{path}", headers=headers, timeout=SECONDS, **more)

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(f"{self.base}{path}", json=body, timeout=SECONDS)

    def state(self) -> tuple[str, int]:
        """What the index does, and the block it has come to."""
        found = ground.relay_status(load(self.config, {}, {}))
        assert found.index is not None
        return found.index.state.value, 0 if found.position is None else found.position.number


def configure(folder: Path, world: World, database: str, port: int, more: str = "") -> Path:
    account = Account.create()
    world.anvil.rpc("anvil_setBalance", account.address, hex(10**20))
    addresses = {"networks": [world.network.address], "identityProxyFactory": world.factory}
    (folder / "addresses.json").write_text(json.dumps(addresses))
    write_keystore(folder, account.key.hex())
    path = folder / "relay.toml"
    path.write_text(
        f'[node]\nurls = ["{world.anvil.url}"]\n[database]\nurl = "{database}"\n'
        f"[rest]\nport = {port}\nprocesses = 1\n[index]\npoll_seconds = 0.1\n"
        "[faucet]\nenable = true\n[delegate]\nenable = true\n"
        '[messaging]\nenable = true\n[account]\nkeystore_path = "keystore.json"\n'
        f'keystore_password_path = "password.txt"\n{more}'
    )
    return path


@pytest.fixture(scope="module")
def relay(
    chain: Anvil, web3: Web3, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relay]:
    folder, port = tmp_path_factory.mktemp("operated"), free_port()
    world = deploy_identity_world(chain, web3)
    (wallet,) = make_wallets(world, 1)
    token = token_file(folder)
    database = create_database(postgres_url, "operated")
    config = configure(folder, world, database, port, f'[admin]\ntoken_path = "{token.name}"\n')
    log = folder / "log"
    with running("run", "--config", config, log=log):
        base = f"http://127.0.0.1:{port}/api/v1"
        until("it serves", lambda: requests.get(f"{base}/networks", timeout=5).json(), log)
        yield Relay(config, log, base, world, wallet)
    assert TOKEN not in log.read_text()


def signed_by(account: Any, nonce: int) -> dict[str, str]:
    raw = account.sign_transaction(
        {
            "to": "0x" + "11" * 20,
            "value": 0,
            "gas": 21_000,
            "gasPrice": 10**10,
            "nonce": nonce,
            "chainId": CHAIN_ID,
        }
    )
    return {"rawTransaction": "0x" + bytes(raw.raw_transaction).hex()}


def assert_banned(answer: requests.Response) -> None:
    assert answer.status_code == 403, answer.text
    assert "is not served by this relay" in answer.json()["message"]


def test_who_is_banned_is_refused_until_the_ban_is_lifted(relay: Relay) -> None:
    account = Account.create()
    relay.world.anvil.rpc("anvil_setBalance", account.address, hex(10**18))
    assert relay.post("/relay", signed_by(account, 0)).status_code == 200
    for address in (account.address, relay.wallet.address):
        assert relay.admin("PUT", f"/bans/{address}", json={"reason": "a test"}).json() == {"hasChanged": True}
    assert {ban["address"] for ban in relay.admin("GET", "/bans").json()} == {
        account.address,
        relay.wallet.address,
    }
    assert_banned(relay.post("/relay", signed_by(account, 1)))
    data = relay.world.network.encode_abi("updateTrustline", [relay.world.factory, 5, 6, 0, 0, False])
    meta = {"metaTransaction": as_json(relay.wallet.meta(relay.world.network.address, data, nonce=1))}
    assert_banned(relay.post("/relay-meta-transaction", meta))
    assert_banned(relay.post("/request-ether", {"address": account.address}))
    message = {"message": "x", "sender": account.address, "timestamp": 1, "signature": "0x" + "00" * 65}
    assert_banned(relay.post(f"/messages/{relay.wallet.address}", message))
    assert relay.admin("DELETE", f"/bans/{relay.wallet.address}").json() == {"hasChanged": True}
    assert relay.post("/relay-meta-transaction", meta).status_code == 200
    told = run("admin", "unban", account.address, "--config", relay.config)
    assert f"{account.address} is served again" in told.stdout
    until("the process has heard of it", lambda: relay.post("/relay", signed_by(account, 1)).ok, relay.log)


def test_a_paused_delegate_takes_nothing_new_and_looks_after_what_is_on_its_way(relay: Relay) -> None:
    people = [Account.create().address for _ in range(2)]
    relay.world.anvil.rpc("evm_setAutomine", False)
    try:
        gift = relay.post("/request-ether", {"address": people[0]})
        assert gift.status_code == 200, gift.text
        assert relay.admin("PUT", "/pauses/delegate").json() == {"hasChanged": True}
        refused = relay.post("/request-ether", {"address": people[1]})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        meta = {"metaTransaction": as_json(relay.wallet.meta(relay.world.network.address, b"", nonce=9))}
        assert relay.post("/relay-meta-transaction", meta).status_code == 503
        identity = {
            "factoryAddress": relay.world.factory,
            "implementationAddress": relay.world.implementation,
            "signature": "0x" + "00" * 65,
        }
        assert relay.post("/identities", identity).status_code == 503
        assert requests.get(f"{relay.base}/identities/{relay.wallet.address}", timeout=5).status_code == 200
        assert ground.relay_status(load(relay.config, {}, {})).pauses[0].part is Part.DELEGATE
    finally:
        relay.world.anvil.rpc("evm_setAutomine", True)
        relay.world.anvil.rpc("evm_mine")
    status = f"{relay.base}/transactions/{gift.json()}/status"
    until("the gift arrives", lambda: requests.get(status, timeout=5).json()["status"] == "success", relay.log)
    assert relay.admin("DELETE", "/pauses/delegate").json() == {"hasChanged": True}
    until("gifts are given", lambda: relay.post("/request-ether", {"address": people[1]}).ok, relay.log)


def test_a_paused_index_stands_still_says_so_and_goes_on(relay: Relay) -> None:
    until("it follows", lambda: relay.state()[0] == "following", relay.log)
    assert relay.admin("PUT", "/pauses/index").json() == {"hasChanged": True}
    until("it stands still", lambda: relay.state()[0] == "paused", relay.log)
    block = relay.state()[1]
    relay.world.anvil.rpc("anvil_mine", hex(5))
    told = run("status", "--config", relay.config)
    assert told.returncode == 1
    assert "index      paused, since" in told.stdout
    assert "tl-relay admin resume index" in told.stdout
    assert "paused     index, since" in told.stdout
    assert relay.state() == ("paused", block)
    assert relay.admin("DELETE", "/pauses/index").json() == {"hasChanged": True}
    until("it has read on", lambda: relay.state() >= ("following", block + 5), relay.log)


def test_nodes_are_listed_without_credentials_and_chosen_anew(relay: Relay) -> None:
    (node,) = relay.admin("GET", "/nodes").json()
    assert node["url"] == relay.world.anvil.url
    assert node["fault"] is None
    assert node["head"] > 0
    assert relay.admin("POST", "/nodes/reconnect").status_code == 200
    heard = "choosing the node anew, as an operator wants it"
    # Both processes: the API's at once and again by its heeder, and the index's.
    until("all have heard of it", lambda: relay.log.read_text().count(heard) == 2, relay.log)


def test_a_pause_outlives_the_processes(world_config: tuple[Path, World], tmp_path: Path) -> None:
    config, _ = world_config
    log = tmp_path / "log"
    settings = load(config, {}, {})
    administration = ground.administration(settings)
    administration.pause(Part.INDEX, "a test")
    with running("index", "--config", config, log=log):

        def state() -> str:
            index = ground.relay_status(settings).index
            return "" if index is None else index.state.value

        until("it stands still from its beginning", lambda: state() == "paused", log)
        time.sleep(0.5)
        position = ground.relay_status(settings).position
        assert position is not None
        assert position.number == 0, "it knows where to begin, and has read nothing"
        administration.resume(Part.INDEX, "a test")
        until("it reads the chain", lambda: state() == "following", log)


@pytest.fixture
def world_config(chain: Anvil, web3: Web3, database_url: str, tmp_path: Path) -> tuple[Path, World]:
    world = deploy_identity_world(chain, web3)
    return configure(tmp_path, world, database_url, free_port()), world


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored_logging")
def test_the_command_does_all_of_it_without_any_process(
    world_config: tuple[Path, World], capsys: pytest.CaptureFixture[str]
) -> None:
    config, world = world_config

    def say(*words: str, status: int = 0) -> str:
        assert main(["admin", *words, "--config", str(config)]) == status
        said = capsys.readouterr()
        return said.out if status == 0 else said.err

    address = Account.create().address
    assert "Nobody is banned" in say("bans")
    assert f"{address} is not served any more" in say("ban", address.lower(), "--reason", "a test")
    assert f"{address} was banned already" in say("ban", address, "--reason", "a test")
    listed = say("bans")
    assert address in listed
    assert "a test" in listed
    assert ground.administration(load(config, {}, {})).bans()[0].address == parse_address(address)
    assert f"{address} is served again" in say("unban", address)
    assert f"{address} was not banned" in say("unban", address)
    assert "The index stands still" in say("pause", "index")
    assert "The index is paused already" in say("pause", "index")
    assert "The index goes on" in say("resume", "index")
    assert "The index was not paused" in say("resume", "index")
    assert "registered for 0 users" in say("revoke-token", "unknown")
    assert "Removed 0 messages" in say("prune-messages", "--older-than", "3", "--user", address)
    assert f"{world.anvil.url}  at block" in say("nodes")
    assert "within about a second" in say("reconnect")
    assert "which messages?" in say("prune-messages", status=2)
    assert "--older-than" in say("prune-messages", "--older-than", "-1", status=2)
    assert "ADDRESS" in say("ban", "0x12", status=2)


def test_a_token_that_everybody_can_read_keeps_the_relay_from_starting(
    world_config: tuple[Path, World], tmp_path: Path
) -> None:
    config, _ = world_config
    token = token_file(tmp_path, mode=0o644)
    config.write_text(f'{config.read_text()}[admin]\ntoken_path = "{token.name}"\n')
    refused = run("run", "--config", config)
    assert_refused(refused, "[admin] token_path", "by everybody", "chmod 600")
    assert TOKEN not in refused.stderr
