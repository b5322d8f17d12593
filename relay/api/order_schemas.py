"""The objects of exchanges. What an order says of itself is signed, so it goes out exactly as it came in."""

from typing import Any

from marshmallow import fields, post_load

from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import MAX_UINT256, AddressField, Amount, HashField, WholeNumber
from relay.exchange.rules import NOBODY, normal_v
from relay.model import Order
from relay.store.orders import OrderFilter, StoredOrder

_NUMBER = {"highest": MAX_UINT256, "required": True}
_FEE = {"highest": MAX_UINT256, "load_default": 0}


class SignatureSchema(RequestSchema):
    """A signature of an order's hash with the prefix of signed messages; ``v`` 0 and 1 are read as 27 and 28."""

    v = WholeNumber(highest=255, required=True)
    r = HashField(required=True)
    s = HashField(required=True)


class OrderSchema(RequestSchema):
    """A signed order; without ``taker`` anybody may take it, and without the fees there are none."""

    exchange = AddressField(data_key="exchangeContractAddress", required=True)
    maker = AddressField(required=True)
    taker = AddressField(load_default=NOBODY)
    maker_token = AddressField(data_key="makerTokenAddress", required=True)
    taker_token = AddressField(data_key="takerTokenAddress", required=True)
    fee_recipient = AddressField(load_default=NOBODY)
    maker_amount = Amount(data_key="makerTokenAmount", **_NUMBER)
    taker_amount = Amount(data_key="takerTokenAmount", **_NUMBER)
    maker_fee = Amount(**_FEE)
    taker_fee = Amount(**_FEE)
    expires_at = Amount(data_key="expirationUnixTimestampSec", **_NUMBER)
    salt = Amount(**_NUMBER)
    signature = fields.Nested(SignatureSchema, data_key="ecSignature", required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Order:
        """Return the order."""
        signature = data.pop("signature")
        return Order(**data, v=normal_v(signature["v"]), r=signature["r"], s=signature["s"])


class StoredOrderSchema(OrderSchema):
    """An order and what has become of it; available is what was neither filled nor cancelled."""

    is_asked = False

    hash = HashField()
    filled_maker_token_amount = Amount()
    filled_taker_token_amount = Amount()
    cancelled_maker_token_amount = Amount()
    cancelled_taker_token_amount = Amount()
    available_maker_token_amount = Amount()
    available_taker_token_amount = Amount()


class OrderBookSchema(AnswerSchema):
    """The orders of a pair of tokens, the best price first; asks offer the base token, bids ask for it."""

    bids = fields.List(fields.Nested(StoredOrderSchema))
    asks = fields.List(fields.Nested(StoredOrderSchema))


class PairSchema(RequestSchema):
    """A pair of tokens."""

    base = AddressField(data_key="baseTokenAddress", required=True)
    quote = AddressField(data_key="quoteTokenAddress", required=True)


class OrderFilterSchema(RequestSchema):
    """Which orders are wanted; ``tokenAddress`` is either of the two, ``trader`` maker or taker."""

    exchange = AddressField(data_key="exchangeContractAddress")
    token = AddressField(data_key="tokenAddress")
    maker_token = AddressField(data_key="makerTokenAddress")
    taker_token = AddressField(data_key="takerTokenAddress")
    trader = AddressField()
    maker = AddressField()
    taker = AddressField()
    fee_recipient = AddressField()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> OrderFilter:
        """Return the filter."""
        return OrderFilter(**data)


def describe(stored: StoredOrder) -> dict[str, Any]:
    """Return what `StoredOrderSchema` writes of an order."""
    order = stored.order
    return {
        "hash": stored.hash,
        "exchange": order.exchange,
        "maker": order.maker,
        "taker": order.taker,
        "maker_token": order.maker_token,
        "taker_token": order.taker_token,
        "fee_recipient": order.fee_recipient,
        "maker_amount": order.maker_amount,
        "taker_amount": order.taker_amount,
        "maker_fee": order.maker_fee,
        "taker_fee": order.taker_fee,
        "expires_at": order.expires_at,
        "salt": order.salt,
        "signature": {"v": order.v, "r": order.r, "s": order.s},
        "filled_maker_token_amount": stored.filled_maker,
        "filled_taker_token_amount": stored.filled_taker,
        "cancelled_maker_token_amount": stored.cancelled_maker,
        "cancelled_taker_token_amount": stored.cancelled_taker,
        "available_maker_token_amount": stored.available_maker,
        "available_taker_token_amount": stored.available_taker,
    }
