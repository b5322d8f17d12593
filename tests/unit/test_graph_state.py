"""What is kept of trustlines comes back as it was put, to the last bit, from the kernel and from dictionaries."""

import random
from collections.abc import Callable
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.compiled import kernel_network
from graph.state import PlainState, State
from graph.trustline import Row, Trustline, View
from tests.support.credit_networks import unhurried

USERS = [b"", b"A", b"A\x00", b"B" * 20, b"C" * 20, b"\xff" * 20]
NOW = 1_700_000_000
LARGEST = 2**64 - 1
UINT64 = st.sampled_from([0, 1, 2**63, LARGEST]) | st.integers(0, LARGEST)
BALANCE = st.sampled_from([0, LARGEST, -LARGEST, 2**63, -(2**63)]) | st.integers(-LARGEST, LARGEST)
RATE = st.sampled_from([0, 2**15 - 1, -(2**15)]) | st.integers(-(2**15), 2**15 - 1)
MTIME = st.sampled_from([0, NOW, 2**32 - 1]) | st.integers(0, 2**32 - 1)
PAIRS = st.sampled_from(list(combinations(sorted(USERS), 2)))
ROWS = st.builds(
    lambda pair, *rest: (*pair, *rest), PAIRS, BALANCE, UINT64, UINT64, RATE, RATE, st.booleans(), MTIME
)


def in_the_kernel() -> State:
    kernel = kernel_network()
    if kernel is None:
        pytest.skip("the kernel could not be built here")
    return kernel(100)


@pytest.mark.parametrize("make", [PlainState, in_the_kernel])
@unhurried
@given(steps=st.lists(ROWS | PAIRS, max_size=30))
def test_what_was_put_last_comes_back_from_both_ends(
    make: Callable[[], State], steps: list[Row | tuple[bytes, bytes]]
) -> None:
    state = make()
    last: dict[tuple[bytes, bytes], Trustline] = {}
    for step in steps:
        if len(step) == 2:
            state.drop(*step)
            last.pop(step, None)
        else:
            state.put(*step)
            last[step[:2]] = Trustline(*step)

    for lower, higher in combinations(sorted(USERS), 2):
        line, here, there = last.get((lower, higher)), state.get(lower, higher), state.get(higher, lower)
        if line is None:
            assert here is there is None
            continue
        assert here is not None
        assert there is not None
        assert (lower, higher, *here) == line.row
        assert there[-2:] == here[-2:]
        assert isinstance(here[5], bool)
        for user, other, side in ((lower, higher, here), (higher, lower, there)):
            for at in (line.mtime - 1, line.mtime, line.mtime + 40_000_000):
                assert View.of_side(user, other, side, at) == line.at(at).seen_by(user)
    for user in USERS:
        around = state.around(user)
        assert dict(around) == {
            other: state.get(user, other) for pair in last for other in pair if user in pair and other != user
        }
        assert len(around) == len(dict(around))
        for at in (0, 1_700_000_000, 2**33):
            assert sorted(state.views(user, at)) == [
                tuple(View.of_side(user, other, side, at)) for other, side in sorted(around)
            ]


@pytest.mark.parametrize("seed", range(5))
def test_hubs_that_gain_and_lose_trustlines_are_the_same_in_the_kernel_and_in_dictionaries(seed: int) -> None:
    rng = random.Random(seed)
    plain, kernel = PlainState(), in_the_kernel()
    users = [bytes([number]) * 20 for number in range(60)]
    hubs = users[:3]
    for step in range(1, 4001):
        lower, higher = sorted((rng.choice(hubs), rng.choice(users[3:])) if step % 3 else rng.sample(users, 2))
        if rng.random() < 0.4:
            row = None
        else:
            row = (lower, higher, rng.randint(-step, step), step, 2 * step, *rng.sample(range(99), 2), False, step)
        for state in (plain, kernel):
            if row is None:
                state.drop(lower, higher)
            else:
                state.put(*row)
        assert kernel.get(higher, lower) == plain.get(higher, lower)
        if step % 500 == 0:
            assert all(dict(kernel.around(user)) == dict(plain.around(user)) for user in users)
            assert all(kernel.get(*pair) == plain.get(*pair) for pair in permutations(users, 2))
            for at in (0, step, 3 * 10**9):
                assert all(sorted(kernel.views(user, at)) == sorted(plain.views(user, at)) for user in users)


@pytest.mark.parametrize("make", [PlainState, in_the_kernel])
def test_nobody_knows_of_users_who_were_never_named(make: Callable[[], State]) -> None:
    state = make()
    state.put(b"A", b"B", 1, 2, 3, 4, 5, False, 6)
    assert state.get(b"A", b"?") is state.get(b"?", b"A") is state.get(b"?", b"!") is None
    assert state.around(b"?") == state.views(b"?", 9) == []
    assert state.around(b"B") == [(b"A", (-1, 3, 2, 5, 4, False, 6))]
    state.drop(b"A", b"C")
    state.drop(b"A", b"B")
    assert state.get(b"A", b"B") is None
    assert state.around(b"A") == []


@pytest.mark.parametrize("make", [PlainState, in_the_kernel])
@pytest.mark.parametrize("pair", [(b"B", b"A"), (b"A", b"A")])
def test_the_lower_user_is_named_first(make: Callable[[], State], pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="lower user first"):
        make().put(*pair, 1, 2, 3, 4, 5, False, 6)
