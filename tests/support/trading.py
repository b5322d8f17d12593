"""A relay that takes orders, over a real chain and a real database; traders; fills and cancels written as rows."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from flask import Flask
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address, parse_address, to_checksum
from relay.api.app import create_app
from relay.api.gas import estimate_gas
from relay.api.services import Services
from relay.chain.network import read_network
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import BEER, CASH, deploy_contract, deploy_network, transact
from relay.exchange.checks import Contracts
from relay.exchange.rules import NOBODY, order_hash
from relay.exchange.upkeep import Upkeep
from relay.index.indexer import Indexer, Options
from relay.model import Order
from relay.settings import build
from relay.store.connection import Pool, connect
from relay.store.history_reading import HistoryReader
from relay.store.migrate import migrate
from relay.store.pages import EventPages
from relay.store.reading import FeedListener, StateReader
from relay.store.writing import Writer
from relay.sync.follower import Follower
from relay.sync.networks import Networks
from relay.trading import build_trading

ETHER = 10**18
FAR = 2_524_604_400
"""When the orders of the published client expire."""


def sign(order: Order, key: LocalAccount) -> Order:
    """Return an order with the signature that a wallet puts on it."""
    signed = key.sign_message(encode_defunct(order_hash(order)))
    return replace(order, v=signed.v, r=signed.r.to_bytes(32, "big"), s=signed.s.to_bytes(32, "big"))


def as_json(order: Order) -> dict[str, Any]:
    """Return an order as the published client sends it."""
    return {
        "exchangeContractAddress": to_checksum(order.exchange),
        "maker": to_checksum(order.maker),
        "taker": to_checksum(order.taker),
        "makerTokenAddress": to_checksum(order.maker_token),
        "takerTokenAddress": to_checksum(order.taker_token),
        "feeRecipient": to_checksum(order.fee_recipient),
        "makerTokenAmount": str(order.maker_amount),
        "takerTokenAmount": str(order.taker_amount),
        "makerFee": str(order.maker_fee),
        "takerFee": str(order.taker_fee),
        "expirationUnixTimestampSec": str(order.expires_at),
        "salt": str(order.salt),
        "ecSignature": {"v": order.v, "r": "0x" + order.r.hex(), "s": "0x" + order.s.hex()},
    }


def for_contract(order: Order) -> tuple[list[str], list[int]]:
    """Return the addresses and values of an order as the contract takes them."""
    addresses = (order.maker, order.taker, order.maker_token, order.taker_token, order.fee_recipient)
    values = [
        order.maker_amount,
        order.taker_amount,
        order.maker_fee,
        order.taker_fee,
        order.expires_at,
        order.salt,
    ]
    return [to_checksum(address) for address in addresses], values


@dataclass(frozen=True)
class Market:
    """The contracts: an exchange, two currency networks, a token, wrapped ether."""

    anvil: Anvil
    w3: Web3
    exchange: Contract
    beer: Contract
    cash: Contract
    token: Contract
    unw_eth: Contract

    @property
    def contracts(self) -> Contracts:
        """What the relay is told of."""
        exchange, ether, token = (address_of(one) for one in (self.exchange, self.unw_eth, self.token))
        return Contracts((exchange,), (ether,), (token,))

    def trader(self) -> LocalAccount:
        """Return somebody new with ether."""
        account: LocalAccount = Account.create()
        self.anvil.rpc("anvil_setBalance", account.address, hex(100 * ETHER))
        self.anvil.rpc("anvil_impersonateAccount", account.address)
        return account

    def order(self, maker: LocalAccount, offered: Contract, wanted: Contract, **changed: Any) -> Order:
        """Return a signed order of 100 of one token for 200 of the other."""
        fields: dict[str, Any] = {
            "exchange": address_of(self.exchange),
            "maker": parse_address(maker.address),
            "taker": NOBODY,
            "maker_token": address_of(offered),
            "taker_token": address_of(wanted),
            "fee_recipient": NOBODY,
            "maker_amount": 100,
            "taker_amount": 200,
            "maker_fee": 0,
            "taker_fee": 0,
            "expires_at": FAR,
            "salt": time.perf_counter_ns(),
            **changed,
        }
        return sign(Order(**fields), maker)

    def befriend(
        self, one: LocalAccount, other: LocalAccount, network: Contract, given: int, received: int
    ) -> None:
        """Open or change a trustline, both agreeing."""
        update = network.functions.updateTrustline
        rates = (0, 0, False)
        transact(self.w3, update(other.address, given, received, *rates), one.address)
        transact(self.w3, update(one.address, received, given, *rates), other.address)

    def provide(self, maker: LocalAccount, balance: int, allowed: int | None = None) -> None:
        """Give a maker of the token, and have it allow the exchange as much or ``allowed``."""
        transact(self.w3, self.token.functions.setBalance(maker.address, balance))
        self.allow(maker, balance if allowed is None else allowed)

    def allow(self, maker: LocalAccount, amount: int) -> None:
        """Have a maker allow the exchange to take of the token; one has to take back first what one allowed."""
        for value in (0, amount):
            transact(self.w3, self.token.functions.approve(self.exchange.address, value), maker.address)

    def fill(
        self, order: Order, taker: LocalAccount, amount: int, maker_path: list[str], taker_path: list[str]
    ) -> None:
        """Take so much of the taker's token of an order."""
        signature = (order.v, order.r, order.s)
        call = self.exchange.functions.fillOrderTrustlines(
            *for_contract(order), amount, maker_path, taker_path, *signature
        )
        transact(self.w3, call, taker.address)

    def cancel(self, order: Order, amount: int) -> None:
        """Cancel so much of the taker's token of an order."""
        transact(
            self.w3, self.exchange.functions.cancelOrder(*for_contract(order), amount), to_checksum(order.maker)
        )


