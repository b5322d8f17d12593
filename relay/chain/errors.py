"""What can go wrong between the relay and its node.

ChainError
  NodeUnreachable       nobody answers, or not in time, or with an HTTP error
    NodeTooSlow         not in time
  NodeRefused           the node answered with a JSON-RPC error
  NodeMisbehaved        the node answered something that JSON-RPC or the contract's ABI does not allow
    AnswerTooLarge      more bytes than are taken
  NotANetwork           the address holds no currency network contract
  NotARegistry          the address holds no registry of currency networks
  MalformedTransaction  the text is no signed raw transaction
  WrongChain            the transaction is signed for another chain
"""


class ChainError(Exception):
    """Base of everything this room raises; the text is one sentence fit for a user."""


class NodeUnreachable(ChainError):
    """The node gave no answer; the text names its URL without credentials."""


class NodeTooSlow(NodeUnreachable):
    """The node gave no answer in time. Where much was asked for, less may come in time."""


class NodeRefused(ChainError):
    """The node answered with a JSON-RPC error.

    ``message`` is the node's own text, ``code`` its error code, ``data`` what it added (for a reverted
    call the 0x-hex of the revert data) or None.
    """

    def __init__(self, message: str, code: int, data: object = None) -> None:
        super().__init__(f"the node refused: {message} (code {code})")
        self.message = message
        self.code = code
        self.data = data


class NodeMisbehaved(ChainError):
    """The node's answer is malformed; the text names the request and what is wrong with the answer."""


class AnswerTooLarge(NodeMisbehaved):
    """The node's answer has more bytes than are taken. Where much was asked for, less may fit."""


class NotANetwork(ChainError):
    """There is no currency network contract at the address that the text names."""


class NotARegistry(ChainError):
    """There is no registry of currency networks at the address that the text names."""


class MalformedTransaction(ChainError):
    """A raw transaction cannot be read; the text says why."""


class WrongChain(ChainError):
    """A raw transaction is signed for chain ``signed_for`` while the relay serves chain ``expected``."""

    def __init__(self, signed_for: int, expected: int) -> None:
        super().__init__(
            f"the transaction is signed for chain {signed_for}, but this relay serves chain {expected}"
        )
        self.signed_for = signed_for
        self.expected = expected
