"""Which events are asked for, and which page of them."""
# ruff: noqa: ARG002 - signatures are those of the library

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf

from relay.api.contract import RequestSchema
from relay.api.fields import WholeNumber
from relay.contracts import ExchangeEventType, TokenEventType
from relay.model import EventType

_LATEST = 2**63 - 1


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

TRUSTLINE_EVENT_TYPES = (
    EventType.TRUSTLINE_UPDATE_REQUEST,
    EventType.TRUSTLINE_UPDATE_CANCEL,
    EventType.TRUSTLINE_UPDATE,
    EventType.BALANCE_UPDATE,
)
"""What happens to a trustline."""


class ListOrder(StrEnum):
    """Whether a list begins with the oldest event or with the newest."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """Which events are asked for: of some types (None: the usual ones), within blocks and times.

    ``contract_type`` None stands for all kinds of contracts. Both blocks are included; ``since`` is the first
    second, ``until`` the first that is too late. ``limit`` None is as many as an answer may have, ``cursor`` what
    an earlier answer gave to go on with, None for the beginning of the list.
    """

    types: tuple[str, ...] | None
    from_block: int = 0
    to_block: int | None = None
    since: int | None = None
    until: int | None = None
    order: ListOrder = ListOrder.ASCENDING
    limit: int | None = None
    cursor: str | None = None
    contract_type: ContractType | None = None


class Types(fields.List[str]):
    """Types of events, separated by commas or each in a parameter of its own; each is kept once."""

    def __init__(self, choices: list[str], **options: Any) -> None:
        described = {"description": "Only events of these types, with commas between or each in its own `type`."}
        super().__init__(
            fields.String(validate=OneOf(choices)),
            load_default=None,
            metadata=described,
            data_key="type",
            **options,
        )

    def _deserialize(  # type: ignore[override]
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        named = [name for text in value for name in str(text).split(",")]
        for name in dict.fromkeys(named):
            # Not the list's own way, which names the place in it: nobody numbers the values of a query.
            self.inner.deserialize(name)
        return tuple(dict.fromkeys(named))


class PageQuestionSchema(RequestSchema):
    """Which part of a list of events is wanted, in which order and how many at once.

    A list that goes on beyond the answer says so by ``Link`` headers with the relations next and prev.
    """

    from_block = WholeNumber(
        load_default=0, metadata={"description": "Only events from this block on.", "example": 0}
    )
    to_block = WholeNumber(
        load_default=None,
        metadata={"description": "Only events up to this block, it included; without those in no block yet."},
    )
    since = WholeNumber(
        load_default=None,
        highest=_LATEST,
        metadata={"description": "Only events from this time on, it included, in Unix seconds."},
    )
    until = WholeNumber(
        load_default=None,
        highest=_LATEST,
        metadata={
            "description": "Only events before this time, it not included, in Unix seconds; without those in no "
            "block yet."
        },
    )
    order = fields.Enum(
        ListOrder,
        by_value=fields.String,
        load_default=ListOrder.ASCENDING,
        metadata={"description": "`asc` begins with the oldest event, `desc` with the newest."},
    )
    limit = WholeNumber(
        lowest=1,
        load_default=None,
        metadata={
            "description": "At most so many events, and never more than the relay's own limit. Those in no block "
            "yet do not count.",
            "example": 50,
        },
    )
    cursor = fields.String(
        load_default=None,
        metadata={"description": "Where to go on, as a `Link` header said; for the same list and filters only."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> EventQuestion:
        """Return the question."""
        return EventQuestion(**data)


class EventQuestionSchema(PageQuestionSchema):
    """Which events are wanted; without ``type`` trustline updates, their requests and cancels, and transfers."""

    types = Types([kind.value for kind in EventType])


class TrustlineEventQuestionSchema(PageQuestionSchema):
    """Which events of a trustline are wanted; all without ``type``."""

    types = Types([kind.value for kind in TRUSTLINE_EVENT_TYPES])


class TokenEventQuestionSchema(PageQuestionSchema):
    """Which events of a token are wanted; all without ``type``."""

    types = Types([kind.value for kind in TokenEventType])


class ExchangeEventQuestionSchema(PageQuestionSchema):
    """Which events of an exchange are wanted; all without ``type``."""

    types = Types([kind.value for kind in ExchangeEventType])


class UserEventQuestionSchema(PageQuestionSchema):
    """Which events are wanted of all kinds of contracts, or of one.

    Without ``type`` all of tokens and exchanges, and of networks trustline updates, their requests and cancels,
    and transfers.
    """

    types = Types(sorted(frozenset().union(*EVENT_TYPES.values())))
    contract_type = fields.Enum(
        ContractType,
        by_value=fields.String,
        load_default=None,
        metadata={"description": "Only events of contracts of this kind."},
    )

    @validates_schema
    def require_emitted(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse types that the kind of contract does not emit."""
        kind, wanted = data.get("contract_type"), data.get("types")
        if kind is not None and wanted is not None and not EVENT_TYPES[kind].issuperset(wanted):
            choices = ", ".join(sorted(EVENT_TYPES[kind]))
            raise ValidationError(f"{kind} has no such event, only: {choices}", "type")
