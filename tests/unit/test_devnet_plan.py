"""The plan of the village, before anybody acts it out."""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from relay.devnet.plan import GENESIS, NAMES, QUARTERS, Line, plan_village

PLAN = plan_village()


def reachable(lines: Iterable[Line]) -> tuple[set[str], set[str]]:
    """Everybody with a trustline, and those whom the first of them reaches."""
    friends: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        friends[line.a.name].add(line.b.name)
        friends[line.b.name].add(line.a.name)
    found, frontier = set(), [next(iter(friends))]
    while frontier:
        found.add(person := frontier.pop())
        frontier += friends[person] - found
    return set(friends), found


def test_the_same_seed_plans_the_same_village() -> None:
    assert plan_village(3) == plan_village(3)


def test_another_seed_brings_other_accounts_and_other_trustlines() -> None:
    other = plan_village(2)
    assert {person.address for person in PLAN.people}.isdisjoint(person.address for person in other.people)
    assert [(line.a.name, line.b.name) for line in PLAN.lines] != [
        (line.a.name, line.b.name) for line in other.lines
    ]


def test_twenty_people_have_names_of_their_own() -> None:
    assert len({person.name for person in PLAN.people}) == len({person.address for person in PLAN.people}) == 20
    assert PLAN.person("Ada").name == NAMES[0]


def test_there_are_at_least_sixty_trustlines_and_no_pair_has_two_in_one_network() -> None:
    pairs = {(line.symbol, frozenset((line.a.name, line.b.name))) for line in PLAN.lines}
    assert len(pairs) == len(PLAN.lines) >= 60


@pytest.mark.parametrize("symbol", [quarter.symbol for quarter in QUARTERS])
def test_everybody_in_a_network_is_connected(symbol: str) -> None:
    everybody, found = reachable(line for line in PLAN.lines if line.symbol == symbol)
    assert found == everybody


@pytest.mark.parametrize("symbol", [quarter.symbol for quarter in QUARTERS])
def test_every_network_sees_one_to_four_hops_with_both_fee_payers(symbol: str) -> None:
    seen = {(len(payment.path) - 1, payment.sender_pays) for payment in PLAN.payments if payment.symbol == symbol}
    assert seen == {(hops, sender_pays) for hops in (1, 2, 3, 4) for sender_pays in (True, False)}


def test_some_transfers_carry_extra_data() -> None:
    assert {bool(payment.extra_data) for payment in PLAN.payments} == {True, False}


def test_what_is_closed_asked_or_taken_back_is_no_trustline_in_the_end() -> None:
    pairs = {(line.symbol, frozenset((line.a.name, line.b.name))) for line in PLAN.lines}
    for line in (PLAN.closed, PLAN.requested, PLAN.cancelled):
        assert (line.symbol, frozenset((line.a.name, line.b.name))) not in pairs
    assert PLAN.frozen in PLAN.lines


def test_time_goes_forward_from_the_first_block_and_leaves_months_for_interest() -> None:
    times = [GENESIS, *(scene.at for scene in PLAN.scenes)]
    assert times == sorted(set(times))
    assert times[-1] - times[0] > 300 * 86400


def test_a_private_key_is_not_shown_by_accident() -> None:
    assert PLAN.people[0].key.hex() not in repr(PLAN.people[0])
    assert repr(PLAN.people[0].key) not in repr(PLAN.people[0])
