"""Random use and misuse of the compiled kernel, by the standard library alone: it also runs under a sanitizer."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NOW = 1_700_000_000
LARGEST = 2**64 - 1
REFUSALS = (TypeError, ValueError, OverflowError, KeyError)
"""What the kernel may answer to an argument that it cannot take."""


class Key(bytes):
    """A key, but not exactly bytes, that comes before and equals everything."""

    def __lt__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Number:
    """Passes for an int, of a changing size."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __index__(self) -> int:
        return self._rng.choice((0, -1, LARGEST, LARGEST + 1))


class Emptying:
    """A user that empties the list in which it stands when it is looked up."""

    def __init__(self, users: list[Any]) -> None:
        self._users = users

    def __hash__(self) -> int:
        self._users.clear()
        return 0

    def __eq__(self, other: object) -> bool:
        self._users.clear()
        return False


def emptying_list() -> list[Any]:
    users: list[Any] = []
    users.extend([Emptying(users), *(bytes([65 + number]) for number in range(20))])
    return users


def nonsense(rng: random.Random) -> Any:
    """Something that is no proper argument, or only by chance."""
    made: tuple[Callable[[], Any], ...] = (
        lambda: rng.choice(
            (None, "A", "", 1.5, float("nan"), float("inf"), -1e300, object(), {}, {b"A"}, ..., int)
        ),
        lambda: rng.choice(
            (-1, 0, 1, LARGEST, LARGEST + 1, 2**63, 2**32, 2**32 - 1, 2**31, -(2**64), 10**40, True)
        ),
        lambda: rng.choice((b"", b"A", b"?", b"A" * 1000, bytearray(b"A"), memoryview(b"A"), Key(b"A"), Key())),
        lambda: rng.choice(([], (), [None], [b"A", b"A"], (b"?",), [[]], ["A"], b"ABC", [b"A", None], {b"A": 1})),
        lambda: rng.choice((Number(rng), Key, emptying_list(), iter([b"A", b"B"]), range(3))),
    )
    return rng.choice(made)()


def keys(rng: random.Random, count: int) -> list[bytes]:
    """Keys of all lengths, of which some begin like others."""
    made = {
        bytes([65 + number % 26]) * rng.choice((1, 1, 2, 20)) + bytes([number % 256]) for number in range(count)
    }
    return [*made, b""]


def a_trustline(rng: random.Random, users: list[bytes]) -> tuple[Any, ...]:
    lower, higher = sorted(rng.sample(users, 2))
    scale = rng.choice((0, 5, 1000, 10**12, LARGEST))
    given, received = rng.randint(0, scale), rng.randint(0, scale)
    balance = rng.choice((0, rng.randint(-received, given), rng.choice((LARGEST, -LARGEST))))
    rates = rng.choice(
        ((0, 0), (rng.randint(0, 2000), rng.randint(0, 2000)), (-(2**15), 2**15 - 1), (-2000, -2000))
    )
    mtime = rng.choice((0, NOW, NOW - 31_536_000, 2**32 - 1))
    return lower, higher, balance, given, received, *rates, rng.random() < 0.05, mtime


