"""Raw transactions of users, read before the node is asked."""

import re
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account._utils.legacy_transactions import Transaction
from eth_account._utils.signing import extract_chain_id
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from rlp.codec import consume_length_prefix  # type: ignore[import-untyped]

from relay.addresses import Address
from relay.chain.errors import MalformedTransaction, WrongChain

MAX_BYTES = 128 * 1024
"""Nodes take no larger transactions into their pools (geth's txMaxSize)."""

_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})*)")
_BLOB = 3
_MAX_DEPTH = 4
"""Lists in a transaction nest this deep: transaction, access list, its entries, their storage keys."""
_MAX_ITEMS = 1 << 15
"""More RLP items than fit in 128 KiB: the densest, an access list without keys, has 3 items in 23 bytes."""
_TYPES = {1: "EIP-2930", 2: "EIP-1559", 4: "EIP-7702"}


@dataclass(frozen=True, slots=True)
class ParsedTransaction:
    """A signed transaction: its bytes, its 32-byte hash and what it says.

    ``type`` is 0 for legacy, else the EIP-2718 type. ``chain_id`` is None for a legacy transaction without
    EIP-155. ``to`` is None when it creates a contract. ``value`` and ``max_gas_price`` are in wei.
    """

    raw: bytes
    hash: bytes
    type: int
    sender: Address
    nonce: int
    chain_id: int | None
    to: Address | None
    value: int
    gas_limit: int
    max_gas_price: int
    data: bytes = b""


def parse_raw_transaction(text: str, chain_id: int) -> ParsedTransaction:
    """Return the signed transaction that hex text (with or without 0x) writes.

    Raises:
        MalformedTransaction: if the text is no hex, empty, over 128 KiB, no transaction of a known type, or
            its signature leads to no sender.
        WrongChain: if it is signed for another chain than ``chain_id``.

    """
    raw = _bytes(text)
    if raw[0] < 0xC0 and raw[0] not in {*_TYPES, _BLOB}:
        raise MalformedTransaction(f"the raw transaction begins with byte {raw[0]:#04x}, which no known type does")
    kind = 0 if raw[0] >= 0xC0 else raw[0]
    if kind == _BLOB:
        raise MalformedTransaction("blob transactions are not relayed: a blob alone exceeds the limit of 128 KiB")
    fields = _decode(raw, kind)
    signed_for = fields["chainId"]
    if signed_for is not None and signed_for != chain_id:
        raise WrongChain(signed_for, chain_id)
    return ParsedTransaction(
        raw=raw,
        hash=keccak(raw),
        type=kind,
        sender=_recover(raw),
        nonce=fields["nonce"],
        chain_id=signed_for,
        to=bytes(HexBytes(fields["to"])) or None,
        value=fields["value"],
        gas_limit=fields["gas"],
        max_gas_price=fields["maxFeePerGas" if "maxFeePerGas" in fields else "gasPrice"],
        data=bytes(HexBytes(fields["data"])),
    )


def _bytes(text: str) -> bytes:
    if not isinstance(text, str):
        raise MalformedTransaction("the raw transaction is no text")
    if len(text) > 2 * MAX_BYTES + 2:
        raise MalformedTransaction("the raw transaction is longer than 128 KiB")
    match = _HEX.fullmatch(text)
    if match is None:
        raise MalformedTransaction("the raw transaction is no hexadecimal text with two digits per byte")
    raw = bytes.fromhex(match[1])
    if not raw:
        raise MalformedTransaction("the raw transaction is empty")
    if len(raw) > MAX_BYTES:
        raise MalformedTransaction("the raw transaction is longer than 128 KiB")
    return raw


def _decode(raw: bytes, kind: int) -> dict[str, Any]:
    try:
        _check_shape(raw, 1 if kind else 0)
        if kind:
            return TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        fields: dict[str, Any] = Transaction.from_bytes(raw).as_dict()
        chain_id, _ = extract_chain_id(fields["v"])
    except MalformedTransaction:
        raise
    # The libraries raise whatever the bytes lead them to: rlp's errors, TypeError, RecursionError ...
    except Exception as problem:
        name = f"{_TYPES[kind]} transaction" if kind else "legacy transaction"
        raise MalformedTransaction(f"the raw transaction cannot be read as {name}") from problem
    return {**fields, "chainId": chain_id}


def _check_shape(raw: bytes, position: int) -> None:
    """Refuse what the RLP library would take seconds over: it is quadratic in depth and in items per list."""
    ends: list[int] = []
    for _ in range(_MAX_ITEMS):
        _, kind, length, payload = consume_length_prefix(raw, position)
        position = payload if kind is list else payload + length
        if kind is list:
            ends.append(payload + length)
            if len(ends) > _MAX_DEPTH:
                raise MalformedTransaction("the raw transaction nests lists deeper than any transaction does")
        while ends and position >= ends[-1]:
            ends.pop()
        if not ends:
            return
    raise MalformedTransaction("the raw transaction has more parts than any transaction has")


def _recover(raw: bytes) -> Address:
    try:
        return bytes(HexBytes(Account.recover_transaction(raw)))
    except Exception as problem:  # as above, and the errors of the curve's arithmetic
        raise MalformedTransaction("the signature of the raw transaction leads to no sender") from problem
