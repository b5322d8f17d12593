"""A trustline is stored once and looks the same from both ends, turned round."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.trustline import Trustline, View, pair_of
from tests.support.credit_networks import unhurried

A, B, C = b"A", b"B", b"C"
NOW = 1_700_000_000
YEAR = 31_536_000

credit_lines = st.integers(0, 2**64 - 1)
rates = st.integers(-2000, 2000)
trustlines = st.builds(
    Trustline,
    st.just(A),
    st.just(B),
    balance=st.integers(-(2**64) + 1, 2**64 - 1),
    given=credit_lines,
    received=credit_lines,
    rate_given=rates,
    rate_received=rates,
    is_frozen=st.booleans(),
    mtime=st.integers(0, NOW),
)


def turned(view: View) -> View:
    """What the other user must see."""
    return View(
        user=view.other,
        other=view.user,
        balance=-view.balance,
        given=view.received,
        received=view.given,
        rate_given=view.rate_received,
        rate_received=view.rate_given,
        is_frozen=view.is_frozen,
    )


@unhurried
@given(trustline=trustlines)
def test_each_user_sees_the_mirror_image_of_what_the_other_sees(trustline: Trustline) -> None:
    assert trustline.seen_by(B) == turned(trustline.seen_by(A))


@unhurried
@given(trustline=trustlines)
def test_the_lower_user_sees_what_is_stored(trustline: Trustline) -> None:
    view = trustline.seen_by(A)
    assert (view.balance, view.given, view.received) == (trustline.balance, trustline.given, trustline.received)
    assert (view.rate_given, view.rate_received) == (trustline.rate_given, trustline.rate_received)


@unhurried
@given(trustline=trustlines)
def test_what_one_can_pay_is_what_the_other_can_still_be_owed(trustline: Trustline) -> None:
    mine, theirs = trustline.seen_by(A), trustline.seen_by(B)
    assert mine.left_received == theirs.left_given == trustline.received + trustline.balance
    assert mine.left_given == theirs.left_received == trustline.given - trustline.balance


@unhurried
@given(trustline=trustlines, later=st.integers(0, 50 * YEAR))
def test_interest_is_the_same_from_both_ends(trustline: Trustline, later: int) -> None:
    at = trustline.mtime + later
    mirrored = Trustline(
        A,
        B,
        balance=-trustline.balance,
        given=trustline.received,
        received=trustline.given,
        rate_given=trustline.rate_received,
        rate_received=trustline.rate_given,
        mtime=trustline.mtime,
    )
    assert mirrored.at(at).balance == -trustline.at(at).balance


@unhurried
@given(trustline=trustlines, earlier=st.integers(0, YEAR))
def test_a_time_before_the_last_change_changes_nothing(trustline: Trustline, earlier: int) -> None:
    assert trustline.at(trustline.mtime - earlier) == trustline


def test_interest_runs_from_the_last_change_and_leaves_the_terms_alone() -> None:
    trustline = Trustline(A, B, balance=1_000_000, given=5, rate_given=1000, mtime=NOW)
    assert trustline.at(NOW + YEAR) == replace(trustline, balance=1_105_170, mtime=NOW + YEAR)


@pytest.mark.parametrize("term", ["balance", "given", "received", "rate_given", "rate_received"])
def test_a_trustline_is_open_as_long_as_one_of_its_terms_is_not_zero(term: str) -> None:
    closed = Trustline(A, B)
    assert closed.is_closed
    changed: dict[str, Any] = {term: 1}
    assert not replace(closed, **changed).is_closed
    assert replace(closed, mtime=NOW, is_frozen=True).is_closed


def test_the_pair_of_two_users_is_the_same_either_way() -> None:
    assert pair_of(A, B) == pair_of(B, A) == (A, B) == Trustline(A, B).pair


def test_nobody_has_a_trustline_with_themselves() -> None:
    with pytest.raises(ValueError, match="two different users"):
        pair_of(A, A)
    for lower, higher in ((A, A), (B, A)):
        with pytest.raises(ValueError, match="lower user first"):
            Trustline(lower, higher)


def test_a_stranger_has_no_view_of_a_trustline() -> None:
    with pytest.raises(ValueError, match="no part"):
        Trustline(A, B).seen_by(C)
