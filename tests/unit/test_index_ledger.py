"""How events change trustlines."""

from dataclasses import replace
from typing import Any

from graph.trustline import Trustline
from relay.index.ledger import advance
from relay.model import Event, EventType, Terms

LOWER, HIGHER = b"\x01" * 20, b"\x02" * 20
NEW = Trustline(LOWER, HIGHER)
OPEN = replace(NEW, balance=5, given=10, received=20, rate_given=1, rate_received=2, mtime=100)


def event(kind: EventType, sender: bytes, receiver: bytes, **more: Any) -> Event:
    return Event(
        network=b"\x09" * 20,
        type=kind,
        block_number=7,
        block_hash=bytes(32),
        timestamp=1234,
        transaction_hash=bytes(32),
        transaction_index=0,
        log_index=0,
        sender=sender,
        receiver=receiver,
        **more,
    )


def update(sender: bytes, receiver: bytes, *terms: int, is_frozen: bool = False) -> Event:
    return event(EventType.TRUSTLINE_UPDATE, sender, receiver, terms=Terms(*terms, is_frozen=is_frozen))


def test_terms_are_kept_as_the_lower_user_sees_them() -> None:
    opened = replace(NEW, given=10, received=20, rate_given=1, rate_received=2)
    assert advance(NEW, update(LOWER, HIGHER, 10, 20, 1, 2)) == opened
    assert advance(NEW, update(HIGHER, LOWER, 20, 10, 2, 1)) == opened


def test_new_terms_leave_balance_and_mtime_alone() -> None:
    frozen = advance(OPEN, update(LOWER, HIGHER, 30, 20, 1, 2, is_frozen=True))
    assert frozen == replace(OPEN, given=30, is_frozen=True)


def test_a_balance_is_kept_as_the_lower_user_sees_it_with_its_blocks_time() -> None:
    for sender, receiver, value in ((LOWER, HIGHER, -8), (HIGHER, LOWER, 8)):
        moved = advance(OPEN, event(EventType.BALANCE_UPDATE, sender, receiver, value=value))
        assert moved == replace(OPEN, balance=-8, mtime=1234)


def test_terms_of_zero_close_a_trustline_without_balance() -> None:
    settled = replace(OPEN, balance=0)
    assert advance(settled, update(HIGHER, LOWER, 0, 0, 0, 0)) == NEW


def test_terms_of_zero_leave_a_balance_owed() -> None:
    assert advance(OPEN, update(LOWER, HIGHER, 0, 0, 0, 0)) == replace(NEW, balance=5, mtime=100)


def test_the_last_payment_of_a_trustline_without_terms_closes_it() -> None:
    owed = replace(NEW, balance=5, mtime=100)
    assert advance(owed, event(EventType.BALANCE_UPDATE, LOWER, HIGHER, value=0)) == NEW
