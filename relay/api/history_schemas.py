"""What is told of the past: interest, mediation fees, transfers, and the debts that are left of it."""

from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from graph.answers import Reason
from graph.transfer import FeePayer
from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import AddressField, Amount, HashField, HexField, PreparedList, WholeNumber

_LATEST = 2**63 - 1


class AccruedInterestSchema(AnswerSchema):
    """Interest that one balance change brought; ``value`` is negative where the user paid it.

    ``interestRate`` is in 0.01 % a year, ``timestamp`` in Unix seconds.
    """

    value = Amount()
    interest_rate = fields.Integer()
    timestamp = fields.Integer()


class TrustlineInterestsSchema(AnswerSchema):
    """The interest on one trustline as ``user`` sees it, in the order of the chain; none where it was zero."""

    accrued_interests = PreparedList(AccruedInterestSchema())
    user = AddressField()
    counterparty = AddressField()


class MediationFeeSchema(AnswerSchema):
    """What a user kept of a transfer that came from its neighbour ``from`` and went on to its neighbour ``to``."""

    value = Amount()
    sender = AddressField(data_key="from")
    receiver = AddressField(data_key="to")
    transaction_hash = HexField()
    timestamp = fields.Integer()


class MediationFeesSchema(AnswerSchema):
    """All that a user mediated in a network, in the order of the chain."""

    mediation_fees = PreparedList(MediationFeeSchema())
    user = AddressField()
    network = AddressField()


class TransferredSumSchema(AnswerSchema):
    """The sum of all transfers from ``sender`` to ``receiver`` in a time span, both ends included."""

    sender = AddressField()
    receiver = AddressField()
    start_time = fields.Integer()
    end_time = fields.Integer()
    value = Amount()


class TransferDetailsSchema(AnswerSchema):
    """A transfer as it was executed.

    ``value`` is what the receiver got where the sender paid the fees, else what the sender gave. ``feesPaid``
    holds what each mediator kept, in the order of ``path``. A direct transfer, which has no fees, counts as one
    whose fees the sender paid.
    """

    currency_network = AddressField()
    path = fields.List(AddressField())
    value = Amount()
    fee_payer = fields.Enum(FeePayer, by_value=fields.String)
    total_fees = Amount()
    fees_paid = fields.List(Amount())
    extra_data = HexField()


class DebtSchema(AnswerSchema):
    """What ``debtor`` owes the user, negative where the user is the one who owes.

    ``maximumClaimableValue`` is how much of it the creditor can have transferred now, over ``claimPath``, which
    leads from who owes to who claims and is missing if there is none. If that is not the whole, ``reason`` and
    ``reasonMessage`` say why.
    """

    sometimes = frozenset({"claimPath", "reason", "reasonMessage"})

    debtor = AddressField()
    value = Amount()
    maximum_claimable_value = Amount()
    claim_path = fields.List(AddressField())
    reason = fields.String(metadata={"enum": [reason.value for reason in Reason]})
    reason_message = fields.String()


class NetworkDebtsSchema(AnswerSchema):
    """The debts of a user in one network."""

    currency_network = AddressField()
    debts = fields.List(fields.Nested(DebtSchema))


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From when to when, in Unix seconds, both ends included; ``end_time`` None for the present."""

    start_time: int
    end_time: int | None


class TimeSpanSchema(RequestSchema):
    """From when to when; all if nothing is said."""

    start_time = WholeNumber(highest=_LATEST, load_default=0)
    end_time = WholeNumber(highest=_LATEST, load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> TimeSpan:
        """Return the time span."""
        return TimeSpan(**data)


@dataclass(frozen=True, slots=True)
class TransferName:
    """What names transfers: a transaction, or a block and the log index of an event in it."""

    transaction_hash: bytes | None
    block_hash: bytes | None
    log_index: int | None


class TransferNameSchema(RequestSchema):
    """Either a transaction, or one of a transfer's events."""

    transaction_hash = HashField(load_default=None)
    block_hash = HashField(load_default=None)
    log_index = WholeNumber(highest=2**31 - 1, load_default=None)

    @validates_schema
    def require_one(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse anything but one of the two ways to name a transfer."""
        by_transaction = data.get("transaction_hash") is not None
        by_event = [data.get(name) is not None for name in ("block_hash", "log_index")]
        if by_transaction == any(by_event) or any(by_event) != all(by_event):
            raise ValidationError("either transactionHash alone, or blockHash and logIndex together are needed")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> TransferName:
        """Return the name."""
        return TransferName(**data)
