"""The events of exchanges and tokens, and the fees of meta-transactions, as they are answered."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields, post_load

from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import AddressField, Amount, HashField, HexField
from relay.api.schemas import DIRECTIONS, EVENT_STATUSES, EventSchema
from relay.contracts import ExchangeEventType, TokenEventType


class _BlockchainEventSchema(AnswerSchema):
    sometimes = frozenset({"user", "counterParty", "direction"})

    block_number = fields.Integer()
    block_hash = HexField()
    timestamp = fields.Integer()
    type = fields.String()
    status = fields.String(metadata={"enum": EVENT_STATUSES})
    transaction_id = HexField(attribute="transaction_hash", dump_only=True)
    transaction_hash = HexField()
    log_index = fields.Integer()
    sender = AddressField(data_key="from")
    receiver = AddressField(data_key="to")
    user = AddressField()
    counter_party = AddressField()
    direction = fields.String(metadata={"enum": DIRECTIONS})


class TokenEventSchema(_BlockchainEventSchema):
    """An event of a token or of wrapped ether; ``amount`` is in its smallest unit.

    Who approves is ``from``, who may then take is ``to``. Who wraps ether (Deposit) or unwraps it (Withdrawal) is
    both. ``user``, ``counterParty`` and ``direction`` are there in the lists of a user.
    """

    type = fields.String(metadata={"enum": [kind.value for kind in TokenEventType]})
    token_address = AddressField()
    amount = Amount()


class ExchangeEventSchema(_BlockchainEventSchema):
    """An order that was filled or cancelled by some amounts, in the smallest units of its two tokens.

    ``from`` is the maker, ``to`` who filled it, or the maker again where it was cancelled. ``user``,
    ``counterParty`` and ``direction`` are there in the lists of a user.
    """

    sometimes = frozenset(
        {"user", "counterParty", "direction", "filledMakerAmount", "filledTakerAmount"}
        | {"cancelledMakerAmount", "cancelledTakerAmount"}
    )

    type = fields.String(metadata={"enum": [kind.value for kind in ExchangeEventType]})
    exchange_address = AddressField()
    maker_token_address = AddressField()
    taker_token_address = AddressField()
    order_hash = HexField()
    filled_maker_amount = Amount()
    filled_taker_amount = Amount()
    cancelled_maker_amount = Amount()
    cancelled_taker_amount = Amount()


class AnyEventSchema(AnswerSchema):
    """An event of a currency network, of a token or of an exchange: which of them tells whose address it has."""

    one_of: Sequence[tuple[str, AnswerSchema]] = (
        ("network_address", EventSchema()),
        ("token_address", TokenEventSchema()),
        ("exchange_address", ExchangeEventSchema()),
    )

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return the objects, each in the form of its kind and all in their order."""
        if not (self.many if many is None else many):
            return self.dump([obj], many=True)[0]
        answered: list[Any] = [None] * len(obj)
        for name, schema in self.one_of:
            places = [place for place, event in enumerate(obj) if name in event]
            if not places:
                continue
            written = schema.dump([obj[place] for place in places], many=True)
            for place, event in zip(places, written, strict=True):
                answered[place] = event
        return answered


class DelegationFeeSchema(AnswerSchema):
    """A fee that an identity, ``feeSender``, booked as a debt for the execution of a meta-transaction."""

    fee_sender = AddressField()
    fee_recipient = AddressField()
    total_fee = Amount()
    currency_network_of_fees = AddressField()


class TransactionNameSchema(RequestSchema):
    """The hash of a transaction."""

    transaction_hash = HashField(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> bytes:
        """Return the hash."""
        found: bytes = data["transaction_hash"]
        return found
