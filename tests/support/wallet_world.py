"""A chain with the contracts a wallet meets, and a relay run by ``tl-relay run``, all switched on."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import requests
from eth_account import Account
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import CHAIN_ID, Anvil, free_port
from relay.devnet.deploy import NETWORKS, Addresses, NetworkTerms, contract_at, deploy_network, deploy_world
from tests.support.wallet_program import Kept, Stream, WalletProgram

SECONDS = 30
ETHER = 10**18
ROOT = Path(__file__).parents[2]

GIFTS = NetworkTerms("Gifts", "GIFT", decimals=2, custom_interests=True)
"""A network of the second generation: accepting a trustline can move an amount along it."""

DEBT_FEE = {"base_fee": 3, "gas_price": 1000}
"""What a meta-transaction may cost in Work Hours instead of nothing; gas_price per million gas."""


@dataclass(frozen=True)
class World:
    """The chain, its contracts and the relay; ``networks`` by symbol."""

    chain: Anvil
    w3: Web3
    addresses: Addresses
    networks: dict[str, ChecksumAddress]
    delegate: ChecksumAddress
    port: int
    log: Path

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def config(self, kind: str, **more: Any) -> dict[str, Any]:
        """Return the client's configuration for a kind of wallet: ethers or identity."""
        url = {"protocol": "http", "host": "127.0.0.1", "port": self.port, "path": "api/v1", "wsProtocol": "ws"}
        return {
            "relayUrl": url,
            "messagingUrl": url,
            "chainId": CHAIN_ID,
            "walletType": kind,
            "identityFactoryAddress": self.addresses.identity_proxy_factory,
            "identityImplementationAddress": self.addresses.identity_implementations[0],
            **more,
        }

    def get(self, path: str) -> Any:
        """Ask the relay beside the client."""
        answer = requests.get(self.url + path, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def settle(self, transaction_hash: str) -> dict[str, Any]:
        """Wait until a transaction is mined and the relay knows its block; return the receipt."""
        receipt = self.w3.eth.wait_for_transaction_receipt(
            bytes.fromhex(transaction_hash[2:]),  # type: ignore[arg-type]
            timeout=SECONDS,
            poll_latency=0.02,
        )
        self.follow(int(receipt["blockNumber"]))
        return dict(receipt)

    def revert_reason(self, transaction_hash: str) -> str:
        """Return why a transaction reverted, as its contract said."""
        trace = self.chain.rpc("debug_traceTransaction", transaction_hash, {"tracer": "callTracer"})
        return str(trace.get("revertReason", trace.get("error")))

    def follow(self, block: int | None = None) -> None:
        """Wait until the relay knows a block, by default the newest."""
        aim = self.w3.eth.block_number if block is None else block
        until(f"the relay stands at block {aim}", lambda: self._served_block() >= aim, self.log)

    def network(self, symbol: str) -> Contract:
        """Return a currency network's contract."""
        return contract_at(self.w3, "CurrencyNetworkV2", self.networks[symbol])

    def give_ether(self, address: str, wei: int = ETHER) -> None:
        """Set the ether that an address has."""
        self.chain.rpc("anvil_setBalance", address, hex(wei))

    def pass_time(self, seconds: int) -> None:
        """Let time pass on the chain."""
        self.chain.rpc("evm_increaseTime", seconds)
        self.chain.mine()
        self.follow()

    def now(self) -> int:
        """The newest block's timestamp."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def _served_block(self) -> int:
        answer = requests.get(f"{self.url}/blocknumber", timeout=SECONDS)
        return int(answer.headers.get("X-Trustlines-Block", answer.json())) if answer.ok else -1


class Person:
    """A user with a loaded wallet."""

    def __init__(self, program: WalletProgram, world: World, kind: str, **config: Any) -> None:
        self.program, self.world, self.kind = program, world, kind
        self.name = f"{kind} {secrets.token_hex(4)}"
        program.command("open", wallet=self.name, config=world.config(kind, **config))
        self.wallet = self.call("user.create")
        self.load(self.wallet)

    def load(self, wallet: dict[str, Any]) -> None:
        """Load a wallet."""
        self.call("user.loadFrom", wallet)
        self.wallet = wallet
        self.address: str = wallet["address"]

    def settle_in(self) -> None:
        """Become able to act: with ether for gas, or with an identity whose gas the relay pays."""
        if self.kind == "ethers":
            self.world.give_ether(self.address)
        else:
            self.call("user.deployIdentity")
            self.world.follow()

    def call(self, path: str, *arguments: Any) -> Any:
        """Call a method of the client."""
        return self.program.command("call", wallet=self.name, path=path, args=arguments)

    def prepare(self, path: str, *arguments: Any) -> Kept:
        """Call a method of the client and leave its result there."""
        key = secrets.token_hex(8)
        value = self.program.command("call", wallet=self.name, path=path, args=arguments, keep=key)
        return Kept(value, key)

    def confirm(self, prepared: Kept) -> str:
        """Sign and send what was prepared; return the hash of the transaction."""
        answer = self.call("transaction.confirm", prepared["rawTx"])
        assert isinstance(answer, str)
        return answer

    def do(self, path: str, *arguments: Any) -> dict[str, Any]:
        """Prepare and send a transaction, wait until the relay knows its block and return the receipt."""
        transaction = self.confirm(self.prepare(path, *arguments))
        receipt = self.world.settle(transaction)
        assert receipt["status"] == 1, f"{path} reverted: {self.world.revert_reason(transaction)}"
        return receipt

    def subscribe(self, path: str) -> Stream:
        """Subscribe to a stream and wait until it is open."""
        stream = self.program.subscribe(self.name, path)
        stream.next("WebsocketOpen")
        return stream


def befriend(one: Person, other: Person, symbol: str, given: float, received: float, **options: Any) -> None:
    """Open a trustline: ``one`` asks, ``other`` accepts; amounts in the biggest unit, as one sees them."""
    network = one.world.networks[symbol]
    one.do("trustline.prepareUpdate", network, other.address, given, received, options)
    mirrored = dict(options)
    if "interestRateGiven" in options:
        mirrored["interestRateGiven"] = options["interestRateReceived"]
        mirrored["interestRateReceived"] = options["interestRateGiven"]
    other.do("trustline.prepareAccept", network, one.address, received, given, mirrored)


def pay(one: Person, other: Person, symbol: str, value: float, **options: Any) -> dict[str, Any]:
    """Make a payment in the network's biggest unit and return the receipt."""
    return one.do("payment.prepare", one.world.networks[symbol], other.address, value, options)


def amount(raw: int, decimals: int) -> dict[str, Any]:
    """An amount as the client shows it."""
    sign, digits = "-" if raw < 0 else "", str(abs(raw)).rjust(decimals + 1, "0")
    whole, part = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    part = part.rstrip("0")
    return {"raw": str(raw), "value": f"{sign}{whole}{'.' if part else ''}{part}", "decimals": decimals}


def until(what: str, holds: Callable[[], Any], log: Path) -> None:
    """Wait until something holds; AssertionError with the relay's log after 30 seconds."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if holds():
                return
        time.sleep(0.02)
    raise AssertionError(f"not within {SECONDS} s: {what}\n{log.read_text()[-4000:]}")


@contextmanager
def a_world(chain: Anvil, database_url: str, folder: Path, more: str = "") -> Iterator[World]:
    """Deploy the contracts, start a relay for them, with more settings, and end it."""
    w3 = Web3(Web3.HTTPProvider(chain.url))
    addresses = deploy_world(w3)
    gifts = deploy_network(w3, GIFTS, "CurrencyNetworkV2").address
    addresses = replace(addresses, networks=(*addresses.networks, gifts))
    symbols = [terms.symbol for terms in (*NETWORKS, GIFTS)]
    networks = dict(zip(symbols, addresses.networks, strict=True))
    account = Account.create()
    chain.rpc("anvil_setBalance", account.address, hex(1000 * ETHER))
    world = World(chain, w3, addresses, networks, account.address, free_port(), folder / "relay.log")
    (folder / "addresses.json").write_text(json.dumps(addresses.as_json()))
    password = secrets.token_hex(8)
    keystore = Account.encrypt(account.key, password, kdf="pbkdf2", iterations=1000)
    (folder / "keystore.json").write_text(json.dumps(keystore))
    (folder / "password.txt").write_text(f"{password}\n")
    (folder / "relay.toml").write_text(_settings(world, database_url) + (more or _WITHOUT_PUSH))
    with _running(folder / "relay.toml", world.log):
        until("all networks are served", lambda: world.get("/networks")[len(networks) - 1 :], world.log)
        world.follow()
        yield world


_WITHOUT_PUSH = """
        [push_notification]
        enable = false
        """


def _settings(world: World, database_url: str) -> str:
    return f"""
        [node]
        urls = ["{world.chain.url}"]
        [database]
        url = "{database_url}"
        [rest]
        port = {world.port}
        [index]
        poll_seconds = 0.05
        [account]
        keystore_path = "keystore.json"
        keystore_password_path = "password.txt"
        [faucet]
        enable = true
        [messaging]
        enable = true
        [exchange]
        enable = true
        [delegate]
        enable = true
        [[delegate.fees]]
        base_fee = 0
        gas_price = 0
        [[delegate.fees]]
        base_fee = {DEBT_FEE["base_fee"]}
        gas_price = {DEBT_FEE["gas_price"]}
        currency_network = "{world.networks["HOU"]}"
        """


@contextmanager
def _running(config: Path, log: Path) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TL_RELAY_", "PG"))}
    kept.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "relay.cli", "run", "--config", str(config)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, env=kept, start_new_session=True
        )
    try:
        yield
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            for member in (*family, psutil.Process(process.pid)):
                member.kill()
            raise
