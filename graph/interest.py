"""Compound interest on a trustline's balance, in integers, exactly as the contract computes it.

Source: ``calculateBalanceWithInterests`` of the CurrencyNetwork contract.
"""

MAX_BALANCE = 2**64 - 1
"""The largest magnitude of a balance, in the network's smallest unit."""

SECONDS_PER_YEAR = 365 * 24 * 60 * 60
RATE_UNITS = 100 * 100
"""Rates are in 0.01 %, so a rate of this many units is 100 % a year."""

TAYLOR_ORDER = 15
_DIVISORS = tuple((order, SECONDS_PER_YEAR * RATE_UNITS * order) for order in range(1, TAYLOR_ORDER + 1))


def applicable_rate(balance: int, rate_given: int, rate_received: int) -> int:
    """Return the rate that ``balance`` bears, in 0.01 % a year, from the point of view of one user.

    A positive balance is a claim and bears the rate the user gives; a negative one the rate received.
    """
    if balance > 0:
        return rate_given
    if balance < 0:
        return rate_received
    return 0


def balance_with_interest(balance: int, rate_given: int, rate_received: int, start: int, end: int) -> int:
    """Return ``balance`` with the interest of the time from ``start`` to ``end``.

    It is the contract's for up to 2^33 seconds (272 years) at any int16 rate; over some thousands of years the
    contract's 256-bit numbers overflow and it reverts, while these do not.

    Arguments:
        balance: in the smallest unit, within +-(2^64 - 1), as one of the two users sees it.
        rate_given: int16 in 0.01 % a year, the rate on what the other user owes.
        rate_received: int16 in 0.01 % a year, the rate on what is owed to the other user.
        start: the trustline's ``mtime``, Unix seconds.
        end: the time of valuation, Unix seconds, not before ``start``.

    Raises:
        ValueError: if ``end`` lies before ``start``.

    """
    if end < start:
        raise ValueError(f"interest cannot run backwards, from {start} to {end}")
    rate = applicable_rate(balance, rate_given, rate_received)
    if rate == 0:
        return balance

    # Of positive numbers, as the EVM's division rounds toward zero: Python's would round negative quotients down.
    growth = abs(rate) * (end - start)
    size = term = abs(balance)
    for order, divisor in _DIVISORS:
        term = term * growth // divisor
        if term == 0:
            break
        size += term if rate > 0 or order % 2 == 0 else -term
    total = size if balance > 0 else -size

    if rate > 0:
        return max(-MAX_BALANCE, min(MAX_BALANCE, total))
    if abs(total) > abs(balance) or (total < 0) != (balance < 0):
        return 0
    return total
