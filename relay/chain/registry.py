"""The CurrencyNetworkRegistry contract: a list of currency networks that anybody may add to."""

from relay.addresses import Address, to_checksum
from relay.chain import abi
from relay.chain.calls import BlockTag, ChainCalls
from relay.chain.errors import NodeRefused, NotARegistry
from relay.chain.network import is_of_contract

MOST_NETWORKS = 10_000
"""No registry is believed to hold more."""

_CONTRACT = "CurrencyNetworkRegistry"


def registered_networks(node: ChainCalls, registry: Address, block: BlockTag = "latest") -> list[Address]:
    """Return the networks that were registered up to ``block``, in the order of their registration.

    Raises:
        NotARegistry: if there is no registry at the address, or it names more than 10,000 networks.
        ChainError: if the node fails.

    """
    count_of = abi.contract(_CONTRACT).entry("function", "getCurrencyNetworkCount")
    address_of = abi.contract(_CONTRACT).entry("function", "getCurrencyNetworkAddress")
    if not node.code(registry, block):
        raise NotARegistry(f"there is no contract at {to_checksum(registry)}")
    try:
        (count,) = abi.decode_result(count_of, node.call(registry, abi.encode_call(count_of), block))
        if count > MOST_NETWORKS:
            raise NotARegistry(f"the registry at {to_checksum(registry)} names {count} networks")
        calls = [abi.encode_call(address_of, (at,)) for at in range(count)]
        answers = [abi.decode_result(address_of, data)[0] for data in node.calls(registry, calls, block)]
    except NodeRefused as refusal:
        if not is_of_contract(refusal):
            raise
        reason = refusal.message
    except ValueError as problem:
        reason = str(problem)
    else:
        return [bytes.fromhex(answer[2:]) for answer in answers]
    raise NotARegistry(f"the contract at {to_checksum(registry)} is no registry of networks: {reason}")


def networks_added(node: ChainCalls, registry: Address, first: int, last: int) -> list[Address]:
    """Return the networks that were registered in the blocks first..last (inclusive), by their events.

    A network may be registered by several people, and then comes more than once in the events, but once here.

    Raises:
        ChainError: if the node fails.

    """
    topic = abi.topic(abi.contract(_CONTRACT).entry("event", "CurrencyNetworkAdded"))
    logs = node.logs([registry], first, last)
    found = [log.topics[1][12:] for log in logs if log.topics[:1] == (topic,) and len(log.topics) == 3]
    return list(dict.fromkeys(found))
