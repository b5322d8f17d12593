"""Fees: charged on what worsens a balance, and the three ways to reckon them agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.fees import fee, forwardable, imbalance, reverse_fee
from tests.support.credit_networks import unhurried

LARGEST = 2**64 - 1
amounts = st.integers(0, LARGEST) | st.integers(0, 300)
balances = st.integers(-LARGEST, LARGEST) | st.integers(-300, 300)
divisors = st.integers(2, 65535) | st.integers(2, 10)


def sent(onward: int, balance: int, divisor: int) -> int:
    """What leaves a mediator's payer so that ``onward`` can be passed on."""
    return onward + reverse_fee(imbalance(onward, balance), divisor)


@pytest.mark.parametrize(
    ("value", "balance", "expected"),
    [(10, 0, 10), (10, -5, 10), (10, 4, 6), (10, 10, 0), (10, 11, 0), (0, -3, 0)],
)
def test_only_what_adds_to_the_payers_debt_counts(value: int, balance: int, expected: int) -> None:
    assert imbalance(value, balance) == expected


@pytest.mark.parametrize(
    ("generated", "divisor", "forward", "reverse"),
    [(1, 100, 1, 1), (99, 100, 1, 1), (100, 100, 1, 2), (101, 100, 2, 2), (10, 2, 5, 10), (1, 65535, 1, 1)],
)
def test_fees_are_a_share_rounded_up(generated: int, divisor: int, forward: int, reverse: int) -> None:
    assert fee(generated, divisor) == forward
    assert reverse_fee(generated, divisor) == reverse


@unhurried
@given(amount=amounts)
def test_a_network_without_a_divisor_charges_nothing(amount: int) -> None:
    assert fee(amount, 0) == reverse_fee(amount, 0) == 0


@unhurried
@given(divisor=st.integers(0, 65535))
def test_no_imbalance_costs_nothing(divisor: int) -> None:
    assert fee(0, divisor) == reverse_fee(0, divisor) == 0


def test_a_divisor_of_one_takes_everything_and_cannot_be_put_on_top() -> None:
    assert fee(17, 1) == 17
    with pytest.raises(ValueError, match="divisor of 1"):
        reverse_fee(17, 1)


@unhurried
@given(amount=amounts, divisor=divisors)
def test_the_fee_of_an_amount_with_its_reverse_fee_leaves_that_amount(amount: int, divisor: int) -> None:
    on_top = amount + reverse_fee(amount, divisor)
    assert on_top - fee(on_top, divisor) == amount


@unhurried
@given(amount=amounts, balance=balances, divisor=divisors)
def test_what_is_forwardable_can_be_afforded_and_one_more_cannot(amount: int, balance: int, divisor: int) -> None:
    most = forwardable(amount, balance, divisor)
    assert most >= 0
    assert sent(most, balance, divisor) <= amount
    assert sent(most + 1, balance, divisor) > amount


@unhurried
@given(onward=amounts, balance=balances, divisor=divisors)
def test_whoever_sends_what_is_needed_can_forward_it(onward: int, balance: int, divisor: int) -> None:
    assert forwardable(sent(onward, balance, divisor), balance, divisor) == onward


@unhurried
@given(amount=amounts, balance=balances)
def test_without_fees_all_is_forwardable_and_with_a_divisor_of_one_only_what_is_free(
    amount: int, balance: int
) -> None:
    assert forwardable(amount, balance, 0) == amount
    assert forwardable(amount, balance, 1) == min(amount, max(balance, 0))


@unhurried
@given(amounts=st.tuples(amounts, amounts), balance=balances, divisor=divisors)
def test_who_can_send_more_can_forward_no_less(amounts: tuple[int, int], balance: int, divisor: int) -> None:
    less, more = sorted(amounts)
    assert forwardable(less, balance, divisor) <= forwardable(more, balance, divisor)
