"""The plan of the village: who lives there, who trusts whom, and what happens in its first year.

Pure and reproducible: the same seed gives the same people with the same keys and the same acts at the same times.
Nothing here asks a chain; the plan keeps well within the credit lines, so that every act succeeds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from random import Random
from typing import Any

from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak

GENESIS = 1_704_067_200
"""The timestamp of the first block: 1 January 2024, 00:00 UTC."""
HOUR = 3600
DAY = 24 * HOUR
MONTH = 30 * DAY
BLOCK_ACTS = 12
"""At most so many acts share a block, which keeps it below the block's gas limit."""

NAMES = (
    "Ada",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Esi",
    "Farid",
    "Greta",
    "Hana",
    "Ivo",
    "Jana",
    "Kofi",
    "Lena",
    "Mateo",
    "Nadia",
    "Omar",
    "Pia",
    "Quentin",
    "Rosa",
    "Sven",
    "Tala",
)
THANKS = ("for the bread", "two lessons of guitar", "roof repaired", "seeds and soil", "märz", "see you on Sunday")


@dataclass(frozen=True, slots=True)
class Person:
    """An inhabitant with an externally owned account; ``key`` is its 32-byte private key."""

    name: str
    address: ChecksumAddress
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Quarter:
    """How people live with one network: ``symbol``, who takes part, and its scale in smallest units.

    ``circle`` members stand in a ring of trustlines; the others hang on as a chain or, with ``star``, all on one.
    """

    symbol: str
    members: int
    circle: int
    chords: int
    credit: tuple[int, int]
    payment: tuple[int, int]
    star: bool = False
    rates: tuple[int, ...] = ()


