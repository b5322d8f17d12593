"""JSON-RPC values of an Ethereum node as plain data (shapes: Ethereum JSON-RPC specification).

Every function raises ValueError, TypeError or KeyError on a value of another shape; `relay.chain.node` turns
those into NodeMisbehaved, naming the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.addresses import Address
from relay.model import Block


@dataclass(frozen=True, slots=True)
class Log:
    """An event log as the node tells it: 32-byte ``topics`` and hashes, undecoded ``data``.

    ``block_timestamp`` is in Unix seconds, None where the node's generation does not send it.
    """

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    block_timestamp: int | None
    transaction_hash: bytes
    transaction_index: int
    log_index: int


def quantity(value: Any) -> int:
    """Return the number that a 0x-hex QUANTITY writes."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"expected a 0x-hex number, got {value!r:.80}")
    return int(value, 16)


def octets(value: Any, size: int | None = None) -> bytes:
    """Return the bytes that a 0x-hex DATA writes, exactly ``size`` of them if given."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"expected 0x-hex data, got {value!r:.80}")
    decoded = bytes.fromhex(value[2:])
    if size is not None and len(decoded) != size:
        raise ValueError(f"expected {size} bytes, got {len(decoded)}")
    return decoded


def block(value: Mapping[str, Any]) -> Block:
    """Return the header of a block object."""
    return Block(
        number=quantity(value["number"]),
        hash=octets(value["hash"], 32),
        parent_hash=octets(value["parentHash"], 32),
        timestamp=quantity(value["timestamp"]),
        logs_bloom=octets(value.get("logsBloom") or "0x"),
    )


def log(value: Mapping[str, Any]) -> Log:
    """Return a log object; one that is not in a block yet has null fields and is refused."""
    stamp = value.get("blockTimestamp")
    return Log(
        address=octets(value["address"], 20),
        topics=tuple([octets(topic, 32) for topic in value["topics"]]),
        data=octets(value["data"]),
        block_number=quantity(value["blockNumber"]),
        block_hash=octets(value["blockHash"], 32),
        block_timestamp=None if stamp is None else quantity(stamp),
        transaction_hash=octets(value["transactionHash"], 32),
        transaction_index=quantity(value["transactionIndex"]),
        log_index=quantity(value["logIndex"]),
    )
