"""What a token contract tells when it is called."""

from relay.addresses import Address, to_checksum
from relay.chain import abi
from relay.chain.calls import BlockTag, ChainCalls
from relay.chain.errors import NodeMisbehaved


def token_balance(node: ChainCalls, token: Address, user: Address, block: BlockTag = "latest") -> int:
    """Return how much of a token a user has, in its smallest unit.

    Raises:
        NodeMisbehaved: if the contract answers like no token.
        ChainError: if the node fails or the call reverts.

    """
    entry = abi.contract("Token").entry("function", "balanceOf")
    try:
        (balance,) = abi.decode_result(entry, node.call(token, abi.encode_call(entry, (user,)), block))
    except ValueError as problem:
        raise NodeMisbehaved(f"the contract at {to_checksum(token)} is no token: {problem}") from problem
    return int(balance)
