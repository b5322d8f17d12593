"""Orders over HTTP: which are taken and which are not, the book, what leaves it and what comes back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from relay.addresses import parse_address, to_checksum
from relay.chain.errors import NodeUnreachable
from relay.chain.node import Node
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import CASH, deploy_contract, deploy_network, transact
from relay.exchange.upkeep import TURN_LOCK, Keeper
from relay.store.connection import connect
from relay.store.operations import Turn
from tests.support.running_relay import until
from tests.support.trading import (
    ETHER,
    Market,
    TradingRelay,
    as_json,
    deploy_market,
    name,
    sign,
    trading,
)

STRANGE = bytes([0x5A]) * 20


@pytest.fixture(scope="module")
def market(chain: Anvil, web3: Web3) -> Market:
    return deploy_market(chain, web3)


@pytest.fixture
def relay(market: Market, database_url: str, tmp_path: Path) -> Iterator[TradingRelay]:
    with trading(market, database_url, tmp_path) as served:
        yield served


@pytest.fixture
def maker(market: Market) -> LocalAccount:
    """Somebody who has 1000 of the token and lets the exchange take it."""
    account = market.trader()
    market.provide(account, 1000)
    return account


def wrap(market: Market, maker: LocalAccount) -> None:
    """Wrap one ether and allow the exchange to take it."""
    deposit(market, maker)
    transact(market.w3, market.unw_eth.functions.approve(market.exchange.address, ETHER), maker.address)


def deposit(market: Market, maker: LocalAccount) -> None:
    sent = {"from": maker.address, "to": market.unw_eth.address, "value": ETHER, "gas": 200_000}
    market.w3.eth.wait_for_transaction_receipt(market.w3.eth.send_transaction(sent), poll_latency=0.01)  # type: ignore[arg-type]


@pytest.fixture
def taker(market: Market, maker: LocalAccount) -> LocalAccount:
    """Somebody with trustlines of 1000 each way to the maker, in both networks."""
    account = market.trader()
    for network in (market.beer, market.cash):
        market.befriend(maker, account, network, 1000, 1000)
    return account


class Pulled(Node):
    """A node that does not answer while its plug is pulled."""

    is_pulled = False

    def ask(self, *arguments: Any, **options: Any) -> Any:
        if self.is_pulled:
            raise NodeUnreachable("the plug is pulled")
        return super().ask(*arguments, **options)

    def ask_all(self, *arguments: Any, **options: Any) -> Any:
        if self.is_pulled:
            raise NodeUnreachable("the plug is pulled")
        return super().ask_all(*arguments, **options)


def test_an_order_comes_back_as_it_was_sent_with_nothing_done(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.token, market.beer)
    told = relay.take_in(order)
    nothing = ("filledMakerTokenAmount", "filledTakerTokenAmount")
    nothing += ("cancelledMakerTokenAmount", "cancelledTakerTokenAmount")
    assert told == {
        **as_json(order),
        **dict.fromkeys(nothing, "0"),
        "availableMakerTokenAmount": "100",
        "availableTakerTokenAmount": "200",
        "hash": name(order),
    }
    assert relay.found(order) == told
    assert relay.get("orders", maker=maker.address) == [told]
    assert relay.get("exchanges") == [market.exchange.address]
    assert relay.get("eth") == [market.unw_eth.address]


def test_who_sends_an_order_again_finds_it_as_it_stands(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.token, market.beer)
    first = relay.take_in(order)
    assert relay.take_in(order) == first
    assert relay.take_in(replace(order, v=order.v - 27)) == first, "as wallets sign that count from 0"
    assert len(relay.get("orders")) == 1


def test_an_order_without_what_may_be_left_out_is_open_to_all_and_free(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    body = as_json(market.order(maker, market.token, market.beer))
    for absent in ("taker", "feeRecipient", "makerFee", "takerFee"):
        body[absent] = None
    del body["takerFee"]
    body["makerTokenAmount"] = 100
    status, told = relay.post(body)
    assert status == 200, told
    assert (told["taker"], told["makerFee"], told["makerTokenAmount"]) == ("0x" + "0" * 40, "0", "100")


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("exchangeContractAddress", {"exchange": STRANGE}),
        ("makerTokenAddress", {"maker_token": STRANGE}),
        ("takerTokenAddress", {"taker_token": STRANGE}),
        ("makerTokenAmount", {"maker_amount": 0}),
        ("takerTokenAmount", {"taker_amount": 0}),
        ("takerTokenAmount", {"taker_amount": 2**32}),
        ("takerTokenAmount", {"maker_amount": 2**250, "taker_amount": 2**31}),
        ("makerFee", {"maker_fee": 1}),
        ("takerFee", {"taker_fee": 2**256 - 1}),
        ("expirationUnixTimestampSec", {"expires_at": 1_600_000_000}),
        ("expirationUnixTimestampSec", {"expires_at": 0}),
        ("makerTokenAmount", {"maker_amount": 1001}),
        ("makerTokenAmount", {"maker_amount": 2**200}),
        ("takerTokenAmount", {"taker_amount": 1001}),
    ],
)
def test_an_order_that_could_not_be_filled_is_refused_by_the_field_at_fault(
    relay: TradingRelay,
    market: Market,
    maker: LocalAccount,
    taker: LocalAccount,
    field: str,
    changed: dict[str, Any],
) -> None:
    relay.update()
    assert relay.refusal(market.order(maker, market.token, market.beer, **changed)).startswith(f"{field}: ")
    assert relay.get("orders") == []


def test_an_order_for_the_token_it_offers_or_for_its_maker_is_refused(
    relay: TradingRelay, market: Market, maker: LocalAccount
) -> None:
    assert "token that is offered" in relay.refusal(market.order(maker, market.token, market.token))
    for_itself = market.order(maker, market.token, market.beer, taker=parse_address(maker.address))
    assert relay.refusal(for_itself).startswith("taker: ")


def test_only_the_signature_of_the_maker_counts(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.token, market.beer)
    for wrong in (
        sign(order, taker),
        replace(order, salt=order.salt + 1),
        replace(order, maker=bytes(20)),
        replace(order, v=29),
        replace(order, v=55 - order.v),
        replace(order, r=bytes(32)),
        replace(order, s=b"\xff" * 32),
    ):
        assert "ecSignature: is no signature" in relay.refusal(wrong) or wrong.maker == bytes(20)
    assert relay.get("orders") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("makerTokenAmount", str(2**256)),
        ("takerTokenAmount", 2**256 - 2**200 + 2**256),
        ("salt", str(2**256)),
        ("expirationUnixTimestampSec", str(10**90)),
        ("makerTokenAmount", "-1"),
        ("makerTokenAmount", "1.5"),
        ("makerTokenAmount", 1.0),
        ("makerTokenAmount", True),
        ("makerTokenAmount", []),
        ("takerTokenAmount", "0x10"),
        ("maker", "0x12"),
        ("maker", 5),
        ("ecSignature", None),
        ("ecSignature", "0x"),
        ("ecSignature", {"v": 27, "r": "0x", "s": "0x" + "00" * 32}),
        ("ecSignature", {"v": 256, "r": "0x" + "00" * 32, "s": "0x" + "00" * 32}),
        ("ecSignature", {"v": None, "r": None, "s": None}),
    ],
)
def test_what_is_no_order_is_refused_by_the_field_at_fault(
    relay: TradingRelay, market: Market, maker: LocalAccount, field: str, value: Any
) -> None:
    status, answer = relay.post(as_json(market.order(maker, market.token, market.beer)) | {field: value})
    assert (status, answer["message"].startswith(field)) == (422, True), answer


def test_a_maker_must_have_the_token_and_let_the_exchange_take_it(relay: TradingRelay, market: Market) -> None:
    poor, closed, taker = (market.trader() for _ in range(3))
    market.provide(closed, 1000, 99)
    for maker in (poor, closed):
        market.befriend(maker, taker, market.beer, 1000, 1000)
    relay.update()
    for maker, most in ((poor, 0), (closed, 99)):
        reason = relay.refusal(market.order(maker, market.token, market.beer))
        most_of_it = f"the exchange can take {most} at most, by the maker's balance and allowance"
        assert reason == f"makerTokenAmount: {most_of_it}"
    relay.take_in(market.order(closed, market.token, market.beer, maker_amount=99))


def test_wrapped_ether_is_offered_by_who_allows_it(
    relay: TradingRelay, market: Market, maker: LocalAccount
) -> None:
    order = market.order(maker, market.unw_eth, market.token, maker_amount=ETHER)
    assert relay.refusal(order).startswith("makerTokenAmount: ")
    deposit(market, maker)
    assert "take 0 at most" in relay.refusal(order)
    transact(market.w3, market.unw_eth.functions.approve(market.exchange.address, ETHER), maker.address)
    relay.take_in(order)


def test_a_maker_must_be_able_to_owe_and_to_be_owed(relay: TradingRelay, market: Market) -> None:
    maker, friends = market.trader(), [market.trader() for _ in range(2)]
    for friend in friends:
        market.befriend(maker, friend, market.beer, 10, 30)
        market.befriend(maker, friend, market.cash, 80, 10)
    relay.update()
    # What leaves over several trustlines counts together, as several takers can each take a part.
    relay.take_in(market.order(maker, market.beer, market.cash, maker_amount=60, taker_amount=160))
    more = market.order(maker, market.beer, market.cash, maker_amount=61, taker_amount=160)
    assert relay.refusal(more) == "makerTokenAmount: the maker can spend 60 at most in this network"
    dearer = market.order(maker, market.beer, market.cash, maker_amount=60, taker_amount=161)
    assert relay.refusal(dearer) == "takerTokenAmount: the maker can be paid 160 at most in this network"


def test_a_network_must_let_the_exchange_move_credit(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    closed = replace(market, cash=deploy_network(market.w3, CASH, "CurrencyNetwork"))
    market.befriend(maker, taker, closed.cash, 1000, 1000)
    with trading(closed, database_url, tmp_path) as relay:
        order = market.order(maker, closed.cash, market.beer)
        assert relay.refusal(order).startswith("makerTokenAddress: this network does not let the exchange")
        transact(market.w3, closed.cash.functions.addAuthorizedAddress(market.exchange.address), maker.address)
        relay.take_in(order)
        transact(market.w3, closed.cash.functions.removeAuthorizedAddress(market.exchange.address), maker.address)
        relay.look()
        assert relay.asks(closed.cash, market.beer) == []


def test_a_token_that_fails_keeps_its_orders_and_no_other_from_being_looked_at(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount
) -> None:
    failing = replace(market, unw_eth=deploy_contract(market.w3, "UnwEth"))
    wrap(failing, maker)
    with trading(failing, database_url, tmp_path) as relay:
        of_failing = market.order(maker, failing.unw_eth, market.token)
        of_other = market.order(maker, market.token, failing.unw_eth)
        for order in (of_failing, of_other):
            relay.take_in(order)
        market.anvil.rpc("anvil_setCode", failing.unw_eth.address, "0x00")
        transact(market.w3, market.token.functions.setBalance(maker.address, 0))
        relay.look()
        assert relay.asks(failing.unw_eth, market.token) == [name(of_failing)]
        assert relay.asks(market.token, failing.unw_eth) == []


def test_the_best_price_comes_first_to_the_last_digit_then_the_oldest(
    relay: TradingRelay, market: Market, maker: LocalAccount
) -> None:
    market.provide(maker, 10**24)
    wrap(market, maker)
    # As floats all of these prices are the same.
    base = 10**17
    asks = [(base, base + 2), (base, base), (base + 1, base + 1), (base, base + 1), (base - 2, base - 1)]
    orders = [
        market.order(maker, market.token, market.unw_eth, maker_amount=offered, taker_amount=wanted)
        for offered, wanted in asks
    ]
    for order in orders:
        relay.take_in(order)
    best = [name(orders[index]) for index in (1, 2, 3, 4, 0)]
    assert relay.asks(market.token, market.unw_eth) == best
    # Who looks from the other side sees the same orders as bids, in the same order.
    book = relay.get("orderbook", baseTokenAddress=market.unw_eth.address, quoteTokenAddress=market.token.address)
    assert [order["hash"] for order in book["bids"]] == best
    assert book["asks"] == []


def test_orders_are_found_by_whom_and_what_they_concern(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    public = market.order(maker, market.beer, market.cash, fee_recipient=STRANGE)
    private = market.order(maker, market.token, market.cash, taker=parse_address(taker.address))
    for order in (public, private):
        relay.take_in(order)
    cash = market.cash.address
    for query, expected in (
        ({}, [public, private]),
        ({"exchangeContractAddress": market.exchange.address}, [public, private]),
        ({"exchangeContractAddress": cash}, []),
        ({"tokenAddress": cash}, [public, private]),
        ({"tokenAddress": market.token.address}, [private]),
        ({"makerTokenAddress": cash}, []),
        ({"takerTokenAddress": cash, "makerTokenAddress": market.beer.address}, [public]),
        ({"trader": taker.address}, [private]),
        ({"trader": maker.address.lower()}, [public, private]),
        ({"taker": taker.address}, [private]),
        ({"maker": taker.address}, []),
        ({"feeRecipient": to_checksum(STRANGE)}, [public]),
    ):
        assert [order["hash"] for order in relay.get("orders", **query)] == list(map(name, expected)), query
    assert relay.asks(market.token, market.cash) == [], "what one alone can take is in nobody else's book"


def test_an_order_nobody_made_is_not_found(relay: TradingRelay) -> None:
    for digest in ("0x" + "ab" * 32, "0xab", "ab" * 32, "nonsense"):
        assert relay.app.test_client().get(f"/api/v1/exchange/order/{digest}").status_code == 404


def test_what_is_filled_and_cancelled_is_told_and_leaves_and_a_reorg_brings_it_back(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.beer, market.cash)
    relay.take_in(order)
    amounts = (
        "filledMaker",
        "filledTaker",
        "cancelledMaker",
        "cancelledTaker",
        "availableMaker",
        "availableTaker",
    )

    def told() -> list[int]:
        relay.look()
        return [int(relay.found(order)[f"{amount}TokenAmount"]) for amount in amounts]

    assert told() == [0, 0, 0, 0, 100, 200]
    market.fill(order, taker, 50, [maker.address, taker.address], [taker.address, maker.address])
    assert told() == [25, 50, 0, 0, 75, 150]
    market.cancel(order, 30)
    assert told() == [25, 50, 15, 30, 60, 120]
    assert relay.asks(market.beer, market.cash) == [name(order)]
    before = market.anvil.rpc("evm_snapshot")
    market.fill(order, taker, 1000, [maker.address, taker.address], [taker.address, maker.address])
    assert told() == [85, 170, 15, 30, 0, 0]
    assert relay.asks(market.beer, market.cash) == relay.get("orders") == []
    market.anvil.rpc("evm_revert", before)
    market.anvil.mine()
    assert told() == [25, 50, 15, 30, 60, 120]
    assert relay.asks(market.beer, market.cash) == [name(order)]


def test_what_was_filled_or_cancelled_before_it_came_is_refused(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    order = market.order(maker, market.beer, market.cash)
    market.cancel(order, 1000)
    relay.update()
    assert relay.refusal(order) == "takerTokenAmount: the order has been filled or cancelled already"


def test_an_expired_order_leaves_at_its_second(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    now = int(market.w3.eth.get_block("latest")["timestamp"])
    with trading(market, database_url, tmp_path, clock=lambda: now) as relay:
        order = market.order(maker, market.beer, market.cash, expires_at=now + 100)
        relay.take_in(order)
        now += 99
        assert relay.asks(market.beer, market.cash) == [name(order)]
        now += 1
        assert relay.asks(market.beer, market.cash) == relay.get("orders") == []
        late = market.order(maker, market.beer, market.cash, expires_at=now)
        assert relay.refusal(late) == "expirationUnixTimestampSec: the order has expired"
        assert relay.found(order)["availableMakerTokenAmount"] == "100"
        now += 8 * 86_400
        relay.upkeep.round()
        assert relay.app.test_client().get(f"/api/v1/exchange/order/{name(order)}").status_code == 404


def test_orders_without_funds_leave_the_book_and_come_back_with_them(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.token, market.beer)
    relay.take_in(order)
    w3, give = market.w3, market.token.functions.setBalance
    changes: list[tuple[Any, Any]] = [
        (lambda: transact(w3, give(maker.address, 99)), lambda: transact(w3, give(maker.address, 1000))),
        (lambda: market.allow(maker, 99), lambda: market.allow(maker, 100)),
        # Three quarters of what it wants to be paid can no longer be owed to it.
        (
            lambda: transact(w3, market.beer.functions.updateCreditlimits(taker.address, 50, 1000), maker.address),
            lambda: market.befriend(maker, taker, market.beer, 1000, 1000),
        ),
    ]
    for take_away, give_back in changes:
        take_away()
        relay.look()
        assert relay.asks(market.token, market.beer) == []
        assert [found["hash"] for found in relay.get("orders")] == [name(order)], "its maker can still cancel it"
        give_back()
        relay.look()
        assert relay.asks(market.token, market.beer) == [name(order)]


def test_credit_that_is_spent_elsewhere_takes_an_order_out_of_the_book(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.beer, market.cash)
    relay.take_in(order)
    pay = market.beer.functions.transfer(901, 0, [maker.address, taker.address], b"")
    transact(market.w3, pay, maker.address)
    relay.look()
    assert relay.asks(market.beer, market.cash) == []
    back = market.beer.functions.transfer(1, 0, [taker.address, maker.address], b"")
    transact(market.w3, back, taker.address)
    relay.look()
    assert relay.asks(market.beer, market.cash) == [name(order)]


def test_a_node_that_fails_leaves_the_book_as_it_is(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    node = Pulled(market.anvil.url)
    with trading(market, database_url, tmp_path, node=node) as relay:
        order = market.order(maker, market.token, market.beer)
        relay.take_in(order)
        relay.look()
        node.is_pulled = True
        transact(market.w3, market.token.functions.setBalance(maker.address, 0))
        relay.update()
        with pytest.raises(NodeUnreachable):
            relay.upkeep.round()
        assert relay.asks(market.token, market.beer) == [name(order)]
        status, answer = relay.post(as_json(market.order(maker, market.token, market.beer)))
        assert (status, answer["message"]) == (503, "the node cannot be reached at the moment")
        node.is_pulled = False
        relay.upkeep.round()
        assert relay.asks(market.token, market.beer) == []


def test_a_maker_may_have_so_many_open_orders_and_a_cancelled_one_makes_room(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    with trading(market, database_url, tmp_path, max_orders_per_maker=3) as relay:
        orders = [market.order(maker, market.beer, market.cash) for _ in range(4)]
        for order in orders[:3]:
            relay.take_in(order)
        status, answer = relay.post(as_json(orders[3]))
        assert (status, answer["message"]) == (429, "maker: has 3 open orders, as many as one may have")
        market.cancel(orders[0], 200)
        relay.update()
        relay.take_in(orders[3])


def test_in_a_full_book_who_lost_the_funds_makes_room(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    with trading(market, database_url, tmp_path, max_orders=2) as relay:
        lost = market.order(maker, market.token, market.beer)
        kept, late = (market.order(maker, market.beer, market.cash) for _ in range(2))
        for order in (lost, kept):
            relay.take_in(order)
        assert relay.post(as_json(late))[0] == 503
        transact(market.w3, market.token.functions.setBalance(maker.address, 0))
        relay.look()
        relay.take_in(late)
        assert [order["hash"] for order in relay.get("orders")] == [name(kept), name(late)]


def test_many_orders_at_once_do_not_pass_the_bound(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    with trading(market, database_url, tmp_path, max_orders_per_maker=5) as relay:
        orders = [market.order(maker, market.beer, market.cash) for _ in range(12)]
        with ThreadPoolExecutor(6) as pool:
            statuses = sorted(status for status, _ in pool.map(relay.post, map(as_json, orders)))
        assert statuses == [200] * 5 + [429] * 7


def test_a_flood_from_one_client_is_stopped(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount
) -> None:
    with trading(market, database_url, tmp_path, max_per_client=5) as relay:
        bad = as_json(replace(market.order(maker, market.beer, market.cash), v=29))
        answers = [relay.app.test_client().post("/api/v1/exchange/order", json=bad) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [422] * 5 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "60"


def test_orders_survive_a_restart_and_are_the_same_in_every_process(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    orders = [market.order(maker, market.beer, market.cash) for _ in range(2)]
    with trading(market, database_url, tmp_path) as relay:
        for order in orders:
            relay.take_in(order)
        told = relay.get("orders")
    with trading(market, database_url, tmp_path) as relay:
        assert relay.get("orders") == told
        assert relay.asks(market.beer, market.cash) == list(map(name, orders))


def test_what_was_taken_whole_is_forgotten_once_it_is_final_and_old(
    market: Market, database_url: str, tmp_path: Path, maker: LocalAccount, taker: LocalAccount
) -> None:
    now = int(market.w3.eth.get_block("latest")["timestamp"])
    with trading(market, database_url, tmp_path, clock=lambda: now) as relay:
        order = market.order(maker, market.beer, market.cash)
        relay.take_in(order)
        market.cancel(order, 200)
        relay.look()
        now += 8 * 86_400
        forget_later(relay, final=0)
        assert relay.found(order)["availableTakerTokenAmount"] == "0", "a reorg could bring it back"
        now += 3600
        forget_later(relay, final=10**6)
        assert relay.app.test_client().get(f"/api/v1/exchange/order/{name(order)}").status_code == 404


def forget_later(relay: TradingRelay, final: int) -> None:
    """Say what is final, and do a round."""
    connection = connect(relay.database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE cursor SET final_number = %s", (final,))
    connection.close()
    relay.upkeep.round()


def test_one_process_at_a_time_looks_after_the_book(
    relay: TradingRelay, market: Market, maker: LocalAccount, taker: LocalAccount
) -> None:
    relay.update()
    order = market.order(maker, market.token, market.beer)
    relay.take_in(order)
    rounds: dict[str, int] = {"first": 0, "second": 0}
    failing = threading.Event()

    def do_round(which: str) -> None:
        rounds[which] += 1
        if failing.is_set() and which == "first":
            failing.clear()
            raise NodeUnreachable("for once")
        relay.upkeep.round()

    keepers = {
        which: Keeper(Turn(relay.database_url, TURN_LOCK), lambda which=which: do_round(which), 0.05)
        for which in rounds
    }
    try:
        keepers["first"].start()
        until("the first has the turn", lambda: rounds["first"] > 1)
        keepers["second"].start()
        failing.set()
        transact(market.w3, market.token.functions.setBalance(maker.address, 0))
        until("the order leaves, whatever failed in between", lambda: not relay.asks(market.token, market.beer))
        assert rounds["second"] == 0
        keepers["first"].stop()
        until("the second takes over", lambda: rounds["second"] > 0)
    finally:
        for keeper in keepers.values():
            keeper.stop()


def test_every_maker_gets_its_turn_though_a_round_is_bounded(
    market: Market, database_url: str, tmp_path: Path
) -> None:
    makers = [market.trader() for _ in range(5)]
    for account in makers:
        market.provide(account, 1000)
    with trading(market, database_url, tmp_path, checks_per_round=2) as relay:
        for account in makers:
            relay.take_in(market.order(account, market.token, market.unw_eth))
        for account in makers:
            transact(market.w3, market.token.functions.setBalance(account.address, 0))
        left = []
        for _ in range(3):
            relay.look()
            left.append(len(relay.asks(market.token, market.unw_eth)))
        assert left == [3, 1, 0]
