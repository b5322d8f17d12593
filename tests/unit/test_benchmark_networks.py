"""The networks that are measured, and the form in which figures are handed out."""

import json
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.networks import CREDIT_LINES, preferential, questions
from benchmarks.readme import markdown, plot
from benchmarks.report import Report, Row, machine, table
from benchmarks.timing import Times, time_each, time_steadily
from graph.trustline import Trustline

NETWORK = preferential(60, 5, seed=1, name="small")


def test_everybody_in_a_random_network_is_joined_to_so_many_who_came_before() -> None:
    assert len(NETWORK.users()) == 60
    assert len(NETWORK.rows) == 1 + 2 + 3 + 4 + 55 * 5
    assert len({row[:2] for row in NETWORK.rows}) == len(NETWORK.rows)


def test_the_same_seed_makes_the_same_network_and_another_seed_another() -> None:
    assert preferential(60, 5, seed=1, name="small").rows == NETWORK.rows
    assert preferential(60, 5, seed=2, name="small").rows != NETWORK.rows


def test_balances_lie_within_the_credit_lines() -> None:
    for row in NETWORK.rows:
        line = Trustline(*row)
        assert -line.received <= line.balance <= line.given
        assert all(
            CREDIT_LINES[0] <= amount + 1 and amount <= CREDIT_LINES[1] for amount in (line.given, line.received)
        )


def test_the_graph_of_a_network_has_all_its_trustlines() -> None:
    graph = NETWORK.build()
    assert sorted((line.pair, line.balance) for line in graph.trustlines()) == sorted(
        (row[:2], row[2]) for row in NETWORK.rows
    )


def test_questions_are_between_different_users_and_take_the_values_in_turn() -> None:
    asked = list(islice(questions(NETWORK, NETWORK.users(), seed=3), 30))
    assert all(question.sender != question.receiver for question in asked)
    assert [question.value for question in asked] == list(NETWORK.values) * 10


def test_every_case_is_timed_once_a_pass_and_no_case_follows_itself() -> None:
    seen: list[str] = []
    times = time_steadily(seen.append, ["a", "b", "c"], passes=3)
    assert seen == ["a", "b", "c"] * 3
    assert len(times.all) == 3
    assert all(milliseconds >= 0 for milliseconds in time_each(seen.append, ["d"]).all)


def test_one_call_in_a_hundred_takes_longer_than_the_99th_percentile() -> None:
    times = Times(tuple(float(index) for index in range(1000)))
    assert times.median == 499.5
    assert times.p99 == 990
    assert sum(milliseconds >= times.p99 for milliseconds in times.all) == 10


ROWS = [
    Row(
        "cheapest path, 1,000 users, median",
        0.5,
        "ms",
        {"predecessor": 40.0},
        0.01,
        80.0,
        "at least 100",
        met=False,
    ),
    Row("cheapest path, 10,000 users, median", 1.5, "ms", {"predecessor": "absent: it is not set"}),
    Row("update", 12.0, "microseconds", target="at most 20", ratio=0.6, met=True),
]


def test_a_table_has_a_line_for_every_row_and_says_what_is_missed() -> None:
    lines = table(ROWS).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert lines[2].endswith("NO")
    assert "predecessor absent: it is not set" in lines[3]
    assert lines[4].endswith("yes")


def test_the_readme_lists_rows_with_a_target_first() -> None:
    lines = markdown(ROWS).splitlines()[2:]
    assert ["at most" in line or "at least" in line for line in lines] == [True, True, False]


def test_the_plot_shows_whoever_was_measured() -> None:
    drawn = plot(ROWS)
    assert drawn.count("<circle") == 4  # the kernel twice, the predecessor once, the bound once
    assert "absent" not in drawn


def test_the_machine_is_described_by_its_parts_alone() -> None:
    assert set(machine()) == {"cpu", "cores", "memory_gib", "system", "python"}


@pytest.mark.parametrize(("is_quick", "met"), [(True, None), (False, True)])
def test_a_quick_run_decides_no_target(tmp_path: Path, is_quick: bool, met: bool | None) -> None:
    report = Report("few", is_quick=is_quick, steps=1, results=tmp_path)
    report.add(Row("a search", 1.0, "ms", {}, None, 2.0, "at most 3 times a pass", True))
    (row,) = json.loads(report.path.read_text(encoding="utf-8"))["rows"]
    assert (row["ratio"], row["target"], row["met"]) == (2.0, "at most 3 times a pass", met)
