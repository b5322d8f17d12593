"""Identity contracts: what their owners sign, how they are called and deployed, and what they log."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_keys.exceptions import BadSignature
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from relay.addresses import Address
from relay.chain import abi
from relay.chain.sending import RawLog

VERSION = 1
RANDOM_NONCES = 2**255
"""Nonces from here on, and 0, may come in any order; the hash protects them from being repeated."""

ZERO_ADDRESS: Address = bytes(20)
_PREFIX = b"\x19\x00"


@dataclass(frozen=True, slots=True)
class MetaTransaction:
    """A call that the owner of an identity signs and somebody else pays.

    ``base_fee`` and ``gas_price`` (per 10^6 gas) are in the smallest unit of ``currency_network_of_fees``,
    ``time_limit`` in Unix seconds (0: none), ``operation_type`` 0 call, 1 delegate call, 2 create, 3 create2.
    """

    identity: Address
    chain_id: int
    version: int
    to: Address
    value: int
    data: bytes
    base_fee: int
    gas_price: int
    gas_limit: int
    fee_recipient: Address
    currency_network_of_fees: Address
    nonce: int
    time_limit: int
    operation_type: int
    signature: bytes = b""

    @property
    def is_ordered(self) -> bool:
        """Whether its nonce must follow on the last one."""
        return 0 < self.nonce < RANDOM_NONCES

    @property
    def has_fee(self) -> bool:
        """Whether the identity pays something for its execution."""
        return self.base_fee > 0 or self.gas_price > 0

    @property
    def hash(self) -> bytes:
        """The 32 bytes that the owner signs."""
        words = (self.chain_id, self.version)
        fees = (self.base_fee, self.gas_price, self.gas_limit)
        packed = b"".join(
            (
                _PREFIX,
                self.identity,
                *map(_word, words),
                self.to,
                _word(self.value),
                keccak(self.data),
                *map(_word, fees),
                self.fee_recipient,
                self.currency_network_of_fees,
                _word(self.nonce),
                _word(self.time_limit),
                bytes([self.operation_type]),
            )
        )
        return keccak(packed)

    def execution(self) -> bytes:
        """Return the calldata with which a delegate has it executed."""
        arguments: tuple[Any, ...] = (
            self.to,
            self.value,
            self.data,
            self.base_fee,
            self.gas_price,
            self.gas_limit,
            self.fee_recipient,
            self.currency_network_of_fees,
            self.nonce,
            self.time_limit,
            self.operation_type,
            self.signature,
        )
        return abi.encode_call(_function("executeTransaction"), arguments)


def call_view(name: str, *arguments: Any) -> bytes:
    """Return the calldata of a view function of identities."""
    return abi.encode_call(_function(name), arguments)


def read_view(name: str, data: bytes | None) -> Any:
    """Return the value that a view function of identities returned, None if it did not return one."""
    if not data:
        return None
    try:
        (value,) = abi.decode_result(_function(name), data)
    except ValueError:
        return None
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value


def execution_status(logs: tuple[RawLog, ...], identity: Address, meta_hash: bytes) -> bool | None:
    """Return whether the call of a meta-transaction succeeded by its TransactionExecution, None without one."""
    for log in logs:
        if log.address == identity and log.topics == (EXECUTION_TOPIC, meta_hash):
            return any(log.data)
    return None


def fee_paid(logs: tuple[RawLog, ...], meta: MetaTransaction, delegate: Address) -> int | None:
    """Return the fee that a meta-transaction booked as a debt where it says, None if it booked none.

    The zero address as recipient stands for the delegate.
    """
    recipient = fee_recipient(meta, delegate)
    wanted = (FEE_TOPIC, recipient.rjust(32, b"\0"), meta.currency_network_of_fees.rjust(32, b"\0"))
    for log in logs:
        if log.address == meta.identity and log.topics == wanted:
            return int.from_bytes(log.data, "big")
    return None


def fee_recipient(meta: MetaTransaction, delegate: Address) -> Address:
    """Return who gets the fee of a meta-transaction; the zero address stands for the delegate."""
    return delegate if meta.fee_recipient == ZERO_ADDRESS else meta.fee_recipient


def debt_call(debtor: Address, creditor: Address) -> bytes:
    """Return the calldata that asks a currency network what one owes another."""
    return abi.encode_call(_DEBT, (debtor, creditor))


def read_debt(data: bytes) -> int | None:
    """Return the debt that `debt_call` asked for, negative if it is owed the other way round; None without one."""
    if len(data) != 32:
        return None
    return int.from_bytes(data, "big", signed=True)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A proxied identity to be deployed: for whom, where it will be, and the calldata for the factory."""

    owner: Address
    identity: Address
    data: bytes


def plan_deployment(factory: Address, implementation: Address, signature: bytes) -> Deployment | None:
    """Return how to deploy an identity as its owner signed for, None if the signature leads to nobody."""
    owner = recover(keccak(_PREFIX + factory + implementation), signature)
    if owner is None:
        return None
    initcode = proxy_bytecode() + owner.rjust(32, b"\0")
    entry = abi.contract("IdentityProxyFactory").entry("function", "deployProxy")
    identity = keccak(b"\xff" + factory + bytes(32) + keccak(initcode))[12:]
    return Deployment(owner, identity, abi.encode_call(entry, (initcode, implementation, signature)))


@cache
def proxy_bytecode() -> bytes:
    """Return the creation code of the proxies that wallets compute the addresses of their identities with.

    It is an older build than the Proxy in trustlines-contracts-bin: another one would give other addresses.
    """
    shipped = json.loads((files("relay.chain") / "identity_proxy.json").read_text("utf-8"))
    return bytes.fromhex(shipped["bytecode"][2:])


def recover(message_hash: bytes, signature: bytes) -> Address | None:
    """Return who signed a hash (65 bytes r, s, v with v 27, 28, 0 or 1), None if nobody can have."""
    if len(signature) != 65:
        return None
    v = signature[64] - 27 if signature[64] >= 27 else signature[64]
    try:
        parsed = KeyAPI().Signature(signature[:64] + bytes([v]))
        return bytes(parsed.recover_public_key_from_msg_hash(message_hash).to_canonical_address())
    except (BadSignature, ValidationError, ValueError):
        return None


def _function(name: str) -> abi.AbiEntry:
    return abi.contract("Identity").entry("function", name)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


EXECUTION_TOPIC = abi.topic(abi.contract("Identity").entry("event", "TransactionExecution"))
_DEBT = abi.contract("CurrencyNetwork").entry("function", "getDebt")
FEE_TOPIC = abi.topic(abi.contract("Identity").entry("event", "FeePayment"))
