"""The capacity imbalance fee: what a mediator earns for letting a transfer worsen its balances.

All amounts are in the network's smallest unit. ``divisor`` is the network's ``capacityImbalanceFeeDivisor``
(uint16); 0 means that the network knows no fees.
"""


def imbalance(value: int, balance: int) -> int:
    """Return how much of ``value`` adds to the payer's debt on a hop.

    ``balance`` is the payer's balance on the hop's trustline before the transfer, with interest. What the
    payee owed the payer is worked off first and is free. Source: ``imbalanceGenerated``.
    """
    if balance <= 0:
        return value
    return max(value - balance, 0)


def fee(imbalance_generated: int, divisor: int) -> int:
    """Return the fee taken out of an amount that is passed on (receiver pays). Source: ``calculateFees``."""
    if divisor == 0 or imbalance_generated == 0:
        return 0
    return (imbalance_generated - 1) // divisor + 1


def reverse_fee(imbalance_generated: int, divisor: int) -> int:
    """Return the fee put on top of an amount that must arrive (sender pays). Source: ``calculateFeesReverse``.

    Raises:
        ValueError: if ``divisor`` is 1, with which the contract divides by zero and reverts.

    """
    if divisor == 0 or imbalance_generated == 0:
        return 0
    if divisor == 1:
        raise ValueError("a fee divisor of 1 has no reverse fee: the contract divides by zero")
    return (imbalance_generated - 1) // (divisor - 1) + 1


def forwardable(amount: int, balance: int, divisor: int) -> int:
    """Return the largest amount that can be passed on when ``amount`` can be sent on a hop (sender pays).

    The inverse of putting the reverse fee on top: the largest ``f`` with
    ``f + reverse_fee(imbalance(f, balance), divisor) <= amount``, where ``balance`` is the payer's on that hop.
    """
    free = min(amount, max(balance, 0))
    rest = amount - free
    if divisor == 0:
        return amount
    if divisor == 1 or rest < 2:
        return free
    # With n = f - free - 1 the condition reads n + n // (divisor - 1) <= rest - 2: blocks of ``divisor`` steps
    # of which the last one moves nothing.
    blocks, remainder = divmod(rest - 2, divisor)
    return free + 1 + blocks * (divisor - 1) + min(remainder, divisor - 2)
