"""The table of all routes: what each resource answers to, what answering takes, and what it cannot do without."""

from dataclasses import dataclass

from relay.api.admission import Cost
from relay.api.limits import Rate
from relay.api.resources import (
    admin,
    contracts,
    delegation,
    devices,
    documentation,
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

PREFIX = "/api/v1"
ADMIN = "/admin"

_NETWORK = "/networks/<address:network>"
_NETWORK_USER = f"{_NETWORK}/users/<address:user>"
_USER = "/users/<address:user>"
_TOKEN = "/tokens/<address:token>"  # noqa: S105 - part of a URL
_EXCHANGE = "/exchange/<address:exchange>"
_IDENTITY = "/identities/<address:identity>"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a resource is, and with what.

    Attributes:
        urls: its URLs below the prefix; a slash at the end is accepted everywhere.
        cost: what answering takes.
        part: the one of the services without which it is not there at all, None if it is there always.

    """

    urls: tuple[str, ...]
    cost: Cost
    part: str | None = None


ROUTES: dict[type[ApiResource], Route] = {
    transactions.Version: Route(("/version",), Cost.CHEAP),
    networks.NetworkList: Route(("/networks",), Cost.CHEAP),
    networks.NetworkDetails: Route((_NETWORK,), Cost.CHEAP),
    networks.UserList: Route((f"{_NETWORK}/users",), Cost.CHEAP),
    networks.UserDetails: Route((_NETWORK_USER,), Cost.CHEAP),
    networks.Spendable: Route((f"{_NETWORK_USER}/spendable",), Cost.CHEAP),
    trustlines.NetworkTrustlines: Route((f"{_NETWORK}/trustlines",), Cost.WHOLE_NETWORK),
    trustlines.UserTrustlines: Route((f"{_NETWORK_USER}/trustlines",), Cost.CHEAP),
    trustlines.TrustlineDetails: Route((f"{_NETWORK_USER}/trustlines/<address:other>",), Cost.CHEAP),
    trustlines.UserTrustlinesEverywhere: Route((f"{_USER}/trustlines",), Cost.CHEAP),
    paths.SpendableTo: Route((f"{_NETWORK_USER}/spendables/<address:other>",), Cost.SEARCH),
    paths.TransferPath: Route((f"{_NETWORK}/path-info",), Cost.SEARCH),
    paths.CapacityPath: Route((f"{_NETWORK}/max-capacity-path-info",), Cost.SEARCH),
    paths.ClosingPath: Route((f"{_NETWORK}/close-trustline-path-info",), Cost.SEARCH),
    events.NetworkEvents: Route((f"{_NETWORK}/events",), Cost.DATABASE),
    events.NetworkUserEvents: Route((f"{_NETWORK_USER}/events",), Cost.DATABASE),
    contracts.UserEvents: Route((f"{_USER}/events",), Cost.DATABASE),
    transactions.TransactionInfo: Route((f"{_USER}/tx-infos", f"{_USER}/txinfos"), Cost.NODE),
    transactions.BlockNumber: Route(("/blocknumber",), Cost.NODE),
    transactions.Relay: Route(("/relay",), Cost.NODE, "relaying"),
    delegation.TransactionStatus: Route(("/transactions/<hash:transaction_hash>/status",), Cost.NODE, "statuses"),
    delegation.Factories: Route(("/factories",), Cost.CHEAP, "identities"),
    delegation.IdentityList: Route(("/identities",), Cost.DEPLOYMENT, "identities"),
    delegation.IdentityDetails: Route((_IDENTITY,), Cost.NODE, "identities"),
    delegation.MetaTransactionStatus: Route(
        (f"{_IDENTITY}/meta-transactions/<hash:meta_hash>/status",), Cost.NODE, "meta_transactions"
    ),
    delegation.MetaTransactionFees: Route(("/meta-transaction-fees",), Cost.NODE, "meta_transactions"),
    delegation.RelayMetaTransaction: Route(("/relay-meta-transaction",), Cost.NODE, "meta_transactions"),
    delegation.RequestEther: Route(("/request-ether",), Cost.NODE, "faucet"),
    messages.Messages: Route(("/messages/<address:user>",), Cost.DATABASE, "messaging"),
    devices.Device: Route(("/pushnotifications/<address:user>/token/<token>",), Cost.DATABASE, "devices"),
    networks.Contacts: Route((f"{_NETWORK_USER}/contacts",), Cost.CHEAP),
    transactions.Balance: Route((f"{_USER}/balance",), Cost.NODE),
    events.TrustlineEvents: Route((f"{_NETWORK_USER}/trustlines/<address:other>/events",), Cost.DATABASE),
    histories.Interests: Route((f"{_NETWORK_USER}/interests",), Cost.DATABASE),
    histories.TrustlineInterests: Route((f"{_NETWORK_USER}/interests/<address:other>",), Cost.DATABASE),
    histories.MediationFees: Route((f"{_NETWORK_USER}/mediation-fees",), Cost.DATABASE),
    histories.TransferredSum: Route((f"{_NETWORK_USER}/transferredSums/<address:other>",), Cost.DATABASE),
    histories.Transfers: Route(("/transfers",), Cost.DATABASE),
    histories.Debts: Route((f"{_USER}/debts",), Cost.SEARCH),
    pictures.Dump: Route((f"{_NETWORK}/dump",), Cost.WHOLE_NETWORK),
    pictures.Image: Route((f"{_NETWORK}/image",), Cost.WHOLE_NETWORK, "pictures"),
    exchange.Exchanges: Route(("/exchange/exchanges",), Cost.CHEAP, "order_book"),
    exchange.WrappedEther: Route(("/exchange/eth",), Cost.CHEAP, "order_book"),
    exchange.OrderBookOfPair: Route(("/exchange/orderbook",), Cost.DATABASE, "order_book"),
    exchange.Orders: Route(("/exchange/orders",), Cost.DATABASE, "order_book"),
    exchange.OrderSubmission: Route(("/exchange/order",), Cost.NODE, "order_book"),
    exchange.OrderDetails: Route(("/exchange/order/<hash:order_hash>",), Cost.DATABASE, "order_book"),
    contracts.Tokens: Route(("/tokens",), Cost.DATABASE, "contracts"),
    contracts.TokenEvents: Route((f"{_TOKEN}/events",), Cost.DATABASE, "contracts"),
    contracts.TokenUserEvents: Route((f"{_TOKEN}{_USER}/events",), Cost.DATABASE, "contracts"),
    contracts.TokenBalance: Route((f"{_TOKEN}{_USER}/balance",), Cost.NODE, "token_balance"),
    contracts.ExchangeEvents: Route((f"{_EXCHANGE}/events",), Cost.DATABASE, "order_book"),
    contracts.ExchangeUserEvents: Route((f"{_EXCHANGE}{_USER}/events",), Cost.DATABASE, "order_book"),
    contracts.AllExchangesUserEvents: Route((f"/exchange{_USER}/events",), Cost.DATABASE, "order_book"),
    contracts.DelegationFees: Route(("/delegation-fees",), Cost.DATABASE, "meta_transactions"),
    documentation.OpenApi: Route(("/openapi.json",), Cost.CHEAP),
    documentation.Page: Route(("/docs",), Cost.CHEAP),
    documentation.ErrorPage: Route(("/docs/errors",), Cost.CHEAP),
    documentation.PageFile: Route(("/docs/<name>",), Cost.CHEAP),
    admin.Nodes: Route((f"{ADMIN}/nodes",), Cost.OPERATOR, "administration"),
    admin.NodesReconnect: Route((f"{ADMIN}/nodes/reconnect",), Cost.OPERATOR, "administration"),
    admin.Pauses: Route((f"{ADMIN}/pauses",), Cost.OPERATOR, "administration"),
    admin.PauseOfPart: Route((f"{ADMIN}/pauses/<part>",), Cost.OPERATOR, "administration"),
    admin.Bans: Route((f"{ADMIN}/bans",), Cost.OPERATOR, "administration"),
    admin.BanOfAddress: Route((f"{ADMIN}/bans/<address:banned>",), Cost.OPERATOR, "administration"),
    admin.TokenRevocation: Route((f"{ADMIN}/push-tokens/revoke",), Cost.OPERATOR, "administration"),
    admin.MessagePruning: Route((f"{ADMIN}/messages/prune",), Cost.OPERATOR, "administration"),
}
"""Every resource."""

OF_ANY_PROCESS: tuple[type[ApiResource], ...] = (
    transactions.Version,
    transactions.BlockNumber,
    *(resource for resource in ROUTES if resource.__module__ in {documentation.__name__, admin.__name__}),
)
"""What is answered whatever networks a process holds."""

_LISTS = (Cost.WHOLE_NETWORK, Cost.DATABASE)


def rate_of(resource: object, method: str) -> Rate:
    """Return which limit a request counts for, by the class of the resource that answers it and the method."""
    route = ROUTES.get(resource) if isinstance(resource, type) else None
    cost = None if route is None else route.cost
    if cost is Cost.SEARCH:
        return Rate.SEARCHES
    if method not in {"GET", "HEAD"}:
        return Rate.SENDING
    return Rate.LISTS if cost in _LISTS else Rate.READING
