"""Orders: made, listed, taken and cancelled. Only plain wallets can sign orders, so makers have one."""

from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import ClientError, WalletProgram
from tests.support.wallet_world import ETHER, Person, World, amount, befriend


@pytest.fixture
def maker(program: WalletProgram, world: World) -> Person:
    person = Person(program, world, "ethers")
    person.settle_in()
    return person


@pytest.fixture
def taker(maker: Person, people: People) -> Person:
    """Somebody with trustlines to the maker in the networks BEER and CASH."""
    (person,) = people(1)
    befriend(maker, person, "BEER", 100, 100)
    befriend(maker, person, "CASH", 100, 100)
    return person


def make_order(maker: Person, beer: float, cash: float) -> dict[str, Any]:
    """Offer beer for cash."""
    world = maker.world
    networks = world.networks["BEER"], world.networks["CASH"]
    order = maker.call("exchange.makeOrder", world.addresses.exchange, *networks, beer, cash)
    assert isinstance(order, dict)
    return order


def order_at(person: Person, order: dict[str, Any]) -> dict[str, Any]:
    found = person.call("exchange.getOrderByHash", order["hash"])
    assert isinstance(found, dict)
    return found


def is_over(person: Person, order: dict[str, Any]) -> bool:
    """Say whether an order has left the book; by its hash it may still be shown, with nothing left."""
    with suppress(ClientError):
        assert order_at(person, order)["availableTakerTokenAmount"] == amount(0, 4)
    networks = person.world.networks
    book = person.call("exchange.getOrderbook", networks["BEER"], networks["CASH"])
    return order["hash"] not in [ask["hash"] for ask in book["asks"]]


def test_the_exchange_is_told(world: World, maker: Person) -> None:
    assert maker.call("exchange.getExAddresses") == [world.addresses.exchange]


def test_an_order_is_found_by_its_hash_as_it_was_made(maker: Person, taker: Person) -> None:
    order = make_order(maker, 4, 2)
    found = order_at(taker, order)
    assert found == order
    assert found["makerTokenAmount"] == found["availableMakerTokenAmount"] == amount(4, 0)
    assert found["takerTokenAmount"] == amount(20_000, 4)
    assert found["filledMakerTokenAmount"] == found["cancelledMakerTokenAmount"] == amount(0, 0)


def test_an_order_nobody_made_is_not_found(maker: Person) -> None:
    with pytest.raises(ClientError, match="Status 404"):
        maker.call("exchange.getOrderByHash", "0x" + "ab" * 32)


def test_the_order_book_has_the_best_price_first(world: World, maker: Person, taker: Person) -> None:
    beer, cash = world.networks["BEER"], world.networks["CASH"]
    orders = [make_order(maker, 4, price) for price in (12, 4, 8)]
    book = taker.call("exchange.getOrderbook", beer, cash)
    asks = [order for order in book["asks"] if order["maker"] == maker.address]
    assert [order["hash"] for order in asks] == [orders[index]["hash"] for index in (1, 2, 0)]
    assert not [order for order in book["bids"] if order["maker"] == maker.address]
    # Who looks for cash sees the same orders as bids, the one that gives most beer for it first.
    reverse = taker.call("exchange.getOrderbook", cash, beer)
    bids = [order["hash"] for order in reverse["bids"] if order["maker"] == maker.address]
    assert bids == [order["hash"] for order in asks]


def test_orders_are_listed_by_who_made_them_and_what_they_offer(
    world: World, maker: Person, taker: Person
) -> None:
    order = make_order(maker, 4, 2)
    for query in (
        {"maker": maker.address},
        {"trader": maker.address, "tokenAddress": world.networks["CASH"]},
        {"maker": maker.address, "makerTokenAddress": world.networks["BEER"]},
        {"maker": maker.address, "exchangeContractAddress": world.addresses.exchange},
    ):
        assert [found["hash"] for found in taker.call("exchange.getOrders", query)] == [order["hash"]]
    for query in ({"maker": taker.address}, {"maker": maker.address, "takerTokenAddress": world.networks["BEER"]}):
        assert taker.call("exchange.getOrders", query) == []


