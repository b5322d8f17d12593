"""Numbers, times and tables as people read them."""

import pytest

from relay.console.words import columns, count, duration, labelled, moment, plain


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.04, "0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 debts"), (1, "1 debt"), (2, "2 debts"), (12_345, "12,345 debts")]
)
def test_things_are_counted_in_words(number: int, text: str) -> None:
    assert count(number, "debt") == text


def test_a_moment_is_told_in_utc() -> None:
    assert moment(1_700_000_000) == "2023-11-14 22:13:20 UTC"


def test_a_chain_may_have_any_clock() -> None:
    assert moment(2**63) == f"second {2**63}"


def test_a_name_from_a_contract_cannot_write_to_the_terminal_at_will() -> None:
    assert plain("Cash\x1b[2J\nmine") == "Cash?[2J?mine"
    assert len(plain("x" * 1000)) == 40


def test_columns_are_aligned_but_for_the_last() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "ccc")]) == ["a    bb  c", "aaa  b   ccc"]


def test_a_row_without_a_label_stands_below_the_text_above_it() -> None:
    assert labelled([("head", "block 1"), ("", "and more")]) == ["head       block 1", "           and more"]
