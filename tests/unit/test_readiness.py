"""A process is ready while it answers from the present state; a quiet chain is no reason against it."""

from dataclasses import replace

import pytest

from relay.api.bounded import NotAnswered
from relay.api.readiness import Lag, LagLimits, Readiness, lag_of
from relay.store.errors import DatabaseUnreachable
from relay.store.status import IndexState
from relay.store.vitals import Vitals
from relay.sync.networks import Networks
from tests.support.fake_services import INDEXED_BLOCK, NOW, graphs, raising

WELL = Vitals(
    state=IndexState.FOLLOWING,
    report_age=0.5,
    head=INDEXED_BLOCK,
    head_timestamp=NOW,
    block=INDEXED_BLOCK,
    block_timestamp=NOW,
    final=INDEXED_BLOCK - 10,
    feed_position=7,
    has_writer=True,
    networks=2,
    joining=0,
    followers=2,
    slowest=5,
    own_waiting=1,
    users_waiting=4,
    push_waiting=0,
    push_oldest_seconds=0.0,
    push_given_up=0,
    totals={"events": 12, "reorgs": 1, "undone_blocks": 3, "deepest_reorg": 3},
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def codes(readiness: Readiness) -> list[str]:
    return [code for code, _ in readiness.judge().reasons]


def test_who_follows_the_head_is_ready() -> None:
    verdict = Readiness(graphs(), lambda: WELL, LagLimits()).judge()
    assert verdict.document() == {
        "ready": True,
        "block": INDEXED_BLOCK,
        "head": INDEXED_BLOCK,
        "lagBlocks": 0,
        "lagSeconds": 0.0,
    }


def test_who_still_loads_its_graphs_is_not() -> None:
    verdict = Readiness(Networks(), lambda: WELL, LagLimits()).judge()
    assert [code for code, _ in verdict.reasons] == ["loading"]
    assert verdict.document()["reasons"] == [{"code": "loading", "message": "the networks are still being loaded"}]


@pytest.mark.parametrize("fault", [DatabaseUnreachable("at 10.0.0.5 for user relay"), NotAnswered("hangs")])
def test_who_has_no_database_is_not_and_says_nothing_of_where_it_is(fault: Exception) -> None:
    verdict = Readiness(graphs(), raising(fault), LagLimits()).judge()
    assert verdict.reasons == (("database", "the database does not answer"),)
    assert verdict.block == INDEXED_BLOCK


def test_lag_counts_in_seconds_of_the_chain_and_in_blocks_where_these_are_bounded() -> None:
    behind = replace(WELL, head=INDEXED_BLOCK + 21, head_timestamp=NOW + 105)
    assert codes(Readiness(graphs(), lambda: behind, LagLimits(seconds=99))) == ["lag"]
    assert codes(Readiness(graphs(), lambda: behind, LagLimits(seconds=101))) == []
    assert codes(Readiness(graphs(), lambda: behind, LagLimits(seconds=101, blocks=20))) == ["lag"]
    assert codes(Readiness(graphs(), lambda: behind, LagLimits(seconds=101, blocks=21))) == []
    assert Readiness(graphs(), lambda: behind, LagLimits()).judge().lag == Lag(21, 100.0)


def test_a_chain_that_was_quiet_for_a_day_is_no_lag_when_its_next_block_comes() -> None:
    one_more = replace(WELL, head=INDEXED_BLOCK + 1, head_timestamp=NOW + 86_400)
    assert codes(Readiness(graphs(), lambda: one_more, LagLimits(seconds=1))) == []


def test_graphs_that_stand_still_below_a_known_head_are_lag_even_by_one_block() -> None:
    clock = Clock()
    one_more = replace(WELL, head=INDEXED_BLOCK + 1, head_timestamp=NOW + 5)
    readiness = Readiness(graphs(), lambda: one_more, LagLimits(seconds=60), clock)
    assert codes(readiness) == []
    clock.now += 61
    assert codes(readiness) == ["lag"]


def test_standing_still_at_the_head_is_not() -> None:
    clock, told = Clock(), [replace(WELL, head=INDEXED_BLOCK + 1, head_timestamp=NOW + 5), WELL]
    readiness = Readiness(graphs(), lambda: told[0], LagLimits(seconds=60), clock)
    assert codes(readiness) == []
    told.pop(0)
    clock.now += 50
    assert codes(readiness) == []
    told[0] = replace(WELL, head=INDEXED_BLOCK + 1, head_timestamp=NOW + 5)
    clock.now += 50
    assert codes(readiness) == [], "it has been behind anew, not for a hundred seconds"


def test_where_no_index_reports_nobody_knows_the_head() -> None:
    silent = replace(WELL, report_age=61.0)
    assert codes(Readiness(graphs(), lambda: silent, LagLimits(seconds=60))) == ["index"]
    never = replace(WELL, report_age=None, head=None, head_timestamp=None, block=None, block_timestamp=None)
    assert codes(Readiness(graphs(), lambda: never, LagLimits(seconds=60))) == ["index"]


def test_a_head_below_the_graphs_is_no_lag() -> None:
    assert lag_of(replace(WELL, head=INDEXED_BLOCK - 3), INDEXED_BLOCK, NOW) == Lag(0, 0.0)
    assert lag_of(WELL, None, None) is None
    assert lag_of(replace(WELL, head=None), INDEXED_BLOCK, NOW) is None
