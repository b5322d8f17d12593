"""A relay that sends by itself, over a real chain and a real database, and wallets with identities."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from flask import Flask
from flask.testing import FlaskClient
from web3 import Web3
from web3.contract import Contract

from relay import app
from relay.addresses import Address, parse_address, to_checksum
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.identity import MetaTransaction
from relay.chain.network import read_network
from relay.chain.node import Node
from relay.contracts import ContractKind
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.index.indexer import Indexer, Options
from relay.outgoing import Outgoing, OutgoingNode, build_outgoing
from relay.settings import build
from relay.store.connection import Pool
from relay.store.contract_reading import ContractReader
from relay.store.history_reading import HistoryReader
from relay.store.migrate import migrate
from relay.store.pages import EventPages
from relay.store.reading import FeedListener, StateReader
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks

PASSWORD = "open-sesame-7531"
SETTLED_SECONDS = 0.5


def write_keystore(folder: Path, key: str, password: str = PASSWORD) -> dict[str, str]:
    """Write an encrypted keystore and its password; return the section [account]."""
    keystore, secret = folder / "keystore.json", folder / "password.txt"
    # The strength of the encryption is not what is tested.
    keystore.write_text(json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2)))
    secret.write_text(password + "\n")
    return account_section(folder)


def account_section(folder: Path) -> dict[str, str]:
    """Return the section [account] for what `write_keystore` wrote."""
    return {
        "keystore_path": str(folder / "keystore.json"),
        "keystore_password_path": str(folder / "password.txt"),
    }


@dataclass(frozen=True)
class World:
    """A chain with an identity factory, its implementation and a currency network."""

    anvil: Anvil
    w3: Web3
    factory: str
    implementation: str
    network: Contract


@dataclass
class Delegating:
    """A relay's sending parts and its API; ``tend`` does what its keeper would once."""

    world: World
    outgoing: Outgoing
    app: Flask
    account: LocalAccount
    node: Node
    index: Callable[[], None]
    """Indexes what is new on the chain."""

    def update(self) -> None:
        settle(self.world.anvil)
        self.index()

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def tend(self) -> bool:
        settle(self.world.anvil)
        moved = [keeper.tend() for keeper in self.outgoing.keepers]
        return any(moved)

    def balance(self, address: str) -> int:
        """Return what somebody has, gifts on their way included where blocks are made at once."""
        settle(self.world.anvil)
        return self.world.w3.eth.get_balance(Web3.to_checksum_address(address))

    def ask(self, path: str) -> Any:
        settle(self.world.anvil)
        answer = self.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        answer = self.client.post(f"/api/v1/{path}", json=body)
        return answer.status_code, answer.json

    def tell(self, path: str, **body: Any) -> Any:
        status, answer = self.post(path, body)
        assert status == 200, answer
        return answer


def settle(anvil: Anvil) -> None:
    """Let a chain that mines at once do so: it takes a transaction a moment before it makes the block."""

    def waits() -> bool:
        return anvil.rpc("anvil_getAutomine") and anvil.rpc("txpool_status")["pending"] != "0x0"

    deadline = time.monotonic() + SETTLED_SECONDS
    while waits() and time.monotonic() < deadline:
        time.sleep(0.002)


@dataclass(frozen=True)
class Wallet:
    """An identity and its owner."""

    owner: LocalAccount
    identity: Address

    @property
    def address(self) -> str:
        return to_checksum(self.identity)

    def meta(self, to: str, data: str | bytes = b"", **changed: Any) -> MetaTransaction:
        """Return a signed meta-transaction, of a random nonce unless another is given."""
        raw = bytes.fromhex(data[2:]) if isinstance(data, str) else data
        fields: dict[str, Any] = {
            "identity": self.identity,
            "chain_id": CHAIN_ID,
            "version": 1,
            "to": parse_address(to),
            "value": 0,
            "data": raw,
            "base_fee": 0,
            "gas_price": 0,
            "gas_limit": 0,
            "fee_recipient": bytes(20),
            "currency_network_of_fees": bytes(20),
            "nonce": 2**255 + secrets.randbits(200),
            "time_limit": 0,
            "operation_type": 0,
            **changed,
        }
        meta = MetaTransaction(**fields)
        return replace(meta, signature=sign_hash(self.owner, meta.hash))


def sign_hash(owner: LocalAccount, message_hash: bytes) -> bytes:
    return bytes(owner.unsafe_sign_hash(message_hash).signature)


