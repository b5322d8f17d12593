"""The objects of the REST API. Addresses are EIP-55 text, amounts strings in the smallest unit, hashes 0x-hex."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf

from graph.transfer import FeePayer
from relay.addresses import Address
from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import AddressField, Amount, HexField, WholeNumber
from relay.model import EventType


class NetworkSchema(AnswerSchema):
    """A currency network; ``defaultInterestRate`` is in 0.01 % a year, ``numUsers`` counts former users too."""

    name = fields.String()
    abbreviation = fields.String()
    address = AddressField()
    decimals = fields.Integer()
    num_users = fields.Integer()
    capacity_imbalance_fee_divisor = fields.Integer()
    default_interest_rate = Amount()
    interest_rate_decimals = fields.Integer()
    custom_interests = fields.Boolean()
    prevent_mediator_interests = fields.Boolean()
    is_frozen = fields.Boolean()


class UserSchema(AnswerSchema):
    """Sums over all of a user's trustlines in a network; ``balance`` leaves out what is ``frozenBalance``."""

    balance = Amount()
    frozen_balance = Amount()
    given = Amount()
    received = Amount()
    left_given = Amount()
    left_received = Amount()


class TrustlineSchema(AnswerSchema):
    """A trustline as ``user`` sees it, interest included up to the time of the answer.

    ``address`` and ``counterParty`` are the same; the rates are in 0.01 % a year.
    """

    id = HexField()
    address = AddressField(attribute="counter_party", dump_only=True)
    counter_party = AddressField()
    user = AddressField()
    currency_network = AddressField()
    balance = Amount()
    given = Amount()
    received = Amount()
    left_given = Amount()
    left_received = Amount()
    interest_rate_given = Amount()
    interest_rate_received = Amount()
    is_frozen = fields.Boolean()


class EventSchema(AnswerSchema):
    """An event of a currency network, with those attributes that its type has.

    ``amount`` is what a Transfer moves and the new balance, seen by ``from``, of a BalanceUpdate; ``debt`` the new
    debt of a DebtUpdate. ``user``, ``counterParty`` and ``direction`` are there in the lists of a user.
    """

    network_address = AddressField()
    block_number = fields.Integer()
    block_hash = HexField()
    timestamp = fields.Integer()
    type = fields.String()
    status = fields.String()
    transaction_id = HexField(attribute="transaction_hash", dump_only=True)
    transaction_hash = HexField()
    log_index = fields.Integer()
    sender = AddressField(data_key="from")
    receiver = AddressField(data_key="to")
    user = AddressField()
    counter_party = AddressField()
    direction = fields.String()
    amount = Amount()
    debt = Amount()
    given = Amount()
    received = Amount()
    interest_rate_given = Amount()
    interest_rate_received = Amount()
    is_frozen = fields.Boolean()
    extra_data = HexField()


class _WithReason(AnswerSchema):
    """``reason`` is a stable code and ``reasonMessage`` a sentence; both are there only if ``path`` is empty."""

    path = fields.List(AddressField())
    reason = fields.String()
    reason_message = fields.String()


class PathSchema(_WithReason):
    """A way for a transfer, or to close a trustline: then without ``estimatedGas``, with ``value`` "0" if none."""

    fees = Amount()
    value = Amount()
    fee_payer = fields.Enum(FeePayer, by_value=fields.String)
    estimated_gas = fields.Integer()


class CapacitySchema(_WithReason):
    """The largest value that can be sent, and the way it takes."""

    capacity = Amount()


class TransactionInfoSchema(AnswerSchema):
    """What it takes to sign a transaction: price and balance in wei, the nonce counting pending transactions."""

    gas_price = Amount()
    balance = Amount()
    nonce = fields.Integer()


@dataclass(frozen=True, slots=True)
class PathQuestion:
    """A search between two users; each limit may be None. ``max_fees`` is in the smallest unit."""

    sender: Address
    receiver: Address
    max_fees: int | None
    max_hops: int | None


@dataclass(frozen=True, slots=True)
class TransferQuestion(PathQuestion):
    """A search for a way to send ``value``."""

    value: int
    fee_payer: FeePayer
    extra_data: bytes


class CapacityQuestionSchema(RequestSchema):
    """Who wants to send to whom, at most over how many hops."""

    sender = AddressField(data_key="from", required=True)
    receiver = AddressField(data_key="to", required=True)
    max_hops = WholeNumber(load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> PathQuestion:
        """Return the question."""
        return PathQuestion(**{"max_fees": None, **data})


class ClosingQuestionSchema(CapacityQuestionSchema):
    """Whose trustline (``from``) with whom (``to``) is to be closed, and what that may cost."""

    max_fees = Amount(load_default=None)


class TransferQuestionSchema(ClosingQuestionSchema):
    """What is to be sent, who pays the fees, and what they may come to."""

    value = Amount(required=True)
    fee_payer = fields.Enum(FeePayer, by_value=fields.String, load_default=FeePayer.SENDER)
    extra_data = HexField(load_default=b"")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> TransferQuestion:
        """Return the question."""
        return TransferQuestion(**data)


class RawTransactionSchema(RequestSchema):
    """A signed transaction, RLP encoded, as hex."""

    raw_transaction = fields.String(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> str:
        """Return the text."""
        text: str = data["raw_transaction"]
        return text


class ContractType(StrEnum):
    """The kinds of contracts whose events a client may ask for."""

    CURRENCY_NETWORK = "CurrencyNetwork"
    EXCHANGE = "Exchange"
    UNW_ETH = "UnwETH"
    TOKEN = "Token"  # noqa: S105 - a kind of contract


EVENT_TYPES: dict[ContractType, frozenset[str]] = {
    ContractType.CURRENCY_NETWORK: frozenset(EventType),
    ContractType.EXCHANGE: frozenset({"LogFill", "LogCancel"}),
    ContractType.UNW_ETH: frozenset({"Transfer", "Approval", "Deposit", "Withdrawal"}),
    ContractType.TOKEN: frozenset({"Transfer", "Approval"}),
}
"""The events that each kind of contract emits."""


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """Which events are asked for: of one type (None: the usual ones) and from a block on.

    ``contract_type`` None stands for all kinds of contracts.
    """

    type: str | None
    from_block: int
    contract_type: ContractType | None = None


class EventQuestionSchema(RequestSchema):
    """Which events are wanted; without ``type`` trustline updates, their requests and cancels, and transfers."""

    type = fields.String(load_default=None, validate=OneOf([kind.value for kind in EventType]))
    from_block = WholeNumber(load_default=0)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> EventQuestion:
        """Return the question."""
        return EventQuestion(**data)


class UserEventQuestionSchema(EventQuestionSchema):
    """The same over all kinds of contracts, or over one."""

    type = fields.String(load_default=None, validate=OneOf(sorted(frozenset().union(*EVENT_TYPES.values()))))
    contract_type = fields.Enum(ContractType, by_value=fields.String, load_default=None)

    @validates_schema
    def require_emitted(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a type that the kind of contract does not emit."""
        kind, wanted = data.get("contract_type"), data.get("type")
        if kind is not None and wanted is not None and wanted not in EVENT_TYPES[kind]:
            choices = ", ".join(sorted(EVENT_TYPES[kind]))
            raise ValidationError(f"{kind} has no such event, only: {choices}", "type")
