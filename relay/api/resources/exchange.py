"""Exchanges and their orders."""

from typing import Any

from marshmallow import fields
from werkzeug.exceptions import TooManyRequests

from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.faults import OrderNotAcceptable, OrderUnknown, StorageFull
from relay.api.fields import AddressField
from relay.api.order_schemas import (
    OrderBookSchema,
    OrderFilterSchema,
    OrderSchema,
    PairSchema,
    StoredOrderSchema,
    describe,
)
from relay.api.place import client_of_request
from relay.api.resources.base import ApiResource
from relay.exchange.book import OrderBook
from relay.exchange.errors import BookFull, TooMany, Unacceptable
from relay.model import Order
from relay.store.orders import OrderFilter

_RETRY_SECONDS = 60


class _ExchangeResource(ApiResource):
    @property
    def book(self) -> OrderBook:
        """The order book."""
        assert self.services.order_book is not None, "without it there is no such route"
        return self.services.order_book


class Exchanges(_ExchangeResource):
    """The exchanges."""

    @speaks(fields.List(AddressField()))
    def get(self) -> list[Address]:
        """List the exchanges whose orders are taken."""
        return self.book.exchanges


class WrappedEther(_ExchangeResource):
    """The contracts that wrap ether."""

    @speaks(fields.List(AddressField()))
    def get(self) -> list[Address]:
        """List the contracts that wrap ether."""
        return self.book.unw_eths


class OrderBookOfPair(_ExchangeResource):
    """The orders of a pair of tokens."""

    @speaks(OrderBookSchema(), query=PairSchema())
    def get(self, pair: dict[str, Address]) -> dict[str, Any]:
        """List the orders that anybody could take, the best price first."""
        self.note_block()
        found = self.book.pair(pair["base"], pair["quote"])
        return {"bids": list(map(describe, found.bids)), "asks": list(map(describe, found.asks))}


class Orders(_ExchangeResource):
    """All orders."""

    @speaks(StoredOrderSchema(many=True), query=OrderFilterSchema())
    def get(self, wanted: OrderFilter) -> list[dict[str, Any]]:
        """List the orders of which something is left, also where their maker cannot fill them at the moment."""
        self.note_block()
        return [describe(stored) for stored in self.book.orders(wanted)]


class OrderSubmission(_ExchangeResource):
    """Orders to come into the book."""

    @speaks(StoredOrderSchema(), body=OrderSchema())
    def post(self, order: Order) -> dict[str, Any]:
        """Take a signed order into the book; one that is there already stays as it is."""
        try:
            return describe(self.book.submit(order, client=client_of_request(self.services.clients)))
        except Unacceptable as error:
            raise OrderNotAcceptable(str(error)) from error
        except TooMany as error:
            raise TooManyRequests(str(error), retry_after=_RETRY_SECONDS) from error
        except BookFull as error:
            raise StorageFull(str(error), retry_after=_RETRY_SECONDS) from error


class OrderDetails(_ExchangeResource):
    """One order."""

    @speaks(StoredOrderSchema())
    def get(self, order_hash: bytes) -> dict[str, Any]:
        """Return an order by its hash, whatever has become of it."""
        self.note_block()
        stored = self.book.order(order_hash)
        if stored is None:
            raise OrderUnknown("no order of this hash is known")
        return describe(stored)