def as_json(meta: MetaTransaction) -> dict[str, Any]:
    """Return a meta-transaction as the wallets' library writes it."""
    return {
        "from": to_checksum(meta.identity),
        "chainId": meta.chain_id,
        "version": meta.version,
        "to": to_checksum(meta.to),
        "value": str(meta.value),
        "data": "0x" + meta.data.hex(),
        "baseFee": str(meta.base_fee),
        "gasPrice": str(meta.gas_price),
        "gasLimit": str(meta.gas_limit),
        "feeRecipient": to_checksum(meta.fee_recipient),
        "currencyNetworkOfFees": to_checksum(meta.currency_network_of_fees),
        "nonce": str(meta.nonce),
        "timeLimit": str(meta.time_limit),
        "operationType": meta.operation_type,
        "signature": "0x" + meta.signature.hex(),
    }


def new_wallet(relay: Delegating) -> Wallet:
    """Have an identity deployed for a new owner."""
    owner: LocalAccount = Account.create()
    factory, implementation = relay.world.factory, relay.world.implementation
    digest = Web3.keccak(b"\x19\x00" + parse_address(factory) + parse_address(implementation))
    signature = "0x" + sign_hash(owner, digest).hex()
    made = relay.tell(
        "identities", factoryAddress=factory, implementationAddress=implementation, signature=signature
    )
    return Wallet(owner, parse_address(made["identity"]))


def relay_meta(relay: Delegating, meta: MetaTransaction) -> tuple[int, Any]:
    return relay.post("relay-meta-transaction", {"metaTransaction": as_json(meta)})


@contextmanager
def delegating(
    world: World,
    database_url: str,
    folder: Path,
    *,
    start: bool = True,
    key: str | None = None,
    clock: Callable[[], int] = app.now,
    through: Callable[[Node], OutgoingNode] = lambda node: node,
    **sections: Any,
) -> Iterator[Delegating]:
    """Serve with a new, rich account; ``sections`` are those of the settings, beside what is needed anyway.

    ``through`` may stand between the node and what sends.
    """
    migrate(database_url)
    account: LocalAccount = Account.create() if key is None else Account.from_key(key)
    world.anvil.rpc("anvil_setBalance", account.address, hex(10**21))
    addresses = folder / "addresses.json"
    addresses.write_text(
        json.dumps(
            {
                "networks": [world.network.address],
                "identityProxyFactory": world.factory,
                "identityImplementations": [world.implementation],
            }
        )
    )
    document = {
        "relay": {"addresses_filepath": str(addresses)},
        "node": {"urls": [world.anvil.url]},
        "database": {"url": database_url, "pool_size": 16, "wait_seconds": 30.0},
        "account": write_keystore(folder, account.key.hex()),
        "delegate": {"enable": True},
        **sections,
    }
    settings = build(document, None)
    node = Node(world.anvil.url, timeout=60)
    writer = Writer(database_url, silence_seconds=60)
    assert writer.try_lock()
    indexer = Indexer(
        node,
        writer,
        [parse_address(world.network.address)],
        lambda address, first: read_network(node, address, first),
        Options(),
        contracts={None: ContractKind.IDENTITY},
    )
    indexer.prepare()
    pool, networks = Pool(database_url, 16, 30), Networks()
    follower = Follower(StateReader(pool), networks, lambda: FeedListener(database_url))

    def index() -> None:
        while indexer.step():
            pass
        follower.catch_up()

    index()
    outgoing = build_outgoing(settings, through(node), CHAIN_ID, app.load_account(settings, CHAIN_ID), pool, clock)
    services = Services(
        networks=networks,
        events=EventPages(pool, lists_expected=outgoing.lists_expected),
        node=node,
        relaying=outgoing.relaying,
        estimate_gas=estimate_gas,
        gas_price=node.gas_price,
        clock=clock,
        search_until=lambda: 0.0,
        version="1.2.3",
        histories=HistoryReader(pool),
        meta_transactions=outgoing.meta_transactions,
        identities=outgoing.identities,
        faucet=outgoing.faucet,
        deploys_identities=settings.delegate.enable_deploy_identity,
        statuses=outgoing.statuses,
        contracts=ContractReader(pool),
    )
    if start:
        outgoing.start()
    try:
        yield Delegating(world, outgoing, create_app(services, max_body_bytes=2**17), account, node, index)
    finally:
        outgoing.stop()
        pool.close()
        writer.close()
