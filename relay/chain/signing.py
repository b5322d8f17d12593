"""The relay's own key: read from an encrypted keystore, and what it signs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from relay.addresses import Address, to_checksum
from relay.chain.errors import ChainError


class KeystoreFault(ChainError):
    """The key cannot be had; the text names the file and never holds what is in it."""


@dataclass(frozen=True, slots=True)
class Fee:
    """What a transaction offers per unit of gas, in wei.

    ``tip`` is the priority fee of EIP-1559, None for a legacy transaction, whose gas price ``max_fee`` is.
    """

    max_fee: int
    tip: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """A message to a contract or account: ``value`` in wei, ``gas`` its limit."""

    to: Address
    data: bytes
    value: int
    gas: int


class SigningKey:
    """A private key that signs transactions of one chain; nothing shows it."""

    def __init__(self, private_key: bytes, chain_id: int) -> None:
        self._account: LocalAccount = Account.from_key(private_key)
        self._chain_id = chain_id
        self.address: Address = bytes.fromhex(self._account.address[2:])

    def __repr__(self) -> str:
        return f"SigningKey of {to_checksum(self.address)}"

    def sign(self, call: Call, nonce: int, fee: Fee) -> tuple[bytes, bytes]:
        """Return the raw signed transaction and its 32-byte hash."""
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": nonce,
            "to": to_checksum(call.to),
            "data": call.data,
            "value": call.value,
            "gas": call.gas,
        }
        if fee.tip is None:
            fields["gasPrice"] = fee.max_fee
        else:
            fields |= {"maxFeePerGas": fee.max_fee, "maxPriorityFeePerGas": fee.tip}
        raw = bytes(self._account.sign_transaction(fields).raw_transaction)
        return raw, keccak(raw)


def load_key(keystore: Path, password_file: Path, chain_id: int) -> SigningKey:
    """Return the key of a keystore (Web3 Secret Storage), whose password is the first line of a file.

    Raises:
        KeystoreFault: if one of the files cannot be read, or they do not fit each other.

    """
    content = _read(keystore, "[account] keystore_path")
    lines = _read(password_file, "[account] keystore_password_path").splitlines()
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise KeystoreFault(f"[account] keystore_path: {keystore} is no keystore: it holds no JSON object")
    # `from None` throughout: the libraries' errors may quote what they were given.
    try:
        private_key = bytes(Account.decrypt(document, lines[0] if lines else ""))
    except ValueError as error:
        reason = "the password does not open it" if "MAC" in str(error) else "its content cannot be understood"
        raise KeystoreFault(f"[account] keystore_path: {keystore}: {reason}") from None
    except Exception:
        raise KeystoreFault(f"[account] keystore_path: {keystore}: its content cannot be understood") from None
    return SigningKey(private_key, chain_id)


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise KeystoreFault(f"{name}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeystoreFault(f"{name}: {path} is not text") from None
