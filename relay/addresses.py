"""Addresses as the relay's edges speak them: 20 bytes inside, EIP-55 text outside."""

import re
from functools import lru_cache

from eth_utils.crypto import keccak

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

Address = bytes
"""The 20 bytes of an account or contract address."""


class MalformedAddress(ValueError):
    """The text is not an address; the message says why."""


class WrongChecksum(MalformedAddress):
    """The text would be an address if its capitals did not contradict EIP-55."""


@lru_cache(maxsize=1 << 17)
def to_checksum(address: Address) -> str:
    """Return the EIP-55 text of a 20-byte address."""
    digits = address.hex()
    nibbles = keccak(text=digits).hex()
    return "0x" + "".join(
        digit.upper() if nibble >= "8" else digit for digit, nibble in zip(digits, nibbles, strict=False)
    )


def parse_address(text: str) -> Address:
    """Return the 20 bytes of an address written in EIP-55 or all lower case.

    Raises:
        MalformedAddress: if it is not 0x and 40 hex digits.
        WrongChecksum: if its capitals contradict EIP-55.

    """
    if not isinstance(text, str) or _ADDRESS.fullmatch(text) is None:
        raise MalformedAddress("not an address: expected 0x followed by 40 hexadecimal digits")
    address = bytes.fromhex(text[2:])
    if text[2:] != text[2:].lower() and text != to_checksum(address):
        raise WrongChecksum("the capitals of the address do not match its EIP-55 checksum")
    return address


def trustline_id(network: Address, user: Address, other: Address) -> bytes:
    """Return the 32-byte id of a trustline, the same seen from both of its users.

    keccak-256 of the three EIP-55 texts (network, lower user, higher user) put one after the other.
    """
    lower, higher = sorted((user, other))
    return keccak(text=to_checksum(network) + to_checksum(lower) + to_checksum(higher))
