"""Interest: who bears which rate, which way it moves a balance, and where it stops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.interest import MAX_BALANCE, applicable_rate, balance_with_interest
from tests.support.credit_networks import unhurried

YEAR = 31_536_000
START = 1_600_000_000

balances = st.integers(-MAX_BALANCE, MAX_BALANCE)
rates = st.integers(-2000, 2000)
durations = st.integers(0, 50 * YEAR)


def after(balance: int, rate: int, seconds: int) -> int:
    """A balance after some time, with the same rate for both users."""
    return balance_with_interest(balance, rate, rate, START, START + seconds)


def test_a_claim_bears_the_rate_given_and_a_debt_the_rate_received() -> None:
    assert applicable_rate(5, 100, 200) == 100
    assert applicable_rate(-5, 100, 200) == 200
    assert applicable_rate(0, 100, 200) == 0


@pytest.mark.parametrize(
    ("balance", "rate", "seconds", "expected"),
    [
        (1_000_000, 1000, YEAR, 1_105_170),  # e ** 0.1
        (-1_000_000, 1000, YEAR, -1_105_170),
        (1_000_000, -1000, YEAR, 904_838),  # e ** -0.1
        (10**18, 2000, YEAR, 1_221_402_758_160_169_828),
        (10**18, 2000, 10 * YEAR, 7_389_056_095_384_137_705),  # e ** 2, less what fifteen terms leave out
        (100, 1, YEAR, 100),
    ],
)
def test_interest_is_compounded_continuously_and_cut_off_to_whole_units(
    balance: int, rate: int, seconds: int, expected: int
) -> None:
    assert after(balance, rate, seconds) == expected


@unhurried
@given(balance=balances, seconds=durations)
def test_without_a_rate_nothing_changes(balance: int, seconds: int) -> None:
    assert after(balance, 0, seconds) == balance


@unhurried
@given(balance=balances, rate=rates)
def test_without_time_nothing_changes(balance: int, rate: int) -> None:
    assert after(balance, rate, 0) == balance


@unhurried
@given(rate=rates, seconds=durations)
def test_nothing_owed_bears_nothing(rate: int, seconds: int) -> None:
    assert after(0, rate, seconds) == 0


@unhurried
@given(balance=balances, rate=rates, other=rates, seconds=durations)
def test_both_users_see_the_same_interest(balance: int, rate: int, other: int, seconds: int) -> None:
    mine = balance_with_interest(balance, rate, other, START, START + seconds)
    theirs = balance_with_interest(-balance, other, rate, START, START + seconds)
    assert mine == -theirs


@unhurried
@given(balance=balances, rate=rates, seconds=durations)
def test_interest_never_turns_a_claim_into_a_debt(balance: int, rate: int, seconds: int) -> None:
    assert after(balance, rate, seconds) * balance >= 0


@unhurried
@given(balance=balances, rate=st.integers(1, 2000), times=st.tuples(durations, durations))
def test_with_a_positive_rate_more_time_never_means_less(balance: int, rate: int, times: tuple[int, int]) -> None:
    shorter, longer = sorted(times)
    assert abs(balance) <= abs(after(balance, rate, shorter)) <= abs(after(balance, rate, longer))


@unhurried
@given(balance=balances, rate=st.integers(-2000, -1), seconds=durations)
def test_with_a_negative_rate_a_balance_melts_and_never_grows(balance: int, rate: int, seconds: int) -> None:
    assert abs(after(balance, rate, seconds)) <= abs(balance)


@unhurried
@given(balance=balances, rate=rates, seconds=durations)
def test_a_balance_stays_within_the_contracts_limits(balance: int, rate: int, seconds: int) -> None:
    assert -MAX_BALANCE <= after(balance, rate, seconds) <= MAX_BALANCE


def test_growth_ends_at_the_largest_balance_of_either_sign() -> None:
    assert after(MAX_BALANCE, 2000, YEAR) == MAX_BALANCE
    assert after(-MAX_BALANCE, 2000, YEAR) == -MAX_BALANCE
    assert after(10**18, 2000, 50 * YEAR) == MAX_BALANCE


def test_where_the_series_breaks_down_a_melting_balance_is_gone() -> None:
    # Fifteen terms do not reach e ** -10 from such a balance; the contract then says zero.
    assert after(10**18, -2000, 50 * YEAR) == 0


def test_interest_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        balance_with_interest(1, 1, 1, START, START - 1)
