"""How events change trustlines. Pure; the contract's state follows from its events alone."""

from graph.trustline import Pair, Trustline, pair_of
from relay.model import Event, EventType

TRUSTLINE_EVENTS = frozenset({EventType.TRUSTLINE_UPDATE, EventType.BALANCE_UPDATE})
"""The events that change the state of a trustline."""

_BALANCE_UPDATE = EventType.BALANCE_UPDATE

FREEZE_EVENTS = frozenset({EventType.NETWORK_FREEZE, EventType.NETWORK_UNFREEZE})
"""The events that change the state of a whole network."""


def pair_touched(event: Event) -> Pair:
    """Return the users of the trustline that an event of two users concerns."""
    assert event.sender is not None
    assert event.receiver is not None
    return pair_of(event.sender, event.receiver)


def advance(trustline: Trustline, event: Event) -> Trustline:
    """Return the state of a trustline after one of its TRUSTLINE_EVENTS.

    A BalanceUpdate carries the new balance, interest included, and sets ``mtime`` to the block's timestamp. A
    TrustlineUpdate sets the terms. Once terms and balance are all zero the trustline is closed, and forgets its
    ``mtime``. (The contract does so in ``closeTrustline`` but not in ``updateTrustline``, which the events do not
    tell apart; it makes no difference, for a balance of zero bears no interest since whenever.)
    """
    change = _with_balance if event.type is _BALANCE_UPDATE else _with_terms
    changed = change(trustline, event)
    return Trustline(trustline.lower, trustline.higher) if changed.is_closed else changed


def debt_of_lower(event: Event) -> int:
    """Return the debt that a DebtUpdate tells, positive if the user with the lower address owes."""
    assert event.value is not None
    assert event.sender is not None
    assert event.receiver is not None
    return event.value if event.sender < event.receiver else -event.value


# Spelled out, for dataclasses.replace takes four times as long, and a first synchronisation does little else.
def _with_balance(line: Trustline, event: Event) -> Trustline:
    assert event.value is not None
    return Trustline(
        line.lower,
        line.higher,
        event.value if event.sender == line.lower else -event.value,
        line.given,
        line.received,
        line.rate_given,
        line.rate_received,
        line.is_frozen,
        event.timestamp,
    )


def _with_terms(line: Trustline, event: Event) -> Trustline:
    terms = event.terms
    assert terms is not None
    given, received, rate_given, rate_received = terms.given, terms.received, terms.rate_given, terms.rate_received
    if event.sender != line.lower:
        given, received, rate_given, rate_received = received, given, rate_received, rate_given
    return Trustline(
        line.lower,
        line.higher,
        line.balance,
        given,
        received,
        rate_given,
        rate_received,
        terms.is_frozen,
        line.mtime,
    )
