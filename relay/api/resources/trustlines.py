"""Trustlines, as their users see them."""

from contextlib import suppress
from functools import lru_cache
from typing import Any

import orjson

from graph.trustline import View
from relay.addresses import Address, trustline_id
from relay.api.contract import speaks
from relay.api.fields import PreparedList
from relay.api.resources.base import ApiResource
from relay.api.schemas import TrustlineSchema
from relay.sync.networks import UnknownNetwork

_SHAPE = TrustlineSchema()

_REMEMBERED = 1 << 15
"""Each takes about a kilobyte."""


class _UserResource(ApiResource):
    def trustlines_of(self, user: Address, network: Address) -> list[bytes]:
        """Return the open trustlines of a user in a network, by the other's address, each as JSON.

        Raises:
            UnknownNetwork: if the network is not served.

        """
        with self.reading(network) as reading:
            views = list(reading.graph.views(user, reading.at))
        return [_written(network, view) for view in views]


class UserTrustlines(_UserResource):
    """The trustlines of a user in one network."""

    @speaks(PreparedList(_SHAPE))
    def get(self, network: Address, user: Address) -> list[bytes]:
        """List the open trustlines of a user, by the other's address."""
        return self.trustlines_of(user, network)


class UserTrustlinesEverywhere(_UserResource):
    """The trustlines of a user in all networks."""

    @speaks(PreparedList(_SHAPE))
    def get(self, user: Address) -> list[bytes]:
        """List the open trustlines of a user, network by network."""
        found = []
        for network in self.services.networks.addresses():
            with suppress(UnknownNetwork):
                found += self.trustlines_of(user, network)
        return found


class TrustlineDetails(ApiResource):
    """The trustline between two users."""

    @speaks(_SHAPE)
    def get(self, network: Address, user: Address, other: Address) -> dict[str, Any]:
        """Describe a trustline as ``user`` sees it; zeros where there is none."""
        with self.reading(network) as reading:
            view = reading.graph.view(user, other, reading.at)
        # As deployed relays do: wallets ask this to learn whether there is one, and take an error for a fault.
        return _trustline(network, view or View(user, other, 0, 0, 0, 0, 0, is_frozen=False))


class NetworkTrustlines(ApiResource):
    """The trustlines of a network."""

    @speaks(TrustlineSchema(many=True))
    def get(self, network: Address) -> list[dict[str, Any]]:
        """List the open trustlines of a network, each as its user with the lower address sees it."""
        with self.reading(network) as reading:
            trustlines, at = list(reading.graph.trustlines()), reading.at
        trustlines.sort(key=lambda line: line.pair)
        return [_trustline(network, line.at(at).seen_by(line.lower)) for line in trustlines]


@lru_cache(maxsize=_REMEMBERED)
def _written(network: Address, view: View) -> bytes:
    """Return a trustline as JSON; wallets ask for the same again and again, and few have changed meanwhile."""
    return orjson.dumps(_SHAPE.dump(_trustline(network, view)))


def _trustline(network: Address, view: View) -> dict[str, Any]:
    return {
        "id": trustline_id(network, view.user, view.other),
        "counter_party": view.other,
        "user": view.user,
        "currency_network": network,
        "balance": view.balance,
        "given": view.given,
        "received": view.received,
        "left_given": view.left_given,
        "left_received": view.left_received,
        "interest_rate_given": view.rate_given,
        "interest_rate_received": view.rate_received,
        "is_frozen": view.is_frozen,
    }
