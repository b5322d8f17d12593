"""The rules of a mediated transfer, hop by hop, and their replay along a given path.

Source: ``_mediatedTransferSenderPays`` and ``_mediatedTransferReceiverPays`` of the CurrencyNetwork contract.
The contract walks a path from the end at which the amount is known: backwards from the receiver when the
sender pays the fees, forwards from the sender when the receiver does. A ``Walk`` is such a walk's state after
some hops; the search takes the same steps without knowing the path yet.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from graph.fees import fee, imbalance, reverse_fee
from graph.network import NetworkGraph, Rules
from graph.trustline import User, View

MAX_AMOUNT = 2**64 - 1
"""The largest amount a transfer can move, uint64."""


class FeePayer(StrEnum):
    """Who bears the fees: on top of the value (sender) or out of it (receiver)."""

    SENDER = "sender"
    RECEIVER = "receiver"


class Rule(StrEnum):
    """A rule of the contract that a transfer can break."""

    PATH = "path"
    TRUSTLINE = "trustline"
    FROZEN = "frozen"
    CAPACITY = "capacity"
    FEES = "fees"
    MEDIATOR_INTERESTS = "mediator_interests"


class RuleBroken(Exception):
    """The contract would revert; ``rule`` says for which reason."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that the contract executes.

    Attributes:
        path: the users from sender to receiver, both included.
        value: the amount received exactly (sender pays) or sent exactly (receiver pays), smallest unit.
        fee_payer: who bears the fees.
        amounts: what moves on each hop, in the order of the path.

    """

    path: tuple[User, ...]
    value: int
    fee_payer: FeePayer
    amounts: tuple[int, ...]

    @property
    def fees(self) -> int:
        """The sum of all mediators' fees."""
        return self.amounts[0] - self.amounts[-1]

    @property
    def hops(self) -> int:
        """The number of trustlines used."""
        return len(self.amounts)


def happiness(hop: View, amount: int) -> int:
    """Return by how much a hop changes the yearly interest in favour of its payer (unit: amount x rate).

    ``hop`` is the payer's view before ``amount`` moves. The contract compares this figure of neighbouring
    hops where mediators must not be left with interests to pay.
    """
    before, after = hop.balance, hop.balance - amount
    if before <= 0:
        return -amount * hop.rate_received
    if after >= 0:
        return -amount * hop.rate_given
    return -before * hop.rate_given + after * hop.rate_received


@dataclass(frozen=True, slots=True)
class Walk:
    """The state of a walk after ``hops`` hops.

    Attributes:
        hops: how many hops have been walked.
        moved: what moved on the last of them, or the value before the first.
        onward: what the next hop has to do with: the amount that must leave its payee (sender pays) or that
            its payer passes on, its own fee withheld (receiver pays).
        bound: the happiness that limits the next hop's, None if nothing does.

    """

    hops: int
    moved: int
    onward: int
    bound: int | None = None

    @classmethod
    def start(cls, value: int) -> "Walk":
        """Return the walk before its first hop."""
        return cls(hops=0, moved=value, onward=value)


