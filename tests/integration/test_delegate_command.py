"""A relay that sends by itself, as its operator starts it: served whole, and its secrets nowhere to be seen."""

import json
from pathlib import Path

import psutil
import pytest
import requests
from eth_account import Account
from web3 import Web3

from relay.devnet.anvil import Anvil, free_port
from tests.integration.test_command import run, running, until
from tests.support.delegating import PASSWORD, World, as_json, write_keystore
from tests.support.identity_world import deploy_identity_world, make_wallets


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


def configure(folder: Path, world: World, database_url: str, more: str = "") -> tuple[Path, str]:
    """Write a configuration; return its path and the relay's private key as hex."""
    account = Account.create()
    world.anvil.rpc("anvil_setBalance", account.address, hex(10**20))
    (folder / "addresses.json").write_text(
        json.dumps({"networks": [world.network.address], "identityProxyFactory": world.factory})
    )
    write_keystore(folder, account.key.hex())
    path = folder / "relay.toml"
    path.write_text(
        f'[node]\nurls = ["{world.anvil.url}"]\n[database]\nurl = "{database_url}"\n'
        f"[rest]\nport = {free_port()}\n[index]\npoll_seconds = 0.1\n[faucet]\nenable = true\n"
        '[delegate]\nenable = true\n[account]\nkeystore_path = "keystore.json"\n'
        f'keystore_password_path = "password.txt"\n[logging]\nlevel = "DEBUG"\n{more}'
    )
    return path, account.key.hex().removeprefix("0x")


def test_everything_is_served_and_no_secret_is_seen(world: World, database_url: str, tmp_path: Path) -> None:
    path, key = configure(tmp_path, world, database_url)
    log = tmp_path / "log"
    port = next(line for line in path.read_text().splitlines() if line.startswith("port")).split()[-1]
    base = f"http://127.0.0.1:{port}/api/v1"
    (wallet,) = make_wallets(world, 1)
    with running("run", "--config", path, log=log) as process:
        until("it serves", lambda: requests.get(f"{base}/networks", timeout=5).json(), log)
        gift = requests.post(f"{base}/request-ether", json={"address": wallet.address}, timeout=30).json()
        gifted = f"{base}/transactions/{gift}/status"
        until("it is in a block", lambda: requests.get(gifted, timeout=5).json()["status"] == "success", log)
        data = world.network.encode_abi("updateTrustline", [world.factory, 5, 6, 0, 0, False])
        meta = as_json(wallet.meta(world.network.address, data, nonce=1))
        envelope = requests.post(f"{base}/relay-meta-transaction", json={"metaTransaction": meta}, timeout=30)
        assert envelope.status_code == 200, envelope.text
        url = f"{base}/users/{wallet.address}/events"
        until(
            "the event", lambda: [one for one in requests.get(url, timeout=5).json() if one["status"] == "pending"]
        )
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
        listed = " ".join(" ".join(psutil.Process(one.pid).cmdline()) for one in family)
        refused = requests.post(f"{base}/relay-meta-transaction", json={"metaTransaction": meta}, timeout=30)
        assert refused.status_code == 400
    shown = log.read_text() + listed + refused.text
    assert "sending transactions from 0x" in shown
    for secret in (key, PASSWORD):
        assert secret not in shown


def test_a_password_that_does_not_fit_ends_the_start_in_one_sentence(
    world: World, database_url: str, tmp_path: Path
) -> None:
    path, key = configure(tmp_path, world, database_url)
    (tmp_path / "password.txt").write_text("wrong-horse\n")
    # It needs the schema before it needs the key.
    with running("index", "--config", path, log=tmp_path / "log"):
        until("the schema", lambda: "ready" in (tmp_path / "log").read_text(), tmp_path / "log")
    ended = run("serve", "--config", path)
    assert ended.returncode == 2
    said = ended.stderr.splitlines()[-1]
    assert said.startswith("tl-relay: [account] keystore_path")
    assert "password does not open it" in said
    assert "Traceback" not in ended.stderr
    for secret in (key, PASSWORD, "wrong-horse"):
        assert secret not in ended.stdout + ended.stderr