def deploy_market(anvil: Anvil, w3: Web3) -> Market:
    """Deploy the contracts; the exchange may move credit in both networks."""
    exchange = deploy_contract(w3, "Exchange")
    beer, cash = (
        deploy_network(w3, terms, "CurrencyNetwork", authorized=[exchange.address]) for terms in (BEER, CASH)
    )
    token = deploy_contract(w3, "DummyToken", "Dummy", "DUM", 18, 10**30)
    return Market(anvil, w3, exchange, beer, cash, token, deploy_contract(w3, "UnwEth"))


def address_of(contract: Contract) -> Address:
    """Return a contract's address."""
    return parse_address(contract.address)


@dataclass
class TradingRelay:
    """A relay's order book and its API; ``look`` does what looks after the book, once."""

    market: Market
    app: Flask
    upkeep: Upkeep
    database_url: str
    update: Callable[[], None]
    """Indexes what is new on the chain, fills and cancels included."""

    def look(self) -> None:
        """Look at the chain and at who can fill what."""
        self.update()
        self.upkeep.round()

    def get(self, path: str, **query: str) -> Any:
        answer = self.app.test_client().get(f"/api/v1/exchange/{path}", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, body: Any) -> tuple[int, Any]:
        answer = self.app.test_client().post("/api/v1/exchange/order", json=body)
        return answer.status_code, answer.json

    def take_in(self, order: Order) -> dict[str, Any]:
        """Submit an order that must be taken."""
        status, answer = self.post(as_json(order))
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def refusal(self, order: Order) -> str:
        """Submit an order that must be refused for what it is; return the reason."""
        status, answer = self.post(as_json(order))
        assert status == 422, answer
        return str(answer["message"])

    def asks(self, base: Contract, quote: Contract) -> list[str]:
        """Return the hashes of the orders that offer the base token."""
        book = self.get("orderbook", baseTokenAddress=base.address, quoteTokenAddress=quote.address)
        return [order["hash"] for order in book["asks"]]

    def found(self, order: Order) -> dict[str, Any]:
        """Return what is told of an order by its hash."""
        answer = self.get(f"order/{name(order)}")
        assert isinstance(answer, dict)
        return answer


