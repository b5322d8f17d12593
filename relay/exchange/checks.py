"""What an order must be to be taken into the book, as far as that can be told by looking at it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from relay.addresses import Address, to_checksum
from relay.exchange.errors import Unacceptable
from relay.exchange.rules import MOST, MOST_IN_NETWORK, NOBODY, is_signed_by_maker
from relay.model import Order


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts that are traded with, beside currency networks.

    ``unw_eths`` wrap ether, ``tokens`` are further token contracts. What an unknown contract says of its users'
    balances would be worth nothing, so no other one is taken.
    """

    exchanges: Sequence[Address] = ()
    unw_eths: Sequence[Address] = ()
    tokens: Sequence[Address] = ()

    def is_token(self, address: Address) -> bool:
        """Say whether something is a known token, wrapped ether included."""
        return address in self.unw_eths or address in self.tokens


IsNetwork = Callable[[Address], bool]
"""Says whether a token is a currency network that is served."""

_Fault = tuple[str, str]


def check(order: Order, digest: bytes, contracts: Contracts, is_network: IsNetwork, now: int) -> None:
    """Raise Unacceptable unless the order could be filled if only its maker has what it takes.

    ``digest`` is the order's hash, ``now`` in Unix seconds.
    """
    for field, reason in _faults(order, digest, contracts, is_network, now):
        raise Unacceptable(field, reason)


def _faults(
    order: Order, digest: bytes, contracts: Contracts, is_network: IsNetwork, now: int
) -> Iterator[_Fault]:
    """Yield what is wrong, by field; the signature last, since it takes longest to look at."""
    if order.exchange not in contracts.exchanges:
        yield "exchangeContractAddress", f"{to_checksum(order.exchange)} is no exchange that is served here"
    yield from _faults_of_tokens(order, contracts, is_network)
    for field, fee in (("makerFee", order.maker_fee), ("takerFee", order.taker_fee)):
        if fee:
            yield field, "must be 0: the exchange takes no fees"
    if order.expires_at <= now:
        yield "expirationUnixTimestampSec", "the order has expired"
    if order.maker == NOBODY:
        yield "maker", "the zero address cannot make an order"
    if order.taker == order.maker:
        yield "taker", "is the maker"
    if not is_signed_by_maker(order, digest):
        yield (
            "ecSignature",
            f"is no signature of the order by its maker {to_checksum(order.maker)}, which must be an account",
        )


def _faults_of_tokens(order: Order, contracts: Contracts, is_network: IsNetwork) -> Iterator[_Fault]:
    sides = (
        ("makerToken", order.maker_token, order.maker_amount),
        ("takerToken", order.taker_token, order.taker_amount),
    )
    for name, token, amount in sides:
        in_network = is_network(token)
        if not in_network and not contracts.is_token(token):
            yield (
                f"{name}Address",
                f"{to_checksum(token)} is no currency network and no token that is served here",
            )
        if amount <= 0:
            yield f"{name}Amount", "must not be 0"
        if in_network and amount > MOST_IN_NETWORK:
            yield f"{name}Amount", "the exchange moves 2^32 - 1 at most in a currency network"
    if order.maker_token == order.taker_token:
        yield "takerTokenAddress", "is the token that is offered"
    if order.maker_amount * order.taker_amount > MOST:
        yield "takerTokenAmount", "times makerTokenAmount is more than the exchange can calculate with, 2^256 - 1"
