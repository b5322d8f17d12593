"""Orders over the API: what is handed on, what comes back, what is refused and how."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.exchange.book import Pair
from relay.exchange.errors import BookFull, TooMany, Unacceptable
from relay.exchange.rules import NOBODY
from relay.model import Order
from relay.store.orders import OrderFilter, StoredOrder
from tests.support.fake_services import ADA, BO, CASH, CY, DEE, EVE, client, text

URL = "/api/v1/exchange"
HASH = bytes([0xAB]) * 32
ORDER = Order(
    exchange=EVE,
    maker=ADA,
    taker=NOBODY,
    maker_token=CASH,
    taker_token=BO,
    fee_recipient=NOBODY,
    maker_amount=2**256 - 1,
    taker_amount=12,
    maker_fee=0,
    taker_fee=0,
    expires_at=2_524_604_400,
    salt=5,
    v=27,
    r=bytes([1]) * 32,
    s=bytes([2]) * 32,
)
BODY = {
    "exchangeContractAddress": text(EVE),
    "maker": text(ADA),
    "makerTokenAddress": text(CASH),
    "takerTokenAddress": text(BO),
    "makerTokenAmount": str(2**256 - 1),
    "takerTokenAmount": 12,
    "expirationUnixTimestampSec": "2524604400",
    "salt": "5",
    "ecSignature": {"v": 27, "r": "0x" + "01" * 32, "s": "0x" + "02" * 32},
}


class Book:
    """Holds one order, and takes all others or fails."""

    exchanges = [EVE]  # noqa: RUF012
    unw_eths = [DEE]  # noqa: RUF012

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.taken: list[Order] = []
        self.asked: list[Any] = []
        self.stored = StoredOrder(HASH, ORDER, 1, 2, 3, 4)

    def submit(self, order: Order, *, client: str) -> StoredOrder:
        self.asked.append(client)
        if self.fault is not None:
            raise self.fault
        self.taken.append(order)
        return StoredOrder(HASH, order)

    def pair(self, base: bytes, quote: bytes) -> Pair:
        self.asked.append((base, quote))
        return Pair([self.stored], [])

    def orders(self, wanted: OrderFilter) -> list[StoredOrder]:
        self.asked.append(wanted)
        return [self.stored]

    def order(self, digest: bytes) -> StoredOrder | None:
        return self.stored if digest == HASH else None


def api(book: Book) -> FlaskClient:
    return client(order_book=book)


def test_an_order_is_handed_on_with_what_was_left_out() -> None:
    book = Book()
    answer = api(book).post(f"{URL}/order", json=BODY)
    assert (answer.status_code, book.taken, book.asked) == (200, [ORDER], ["127.0.0.1"])
    zero = {**BODY, "ecSignature": {**BODY["ecSignature"], "v": 0}}  # type: ignore[dict-item]
    api(book).post(f"{URL}/order", json=zero)
    assert book.taken[1] == ORDER


def test_amounts_are_strings_and_v_is_a_number() -> None:
    told = api(Book()).get(f"{URL}/order/0x{HASH.hex()}").get_json()
    assert told == {
        **BODY,
        "hash": "0x" + HASH.hex(),
        "taker": text(NOBODY),
        "feeRecipient": text(NOBODY),
        "takerTokenAmount": "12",
        "makerFee": "0",
        "takerFee": "0",
        "filledMakerTokenAmount": "1",
        "filledTakerTokenAmount": "2",
        "cancelledMakerTokenAmount": "3",
        "cancelledTakerTokenAmount": "4",
        "availableMakerTokenAmount": str(2**256 - 5),
        "availableTakerTokenAmount": "6",
    }


def test_a_pair_has_two_sides_and_both_tokens_must_be_named() -> None:
    book = Book()
    query = {"baseTokenAddress": text(CASH), "quoteTokenAddress": text(BO)}
    answer = api(book).get(f"{URL}/orderbook", query_string=query).get_json()
    assert [order["hash"] for order in answer["bids"]] == ["0x" + HASH.hex()]
    assert answer["asks"] == []
    assert book.asked == [(CASH, BO)]
    missing = api(book).get(f"{URL}/orderbook", query_string={"baseTokenAddress": text(CASH)})
    assert (missing.status_code, missing.get_json()["message"][:17]) == (422, "quoteTokenAddress")


def test_every_condition_is_handed_on() -> None:
    book = Book()
    query = {
        "exchangeContractAddress": text(EVE),
        "tokenAddress": text(BO),
        "makerTokenAddress": text(CASH),
        "takerTokenAddress": text(BO),
        "trader": text(ADA),
        "maker": text(CY),
        "taker": text(DEE),
        "feeRecipient": text(EVE),
    }
    api(book).get(f"{URL}/orders", query_string=query)
    api(book).get(f"{URL}/orders")
    assert book.asked == [OrderFilter(EVE, BO, CASH, BO, ADA, CY, DEE, EVE), OrderFilter()]
    assert api(book).get(f"{URL}/orders?maker=0x12").status_code == 422


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (Unacceptable("makerFee", "must be 0"), 422, "makerFee: must be 0"),
        (TooMany("x"), 429, "x"),
        (BookFull("x"), 503, "x"),
    ],
)
def test_a_refusal_has_its_status_and_says_why(fault: Exception, status: int, message: str) -> None:
    answer = api(Book(fault)).post(f"{URL}/order", json=BODY)
    assert (answer.status_code, answer.get_json()["message"]) == (status, message)
    assert ("Retry-After" in answer.headers) == (status != 422)


def test_what_wraps_ether_and_exchanges_are_listed() -> None:
    assert api(Book()).get(f"{URL}/eth").get_json() == [text(DEE)]
    assert api(Book()).get(f"{URL}/exchanges").get_json() == [text(EVE)]
    assert api(Book()).get(f"{URL}/order/0x{'00' * 32}").status_code == 404


def test_without_the_switch_there_are_no_such_routes() -> None:
    for path in ("exchanges", "eth", "orders", "orderbook", f"order/0x{HASH.hex()}"):
        assert client().get(f"{URL}/{path}").status_code == 404
    assert client().post(f"{URL}/order", json=BODY).status_code == 404


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-(2**258), 2**258)
    | st.floats()
    | st.text(max_size=90)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(["v", "r", "s"]), st.integers(0, 300) | st.text(max_size=70))
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(BODY)) | st.text(max_size=5), ANYTHING, max_size=3))
def test_no_order_brings_the_api_down(changed: dict[str, Any]) -> None:
    book = Book()
    answer = api(book).post(f"{URL}/order", data=json.dumps(BODY | changed), content_type="application/json")
    assert answer.status_code in (200, 400, 422)
    assert (answer.status_code == 200) == bool(book.taken)
    for order in book.taken:
        numbers = (order.maker_amount, order.taker_amount, order.expires_at, order.salt)
        assert all(0 <= number < 2**256 for number in numbers)
        assert (len(order.r), len(order.s), len(order.maker)) == (32, 32, 20)
