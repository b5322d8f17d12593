"""Why a message is not taken.

MessagingError
├── TooLarge        more bytes than a message may have
├── TooMany         too many at once from one place or to one user; later it may be taken
├── MailboxFull     the receiver has left too many unread
├── RelayFull       the relay keeps as many messages as it may
└── NotProven       the signature that is demanded is missing or does not fit
"""


class MessagingError(Exception):
    """Base of the reasons; its text is one sentence for the sender."""


class TooLarge(MessagingError):
    """The message has more bytes than one may have."""


class TooMany(MessagingError):
    """There were too many messages within a minute."""


class MailboxFull(MessagingError):
    """The receiver has too many unread messages."""


class RelayFull(MessagingError):
    """The relay keeps as many messages as it may."""


class NotProven(MessagingError):
    """The sender is not proven."""