class Walker(ABC):
    """The contract's way along a path for one fee payer."""

    fee_payer: FeePayer
    forwards: bool
    """Whether the walk goes from sender to receiver."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @abstractmethod
    def step(self, walk: Walk, hop: View) -> Walk:
        """Return the walk after one more hop, of which ``hop`` is the payer's view with interest.

        Raises:
            RuleBroken: if the contract would refuse the hop.

        """

    @abstractmethod
    def covers(self, walk: Walk, other: Walk) -> bool:
        """Return whether ``walk`` can go on wherever ``other``, at the same user, can, with the same amounts."""

    def _require_passable(self, hop: View, amount: int) -> None:
        if hop.is_frozen:
            raise RuleBroken(Rule.FROZEN, "a trustline on the path is frozen")
        if amount > min(hop.left_received, MAX_AMOUNT):
            raise RuleBroken(Rule.CAPACITY, f"a hop would have to move {amount} and can move {hop.left_received}")


class SenderPays(Walker):
    """Backwards from the receiver: every hop but the first one walked puts its fee on top."""

    fee_payer = FeePayer.SENDER
    forwards = False

    def step(self, walk: Walk, hop: View) -> Walk:  # noqa: D102
        amount = walk.onward
        if walk.hops:
            amount += self._fee(amount, hop)
        self._require_passable(hop, amount)
        if not self._rules.prevent_mediator_interests:
            return Walk(walk.hops + 1, amount, amount)
        gained = happiness(hop, amount)
        if walk.bound is not None and gained > walk.bound:
            raise _mediator_loses()
        # A payer that still is owed something afterwards pays no interest, whatever comes before.
        bound = None if amount <= hop.balance else gained
        return Walk(walk.hops + 1, amount, amount, bound)

    def covers(self, walk: Walk, other: Walk) -> bool:  # noqa: D102
        if walk.onward != other.onward or bool(walk.hops) != bool(other.hops):
            return False
        return walk.bound is None or (other.bound is not None and walk.bound >= other.bound)

    def _fee(self, amount: int, hop: View) -> int:
        generated = imbalance(amount, hop.balance)
        if self._rules.fee_divisor == 1 and generated:
            raise RuleBroken(Rule.FEES, "with a fee divisor of 1 the contract cannot charge a sender")
        return reverse_fee(generated, self._rules.fee_divisor)


class ReceiverPays(Walker):
    """Forwards from the sender: after every hop but the last, the payee withholds its fee."""

    fee_payer = FeePayer.RECEIVER
    forwards = True

    def step(self, walk: Walk, hop: View) -> Walk:  # noqa: D102
        amount = walk.onward
        self._require_passable(hop, amount)
        withheld = fee(imbalance(amount, hop.balance), self._rules.fee_divisor)
        if not self._rules.prevent_mediator_interests:
            return Walk(walk.hops + 1, amount, amount - withheld)
        gained = happiness(hop, amount)
        if walk.bound is not None and gained < walk.bound and amount > hop.balance:
            raise _mediator_loses()
        return Walk(walk.hops + 1, amount, amount - withheld, gained)

    def covers(self, walk: Walk, other: Walk) -> bool:  # noqa: D102
        if walk.onward != other.onward or walk.moved != other.moved:
            return False
        return walk.bound is None or (other.bound is not None and walk.bound <= other.bound)


def walker_for(fee_payer: FeePayer, rules: Rules) -> Walker:
    """Return the contract's way along a path for a fee payer."""
    return SenderPays(rules) if fee_payer is FeePayer.SENDER else ReceiverPays(rules)


def replay(
    network: NetworkGraph,
    path: Sequence[User],
    value: int,
    fee_payer: FeePayer,
    at: int,
    max_fees: int | None = None,
) -> Transfer:
    """Execute a transfer on paper, as the contract would at the time ``at``, and return what moves.

    ``path`` runs from sender to receiver; it may end where it starts (a closing cycle), but passes no user
    twice otherwise. ``value`` and ``max_fees`` are in the smallest unit.

    Raises:
        RuleBroken: if the contract would revert, or ``path`` is none.

    """
    _require_path(path)
    if network.is_frozen:
        raise RuleBroken(Rule.FROZEN, "the network is frozen")
    if not 0 <= value <= MAX_AMOUNT:
        raise RuleBroken(Rule.CAPACITY, f"an amount of {value} does not fit the contract's uint64")
    walker = walker_for(fee_payer, network.rules)
    walk = Walk.start(value)
    amounts = []
    hops = list(pairwise(path))
    for payer, payee in hops if walker.forwards else reversed(hops):
        hop = network.view(payer, payee, at)
        if hop is None:
            raise RuleBroken(Rule.TRUSTLINE, "two neighbours on the path have no trustline")
        walk = walker.step(walk, hop)
        amounts.append(walk.moved)
    if not walker.forwards:
        amounts.reverse()
    transfer = Transfer(tuple(path), value, fee_payer, tuple(amounts))
    if max_fees is not None and transfer.fees > max_fees:
        raise RuleBroken(Rule.FEES, f"the fees are {transfer.fees}, more than {max_fees}")
    return transfer


def _require_path(path: Sequence[User]) -> None:
    if len(path) < 2:
        raise RuleBroken(Rule.PATH, "a path needs at least two users")
    is_cycle = path[0] == path[-1]
    if is_cycle and len(path) < 4:
        raise RuleBroken(Rule.PATH, "a cycle needs at least three users")
    between = path[1:] if is_cycle else path
    if len(set(between)) != len(between):
        raise RuleBroken(Rule.PATH, "a path passes no user twice")


def _mediator_loses() -> RuleBroken:
    return RuleBroken(Rule.MEDIATOR_INTERESTS, "a mediator would be left with interests to pay")