QUARTERS = (
    Quarter("CASH", 20, 20, 5, (1_000_000, 8_000_000), (1_500, 90_000), rates=(0, 100, 250, 500, 1000, 2000)),
    Quarter("HOU", 14, 8, 3, (200_000, 900_000), (2_500, 30_000)),
    Quarter("BEER", 12, 8, 3, (30, 90), (1, 3), star=True),
    # One rate on every line that is paid over: then no mediator gains or loses interest, and no path is refused.
    Quarter("FAV", 10, 10, 3, (5_000, 40_000), (50, 400), rates=(300,)),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A trustline of the plan, seen by ``a``: credit lines in smallest units, rates in 0.01 % per year."""

    symbol: str
    a: Person
    b: Person
    given: int
    received: int
    rates: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A transfer along ``path`` (sender first) of ``value`` smallest units."""

    symbol: str
    path: tuple[Person, ...]
    value: int
    sender_pays: bool
    extra_data: bytes


@dataclass(frozen=True, slots=True)
class Act:
    """One transaction: ``actor`` calls the function ``call`` of the network ``symbol``."""

    actor: Person
    symbol: str
    call: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """The acts of one block, at a Unix time."""

    at: int
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole first year.

    ``lines`` exist at its end, ``frozen`` among them; ``closed``, ``requested`` and ``cancelled`` are trustlines
    that do not: ``requested`` waits for the acceptance of its ``b``.
    """

    seed: int
    people: tuple[Person, ...]
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    frozen: Line
    closed: Line
    requested: Line
    cancelled: Line
    scenes: tuple[Scene, ...]

    def person(self, name: str) -> Person:
        """Return an inhabitant by name; KeyError if there is none."""
        return {person.name: person for person in self.people}[name]


def plan_village(seed: int = 1) -> Plan:
    """Return the plan that belongs to a seed."""
    people = tuple(_person(seed, name) for name in NAMES)
    random = Random(seed)  # noqa: S311 - reproducible is what it shall be
    lines: list[Line] = []
    payments: list[Payment] = []
    strangers: dict[str, list[tuple[Person, Person]]] = {}
    for quarter in QUARTERS:
        members = random.sample(people, quarter.members)
        known = _acquaintances(quarter, members)
        apart = [pair for pair in combinations(members, 2) if pair not in known and pair[::-1] not in known]
        random.shuffle(apart)
        paid = [_line(random, quarter, pair) for pair in known]
        payments += _payments(random, quarter, paid)
        chords = [_line(random, quarter, apart.pop(), any_rate=True) for _ in range(quarter.chords)]
        lines += paid + chords
        strangers[quarter.symbol] = apart
    specials = [_line(random, QUARTERS[index], strangers[QUARTERS[index].symbol].pop()) for index in (0, 1, 0, 2)]
    frozen, closed, requested, cancelled = specials
    lines.append(frozen)
    story = _Story()
    story.found(lines, closed)
    story.live(payments, frozen, closed)
    story.end(people, lines, requested, cancelled)
    return Plan(
        seed, people, tuple(lines), tuple(payments), frozen, closed, requested, cancelled, tuple(story.scenes)
    )


def _person(seed: int, name: str) -> Person:
    key = keccak(text=f"village {seed}: {name}")
    return Person(name, Account.from_key(key).address, key)


def _acquaintances(quarter: Quarter, members: Sequence[Person]) -> list[tuple[Person, Person]]:
    """Return the pairs of a connected graph: a ring, and what hangs on it."""
    ring, rest = members[: quarter.circle], members[quarter.circle :]
    pairs = [*pairwise(ring), (ring[-1], ring[0])]
    if quarter.star:
        return pairs + [(ring[0], person) for person in rest]
    return pairs + list(pairwise([ring[0], *rest]))


def _line(random: Random, quarter: Quarter, pair: tuple[Person, Person], *, any_rate: bool = False) -> Line:
    given, received = random.randint(*quarter.credit), random.randint(*quarter.credit)
    rates = None
    if quarter.rates:
        choice = (0, 200, 900, 1500) if any_rate else quarter.rates
        rates = random.choice(choice), random.choice(choice)
    return Line(quarter.symbol, *pair, given, received, rates)


def _payments(random: Random, quarter: Quarter, lines: Sequence[Line]) -> list[Payment]:
    """Return transfers over 1 to 4 hops with both fee payers, together within every credit line."""
    room = {frozenset((line.a, line.b)): min(line.given, line.received) for line in lines}
    friends: dict[Person, list[Person]] = defaultdict(list)
    for line in lines:
        friends[line.a].append(line.b)
        friends[line.b].append(line.a)
    payments: list[Payment] = []
    for number in range(16):
        hops, sender_pays = 1 + number % 4, number // 4 % 2 == 0
        value = random.randint(*quarter.payment)
        path = _walk(random, friends, hops)
        # Twice the value leaves room for fees and interest.
        while min(room[frozenset(hop)] for hop in pairwise(path)) < 2 * value:
            path = _walk(random, friends, hops)
        for hop in pairwise(path):
            room[frozenset(hop)] -= value
        extra = random.choice(THANKS).encode() if number % 3 == 0 else b""
        payments.append(Payment(quarter.symbol, tuple(path), value, sender_pays, extra))
    return payments


def _walk(random: Random, friends: dict[Person, list[Person]], hops: int) -> list[Person]:
    """Return a path over so many trustlines on which nobody appears twice."""
    while True:
        path = [random.choice(list(friends))]
        while len(path) <= hops:
            onward = [friend for friend in friends[path[-1]] if friend not in path]
            if not onward:
                break
            path.append(random.choice(onward))
        if len(path) == hops + 1:
            return path


class _Story:
    """Scenes in the order of time; each begins where the last ended."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self._now = GENESIS + DAY

    def found(self, lines: Iterable[Line], closed: Line) -> None:
        """Let everybody open their trustlines: asked in one block, accepted in a later one."""
        everything = [*lines, closed]
        for start in range(0, len(everything), BLOCK_ACTS):
            few = everything[start : start + BLOCK_ACTS]
            self._scene(*[_ask(line) for line in few])
            self._scene(*[_accept(line) for line in few])
            self._pass(2 * DAY)

    def live(self, payments: Sequence[Payment], frozen: Line, closed: Line) -> None:
        """Let nine months pass with payments; interest runs; one trustline is closed, one frozen."""
        self._pass(MONTH)
        monthly = -(-len(payments) // 9)
        # The networks take turns, so that every month sees some of each.
        in_turn = sorted(enumerate(payments), key=lambda numbered: numbered[0] % 16)
        for month in range(9):
            for _, payment in in_turn[month * monthly : (month + 1) * monthly]:
                self._scene(_pay(payment))
            if month == 3:
                self._scene(Act(closed.a, closed.symbol, "closeTrustline", (closed.b.address,)))
            if month == 4:
                debt = Payment(frozen.symbol, (frozen.a, frozen.b), frozen.received // 10, True, b"")
                self._scene(_pay(debt))
            if month == 7:
                self._scene(_ask(frozen, is_frozen=True))
                self._scene(_accept(frozen, is_frozen=True))
            self._pass(MONTH)

    def end(self, people: Sequence[Person], lines: Sequence[Line], requested: Line, cancelled: Line) -> None:
        """Leave matters open: a request, one taken back, a lowered credit line, a debt outside of trustlines."""
        self._scene(_ask(cancelled))
        self._scene(Act(cancelled.a, cancelled.symbol, "cancelTrustlineUpdate", (cancelled.b.address,)))
        self._scene(_ask(requested))
        lowered = next(line for line in lines if line.rates is None)
        terms = (lowered.b.address, lowered.given - lowered.given // 8, lowered.received)
        self._scene(Act(lowered.a, lowered.symbol, "updateCreditlimits", terms))
        self._scene(Act(people[1], "CASH", "increaseDebt", (people[0].address, 25_000)))

    def _scene(self, *acts: Act) -> None:
        self.scenes.append(Scene(self._now, acts))
        self._pass(HOUR)

    def _pass(self, seconds: int) -> None:
        self._now += seconds


def _ask(line: Line, *, is_frozen: bool = False) -> Act:
    return _update(line.a, line.b, line, (line.given, line.received), line.rates, is_frozen=is_frozen)


def _accept(line: Line, *, is_frozen: bool = False) -> Act:
    rates = None if line.rates is None else line.rates[::-1]
    return _update(line.b, line.a, line, (line.received, line.given), rates, is_frozen=is_frozen)


def _update(
    actor: Person,
    other: Person,
    line: Line,
    credit: tuple[int, int],
    rates: tuple[int, ...] | None,
    *,
    is_frozen: bool,
) -> Act:
    if rates is None:
        return Act(actor, line.symbol, "updateCreditlimits", (other.address, *credit))
    return Act(actor, line.symbol, "updateTrustline", (other.address, *credit, *rates, is_frozen))


def _pay(payment: Payment) -> Act:
    call = "transfer" if payment.sender_pays else "transferReceiverPays"
    path = [person.address for person in payment.path]
    # Fees come to a small part of the value and at least one unit a mediator.
    max_fee = payment.value // 10 + 4
    return Act(payment.path[0], payment.symbol, call, (payment.value, max_fee, path, payment.extra_data))
