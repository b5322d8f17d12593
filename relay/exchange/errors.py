"""Why an order is not taken into the book.

ExchangeError
├── Unacceptable    the order itself is at fault, or its maker cannot fill it
├── TooMany         its maker has too many open orders, or too many came from one client
└── BookFull        the book holds as many open orders as it may
"""


class ExchangeError(Exception):
    """Base of the reasons; its text is one sentence for whoever sent the order."""


class Unacceptable(ExchangeError):
    """The order cannot be filled as it stands; ``field`` is what is at fault, by its name in the API."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class TooMany(ExchangeError):
    """There are too many orders of one maker, or from one client."""


class BookFull(ExchangeError):
    """The book takes no more orders at the moment."""
