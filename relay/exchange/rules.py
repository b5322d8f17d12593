"""The rules of the Exchange contract, pure: hashes, signatures, what a part of an order comes to, prices.

Source: the contract Exchange, whose functions of the same names answer the same (tests ask it).
"""

from fractions import Fraction

from eth_keys.exceptions import BadSignature
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from relay.addresses import Address
from relay.model import Order

NOBODY: Address = bytes(20)
"""The zero address: as a taker it stands for anybody."""

MOST_IN_NETWORK = 2**32 - 1
"""What a fill can move in a currency network: of more, the contract moves no more than the last 32 bits."""

MOST = 2**256 - 1

_SIGNED = b"\x19Ethereum Signed Message:\n32"
_FIRST_V = 27
_MILLION = 1_000_000
_MOST_ERROR = 1000
"""A thousandth, in millionths."""


def order_hash(order: Order) -> bytes:
    """Return the 32 bytes that name an order and that its maker signs; contract: ``getOrderHash``."""
    addresses = (
        order.exchange,
        order.maker,
        order.taker,
        order.maker_token,
        order.taker_token,
        order.fee_recipient,
    )
    numbers = (
        order.maker_amount,
        order.taker_amount,
        order.maker_fee,
        order.taker_fee,
        order.expires_at,
        order.salt,
    )
    return keccak(b"".join((*addresses, *(number.to_bytes(32, "big") for number in numbers))))


def normal_v(v: int) -> int:
    """Return ``v`` as the contract wants it, 27 or 28, where a wallet wrote 0 or 1; other values as they are."""
    return v + _FIRST_V if v in (0, 1) else v


def signer_of(digest: bytes, v: int, r: bytes, s: bytes) -> Address | None:
    """Return who signed an order's hash with the prefix of signed messages, None if the signature is none.

    As in the contract, ``v`` is 27 or 28, and both of the two values of ``s`` count: an order is known by its
    hash, so a second signature makes no second order.
    """
    if v not in (_FIRST_V, _FIRST_V + 1):
        return None
    try:
        api = KeyAPI()
        signature = api.Signature(r + s + bytes([v - _FIRST_V]))
        return bytes(api.ecdsa_recover(keccak(_SIGNED + digest), signature).to_canonical_address())
    except (BadSignature, ValidationError, ValueError):
        return None


def is_signed_by_maker(order: Order, digest: bytes) -> bool:
    """Say whether the maker signed the order.

    Only an account can: an identity contract, or the zero address, has no key to be found by the signature. The
    contract itself takes any broken signature for one of the zero address.
    """
    return signer_of(digest, order.v, order.r, order.s) == order.maker


def partial_amount(numerator: int, denominator: int, target: int) -> int:
    """Return that part of ``target``, rounded down; contract: ``getPartialAmount``, which reverts beyond 2^256."""
    return numerator * target // denominator


def is_rounding_error(numerator: int, denominator: int, target: int) -> bool:
    """Say whether rounding that part down loses more than a thousandth; contract: ``isRoundingError``."""
    remainder = target * numerator % denominator
    return remainder > 0 and remainder * _MILLION // (numerator * target) > _MOST_ERROR


def can_be_taken(order: Order, left: int) -> bool:
    """Say whether something can be taken of an order of whose ``taker_amount`` so much is ``left``.

    The contract fills no part that would be rounded too much, so crumbs may be left that nobody can take.
    """
    if left <= 0:
        return False
    maker, taker = order.maker_amount, order.taker_amount
    exact = Fraction(taker, maker).numerator
    return left >= exact or not is_rounding_error(left, taker, maker)


def ask_price(order: Order) -> Fraction:
    """Return what a taker pays for one unit of the token on offer; the lowest is the best."""
    return Fraction(order.taker_amount, order.maker_amount)


def bid_price(order: Order) -> Fraction:
    """Return what a taker gets for one unit of the token asked for; the highest is the best."""
    return Fraction(order.maker_amount, order.taker_amount)
