"""The application factory, and the table of all routes."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from flask import Flask, Response, g, request
from flask_restful import Api
from werkzeug.exceptions import NotFound, ServiceUnavailable
from werkzeug.routing import BaseConverter

from relay.addresses import Address, MalformedAddress, parse_address, to_checksum
from relay.api import request_id
from relay.api.errors import RETRY_SECONDS, answer_error
from relay.api.resources import (
    contracts,
    delegation,
    devices,
    events,
    exchange,
    histories,
    messages,
    networks,
    paths,
    pictures,
    transactions,
    trustlines,
)
from relay.api.resources.base import ApiResource
from relay.api.services import Services

PREFIX = "/api/v1"

_NETWORK = "/networks/<address:network>"
_NETWORK_USER = f"{_NETWORK}/users/<address:user>"
_USER = "/users/<address:user>"
_TOKEN = "/tokens/<address:token>"  # noqa: S105 - part of a URL
_EXCHANGE = "/exchange/<address:exchange>"
_IDENTITY = "/identities/<address:identity>"

ROUTES: dict[type[ApiResource], tuple[str, ...]] = {
    transactions.Version: ("/version",),
    networks.NetworkList: ("/networks",),
    networks.NetworkDetails: (_NETWORK,),
    networks.UserList: (f"{_NETWORK}/users",),
    networks.UserDetails: (_NETWORK_USER,),
    networks.Spendable: (f"{_NETWORK_USER}/spendable",),
    trustlines.NetworkTrustlines: (f"{_NETWORK}/trustlines",),
    trustlines.UserTrustlines: (f"{_NETWORK_USER}/trustlines",),
    trustlines.TrustlineDetails: (f"{_NETWORK_USER}/trustlines/<address:other>",),
    trustlines.UserTrustlinesEverywhere: (f"{_USER}/trustlines",),
    paths.SpendableTo: (f"{_NETWORK_USER}/spendables/<address:other>",),
    paths.TransferPath: (f"{_NETWORK}/path-info",),
    paths.CapacityPath: (f"{_NETWORK}/max-capacity-path-info",),
    paths.ClosingPath: (f"{_NETWORK}/close-trustline-path-info",),
    events.NetworkEvents: (f"{_NETWORK}/events",),
    events.NetworkUserEvents: (f"{_NETWORK_USER}/events",),
    contracts.UserEvents: (f"{_USER}/events",),
    transactions.TransactionInfo: (f"{_USER}/tx-infos", f"{_USER}/txinfos"),
    transactions.BlockNumber: ("/blocknumber",),
    transactions.Relay: ("/relay",),
    delegation.TransactionStatus: ("/transactions/<hash:transaction_hash>/status",),
    delegation.Factories: ("/factories",),
    delegation.IdentityList: ("/identities",),
    delegation.IdentityDetails: (_IDENTITY,),
    delegation.MetaTransactionStatus: (f"{_IDENTITY}/meta-transactions/<hash:meta_hash>/status",),
    delegation.MetaTransactionFees: ("/meta-transaction-fees",),
    delegation.RelayMetaTransaction: ("/relay-meta-transaction",),
    delegation.RequestEther: ("/request-ether",),
    messages.Messages: ("/messages/<address:user>",),
    devices.Device: ("/pushnotifications/<address:user>/token/<token>",),
    networks.Contacts: (f"{_NETWORK_USER}/contacts",),
    transactions.Balance: (f"{_USER}/balance",),
    events.TrustlineEvents: (f"{_NETWORK_USER}/trustlines/<address:other>/events",),
    histories.Interests: (f"{_NETWORK_USER}/interests",),
    histories.TrustlineInterests: (f"{_NETWORK_USER}/interests/<address:other>",),
    histories.MediationFees: (f"{_NETWORK_USER}/mediation-fees",),
    histories.TransferredSum: (f"{_NETWORK_USER}/transferredSums/<address:other>",),
    histories.Transfers: ("/transfers",),
    histories.Debts: (f"{_USER}/debts",),
    pictures.Dump: (f"{_NETWORK}/dump",),
    pictures.Image: (f"{_NETWORK}/image",),
    exchange.Exchanges: ("/exchange/exchanges",),
    exchange.WrappedEther: ("/exchange/eth",),
    exchange.OrderBookOfPair: ("/exchange/orderbook",),
    exchange.Orders: ("/exchange/orders",),
    exchange.OrderSubmission: ("/exchange/order",),
    exchange.OrderDetails: ("/exchange/order/<hash:order_hash>",),
    contracts.Tokens: ("/tokens",),
    contracts.TokenEvents: (f"{_TOKEN}/events",),
    contracts.TokenUserEvents: (f"{_TOKEN}{_USER}/events",),
    contracts.TokenBalance: (f"{_TOKEN}{_USER}/balance",),
    contracts.ExchangeEvents: (f"{_EXCHANGE}/events",),
    contracts.ExchangeUserEvents: (f"{_EXCHANGE}{_USER}/events",),
    contracts.AllExchangesUserEvents: (f"/exchange{_USER}/events",),
    contracts.DelegationFees: ("/delegation-fees",),
}
"""Every resource and its URLs below the prefix; a slash at the end is accepted everywhere."""


_PARTS: dict[type[ApiResource], str] = {
    transactions.Relay: "relaying",
    delegation.TransactionStatus: "statuses",
    delegation.Factories: "identities",
    delegation.IdentityList: "identities",
    delegation.IdentityDetails: "identities",
    delegation.MetaTransactionStatus: "meta_transactions",
    delegation.MetaTransactionFees: "meta_transactions",
    delegation.RelayMetaTransaction: "meta_transactions",
    delegation.RequestEther: "faucet",
    messages.Messages: "messaging",
    devices.Device: "devices",
    pictures.Image: "pictures",
    exchange.Exchanges: "order_book",
    exchange.WrappedEther: "order_book",
    exchange.OrderBookOfPair: "order_book",
    exchange.Orders: "order_book",
    exchange.OrderSubmission: "order_book",
    exchange.OrderDetails: "order_book",
    contracts.DelegationFees: "meta_transactions",
    contracts.Tokens: "contracts",
    contracts.TokenEvents: "contracts",
    contracts.TokenUserEvents: "contracts",
    contracts.TokenBalance: "token_balance",
    contracts.ExchangeEvents: "order_book",
    contracts.ExchangeUserEvents: "order_book",
    contracts.AllExchangesUserEvents: "order_book",
}
"""The services without which a resource is not there at all."""

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


def create_app(services: Services, *, max_body_bytes: int) -> Flask:
    """Return the WSGI application; a body above ``max_body_bytes`` is refused with 413 without being read."""
    app = Flask("relay.api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.url_map.strict_slashes = False
    app.url_map.converters["address"] = _AddressConverter
    app.url_map.converters["hash"] = _HashConverter
    app.register_error_handler(Exception, answer_error)
    api = _JsonApi(app, prefix=PREFIX)
    for resource, urls in ROUTES.items():
        if _is_switched_off(resource, services):
            continue
        api.add_resource(resource, *urls, resource_class_args=(services,))

    @app.before_request
    def require_state() -> None:
        if not services.networks.is_loaded:
            raise ServiceUnavailable("the relay is still loading its networks", retry_after=RETRY_SECONDS)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers[request_id.HEADER] = request_id.current_request_id()
        block = services.networks.block
        number = g.get("block_number", None if block is None else block.number)
        if number is not None:
            response.headers["X-Trustlines-Block"] = str(number)
        # Wallets in browsers come from anywhere, and nothing here depends on who they are.
        response.headers["Access-Control-Allow-Origin"] = "*"
        exposed = (request_id.HEADER, "X-Trustlines-Block", "X-Trustlines-Proven")
        response.headers["Access-Control-Expose-Headers"] = ", ".join(exposed)
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Headers"] = f"Content-Type, {request_id.HEADER}"
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        return response

    return app


def _is_switched_off(resource: type[ApiResource], services: Services) -> bool:
    part = _PARTS.get(resource)
    is_undeployed = resource is delegation.IdentityList and not services.deploys_identities
    return is_undeployed or (part is not None and getattr(services, part) is None)


class _HashConverter(BaseConverter):
    """A 32-byte hash in a URL; what is none is not found."""

    def to_python(self, value: str) -> bytes:
        if _HASH.fullmatch(value) is None:
            raise NotFound("not a hash: expected 0x followed by 64 hexadecimal digits, in the URL")
        return bytes.fromhex(value[2:])

    def to_url(self, value: Any) -> str:
        return f"0x{value.hex()}"


class _AddressConverter(BaseConverter):
    """An address in a URL, read as in a body; what is none is not found."""

    def to_python(self, value: str) -> Address:
        try:
            return parse_address(value)
        except MalformedAddress as error:
            # Not the converter's own ValidationError: that one would hide the reason.
            raise NotFound(f"{error}, in the URL") from error

    def to_url(self, value: Any) -> str:
        return to_checksum(value)


class _JsonApi(Api):  # type: ignore[misc]
    """Flask-RESTful, writing JSON with orjson and leaving errors to the application's one handler."""

    def __init__(self, app: Flask, prefix: str) -> None:
        super().__init__(app, prefix=prefix)
        self.representations = {"application/json": _to_json}

    def error_router(self, original_handler: Callable[[Exception], Any], e: Exception) -> Any:
        return original_handler(e)


def _to_json(data: Any, code: int, headers: dict[str, str] | None = None) -> Response:
    response = Response(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE), code, mimetype="application/json")
    response.headers.extend(headers or {})
    return response
