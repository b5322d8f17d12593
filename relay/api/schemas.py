"""The objects of the REST API. Addresses are EIP-55 text, amounts strings in the smallest unit, hashes 0x-hex."""

from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load

from graph.alternatives import MOST_ALTERNATIVES
from graph.answers import Reason
from graph.parts import MOST_PARTS
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


EVENT_STATUSES = ["sent", "pending", "confirmed"]
DIRECTIONS = ["sent", "received"]


class EventSchema(AnswerSchema):
    """An event of a currency network, with those attributes that its type has.

    ``amount`` is what a Transfer moves and the new balance, seen by ``from``, of a BalanceUpdate; ``debt`` the new
    debt of a DebtUpdate. ``user``, ``counterParty`` and ``direction`` are there in the lists of a user.
    """

    sometimes = frozenset(
        {"from", "to", "user", "counterParty", "direction", "amount", "debt", "given", "received", "transfer"}
        | {"interestRateGiven", "interestRateReceived", "isFrozen", "extraData"}
    )

    network_address = AddressField()
    block_number = fields.Integer()
    block_hash = HexField()
    timestamp = fields.Integer()
    type = fields.String(metadata={"enum": [kind.value for kind in EventType]})
    status = fields.String(metadata={"enum": EVENT_STATUSES})
    transaction_id = HexField(attribute="transaction_hash", dump_only=True)
    transaction_hash = HexField()
    log_index = fields.Integer()
    sender = AddressField(data_key="from")
    receiver = AddressField(data_key="to")
    user = AddressField()
    counter_party = AddressField()
    direction = fields.String(metadata={"enum": DIRECTIONS})
    amount = Amount()
    debt = Amount()
    given = Amount()
    received = Amount()
    interest_rate_given = Amount()
    interest_rate_received = Amount()
    is_frozen = fields.Boolean()
    transfer = Amount()
    extra_data = HexField()


class _WithReason(AnswerSchema):
    """Something that may not be there, and why.

    If it is not, ``reason`` is a stable code and ``reasonMessage`` a sentence. With
    them come the figures that are to the point and known: with ``capacity`` the largest value that the same
    question has an answer for (in several parts: that is known to have one), with ``fees`` the cheapest fees, with
    ``hops`` the fewest hops; those two together where both limits stand in the way.

    What is found can be executed. ``isProven`` is there, and false, only where it is not certain that nothing
    better can be: the search had to end before, or nothing proves it, as with parts that cost fees.
    """

    sometimes = frozenset(
        {"reason", "reasonMessage", "isProven", "largestValue", "cheapestFees", "fewestHops"}
        | {"estimatedGas", "parts", "alternatives"}
    )

    path = fields.List(AddressField())
    reason = fields.String(metadata={"enum": [reason.value for reason in Reason]})
    reason_message = fields.String()
    is_proven = fields.Boolean()
    largest_value = Amount()
    cheapest_fees = Amount()
    fewest_hops = fields.Integer()


class AlternativeSchema(AnswerSchema):
    """One of several paths for a value."""

    path = fields.List(AddressField())
    fees = Amount()
    estimated_gas = fields.Integer()


class PartSchema(AlternativeSchema):
    """A transfer that is part of a payment."""

    value = Amount()


class PathSchema(_WithReason):
    """A way for a transfer, or to close a trustline: then without ``estimatedGas``, with ``value`` "0" if none.

    ``parts`` is there if more than one was allowed: transfers to be sent one by one in this order, each of them
    valid only after those before. A single part is the path that stands beside it. With several there is no path
    for the whole, so ``path`` is empty though there is no ``reason``, and ``fees`` and ``estimatedGas`` are their
    sums. With no way at all there is no part either.

    ``alternatives`` is there if some were asked for: the cheapest paths for the whole value, each to be used
    instead of the others, by fees, then hops, then addresses; the first of them is ``path``, unless the value goes
    more cheaply in parts. There may be fewer than asked for. ``isProven`` speaks of them too.
    """

    fees = Amount()
    value = Amount()
    fee_payer = fields.Enum(FeePayer, by_value=fields.String)
    estimated_gas = fields.Integer()
    parts = fields.List(fields.Nested(PartSchema))
    alternatives = fields.List(fields.Nested(AlternativeSchema))


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
    """A search for a way to send ``value``, in parts if need be, and for so many alternatives to it."""

    value: int
    fee_payer: FeePayer
    extra_data: bytes
    avoid: list[Address]
    max_parts: int
    alternatives: int


@dataclass(frozen=True, slots=True)
class SpendableQuestion:
    """In how many parts something may be spent."""

    max_parts: int


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
    """What is to be sent, who pays the fees, what they may come to, and how it may go.

    ``maxFees`` counts for all parts together, ``maxHops`` for each. No user to ``avoid`` mediates; sender and
    receiver may be among them.
    """

    value = Amount(required=True)
    fee_payer = fields.Enum(FeePayer, by_value=fields.String, load_default=FeePayer.SENDER)
    extra_data = HexField(load_default=b"")
    avoid = fields.List(AddressField(), load_default=list)
    max_parts = WholeNumber(lowest=1, highest=MOST_PARTS, load_default=1)
    alternatives = WholeNumber(highest=MOST_ALTERNATIVES, load_default=0)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> TransferQuestion:
        """Return the question."""
        return TransferQuestion(**data)


class SpendableQuestionSchema(RequestSchema):
    """In how many parts something may be spent."""

    max_parts = WholeNumber(lowest=1, highest=MOST_PARTS, load_default=1)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> SpendableQuestion:
        """Return the question."""
        return SpendableQuestion(**data)


class RawTransactionSchema(RequestSchema):
    """A signed transaction, RLP encoded, as hex."""

    raw_transaction = fields.String(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> str:
        """Return the text."""
        text: str = data["raw_transaction"]
        return text
