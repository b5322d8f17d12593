"""A small world in which every operation of the API has something to answer, and one request for each.

``python -m tests.support.described_world`` plays these requests and writes what they answer into the package, as
the examples of the OpenAPI document; it takes some ten seconds and needs what the tests need.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from relay.addresses import parse_address
from relay.chain.identity import MetaTransaction
from relay.devnet.anvil import Anvil, install_anvil, tools_directory
from relay.devnet.deploy import contract_at, transact
from relay.devnet.postgres import EmbeddedPostgres
from relay.exchange.rules import NOBODY
from relay.model import Order
from tests.support import trading
from tests.support.delegating import Wallet, as_json, sign_hash
from tests.support.openapi import Described, Operation
from tests.support.trading import FAR, sign
from tests.support.wallet_world import SECONDS, World, a_world, until

EXAMPLES = Path(__file__).parents[2] / "relay" / "api" / "openapi" / "examples.json"
LONGEST = 2
"""So many entries of a list are shown, unless it is a path."""

QUARTER = 90 * 86_400


@dataclass(frozen=True)
class Ask:
    """A request: the parameters of URL and query by name, and the body."""

    parameters: dict[str, Any] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Player:
    """Plays requests, knowing operations by the document that the relay gives out."""

    world: World

    @property
    def described(self) -> Described:
        return Described(requests.get(f"{self.world.url}/openapi.json", timeout=SECONDS).json())

    def play(self, operation: Operation, ask: Ask) -> requests.Response:
        """Make a request."""
        query = {name: value for name, value in ask.parameters.items() if f"{{{name}}}" not in operation.path}
        url = self.world.url + operation.path.format(**ask.parameters)
        return requests.request(operation.method, url, params=query, json=ask.body, timeout=SECONDS)

    def tell(self, path: str, body: Any) -> Any:
        """Return the answer to a POST that has to be a success."""
        answer = requests.post(self.world.url + path, json=body, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()


def live(world: World) -> dict[str, Ask]:
    """Let people trade, pay and wait in a new world, and return a request for each operation that answers JSON."""
    ada, bo, cy = people = [_person(world, name) for name in ("Ada", "Bo", "Cy")]
    cash, ether = world.network("CASH"), contract_at(world.w3, "UnwEth", world.addresses.unw_eth)
    for one, other in ((ada, bo), (bo, cy), (cy, ada)):
        for giver, taker in ((one, other), (other, one)):
            call = cash.functions.updateTrustline(taker.address, 5_000_000, 5_000_000, 500, 500, False)
            transact(world.w3, call, giver.address)
    transfer = cash.functions.transfer(250_000, 1000, [one.address for one in people], b"rent")
    paid = transact(world.w3, transfer, ada.address)
    world.pass_time(QUARTER)
    transact(world.w3, cash.functions.transfer(10_000, 0, [ada.address, bo.address], b""), ada.address)
    transact(world.w3, cash.functions.increaseDebt(bo.address, 70_000), ada.address)
    transact(world.w3, ether.functions.approve(world.addresses.exchange, trading.ETHER), ada.address)
    deposit = {"from": ada.address, "to": ether.address, "value": trading.ETHER, "gas": 200_000}
    world.settle(world.w3.eth.send_transaction(deposit).to_0x_hex())  # type: ignore[arg-type]
    order = _order(world, ada, ether.address, cash.address)
    _cancel_some(world, order)
    world.follow()
    return _reading(world, people, paid["transactionHash"].to_0x_hex()) | _orders(order) | _sending(world, bo)


def _reading(world: World, people: list[LocalAccount], paid: str) -> dict[str, Ask]:
    ada, bo, cy = (one.address for one in people)
    cash, token = {"network": world.networks["CASH"]}, {"token": world.addresses.unw_eth}
    user, exchange = {"user": ada}, {"exchange": world.addresses.exchange}
    both = cash | {"user": ada, "other": bo}
    question = {"from": ada, "to": cy, "maxHops": 4}
    return {
        "getVersion": Ask(),
        "getNetworkList": Ask(),
        "getNetworkDetails": Ask(cash),
        "getUserList": Ask(cash),
        "getUserDetails": Ask(cash | user),
        "getSpendable": Ask(cash | user),
        "getContacts": Ask(cash | user),
        "getNetworkTrustlines": Ask(cash),
        "getUserTrustlines": Ask(cash | user),
        "getTrustlineDetails": Ask(both),
        "getUserTrustlinesEverywhere": Ask(user),
        "getSpendableTo": Ask(cash | {"user": ada, "other": cy, "maxParts": 16}),
        "postTransferPath": Ask(cash, question | {"value": "250000", "alternatives": 1}),
        "postCapacityPath": Ask(cash, question),
        "postClosingPath": Ask(cash, {"from": ada, "to": bo, "maxFees": "1000"}),
        "getNetworkEvents": Ask(cash | {"type": "Transfer"}),
        "getNetworkUserEvents": Ask(cash | user | {"fromBlock": 1}),
        "getTrustlineEvents": Ask(both | {"type": "BalanceUpdate"}),
        "getUserEvents": Ask(user | {"contractType": "CurrencyNetwork"}),
        "getTransactionInfo": Ask(user),
        "getBalance": Ask(user),
        "getBlockNumber": Ask(),
        "getInterests": Ask(cash | user),
        "getTrustlineInterests": Ask(both),
        "getMediationFees": Ask(cash | {"user": bo}),
        "getTransferredSum": Ask(cash | {"user": ada, "other": cy}),
        "getTransfers": Ask({"transactionHash": paid}),
        "getDebts": Ask({"user": bo}),
        "getTokens": Ask(),
        "getTokenEvents": Ask(token),
        "getTokenUserEvents": Ask(token | user | {"type": "Deposit"}),
        "getTokenBalance": Ask(token | user),
        "getExchangeEvents": Ask(exchange),
        "getExchangeUserEvents": Ask(exchange | user),
        "getAllExchangesUserEvents": Ask(user),
        "getExchanges": Ask(),
        "getWrappedEther": Ask(),
        "getTransactionStatus": Ask({"transactionHash": paid}),
    }


def _orders(order: Order) -> dict[str, Ask]:
    told = trading.as_json(order)
    pair = {"baseTokenAddress": told["makerTokenAddress"], "quoteTokenAddress": told["takerTokenAddress"]}
    return {
        "postOrderSubmission": Ask(body=told),
        "getOrderDetails": Ask({"orderHash": trading.name(order)}),
        "getOrderBookOfPair": Ask(pair),
        "getOrders": Ask({"maker": told["maker"]}),
    }


def _sending(world: World, bo: LocalAccount) -> dict[str, Ask]:
    player, dee, eve = Player(world), _key("Dee"), _key("Eve")
    made = player.tell("/identities", _deployment(world, dee))
    wallet = Wallet(dee, parse_address(made["identity"]))
    data = world.network("HOU").encode_abi("updateTrustline", args=[bo.address, 100, 100, 1000, 1000, False])
    first, second = (wallet.meta(world.networks["HOU"], data, nonce=nonce) for nonce in (1, 2))
    without_signature = {name: value for name, value in as_json(first).items() if name != "signature"}
    fee = player.tell("/meta-transaction-fees", {"metaTransaction": without_signature})[-1]
    first, second = _priced(wallet, first, fee), _priced(wallet, second, fee)
    carried = player.tell("/relay-meta-transaction", {"metaTransaction": as_json(first)})
    world.settle(carried)
    identity = {"identity": wallet.address}
    transaction = {"to": bo.address, "value": 1, "gas": 21_000, "gasPrice": 2 * 10**9, "nonce": 0, "chainId": 1337}
    raw = _person(world, "Fay").sign_transaction(transaction).raw_transaction.to_0x_hex()
    return {
        "getFactories": Ask(),
        "postIdentityList": Ask(body=_deployment(world, eve)),
        "getIdentityDetails": Ask(identity),
        "postMetaTransactionFees": Ask(body={"metaTransaction": without_signature | {"nonce": "2"}}),
        "postRelayMetaTransaction": Ask(body={"metaTransaction": as_json(second)}),
        "getMetaTransactionStatus": Ask(identity | {"metaHash": "0x" + first.hash.hex()}),
        "getDelegationFees": Ask({"transactionHash": carried}),
        "postRequestEther": Ask(body={"address": _key("Gus").address}),
        "postMessages": Ask({"user": bo.address}, {"message": "See you at eight", "type": "Text"}),
        "postRelay": Ask(body={"rawTransaction": raw}),
    }


def _deployment(world: World, owner: LocalAccount) -> dict[str, str]:
    factory, implementation = world.addresses.identity_proxy_factory, world.addresses.identity_implementations[0]
    digest = Web3.keccak(b"\x19\x00" + parse_address(factory) + parse_address(implementation))
    signature = "0x" + sign_hash(owner, digest).hex()
    return {"factoryAddress": factory, "implementationAddress": implementation, "signature": signature}


def _priced(wallet: Wallet, meta: MetaTransaction, fee: dict[str, str]) -> MetaTransaction:
    """Return a meta-transaction that offers a fee."""
    priced = replace(
        meta,
        base_fee=int(fee["baseFee"]),
        gas_price=int(fee["gasPrice"]),
        fee_recipient=parse_address(fee["feeRecipient"]),
        currency_network_of_fees=parse_address(fee["currencyNetworkOfFees"]),
    )
    return replace(priced, signature=sign_hash(wallet.owner, priced.hash))


def _key(name: str) -> LocalAccount:
    account: LocalAccount = Account.from_key(Web3.keccak(text=name))
    return account


def _person(world: World, name: str) -> LocalAccount:
    """Return somebody with ether whose transactions the chain takes unsigned."""
    account = _key(name)
    world.give_ether(account.address, 100 * trading.ETHER)
    world.chain.rpc("anvil_impersonateAccount", account.address)
    return account


def _order(world: World, maker: LocalAccount, offered: str, wanted: str) -> Order:
    order = Order(
        exchange=parse_address(world.addresses.exchange),
        maker=parse_address(maker.address),
        taker=NOBODY,
        maker_token=parse_address(offered),
        taker_token=parse_address(wanted),
        fee_recipient=NOBODY,
        maker_amount=10**15,
        taker_amount=200_000,
        maker_fee=0,
        taker_fee=0,
        expires_at=FAR,
        salt=20_180_706,
        v=27,
        r=bytes(32),
        s=bytes(32),
    )
    return sign(order, maker)


def _cancel_some(world: World, order: Order) -> None:
    exchange = contract_at(world.w3, "Exchange", world.addresses.exchange)
    addresses, values = trading.for_contract(order)
    transact(world.w3, exchange.functions.cancelOrder(addresses, values, 50_000), addresses[0])


def record(world: World) -> dict[str, Any]:
    """Play all requests and return them with what they answered, by the name of the operation."""
    player, asks = Player(world), live(world)
    operations = {operation.id: operation for operation in player.described.operations()}
    found = {}
    for name, ask in asks.items():
        answer = player.play(operations[name], ask)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        found[name] = {
            **({"parameters": ask.parameters} if ask.parameters else {}),
            **({"body": ask.body} if ask.body is not None else {}),
            "answer": _shortened(answer.json()),
        }
    return found


def _shortened(value: Any, name: str = "") -> Any:
    """Return an answer without most of what long lists repeat."""
    if isinstance(value, dict):
        return {key: _shortened(each, key) for key, each in value.items()}
    if isinstance(value, list):
        shown = value if name in {"path", "feesPaid"} else value[:LONGEST]
        return [_shortened(each) for each in shown]
    return value


@contextmanager
def a_described_world(anvil_binary: str, database_url: str, folder: Path, more: str = "") -> Iterator[World]:
    """Start a chain and a relay that serves nearly all there is."""
    with Anvil(anvil_binary) as chain, a_world(chain, database_url, folder, more) as world:
        until("the order book is served", lambda: world.get("/exchange/exchanges"), world.log)
        yield world


def main() -> None:
    """Make the examples anew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres", durable=False).start()
        try:
            binary = str(install_anvil(tools_directory()))
            with a_described_world(binary, server.database_url("examples"), folder) as world:
                examples = record(world)
        finally:
            server.stop()
    EXAMPLES.write_bytes(orjson.dumps(examples, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