def name(order: Order) -> str:
    """Return an order's hash as the API writes it."""
    return "0x" + order_hash(order).hex()


@contextmanager
def trading(
    market: Market,
    database_url: str,
    folder: Path,
    *,
    node: Node | None = None,
    clock: Callable[[], int] = lambda: 0,
    **exchange: Any,
) -> Iterator[TradingRelay]:
    """Serve the market; ``exchange`` are settings of that section, the time is the newest block's."""
    migrate(database_url)
    (folder / "addresses.json").write_text(json.dumps({"networks": [market.beer.address, market.cash.address]}))
    document = {
        "relay": {"addresses_filepath": str(folder / "addresses.json")},
        "database": {"url": database_url},
        "exchange": {"enable": True, "max_per_client": 0, **exchange},
    }
    indexing = Node(market.anvil.url, timeout=60)
    writer = Writer(database_url, silence_seconds=60)
    assert writer.try_lock()
    addresses = [address_of(market.beer), address_of(market.cash)]
    indexer = Indexer(
        indexing, writer, addresses, lambda address, first: read_network(indexing, address, first), Options()
    )
    indexer.prepare()
    pool, networks = Pool(database_url), Networks()
    follower = Follower(StateReader(pool), networks, lambda: FeedListener(database_url))

    def update() -> None:
        while indexer.step():
            pass
        write_exchange_events(database_url, market)
        follower.catch_up()

    update()
    built = build_trading(build(document, None), pool, networks, node or indexing, clock, market.contracts)
    assert built.upkeep is not None
    services = Services(
        networks=networks,
        events=EventPages(pool, lists_expected=False),
        node=indexing,
        relaying=None,
        estimate_gas=estimate_gas,
        gas_price=indexing.gas_price,
        clock=clock,
        search_until=lambda: 0.0,
        version="1.2.3",
        histories=HistoryReader(pool),
        order_book=built.book,
    )
    app = create_app(services, max_body_bytes=2**17)
    try:
        yield TradingRelay(market, app, built.upkeep, database_url, update)
    finally:
        pool.close()
        writer.close()


def write_exchange_events(database_url: str, market: Market) -> None:
    """Write the fills and cancels that the chain has at this moment, instead of those written before."""
    events = market.exchange.events
    logs = [*events.LogFill().get_logs(from_block=0), *events.LogCancel().get_logs(from_block=0)]
    connection = connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM exchange_events")
        cursor.execute(
            "INSERT INTO contracts (kind, address) VALUES ('Exchange', %s) "
            "ON CONFLICT (address) DO UPDATE SET kind = 'Exchange' RETURNING id",
            (address_of(market.exchange),),
        )
        row = cursor.fetchone()
        assert row is not None
        for log in logs:
            cursor.execute(
                "INSERT INTO exchange_events (contract_id, block_number, log_index, type, transaction_hash, "
                "transaction_index, order_hash, maker, taker, fee_recipient, maker_token, taker_token, "
                "maker_amount, taker_amount) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (row[0], *_columns(log)),
            )
    connection.close()


def _columns(log: Any) -> tuple[Any, ...]:
    told = log["args"]
    verb = "filled" if log["event"] == "LogFill" else "cancelled"
    users = (told["maker"], told.get("taker"), told["feeRecipient"], told["makerToken"], told["takerToken"])
    return (
        log["blockNumber"],
        log["logIndex"],
        log["event"],
        bytes(log["transactionHash"]),
        log["transactionIndex"],
        bytes(told["orderHash"]),
        *(None if user is None else parse_address(user) for user in users),
        told[f"{verb}MakerTokenAmount"],
        told[f"{verb}TakerTokenAmount"],
    )