def test_an_order_is_taken_in_part_and_then_whole(world: World, maker: Person, taker: Person) -> None:
    beer, cash = world.networks["BEER"], world.networks["CASH"]
    order = make_order(maker, 4, 2)
    taker.do("exchange.prepTakeOrder", order_at(taker, order), 0.5)
    assert taker.call("trustline.get", beer, maker.address)["balance"] == amount(1, 0)
    assert taker.call("trustline.get", cash, maker.address)["balance"] == amount(-5000, 4)
    partly = order_at(taker, order)
    assert (partly["filledMakerTokenAmount"], partly["filledTakerTokenAmount"]) == (amount(1, 0), amount(5000, 4))
    assert partly["availableTakerTokenAmount"] == amount(15_000, 4)
    taker.do("exchange.prepTakeOrder", partly, 1.5)
    assert is_over(taker, order)


def test_an_order_is_cancelled_by_its_maker(world: World, maker: Person, taker: Person) -> None:
    order = make_order(maker, 4, 2)
    maker.do("exchange.prepCancelOrder", order, 2)
    assert is_over(taker, order)


def test_fills_and_cancels_are_events_of_both_sides(world: World, maker: Person, taker: Person) -> None:
    order = make_order(maker, 4, 2)
    taker.do("exchange.prepTakeOrder", order_at(taker, order), 0.5)
    maker.do("exchange.prepCancelOrder", order, 1)
    exchange = world.addresses.exchange
    fill, cancel = maker.call("exchange.getLogs", exchange)
    assert (fill["type"], fill["from"], fill["to"]) == ("LogFill", maker.address, taker.address)
    assert (fill["filledMakerAmount"], fill["filledTakerAmount"]) == (amount(1, 0), amount(5000, 4))
    assert (cancel["type"], cancel["orderHash"]) == ("LogCancel", order["hash"])
    assert (cancel["cancelledMakerAmount"], cancel["cancelledTakerAmount"]) == (amount(2, 0), amount(10_000, 4))
    (taken,) = taker.call("exchange.getLogs", exchange, {"type": "LogFill"})
    assert taken["orderHash"] == order["hash"]
    assert [event["type"] for event in maker.call("event.getAll", {"contractType": "Exchange"})] == [
        "LogFill",
        "LogCancel",
    ]


def test_wrapped_ether_is_sold_for_credit(world: World, maker: Person, taker: Person) -> None:
    token, beer = world.addresses.unw_eth, world.networks["BEER"]
    world.give_ether(maker.address, 2 * ETHER)
    maker.do("ethWrapper.prepDeposit", token, 1)
    approval = [world.addresses.exchange, hex(ETHER)]
    maker.do("transaction.prepareContractTransaction", maker.address, token, "UnwEth", "approve", approval)
    for person in (maker, taker):
        # The client has no way to find a token's decimals.
        person.call("currencyNetwork.getDecimals", token, {"networkDecimals": 18, "interestRateDecimals": 0})
    order = maker.call("exchange.makeOrder", world.addresses.exchange, token, beer, 0.5, 10)
    (ask,) = taker.call("exchange.getOrderbook", token, beer)["asks"]
    before = world.w3.eth.get_balance(taker.address)
    assert ask["hash"] == order["hash"]
    receipt = taker.do("exchange.prepTakeOrder", ask, 10)
    # It arrives unwrapped.
    own = receipt["gasUsed"] * receipt["effectiveGasPrice"] if taker.kind == "ethers" else 0
    assert world.w3.eth.get_balance(taker.address) == before + ETHER // 2 - own
    assert maker.call("trustline.get", beer, taker.address)["balance"] == amount(10, 0)


def test_an_order_that_its_maker_cannot_fill_is_refused(world: World, maker: Person, taker: Person) -> None:
    with pytest.raises(ClientError, match="Status 4"):
        make_order(maker, 4000, 2)
