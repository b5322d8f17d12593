"""Messages to users."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema
from werkzeug.exceptions import RequestEntityTooLarge, TooManyRequests

from relay import telemetry
from relay.addresses import Address
from relay.api.contract import RequestSchema, speaks
from relay.api.counting import counting
from relay.api.faults import SignatureRequired, StorageFull
from relay.api.fields import AddressField, HexField, WholeNumber
from relay.api.place import client_of_request
from relay.api.resources.base import ApiResource
from relay.messaging.errors import MailboxFull, NotProven, RelayFull, TooLarge, TooMany
from relay.messaging.mailbox import MAX_TYPE_LENGTH
from relay.messaging.proof import Proof

_RETRY_SECONDS = 60


def _without_nul(text: str) -> None:
    if "\0" in text:
        raise ValidationError("the character NUL cannot be stored")


class MessageSchema(RequestSchema):
    """A message; ``sender``, ``timestamp`` and ``signature`` prove who sent it and stand together."""

    message = fields.String(required=True, validate=_without_nul)
    type = fields.String(validate=[validate.Length(max=MAX_TYPE_LENGTH), _without_nul])
    sender = AddressField()
    timestamp = WholeNumber()
    signature = HexField(validate=validate.Length(equal=65))

    @validates_schema
    def require_all_or_none(self, data: dict[str, Any], **_: Any) -> None:
        """A proof is whole or not there."""
        parts = ("sender", "timestamp", "signature")
        missing = [name for name in parts if name not in data]
        if missing and len(missing) < len(parts):
            raise ValidationError("needed beside the other parts of a proof", missing[0])


class Messages(ApiResource):
    """The mailbox of a user."""

    @speaks(fields.String(), body=MessageSchema())
    @counting(telemetry.messages)
    def post(self, message: dict[str, Any], user: Address) -> str:
        """Keep a message until its receiver reads it, and deliver it if they listen."""
        messaging = self.services.messaging
        assert messaging is not None, "without it there is no such route"
        proof = None
        if "signature" in message:
            proof = Proof(message["sender"], message["timestamp"], message["signature"])
            self.services.orders.require_welcome(proof.signer)
        client = client_of_request(self.services.clients)
        try:
            messaging.post(user, message["message"], message.get("type"), client=client, proof=proof)
        except TooLarge as error:
            raise RequestEntityTooLarge(str(error)) from error
        except (TooMany, MailboxFull) as error:
            raise TooManyRequests(str(error), retry_after=_RETRY_SECONDS) from error
        except RelayFull as error:
            raise StorageFull(str(error), retry_after=_RETRY_SECONDS) from error
        except NotProven as error:
            raise SignatureRequired(str(error)) from error
        return "Ok"
