"""How events change trustlines. Pure; the contract's state follows from its events alone."""

from dataclasses import replace

from graph.trustline import Pair, Trustline, pair_of
from relay.model import Event, EventType

TRUSTLINE_EVENTS = frozenset({EventType.TRUSTLINE_UPDATE, EventType.BALANCE_UPDATE})
"""The events that change the state of a trustline."""

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
    changed = (
        _with_balance(trustline, event)
        if event.type is EventType.BALANCE_UPDATE
        else _with_terms(trustline, event)
    )
    return Trustline(trustline.lower, trustline.higher) if changed.is_closed else changed


def debt_of_lower(event: Event) -> int:
    """Return the debt that a DebtUpdate tells, positive if the user with the lower address owes."""
    assert event.value is not None
    assert event.sender is not None
    assert event.receiver is not None
    return event.value if event.sender < event.receiver else -event.value


def _with_balance(trustline: Trustline, event: Event) -> Trustline:
    assert event.value is not None
    balance = event.value if event.sender == trustline.lower else -event.value
    return replace(trustline, balance=balance, mtime=event.timestamp)


def _with_terms(trustline: Trustline, event: Event) -> Trustline:
    terms = event.terms
    assert terms is not None
    is_from_lower = event.sender == trustline.lower
    return replace(
        trustline,
        given=terms.given if is_from_lower else terms.received,
        received=terms.received if is_from_lower else terms.given,
        rate_given=terms.rate_given if is_from_lower else terms.rate_received,
        rate_received=terms.rate_received if is_from_lower else terms.rate_given,
        is_frozen=terms.is_frozen,
    )
