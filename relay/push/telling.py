"""A message is pushed as streams deliver it."""

import orjson

from relay.messaging.delivery import payload_of
from relay.store.connection import Cursor
from relay.store.messages import Message
from relay.store.push import Told, enqueue
from relay.streams.hub import Kind


def tell_devices(cursor: Cursor, message: Message) -> None:
    """Make notifications of a message for the receiver's devices, in the transaction that stores it."""
    event = orjson.dumps(payload_of(message)).decode("utf-8")
    enqueue(cursor, [Told(message.receiver, Kind.MESSAGES.value, event, None)])
