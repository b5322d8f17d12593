"""Currency networks and their users."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from marshmallow import fields

from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.fields import AddressField, Amount
from relay.api.resources.base import ApiResource, Reading
from relay.api.schemas import NetworkSchema, UserSchema
from relay.sync.networks import UnknownNetwork

INTEREST_RATE_DECIMALS = 2
"""Rates count hundredths of a percent."""


class NetworkList(ApiResource):
    """All served networks."""

    depends_on_block_only = True

    @speaks(NetworkSchema(many=True))
    def get(self) -> list[dict[str, Any]]:
        """List the networks."""
        return list(self._networks())

    def _networks(self) -> Iterator[dict[str, Any]]:
        for address in self.services.networks.addresses():
            # Between two looks a network may cease to be served.
            with suppress(UnknownNetwork), self.reading(address) as reading:
                yield _network(reading)


class NetworkDetails(ApiResource):
    """One network."""

    depends_on_block_only = True

    @speaks(NetworkSchema())
    def get(self, network: Address) -> dict[str, Any]:
        """Describe a network."""
        with self.reading(network) as reading:
            return _network(reading)


class UserList(ApiResource):
    """The users of a network."""

    depends_on_block_only = True

    @speaks(fields.List(AddressField()))
    def get(self, network: Address) -> list[Address]:
        """List everybody who has, or once had, a trustline."""
        with self.reading(network) as reading:
            return reading.graph.users


class UserDetails(ApiResource):
    """A user of a network."""

    @speaks(UserSchema())
    def get(self, network: Address, user: Address) -> dict[str, Any]:
        """Sum up a user's trustlines; zeros for somebody who has none yet, as a new wallet asks."""
        with self.reading(network) as reading:
            totals = reading.graph.totals(user, reading.at)
        return {
            "balance": totals.balance,
            "frozen_balance": totals.frozen_balance,
            "given": totals.given,
            "received": totals.received,
            "left_given": totals.left_given,
            "left_received": totals.left_received,
        }


class Contacts(ApiResource):
    """Whom a user trades with."""

    depends_on_block_only = True

    @speaks(fields.List(AddressField()))
    def get(self, network: Address, user: Address) -> list[Address]:
        """List those with whom a user has an open trustline."""
        with self.reading(network) as reading:
            return reading.graph.neighbours(user)


class Spendable(ApiResource):
    """What a user can spend in all."""

    @speaks(Amount())
    def get(self, network: Address, user: Address) -> int:
        """Sum up what is left of the credit received on trustlines that are not frozen."""
        with self.reading(network) as reading:
            return reading.graph.totals(user, reading.at).spendable


def _network(reading: Reading) -> dict[str, Any]:
    info = reading.info
    return {
        "name": info.name,
        "abbreviation": info.symbol,
        "address": info.address,
        "decimals": info.decimals,
        "num_users": reading.graph.number_of_users,
        "capacity_imbalance_fee_divisor": info.fee_divisor,
        "default_interest_rate": info.default_interest_rate,
        "interest_rate_decimals": INTEREST_RATE_DECIMALS,
        "custom_interests": info.custom_interests,
        "prevent_mediator_interests": info.prevent_mediator_interests,
        "is_frozen": reading.graph.is_frozen,
    }
