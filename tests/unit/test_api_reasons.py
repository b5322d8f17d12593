"""Why there is no path, as clients read it."""

import pytest

from graph.answers import NotFound, Reason
from relay.api.reasons import describe


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_code_and_a_sentence_of_its_own(reason: Reason) -> None:
    described = describe(NotFound(reason))
    assert set(described) == {"reason", "reason_message"}
    assert described["reason"] == reason.value
    others = [describe(NotFound(other))["reason_message"] for other in Reason if other is not reason]
    assert described["reason_message"] not in others


@pytest.mark.parametrize(
    ("why", "figures", "sentence"),
    [
        (
            NotFound(Reason.CAPACITY, largest=123),
            {"largest_value": 123},
            "no path has the capacity for this value; the largest possible is 123",
        ),
        (
            NotFound(Reason.CAPACITY, largest=0),
            {"largest_value": 0},
            "no path has the capacity for this value; the largest possible is 0",
        ),
        (
            NotFound(Reason.FEES, cheapest_fees=7),
            {"cheapest_fees": 7},
            "every path costs more than the maximum of fees; the cheapest costs 7",
        ),
        (
            NotFound(Reason.HOPS, fewest_hops=3),
            {"fewest_hops": 3},
            "every path takes more than the maximum of hops; the shortest takes 3",
        ),
        (
            NotFound(Reason.FEES, cheapest_fees=7, fewest_hops=3),
            {"cheapest_fees": 7, "fewest_hops": 3},
            "every path costs more than the maximum of fees or takes more than the maximum of hops; "
            "the cheapest costs 7, the shortest takes 3",
        ),
    ],
)
def test_known_figures_are_told_apart_and_in_the_sentence(
    why: NotFound, figures: dict[str, int], sentence: str
) -> None:
    assert describe(why) == {"reason": why.reason.value, "reason_message": sentence, **figures}
