"""The objects of the endpoints that send transactions for users."""

from typing import Any

from marshmallow import fields, post_load

from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import MAX_UINT256, AddressField, Amount, HashField, HexField, WholeNumber
from relay.chain.identity import VERSION, ZERO_ADDRESS, MetaTransaction
from relay.delegate.statuses import Status

_MOST_WORDS = {"highest": MAX_UINT256, "load_default": 0}


class MetaTransactionSchema(RequestSchema):
    """A meta-transaction; numbers up to 2^256 - 1. Without ``signature`` where only its fees are asked for."""

    identity = AddressField(data_key="from", required=True)
    chain_id = WholeNumber(**_MOST_WORDS)
    version = WholeNumber(highest=MAX_UINT256, load_default=VERSION)
    to = AddressField(required=True)
    value = Amount(highest=MAX_UINT256, required=True)
    data = HexField(required=True)
    base_fee = Amount(**_MOST_WORDS)
    gas_price = Amount(**_MOST_WORDS)
    gas_limit = Amount(**_MOST_WORDS)
    fee_recipient = AddressField(load_default=ZERO_ADDRESS)
    currency_network_of_fees = AddressField()
    nonce = Amount(highest=MAX_UINT256, required=True)
    time_limit = Amount(**_MOST_WORDS)
    operation_type = WholeNumber(highest=3, load_default=0)
    signature = HexField(load_default=b"")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> MetaTransaction:
        """Return the meta-transaction; fees are paid in the contract that is called unless another is named."""
        data.setdefault("currency_network_of_fees", data["to"])
        return MetaTransaction(**data)


class MetaTransactionBodySchema(RequestSchema):
    """A body with a meta-transaction."""

    meta_transaction = fields.Nested(MetaTransactionSchema, required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> MetaTransaction:
        """Return the meta-transaction."""
        meta: MetaTransaction = data["meta_transaction"]
        return meta


class FeeOfferSchema(AnswerSchema):
    """A fee that is accepted, ``gasPrice`` per 10^6 gas, in the smallest unit of the network named.

    Where nothing is asked for, fees are 0 and the network is the zero address.
    """

    base_fee = Amount()
    gas_price = Amount()
    fee_recipient = AddressField()
    currency_network_of_fees = AddressField()


class DeploymentSchema(RequestSchema):
    """An identity to be deployed, signed for by its owner."""

    factory_address = AddressField(required=True)
    implementation_address = AddressField(required=True)
    signature = HexField(required=True)


class IdentitySchema(AnswerSchema):
    """An identity; ``nextNonce`` counts meta-transactions on their way, ``balance`` is in wei."""

    identity = AddressField()
    next_nonce = fields.Integer()
    balance = Amount()
    implementation_address = AddressField()


class FateSchema(AnswerSchema):
    """What became of a transaction: success, failure, pending or not found.

    ``transactionHash`` is the transaction that counts, which differs from the one asked for where a higher fee
    replaced it. ``reason`` says why it will not be executed: replaced, dropped, withdrawn; or reverted.
    """

    sometimes = frozenset({"transactionHash", "reason"})

    status = fields.String(metadata={"enum": [status.value for status in Status]})
    transaction_hash = HashField()
    reason = fields.String()


class RecipientSchema(RequestSchema):
    """Who is to be given ether."""

    address = AddressField(required=True)
