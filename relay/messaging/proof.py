"""Signed texts: how somebody proves an address. Pure but for asking who owns a contract.

A text is signed as wallets do (EIP-191, version 0x45: "Ethereum Signed Message"), by the account itself or by the
owner of the identity contract at that address.
"""

from collections.abc import Callable
from dataclasses import dataclass

from eth_keys.exceptions import BadSignature
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from relay.addresses import Address, to_checksum

VALID_SECONDS = 300
"""So far from the present a signed time may lie."""

OwnerOf = Callable[[Address], Address | None]
"""Returns the owner of an identity contract, None where there is none."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


@dataclass(frozen=True, slots=True)
class Proof:
    """Who claims to have signed, when (Unix seconds), and the 65 bytes of the signature."""

    signer: Address
    timestamp: int
    signature: bytes


def message_text(chain_id: int, receiver: Address, kind: str, body: str, timestamp: int) -> str:
    """Return the text that the sender of a message signs; ``kind`` is "Message" where none is given."""
    return (
        "Trustlines message\n"
        f"chain: {chain_id}\n"
        f"to: {to_checksum(receiver)}\n"
        f"type: {kind}\n"
        f"timestamp: {timestamp}\n"
        f"keccak256: 0x{keccak(text=body).hex()}"
    )


def token_text(chain_id: int, action: str, user: Address, token: str, timestamp: int) -> str:
    """Return the text that a user signs to have a push token added or removed (``action``: "PUT", "DELETE")."""
    return (
        "Trustlines push notifications\n"
        f"chain: {chain_id}\n"
        f"action: {action}\n"
        f"user: {to_checksum(user)}\n"
        f"timestamp: {timestamp}\n"
        f"keccak256: 0x{keccak(text=token).hex()}"
    )


def digest_of(text: str) -> bytes:
    """Return the 32 bytes that a wallet signs for a text."""
    data = text.encode("utf-8")
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode("ascii") + data)


def fault_of(proof: Proof, text: str, now: int, owner_of: OwnerOf) -> str | None:
    """Return what is wrong with a proof in a sentence, None if it holds; raises what ``owner_of`` does."""
    if abs(now - proof.timestamp) > VALID_SECONDS:
        return f"the signed timestamp is more than {VALID_SECONDS} s from the relay's time"
    signer = _recover(digest_of(text), proof.signature)
    if signer is None:
        return "the signature is malformed: expected 65 bytes r, s, v with v of 0, 1, 27 or 28 and a low s"
    if signer == proof.signer or signer == owner_of(proof.signer):
        return None
    return f"the signature is not of {to_checksum(proof.signer)} or of the owner of that identity"


def _recover(digest: bytes, signature: bytes) -> Address | None:
    if len(signature) != 65 or signature[64] not in (0, 1, 27, 28):
        return None
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        # The other s for the same signature would make it count twice.
        return None
    try:
        api = KeyAPI()
        vrs = api.Signature(signature[:64] + bytes([signature[64] % 27]))
        return bytes(api.ecdsa_recover(digest, vrs).to_canonical_address())
    except (BadSignature, ValidationError, ValueError):
        return None