def a_search(rng: random.Random, users: list[bytes]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a sensible ``cheapest``."""
    walked = rng.sample(users, min(len(users) - 1, rng.choice((1, 1, 1, 2, 3))))
    target = rng.choice([user for user in users if user not in walked])
    value = rng.choice((0, 1, rng.randint(0, 1000), rng.randint(0, 10**12), LARGEST))
    options = {
        "max_fees": rng.choice((0, 1, 50, LARGEST)),
        "max_hops": rng.choice((0, 1, 2, 5, 2**32 - 1)),
        "avoid": rng.sample(users, rng.choice((0, 1, 3)) % len(users)),
        "not_next": rng.sample(users, rng.choice((0, 1))),
        "budget": rng.choice((0, 1, 10, 1000, 20_000)),
        "deadline": rng.choice((0.0, 1e-9, -1.0, time.monotonic() + 0.05)),
    }
    at = rng.choice((0, NOW, NOW, 2**40 - 1))
    some = {name: value for name, value in options.items() if rng.random() < 0.4}
    return (rng.random() < 0.5, walked, target, value, at), {"budget": 20_000, **some}


def a_network(kernel: Any, rng: random.Random) -> tuple[Any, list[bytes]]:
    """A random network of two to forty users, and its users, some of whom it may not know."""
    network = kernel.Network(rng.choice((0, 1, 2, 5, 100, 65535)), rng.random() < 0.4)
    users = keys(rng, rng.choice((1, 3, 8, 40)))
    for _ in range(rng.choice((1, 3)) * len(users)):
        network.put(*a_trustline(rng, users))
    return network, users


def use(network: Any, users: list[bytes], rng: random.Random) -> None:
    """Do one sensible thing and look at the form of the answer."""
    match rng.randrange(10):
        case 0:
            network.put(*a_trustline(rng, users))
        case 1:
            network.drop(*sorted(rng.sample(users, 2)))
        case 2:
            with suppress(KeyError):
                outcome, value, _ = network.widest(*rng.sample(users, 2), NOW, **some_limits(users, rng))
                assert 0 <= value <= LARGEST, value
                assert (outcome == 0) == (value > 0), (outcome, value)
        case 3:
            check_side(network.get(*rng.sample(users, 2)) or (0,) * 7)
        case 4:
            user = rng.choice(users)
            for other, side in network.around(user):
                assert other != user, user
                check_side(side)
            for seen in network.views(user, rng.choice((0, NOW, 2**40 - 1))):
                assert seen[0] == user != seen[1], seen
                check_side((*seen[2:], NOW))
        case 5:
            with suppress(KeyError):
                check_plan(network, users, rng)
        case 6:
            with suppress(KeyError):
                pair, limits = rng.sample(users, 2), some_limits(users, rng)
                outcome, value, path, _ = network.largest(*pair, NOW, **limits)
                assert outcome == 2 or (outcome == 0) == (value > 0), (outcome, value)
                assert (path is not None) == (outcome == 0 and "max_hops" not in limits), (outcome, path)
                assert path is None or [path[0], path[-1]] == pair, (path, pair)
        case _:
            arguments, options = a_search(rng, users)
            with suppress(KeyError, ValueError):
                outcome, path, *_ = network.cheapest(*arguments, **options)
                assert (outcome == 0) == (path is not None), (outcome, path)
                if path is not None:
                    check_path(path, arguments, options)


def check_side(side: tuple[int, ...]) -> None:
    balance, given, received, *rates, _, mtime = side
    assert abs(balance) <= LARGEST, side
    assert all(0 <= amount <= LARGEST for amount in (given, received)), side
    assert all(-(2**15) <= rate < 2**15 for rate in rates), side
    assert 0 <= mtime < 2**32, side


def check_plan(network: Any, users: list[bytes], rng: random.Random) -> None:
    """Plan a flow: of users in between as much goes out as comes in at the most, but for what rounding up adds."""
    sender, receiver = rng.sample(users, 2)
    options = {
        "amount": rng.choice((None, 0, 1, rng.randint(0, 1000), LARGEST, LARGEST * 16)),
        "is_sent": rng.random() < 0.3,
        "ignores_fees": rng.random() < 0.3,
        "narrowest": rng.choice((0, 1, 100, LARGEST)),
        "avoid": rng.sample(users, rng.choice((0, 1, 3)) % len(users)),
        "budget": rng.choice((0, 10, 1000, 20_000)),
        "deadline": rng.choice((0.0, 1e-9, time.monotonic() + 0.05)),
    }
    some = {name: value for name, value in options.items() if rng.random() < 0.4}
    at = rng.choice((0, NOW, 2**40 - 1))
    outcome, moves, (high, low), is_full, _ = network.flow(sender, receiver, at, **{"budget": 20_000, **some})
    assert outcome in (0, 2), outcome
    assert not (is_full and outcome == 2)
    balances: dict[bytes, int] = {}
    for payer, payee, upper, lower in moves:
        amount = (upper << 64) + lower
        assert amount > 0
        balances[payer] = balances.get(payer, 0) - amount
        balances[payee] = balances.get(payee, 0) + amount
    assert (high << 64) + low <= balances.get(receiver, 0) + 1, (moves, high, low)
    assert all(user == sender or gained >= -len(moves) for user, gained in balances.items()), moves


def some_limits(users: list[bytes], rng: random.Random) -> dict[str, Any]:
    """Limits of a search for the largest value, each of them given or not."""
    limits: dict[str, Any] = {
        "max_hops": rng.choice((1, 3, 99)),
        "avoid": rng.sample(users, min(len(users), 2)),
    }
    return {name: limit for name, limit in limits.items() if rng.random() < 0.4}


def check_path(path: tuple[bytes, ...], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    receiver_pays, walked, target, *_ = arguments
    assert list(path[: len(walked)] if receiver_pays else path[-len(walked) :]) == walked, (path, walked)
    assert path[-1 if receiver_pays else 0] == target, (path, target)
    assert len(path) - 1 <= options.get("max_hops", len(path)), (path, options)


def misuse(kernel: Any, network: Any, users: list[bytes], rng: random.Random) -> str:
    """Call a method with arguments of which some make no sense; return what happened."""
    search, options = a_search(rng, users)
    calls: dict[str, tuple[Callable[..., Any], list[Any], dict[str, Any]]] = {
        "Network": (kernel.Network, [2, True], {}),
        "put": (network.put, list(a_trustline(rng, users)), {}),
        "drop": (network.drop, rng.sample(users, 2), {}),
        "get": (network.get, rng.sample(users, 2), {}),
        "around": (network.around, rng.sample(users, 1), {}),
        "views": (network.views, [*rng.sample(users, 1), NOW], {}),
        "cheapest": (network.cheapest, list(search), options),
        "widest": (network.widest, [*rng.sample(users, 2), NOW], {"max_hops": 4, "avoid": [], "budget": 9}),
        "flow": (
            network.flow,
            [*rng.sample(users, 2), NOW],
            {"amount": 7, "avoid": [], "narrowest": 0, "budget": 9},
        ),
        "largest": (network.largest, [*rng.sample(users, 2), NOW], {"avoid": [], "budget": 9}),
        "again": (network.__init__, [2, True], {}),
    }
    name, (method, arguments, named) = rng.choice(list(calls.items()))
    for _ in range(rng.choice((1, 1, 2))):
        if named and rng.random() < 0.3:
            named[rng.choice([*named, "nobody_knows_this"])] = nonsense(rng)
        else:
            arguments[rng.randrange(len(arguments))] = nonsense(rng)
    if rng.random() < 0.1:
        arguments = arguments[: rng.randrange(len(arguments))]
    try:
        method(*arguments, **named)
    except REFUSALS as refusal:
        return f"{name}: {type(refusal).__name__}"
    return f"{name}: taken"


def use_in_threads(kernel: Any, seed: int, seconds: float, threads: int = 3) -> None:
    """Use one network from several threads at once; raise what one of them raised."""
    network, users = a_network(kernel, random.Random(seed))
    end = time.monotonic() + seconds
    failures: list[BaseException] = []

    def work(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        try:
            while time.monotonic() < end and not failures:
                use(network, users, rng)
        except BaseException as failure:
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
