"""Who owns an identity contract."""

from relay.addresses import Address
from relay.chain.calls import ChainCalls
from relay.chain.errors import NodeRefused

_OWNER = bytes.fromhex("8da5cb5b")
"""Selector of ``owner()``."""


def owner_of(node: ChainCalls, contract: Address) -> Address | None:
    """Return the owner of the contract at an address, None where there is none; raises ChainError."""
    try:
        answer = node.call(contract, _OWNER)
    except NodeRefused:
        return None
    return answer[12:32] if len(answer) == 32 and any(answer) else None
