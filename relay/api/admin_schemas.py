"""What operators send and are answered."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from relay.api.contract import AnswerSchema, RequestSchema
from relay.api.fields import AddressField, WholeNumber

_LONGEST_AGE = 100 * 365 * 86_400


def _without_nul(text: str) -> None:
    if "\0" in text:
        raise ValidationError("the character NUL cannot be stored")


class NodeSchema(AnswerSchema):
    """A node: its URL without credentials, whether this process uses it, its newest block or what is wrong."""

    url = fields.String()
    is_used = fields.Boolean()
    head = fields.Integer(allow_none=True)
    fault = fields.String(allow_none=True)


class PauseSchema(AnswerSchema):
    """A part of the relay that stands still: since when, and who wanted it."""

    part = fields.String()
    since = fields.DateTime(format="iso")
    by = fields.String()


class BanSchema(AnswerSchema):
    """An identity or a sender that is not served."""

    address = AddressField()
    reason = fields.String()
    since = fields.DateTime(format="iso")
    by = fields.String()


class ChangeSchema(AnswerSchema):
    """Whether anything was different before."""

    has_changed = fields.Boolean()


class RemovedSchema(AnswerSchema):
    """How much was removed."""

    removed = fields.Integer()


class BanReasonSchema(RequestSchema):
    """Why somebody is banned; for operators, users are not told."""

    reason = fields.String(load_default="", validate=[validate.Length(max=500), _without_nul])


class TokenSchema(RequestSchema):
    """The token of a device, as it was registered."""

    token = fields.String(required=True, validate=[validate.Length(min=1, max=4096), _without_nul])


class PruneSchema(RequestSchema):
    """Which messages: those older than so many seconds, those to a user, or those for which both holds."""

    older_than_seconds = WholeNumber(highest=_LONGEST_AGE)
    user = AddressField()

    @validates_schema
    def require_any(self, data: dict[str, Any], **_: Any) -> None:
        """Nobody removes everything by a slip."""
        if not data:
            raise ValidationError("needed where no user is given", "olderThanSeconds")
