"""What the kernel does with arguments that it cannot take: it refuses them, and stays as it was."""

import random
import time
from itertools import combinations
from typing import Any

import pytest

from tests.support.kernel_fuzz import LARGEST, NOW, Emptying, Key, a_network, emptying_list, misuse, use

kernel = pytest.importorskip("graph._kernel", reason="the kernel could not be built here", exc_type=ImportError)

A, B, C, D = b"A", b"B", b"C", b"D"
TRUSTLINE = (A, B, 0, 100, 100, 0, 0, False, 0)


@pytest.fixture
def network() -> Any:
    made = kernel.Network(100)
    for lower, higher in ((A, B), (B, C), (A, C), (C, D)):
        made.put(lower, higher, 0, 100, 100, 0, 0, False, NOW)
    return made


def search(network: Any, **changed: Any) -> Any:
    """A cheapest search from A to D with some of its arguments changed."""
    given = {"receiver_pays": False, "begun": [D], "target": A, "value": 50, "at": NOW} | changed
    return network.cheapest(
        *[given.pop(name) for name in ("receiver_pays", "begun", "target", "value", "at")], **given
    )


def found(answer: Any) -> Any:
    return answer[1]


@pytest.mark.parametrize("position", [0, 1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("wrong", [None, "A", 1.5, object(), -(10**30), 10**30])
def test_a_trustline_with_a_field_of_the_wrong_kind_or_size_is_refused(
    network: Any,
    position: int,
    wrong: object,
) -> None:
    fields = [*TRUSTLINE[:position], wrong, *TRUSTLINE[position + 1 :]]
    with pytest.raises((TypeError, OverflowError)):
        network.put(*fields)
    assert found(search(network)) == (A, C, D)


@pytest.mark.parametrize(
    ("position", "fitting", "beyond"),
    [
        (2, [LARGEST, -LARGEST], [LARGEST + 1, -LARGEST - 1]),
        (3, [0, LARGEST], [-1, LARGEST + 1]),
        (4, [0, LARGEST], [-1, LARGEST + 1]),
        (5, [-(2**15), 2**15 - 1], [-(2**15) - 1, 2**15]),
        (6, [-(2**15), 2**15 - 1], [-(2**15) - 1, 2**15]),
        (8, [0, 2**32 - 1], [-1, 2**32]),
    ],
    ids=["balance", "given", "received", "rate given", "rate received", "mtime"],
)
def test_a_number_is_taken_to_its_last_bit_and_refused_beyond(
    network: Any,
    position: int,
    fitting: list[int],
    beyond: list[int],
) -> None:
    for number in fitting:
        network.put(*TRUSTLINE[:position], number, *TRUSTLINE[position + 1 :])
    for number in beyond:
        with pytest.raises(OverflowError):
            network.put(*TRUSTLINE[:position], number, *TRUSTLINE[position + 1 :])


@pytest.mark.parametrize("pair", [(B, A), (A, A), (b"", b"")])
def test_a_trustline_names_two_users_the_lower_first(network: Any, pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="lower user first"):
        network.put(*pair, *TRUSTLINE[2:])
    with pytest.raises(ValueError, match="lower user first"):
        network.drop(*pair)
    assert found(search(network)) == (A, C, D)


def test_what_only_derives_from_bytes_is_no_key(network: Any) -> None:
    for call in (
        lambda: network.put(A, Key(b"Z"), *TRUSTLINE[2:]),
        lambda: network.drop(Key(A), B),
        lambda: network.get(Key(A), B),
        lambda: network.get(A, Key(B)),
        lambda: network.around(Key(A)),
        lambda: network.views(Key(A), NOW),
        lambda: search(network, target=Key(A)),
        lambda: search(network, begun=[Key(D)]),
        lambda: search(network, avoid=[Key(B)]),
        lambda: network.widest(Key(A), D, NOW),
        lambda: network.largest(A, Key(D), NOW),
    ):
        with pytest.raises(TypeError, match="key is bytes"):
            call()


def test_an_empty_key_is_a_user_like_any_other(network: Any) -> None:
    network.put(b"", A, 0, 100, 100, 0, 0, False, NOW)
    assert found(search(network, target=b"")) == (b"", A, C, D)


@pytest.mark.parametrize("name", ["max_fees", "max_hops", "budget", "value", "at"])
@pytest.mark.parametrize("wrong", [-1, 2**64, 10**40, None, "1", 1.0])
def test_a_limit_that_is_no_number_or_does_not_fit_is_refused(network: Any, name: str, wrong: object) -> None:
    with pytest.raises((TypeError, OverflowError)):
        search(network, **{name: wrong})


def test_numbers_of_32_bits_are_not_cut_off(network: Any) -> None:
    with pytest.raises(OverflowError):
        search(network, max_hops=2**32 + 2)
    with pytest.raises(OverflowError):
        network.widest(A, D, NOW, max_hops=2**32 + 2)
    with pytest.raises(OverflowError):
        kernel.Network(2**32 + 100)
    with pytest.raises(OverflowError):
        kernel.Network(-1)


@pytest.mark.parametrize("at", [2**40, 2**63, 2**64 - 1])
def test_a_time_in_which_interest_would_overflow_is_refused(network: Any, at: int) -> None:
    with pytest.raises(OverflowError):
        search(network, at=at)
    with pytest.raises(OverflowError):
        network.widest(A, D, at)
    with pytest.raises(OverflowError):
        network.views(A, at)
    with pytest.raises(OverflowError):
        network.sweep(at)


@pytest.mark.parametrize("begun", [[], [D, D], [C, D, C], [A], [A, D]])
def test_a_walk_begins_somewhere_and_passes_nobody_twice(network: Any, begun: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"walk"):
        search(network, begun=begun)


def test_nobody_pays_themselves(network: Any) -> None:
    with pytest.raises(ValueError, match="twice"):
        network.widest(A, A, NOW)
    with pytest.raises(ValueError, match="twice"):
        network.largest(A, A, NOW)


def test_unknown_users_are_named_but_may_be_avoided(network: Any) -> None:
    for call in (
        lambda: search(network, target=b"?"),
        lambda: search(network, begun=[b"?"]),
        lambda: network.widest(b"?", A, NOW),
        lambda: network.widest(A, b"?", NOW),
    ):
        with pytest.raises(KeyError, match=r"b'\?'"):
            call()
    assert found(search(network, avoid=[b"?"])) == (A, C, D)
    assert found(search(network, avoid=frozenset({b"?", C}))) is None


def test_a_list_that_changes_while_it_is_read_does_no_harm(network: Any) -> None:
    for name in ("avoid", "not_next", "begun"):
        with pytest.raises(TypeError):
            search(network, **{name: emptying_list()})
    with pytest.raises(TypeError):
        search(network, avoid=[Emptying([])])


def test_a_budget_of_nothing_is_spent_at_once(network: Any) -> None:
    for receiver_pays, begun, target in ((False, [D], A), (True, [A], D)):
        answer = search(network, receiver_pays=receiver_pays, begun=begun, target=target, budget=0)
        assert answer[:2] == (kernel.SPENT, None)
    assert network.widest(A, D, NOW, budget=0)[0] == kernel.SPENT
    assert network.largest(A, D, NOW, budget=0)[::2] == (kernel.SPENT, None)


@pytest.mark.parametrize("is_strict", [False, True], ids=["", "mediators lose nothing"])
def test_a_search_past_its_deadline_ends_before_it_has_seen_everything(is_strict: bool) -> None:
    """The clock is read once in 4,096 trustlines, so the parts that sender and receiver lie in have more."""
    network = kernel.Network(100, is_strict)
    for part in (b"L", b"R"):
        for lower, higher in combinations([part + bytes([number]) for number in range(150)], 2):
            network.put(lower, higher, 0, 100, 100, 0, 0, False, NOW)
    left, right = b"L\x07", b"R\x07"
    for past in (1e-9, time.monotonic() - 1):
        for arguments in ((False, [right], left, 50, NOW), (True, [left], right, 50, NOW)):
            outcome, path, _, work = network.cheapest(*arguments, deadline=past)
            assert (outcome, path) == (kernel.SPENT, None)
            assert work < 16_384
            assert network.cheapest(*arguments, max_hops=2)[0] == kernel.NOT_FOUND
        for method in (network.widest, network.largest):
            assert method(left, right, NOW, deadline=past)[0] == kernel.SPENT
    assert network.widest(left, right, NOW)[0] == kernel.NOT_FOUND


def test_a_network_is_made_whole_or_not_at_all() -> None:
    for arguments in ((), (None,), ("2",), (1, 2, 3)):
        with pytest.raises(TypeError):
            kernel.Network(*arguments)
    with pytest.raises(TypeError):
        kernel.Network.__new__(kernel.Network)
    with pytest.raises(TypeError):
        type("Derived", (kernel.Network,), {})


def test_a_refused_trustline_leaves_nobody_behind(network: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        network.put(b"New", Key(b"Z"), *TRUSTLINE[2:])
    with pytest.raises(KeyError):
        search(network, target=b"New")


def test_misuse_at_random_is_refused_in_one_of_four_ways_and_harms_nothing() -> None:
    happened = set()
    for seed in range(150):
        rng = random.Random(seed)
        network, users = a_network(kernel, rng)
        for _ in range(40):
            happened.add(misuse(kernel, network, users, rng))
            use(network, users, rng)
    for method in ("Network", "put", "drop", "get", "around", "views", "cheapest", "widest", "largest", "flow"):
        assert f"{method}: TypeError" in happened
    assert {"put: OverflowError", "put: ValueError", "cheapest: KeyError", "cheapest: taken"} <= happened
