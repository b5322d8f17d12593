"""Why a user is not served; each text is one sentence for them.

DelegateError
├── Refused        what was asked for is at fault, or would fail
│   └── Unknown    there is no such identity
├── CapReached     as much as is allowed for a day, or at once, has been given
└── Overloaded     the relay cannot send any more at the moment
"""


class DelegateError(Exception):
    """Base of everything this room raises."""


class Refused(DelegateError):
    """What was asked for is at fault, or would fail on the chain; nothing was spent."""


class UnknownIdentity(Refused):
    """There is no identity contract at the address."""


class CapReached(DelegateError):
    """A cap of the configuration is reached; it may be worth another try after ``retry_seconds``."""

    def __init__(self, sentence: str, retry_seconds: int = 3600) -> None:
        super().__init__(sentence)
        self.retry_seconds = retry_seconds


class Overloaded(DelegateError):
    """The relay cannot send any more at the moment; it may later."""
