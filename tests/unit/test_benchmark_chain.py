"""The story that the chain of the index's benchmark tells."""

from itertools import pairwise

from benchmarks.chain_plan import CREDIT, HOPS, VALUES, Plan, Story

PLAN = Plan(users=40, trustlines=90, transfers=200, seed=3)


def test_the_same_plan_tells_the_same_story() -> None:
    one, other = Story(PLAN), Story(PLAN)
    assert list(one.openings()) == list(other.openings())
    assert list(one.transfers()) == list(other.transfers())
    assert list(Story(Plan(40, 90, 200, seed=4)).openings()) != list(Story(PLAN).openings())


def test_every_trustline_is_asked_for_and_agreed_to_on_the_same_terms() -> None:
    openings = list(Story(PLAN).openings())
    assert len(openings) == 2 * PLAN.trustlines
    for asked, agreed in zip(openings[::2], openings[1::2], strict=True):
        other, given, received, rate_given, rate_received, is_frozen = asked.arguments
        assert agreed.sender == other
        assert agreed.arguments == (asked.sender, received, given, rate_received, rate_given, is_frozen)


def test_nobody_is_left_alone_and_no_trustline_told_twice() -> None:
    story = Story(PLAN)
    assert {user for pair in story.pairs for user in pair} == set(story.users)
    assert len({frozenset(pair) for pair in story.pairs}) == PLAN.trustlines


def test_every_transfer_goes_over_mediators_along_trustlines_that_can_carry_all_of_them() -> None:
    story = Story(PLAN)
    joined = {frozenset(pair) for pair in story.pairs}
    transfers = list(story.transfers())
    assert len(transfers) == PLAN.transfers
    for transfer in transfers:
        value, most_fees, path, _ = transfer.arguments
        assert isinstance(path, list)
        assert transfer.sender == path[0]
        assert 3 <= len(path) <= max(HOPS) + 1
        assert len(set(path)) == len(path)
        assert all(frozenset(hop) in joined for hop in pairwise(path))
        assert value == most_fees
    assert 2 * VALUES[1] * PLAN.transfers < CREDIT
