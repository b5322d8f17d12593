"""What the relay sends for users: meta-transactions, their identities, gifts of ether; and what became of it."""

from typing import Any

from marshmallow import fields

from relay import telemetry
from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.counting import counting
from relay.api.delegation_schemas import (
    DeploymentSchema,
    FateSchema,
    FeeOfferSchema,
    IdentitySchema,
    MetaTransactionBodySchema,
    RecipientSchema,
)
from relay.api.faults import IdentityUnknown
from relay.api.fields import AddressField, HexField
from relay.api.resources.base import ApiResource
from relay.chain.identity import MetaTransaction
from relay.delegate.errors import UnknownIdentity
from relay.delegate.identities import IdentityInfo
from relay.delegate.statuses import Fate


class Factories(ApiResource):
    """The identity factories."""

    @speaks(fields.List(AddressField()))
    def get(self) -> list[Address]:
        """List the factories by which identities are deployed."""
        assert self.services.identities is not None, "without it there is no such route"
        return list(self.services.identities.factories)


class IdentityList(ApiResource):
    """Identities to be made."""

    @speaks(IdentitySchema(), body=DeploymentSchema())
    def post(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Deploy an identity for whoever signed for it."""
        assert self.services.identities is not None, "without it there is no such route"
        self.services.orders.require_delegate()
        info = self.services.identities.deploy(
            wanted["factory_address"], wanted["implementation_address"], wanted["signature"]
        )
        return _identity(info)


class IdentityDetails(ApiResource):
    """An identity."""

    @speaks(IdentitySchema())
    def get(self, identity: Address) -> dict[str, Any]:
        """Return an identity's next nonce, balance and implementation."""
        assert self.services.identities is not None, "without it there is no such route"
        try:
            return _identity(self.services.identities.info(identity))
        except UnknownIdentity as error:
            raise IdentityUnknown("Identity Contract not found or invalid") from error


class MetaTransactionFees(ApiResource):
    """What a meta-transaction costs its sender."""

    @speaks(FeeOfferSchema(many=True), body=MetaTransactionBodySchema())
    def post(self, meta: MetaTransaction) -> list[dict[str, Any]]:
        """List the fees of which a meta-transaction has to pay one."""
        assert self.services.meta_transactions is not None, "without it there is no such route"
        return [
            {
                "base_fee": offer.base_fee,
                "gas_price": offer.gas_price,
                "fee_recipient": offer.recipient,
                "currency_network_of_fees": offer.network,
            }
            for offer in self.services.meta_transactions.fees(meta)
        ]


class RelayMetaTransaction(ApiResource):
    """Meta-transactions on their way."""

    @speaks(HexField(), body=MetaTransactionBodySchema())
    @counting(telemetry.meta_transactions)
    def post(self, meta: MetaTransaction) -> bytes:
        """Have a meta-transaction executed and return the hash of the transaction that carries it."""
        assert self.services.meta_transactions is not None, "without it there is no such route"
        self.services.orders.require_delegate()
        self.services.orders.require_welcome(meta.identity)
        return self.services.meta_transactions.relay(meta)


class MetaTransactionStatus(ApiResource):
    """What became of a meta-transaction."""

    @speaks(FateSchema())
    def get(self, identity: Address, meta_hash: bytes) -> dict[str, Any]:
        """Return the status of a meta-transaction of an identity."""
        assert self.services.statuses is not None, "without it there is no such route"
        return _fate(self.services.statuses.of_meta_transaction(identity, meta_hash))


class TransactionStatus(ApiResource):
    """What became of a transaction."""

    @speaks(FateSchema())
    def get(self, transaction_hash: bytes) -> dict[str, Any]:
        """Return the status of a transaction."""
        assert self.services.statuses is not None, "without it there is no such route"
        return _fate(self.services.statuses.of_transaction(transaction_hash))


class RequestEther(ApiResource):
    """Gifts of ether."""

    @speaks(HexField(allow_none=True), body=RecipientSchema())
    def post(self, wanted: dict[str, Any]) -> bytes | None:
        """Give ether and return the hash of the transaction, null if the address has enough."""
        assert self.services.faucet is not None, "without it there is no such route"
        self.services.orders.require_delegate()
        self.services.orders.require_welcome(wanted["address"])
        return self.services.faucet.give(wanted["address"])


def _identity(info: IdentityInfo) -> dict[str, Any]:
    return {
        "identity": info.identity,
        "next_nonce": info.next_nonce,
        "balance": info.balance,
        "implementation_address": info.implementation_address,
    }


def _fate(fate: Fate) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": fate.status.value}
    if fate.transaction_hash is not None:
        answer["transaction_hash"] = fate.transaction_hash
    if fate.reason is not None:
        answer["reason"] = fate.reason
    return answer
