"""What exchanges, tokens and currency networks tell of orders and of those who make them."""

from collections.abc import Sequence
from typing import Any

from relay.addresses import Address
from relay.chain import abi
from relay.chain.calls import ChainCalls
from relay.chain.errors import NodeMisbehaved

UNLIMITED = 2**256 - 1
"""What an exchange may take that needs nobody's leave."""


def unavailable(node: ChainCalls, exchange: Address, order_hash: bytes) -> int:
    """Return how much of an order's ``takerTokenAmount`` has been filled or cancelled; raises ChainError."""
    entry = abi.contract("Exchange").entry("function", "getUnavailableTakerTokenAmount")
    data = node.call(exchange, abi.encode_call(entry, [order_hash]))
    return int(_value(entry, data))


def takeable(
    node: ChainCalls, token: Address, exchange: Address, makers: Sequence[Address], *, is_wrapped_ether: bool
) -> list[int]:
    """Return how much of a token an exchange can take of each of some makers; raises ChainError.

    That is the balance, or what the maker allows the exchange if that is less. Of wrapped ether an exchange may
    take all where it is authorized, by the contract's owner for everybody or by the maker for itself.
    """
    token_abi = abi.contract("Token")
    balance_of, allowance = (token_abi.entry("function", name) for name in ("balanceOf", "allowance"))
    calls = [abi.encode_call(balance_of, [maker]) for maker in makers]
    calls += [abi.encode_call(allowance, [maker, exchange]) for maker in makers]
    answers = node.calls(token, calls)
    balances = [int(_value(balance_of, answer)) for answer in answers[: len(makers)]]
    allowed = [int(_value(allowance, answer)) for answer in answers[len(makers) :]]
    if is_wrapped_ether:
        free = authorized(node, token, exchange, makers)
        allowed = [UNLIMITED if is_free else most for is_free, most in zip(free, allowed, strict=True)]
    return [min(pair) for pair in zip(balances, allowed, strict=True)]


def authorized(node: ChainCalls, contract: Address, exchange: Address, makers: Sequence[Address]) -> list[bool]:
    """Say for each of some makers whether an exchange may move what is theirs in a contract; raises ChainError.

    The contract is a currency network or wrapped ether: both know contracts that may, for all or for one user.
    """
    network = abi.contract("CurrencyNetwork")
    for_all, for_one = (network.entry("function", name) for name in ("globalAuthorized", "authorizedBy"))
    calls = [abi.encode_call(for_all, [exchange])]
    calls += [abi.encode_call(for_one, [maker, exchange]) for maker in makers]
    first, *others = node.calls(contract, calls)
    is_free = bool(_value(for_all, first))
    return [is_free or bool(_value(for_one, answer)) for answer in others]


def _value(entry: abi.AbiEntry, data: bytes) -> Any:
    try:
        (value,) = abi.decode_result(entry, data)
    except ValueError as error:
        raise NodeMisbehaved(str(error)) from error
    return value
