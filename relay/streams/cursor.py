"""Cursors: how far a subscriber was told, as a text to be handed back. Pure."""

import binascii
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

from relay.store.feed_log import Change, Place, Reached

_VERSION = 1
_FORM = struct.Struct(">BQQ4sQBqi")
_TEXT = re.compile(r"[A-Za-z0-9_-]{56}")


class MalformedCursor(ValueError):
    """A text that no relay has given out as a cursor."""


def write_cursor(reached: Reached) -> str:
    """Return the text for a place, 56 characters that fit into a URL as they are."""
    place = reached.place
    packed = _FORM.pack(_VERSION, reached.identity, reached.base, reached.tag, *place)
    return urlsafe_b64encode(packed).decode("ascii")


def read_cursor(text: object) -> Reached:
    """Return the place that a text stands for; raises MalformedCursor."""
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise MalformedCursor("a cursor is a text of 56 characters, as it came with an event")
    try:
        version, identity, base, tag, turn, change, first, second = _FORM.unpack(urlsafe_b64decode(text))
    except (binascii.Error, struct.error) as error:
        raise MalformedCursor("no relay gives out such a cursor") from error
    if version != _VERSION or change not in tuple(Change) or max(identity, base, turn) >= 2**63:
        raise MalformedCursor("no relay of this version gives out such a cursor")
    # Turns up to the base are behind whoever stands there.
    return Reached(identity, base, tag, Place(turn if turn > base else 0, change, first, second))
