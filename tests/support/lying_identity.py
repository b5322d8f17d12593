"""A contract that only looks like an identity, in the machine's own words."""

from relay.chain import abi
from relay.chain.identity import EXECUTION_TOPIC, FEE_TOPIC

_EXECUTE = abi.selector(abi.contract("Identity").entry("function", "executeTransaction"))
_INCREASE_DEBT = abi.selector(abi.contract("CurrencyNetwork").entry("function", "increaseDebt"))


def lying_identity(network: bytes, recipient: bytes, *, debt: int) -> bytes:
    """Return code that answers 1 to every question and approves of every nonce and signature.

    When it is to execute the meta-transaction whose hash is in slot 0, it does nothing, claims success and that it
    paid the fee that is in slot 1 to ``recipient``, and makes a debt of ``debt`` in ``network``.
    """
    question = b"\x60\x01\x60\x00\x52\x60\x20\x60\x00\xf3"
    head = b"\x60\x00\x35\x60\xe0\x1c\x63" + _EXECUTE + b"\x14\x60"
    start = len(head) + 2 + len(question)
    success = b"\x60\x01\x60\x00\x52\x60\x00\x54" + _push(EXECUTION_TOPIC) + b"\x60\x20\x60\x00\xa2"
    paid = (
        b"\x60\x01\x54\x60\x00\x52"
        + _push(network)
        + _push(recipient)
        + _push(FEE_TOPIC)
        + b"\x60\x20\x60\x00\xa3"
    )
    owe = (
        _push(_INCREASE_DEBT + bytes(28))
        + b"\x60\x00\x52"
        + _push(recipient)
        + b"\x60\x04\x52"
        + _push(debt.to_bytes(32, "big"))
        + b"\x60\x24\x52"
        + b"\x60\x00\x60\x00\x60\x44\x60\x00\x60\x00"
        + _push(network)
        + b"\x5a\xf1\x00"
    )
    return head + bytes([start]) + b"\x57" + question + b"\x5b" + success + paid + owe


def _push(word: bytes) -> bytes:
    return b"\x7f" + word.rjust(32, b"\0")
