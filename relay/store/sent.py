"""The relay's own transactions as the store hands them out: plain data, rows of its tables."""

from dataclasses import dataclass

from relay.addresses import Address

META, IDENTITY, FAUCET, FILLER = "meta-transaction", "identity", "faucet", "filler"


class Repeated(Exception):
    """A meta-transaction, or another one with its nonce, is known already."""


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """A transaction to be sent: amounts in wei, times in Unix seconds; see the table for ``subject``."""

    purpose: str
    subject: Address
    recipient: Address
    data: bytes
    value: int
    gas_limit: int
    cost: int
    meta_hash: bytes | None = None
    meta_nonce: int | None = None
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed form of a transaction; ``tip`` is None for legacy ones, ``created_at`` in Unix seconds."""

    hash: bytes
    raw: bytes
    max_fee: int
    tip: int | None
    created_at: int
    at_block: int
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A row of signed_transactions."""

    id: int
    nonce: int
    purpose: str
    subject: Address
    recipient: Address
    data: bytes
    value: int
    gas_limit: int
    cost: int
    meta_hash: bytes | None
    meta_nonce: int | None
    expires_at: int
    created_at: int
    state: str
    is_held: bool
    outcome: str | None
    block_number: int | None
    block_hash: bytes | None
    mined_hash: bytes | None
    gas_used: int | None
    missed_since: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a block made of a transaction; ``mined_at`` is when that was seen, in Unix seconds."""

    outcome: str
    block_number: int
    block_hash: bytes
    mined_hash: bytes
    mined_at: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The nonce that is free, and up to where nonces are used on chain; valid while the row's lock is held."""

    next_nonce: int
    used_nonce: int
