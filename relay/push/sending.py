"""What a way of sending looks like from here."""

from typing import Protocol

from relay.store.push import Notification


class TokenInvalid(Exception):
    """The device is gone, or never was: the token is to be forgotten."""


class NotSent(Exception):
    """It did not work this time; the text says why, in a sentence without secrets."""


class Refused(Exception):
    """It will not work however often it is tried, which says nothing of the device; the text says why."""


class Sender(Protocol):
    """Sends to devices."""

    def check(self, token: str) -> None:
        """Return if a token may be one; raises TokenInvalid if it is none, NotSent if that cannot be told now."""

    def send(self, notification: Notification) -> None:
        """Send something within a minute; raises TokenInvalid, NotSent, Refused."""
