"""A trustline, stored once, and the view each of its two users has of it."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from graph.interest import balance_with_interest

User = bytes
"""The key of a user. Its byte order decides ties between equally good paths."""

Pair = tuple[User, User]
"""Two different users, the lower one first."""


Row = tuple[User, User, int, int, int, int, int, bool, int]
"""The fields of a ``Trustline`` in its order, as a database hands them out."""

Side = tuple[int, int, int, int, int, bool, int]
"""A trustline as one of its users sees it: balance, given, received, both rates, whether it is frozen, mtime."""

Seen = tuple[User, User, int, int, int, int, int, bool]
"""The fields of a ``View`` in its order."""


def pair_of(user: User, other: User) -> Pair:
    """Return the key under which the trustline between two users is kept.

    Raises:
        ValueError: if both are the same; nobody has a trustline with themselves.

    """
    if user == other:
        raise ValueError("a trustline joins two different users")
    return (user, other) if user < other else (other, user)


def balance_at(side: Side, at: int) -> int:
    """Return the balance with interest up to ``at``, the stored one if that is before its ``mtime``."""
    balance, _, _, rate_given, rate_received, _, mtime = side
    if (rate_given or rate_received) and at > mtime:
        return balance_with_interest(balance, rate_given, rate_received, mtime, at)
    return balance


@dataclass(frozen=True, slots=True)
class Trustline:
    """The state of a trustline between ``lower`` and ``higher``, from the point of view of ``lower``.

    Attributes:
        balance: what ``higher`` owes ``lower`` as of ``mtime``, negative for the opposite, smallest unit.
        given: the credit line that ``lower`` gives, uint64.
        received: the credit line that ``lower`` receives, uint64.
        rate_given: int16 in 0.01 % a year, borne by a positive balance.
        rate_received: int16 in 0.01 % a year, borne by a negative balance.
        is_frozen: whether the two have agreed to let nothing pass.
        mtime: Unix seconds up to which interest is contained in ``balance``; 0 before the first transfer.

    """

    lower: User
    higher: User
    balance: int = 0
    given: int = 0
    received: int = 0
    rate_given: int = 0
    rate_received: int = 0
    is_frozen: bool = False
    mtime: int = 0

    def __post_init__(self) -> None:
        if self.lower >= self.higher:
            raise ValueError("a trustline names its lower user first")

    @property
    def pair(self) -> Pair:
        """The key of this trustline."""
        return (self.lower, self.higher)

    @property
    def row(self) -> Row:
        """All fields in order."""
        return (
            self.lower,
            self.higher,
            self.balance,
            self.given,
            self.received,
            self.rate_given,
            self.rate_received,
            self.is_frozen,
            self.mtime,
        )

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left of it: the contract has no trustline whose terms and balance are all zero."""
        return not (self.balance or self.given or self.received or self.rate_given or self.rate_received)

    def at(self, time: int) -> "Trustline":
        """Return the trustline with interest applied up to ``time``, as ``applyInterests`` would.

        A ``time`` before ``mtime`` changes nothing: no block with it can come any more.
        """
        if time <= self.mtime:
            return self
        balance = balance_with_interest(self.balance, self.rate_given, self.rate_received, self.mtime, time)
        return replace(self, balance=balance, mtime=time)

    def seen_by(self, user: User) -> "View":
        """Return the trustline from the point of view of one of its two users.

        Raises:
            ValueError: if ``user`` is none of them.

        """
        if user == self.lower:
            return View(
                user=user,
                other=self.higher,
                balance=self.balance,
                given=self.given,
                received=self.received,
                rate_given=self.rate_given,
                rate_received=self.rate_received,
                is_frozen=self.is_frozen,
            )
        if user == self.higher:
            return View(
                user=user,
                other=self.lower,
                balance=-self.balance,
                given=self.received,
                received=self.given,
                rate_given=self.rate_received,
                rate_received=self.rate_given,
                is_frozen=self.is_frozen,
            )
        raise ValueError("the user has no part in this trustline")


class View(NamedTuple):
    """A trustline as ``user`` sees it; the names are those of ``Trustline``, turned toward ``user``."""

    user: User
    other: User
    balance: int
    given: int
    received: int
    rate_given: int
    rate_received: int
    is_frozen: bool

    @classmethod
    def of_side(cls, user: User, other: User, side: Side, at: int) -> "View":
        """Return how ``user`` sees a trustline at the time ``at``; before its ``mtime`` no interest is added."""
        return cls(user, other, balance_at(side, at), *side[1:6])

    @property
    def left_given(self) -> int:
        """How much more ``other`` may come to owe ``user``."""
        return self.given - self.balance

    @property
    def left_received(self) -> int:
        """How much ``user`` can pay ``other``: the credit line received plus what ``other`` owes."""
        return self.received + self.balance
