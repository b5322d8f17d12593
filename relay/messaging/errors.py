"""Why a message is not taken.

MessagingError
├── TooLarge        more bytes than a message may have
├── TooMany         too many at once from one place or to one user; later it may be taken
├── MailboxFull     the receiver has left too many unread
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


class NotProven(MessagingError):
    """The sender is not proven."""
