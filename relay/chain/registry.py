"""The CurrencyNetworkRegistry contract: a list of currency networks that anybody may add to."""

from relay.addresses import Address
from relay.chain import abi
from relay.chain.node import BlockTag, Node

_CONTRACT = "CurrencyNetworkRegistry"


def registered_networks(node: Node, registry: Address, block: BlockTag = "latest") -> list[Address]:
    """Return the networks that were registered up to ``block``, in the order of their registration.

    Raises:
        ChainError: if the node fails, or there is no registry.

    """
    count_of = abi.contract(_CONTRACT).entry("function", "getCurrencyNetworkCount")
    address_of = abi.contract(_CONTRACT).entry("function", "getCurrencyNetworkAddress")
    (count,) = abi.decode_result(count_of, node.call(registry, abi.encode_call(count_of), block))
    calls = [abi.encode_call(address_of, (at,)) for at in range(count)]
    answers = [abi.decode_result(address_of, data)[0] for data in node.calls(registry, calls, block)]
    return [bytes.fromhex(answer[2:]) for answer in answers]
