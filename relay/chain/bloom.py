"""The filter of a block header that tells which logs cannot be in the block (yellow paper, 4.3.1)."""

from collections.abc import Iterable

from eth_utils.crypto import keccak

_BITS = 2048


def mask_of(item: bytes) -> int:
    """Return the three bits that an address or a topic sets."""
    digest = keccak(item)
    mask = 0
    for start in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[start : start + 2], "big") % _BITS)
    return mask


class LogSieve:
    """Tells from a header's filter whether a block may hold a log of some contracts with one of some topics.

    Without ``addresses`` (None) those of all contracts count.
    """

    def __init__(self, addresses: Iterable[bytes] | None, topics: Iterable[bytes]) -> None:
        self._addresses = [0] if addresses is None else [mask_of(address) for address in addresses]
        self._topics = [mask_of(topic) for topic in topics]

    def may_hold(self, bloom: bytes) -> bool:
        """Return False where such a log is impossible; also for an empty filter, which says nothing."""
        bits = int.from_bytes(bloom, "big")
        return any(bits & mask == mask for mask in self._addresses) and any(
            bits & mask == mask for mask in self._topics
        )
