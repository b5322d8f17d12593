"""What a path search is asked with and what it answers: a transfer, or the reason why there is none."""

from dataclasses import dataclass
from enum import StrEnum

from graph.transfer import Transfer


class Reason(StrEnum):
    """Why there is no transfer; stable codes."""

    UNKNOWN_SENDER = "unknown_sender"
    UNKNOWN_RECEIVER = "unknown_receiver"
    SAME_USER = "sender_is_receiver"
    NOT_CONNECTED = "not_connected"
    FROZEN = "frozen"
    CAPACITY = "capacity"
    FEES = "fees"
    HOPS = "hops"
    MEDIATOR_INTERESTS = "mediator_interests"
    NOTHING_TO_CLOSE = "nothing_to_close"
    BUDGET = "search_budget_spent"


@dataclass(frozen=True, slots=True)
class Found:
    """A transfer that executes; ``is_proven`` says whether it is certain that none is better."""

    transfer: Transfer
    is_proven: bool = True


@dataclass(frozen=True, slots=True)
class NotFound:
    """No transfer, and why, with the figures that say what would do instead.

    The figures are exact. One is None where it is not to the point, or the search's budget did not do to prove it.

    Attributes:
        reason: the reason, the first that applies.
        largest: with ``CAPACITY`` the largest value that the same question finds a transfer for, 0 if none at all.
        cheapest_fees: with ``FEES`` the lowest fees that a transfer takes within the limit of hops; where there is
            none within it either, the lowest whatever the hops.
        fewest_hops: with ``HOPS`` the fewest hops that a transfer takes within the limit of fees. It comes with
            ``FEES`` too where both limits stand in the way: then the fewest whatever the fees.

    """

    reason: Reason
    largest: int | None = None
    cheapest_fees: int | None = None
    fewest_hops: int | None = None


Result = Found | NotFound


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller allows a transfer to cost: ``max_fees`` in the smallest unit, ``max_hops``; None: no limit."""

    max_fees: int | None = None
    max_hops: int | None = None


NO_LIMITS = Limits()
