"""What a currency network contract tells of itself when it is called."""

import logging
from dataclasses import dataclass
from typing import Any

from relay.addresses import Address, to_checksum
from relay.chain import abi
from relay.chain.calls import BlockTag, ChainCalls
from relay.chain.errors import NodeRefused, NotANetwork
from relay.model import NetworkInfo

logger = logging.getLogger(__name__)

BEACON_SLOT = 0xA3F0AD74E5423AEBFD80D3EF4346578335A9A72AEAEE59FF6CB3582B35133D50
"""Where a proxy keeps the address of its beacon (EIP-1967)."""

# Codes of geth and of Parity's heirs; others say it in words only.
_EXECUTION_CODES = {3, -32015}
_EXECUTION_FAULTS = ("revert", "opcode", "out of gas", "invalid jump", "stack", "vm ex", "instruction")


@dataclass(frozen=True, slots=True)
class Account:
    """A trustline as the contract's ``getAccount(a, b)`` tells it, seen by ``a``.

    Amounts are in the network's smallest unit, without the interest since ``mtime`` (Unix seconds); rates
    are in 0.01 % per year. ``is_frozen`` is also true while the whole network is frozen. All zero: no trustline.
    """

    given: int
    received: int
    rate_given: int
    rate_received: int
    is_frozen: bool
    mtime: int
    balance: int


def read_network(node: ChainCalls, address: Address, first_block: int | None = None) -> NetworkInfo:
    """Return what the network contract says of itself at the head.

    Without ``first_block`` the block of its deployment is looked for; see `find_first_block`.

    Raises:
        NotANetwork: if there is no contract at the address, it does not answer like a currency network, or its
            ``init`` is still to come, which alone fixes what is read here.
        ChainError: if the node fails.

    """
    if not node.code(address):
        raise NotANetwork(f"there is no contract at {to_checksum(address)}")
    name, symbol = _read_text(node, address, "name"), _read_text(node, address, "symbol")
    if not _read(node, address, "isInitialized"):
        raise NotANetwork(f"the currency network at {to_checksum(address)} is not initialised yet")
    return NetworkInfo(
        address=address,
        name=name,
        symbol=symbol,
        decimals=_read(node, address, "decimals"),
        fee_divisor=_read(node, address, "capacityImbalanceFeeDivisor"),
        default_interest_rate=_read(node, address, "defaultInterestRate"),
        custom_interests=_read(node, address, "customInterests"),
        prevent_mediator_interests=_read(node, address, "preventMediatorInterests"),
        is_frozen=_read(node, address, "isNetworkFrozen"),
        first_block=find_first_block(node, address) if first_block is None else first_block,
        is_proxied=is_proxied(node, address),
    )


def find_first_block(node: ChainCalls, address: Address) -> int:
    """Return the number of a block at or before the contract's first event.

    Bisects over the contract's code for the block of its deployment. A node that keeps no old state cannot
    tell; then the answer is the block after the last one that is known to lack the contract, 0 in the worst
    case, and a line in the log says so.
    """
    absent, present = -1, node.head().number
    while present - absent > 1:
        middle = (absent + present) // 2
        try:
            exists = bool(node.code(address, middle))
        except NodeRefused as refusal:
            logger.warning(
                "The node keeps no state of block %d (%s), so the first block of contract %s is unknown: "
                "starting at block %d. Configure it to start later.",
                middle,
                refusal.message,
                to_checksum(address),
                absent + 1,
            )
            return absent + 1
        if exists:
            present = middle
        else:
            absent = middle
    return present


def find_contract(node: ChainCalls, address: Address, first_block: int | None = None) -> int | None:
    """Return a block at or before a contract's first event, None if there is no contract; raises ChainError."""
    if not node.code(address):
        return None
    return find_first_block(node, address) if first_block is None else first_block


def is_proxied(node: ChainCalls, address: Address) -> bool:
    """Return whether a network stands behind a beacon proxy (AdministrativeProxy); its calls cost more gas."""
    return any(node.storage(address, BEACON_SLOT))


def read_account(
    node: ChainCalls, network: Address, a: Address, b: Address, block: BlockTag = "latest"
) -> Account:
    """Return the trustline of two users, seen by ``a``, as it was after ``block``."""
    return Account(*_call(node, network, "getAccount", (a, b), block))


def read_users(node: ChainCalls, network: Address, block: BlockTag = "latest") -> list[Address]:
    """Return everybody who ever had a trustline, in the contract's order; closing removes nobody."""
    (users,) = _call(node, network, "getUsers", (), block)
    return [bytes.fromhex(user[2:]) for user in users]


def is_of_contract(refusal: NodeRefused) -> bool:
    """Say whether a call was refused because of what the contract does; the node's own trouble passes."""
    words = refusal.message.lower()
    return refusal.code in _EXECUTION_CODES or any(fault in words for fault in _EXECUTION_FAULTS)


def _read(node: ChainCalls, network: Address, function: str) -> Any:
    (value,) = _call(node, network, function, (), "latest")
    return value


def _read_text(node: ChainCalls, network: Address, function: str) -> str:
    # A contract may hold any text; Postgres takes all but this character.
    return str(_read(node, network, function)).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _call(
    node: ChainCalls, network: Address, function: str, arguments: tuple[Any, ...], block: BlockTag
) -> tuple[Any, ...]:
    entry = abi.contract("CurrencyNetwork").entry("function", function)
    try:
        return abi.decode_result(entry, node.call(network, abi.encode_call(entry, arguments), block))
    except NodeRefused as refusal:
        if not is_of_contract(refusal):
            raise
        reason = refusal.message
    except ValueError as problem:
        reason = str(problem)
    raise NotANetwork(f"the contract at {to_checksum(network)} is no currency network: {function}: {reason}")
