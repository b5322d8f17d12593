"""What events tell beyond the state they leave."""

from collections.abc import Sequence

import pytest

from graph.interest import balance_with_interest
from graph.transfer import FeePayer
from graph.trustline import Trustline
from relay.index.history import History
from relay.model import Event, EventType
from relay.store.history_rows import Accrual, TransferRecord

NETWORK = 7
A, B, C, D = (bytes([letter]) * 20 for letter in (1, 2, 3, 4))
YEAR = 31_536_000

Balance = tuple[bytes, bytes, int]
"""The sender and the receiver of a BalanceUpdate and its new balance; all trustlines were at zero."""


def event(kind: EventType, index: int, sender: bytes, receiver: bytes, value: int, transaction: int = 1) -> Event:
    return Event(
        network=b"\x09" * 20,
        type=kind,
        block_number=2000,
        block_hash=bytes(32),
        timestamp=YEAR,
        transaction_hash=bytes([transaction]) * 32,
        transaction_index=0,
        log_index=index,
        sender=sender,
        receiver=receiver,
        value=value,
    )


def transfers(updates: Sequence[Balance], *told: tuple[bytes, bytes, int], first: int = 4) -> list[TransferRecord]:
    """What is made of some BalanceUpdates in a row and the Transfers behind them."""
    history, index = History(), first
    lines: dict[frozenset[bytes], tuple[bytes, int]] = {}
    for sender, receiver, value in updates:
        seen_by, balance = lines.get(frozenset((sender, receiver)), (sender, 0))
        lower, higher = sorted((sender, receiver))
        before = Trustline(lower, higher, balance if seen_by == lower else -balance, mtime=YEAR)
        update = event(EventType.BALANCE_UPDATE, index, sender, receiver, value)
        history.add_balance(NETWORK, update, before)
        lines[frozenset((sender, receiver))] = (sender, value)
        index += 1
    history.add_transfers(
        [(NETWORK, event(EventType.TRANSFER, index + n, *transfer)) for n, transfer in enumerate(told)]
    )
    return history.transfers


def way(
    updates: Sequence[Balance], told: tuple[bytes, bytes, int]
) -> tuple[FeePayer, tuple[bytes, ...], list[int]]:
    (record,) = transfers(updates, told)
    return record.fee_payer, record.path, list(record.amounts)


def test_where_the_sender_pays_the_hops_come_backwards() -> None:
    updates = [(C, D, -100), (B, C, -112), (A, B, -125)]
    assert way(updates, (A, D, 100)) == (FeePayer.SENDER, (A, B, C, D), [125, 112, 100])


def test_where_the_receiver_pays_the_hops_come_forwards() -> None:
    updates = [(A, B, -100), (B, C, -90), (C, D, -81)]
    assert way(updates, (A, D, 100)) == (FeePayer.RECEIVER, (A, B, C, D), [100, 90, 81])


@pytest.mark.parametrize("updates", [[(B, C, 0), (A, B, 0)], [(B, C, -5), (A, B, -5)]])
def test_the_order_tells_who_pays_also_where_there_are_no_fees(updates: list[Balance]) -> None:
    value = -updates[0][2]
    assert way(updates, (A, C, value))[0] is FeePayer.SENDER
    assert way(updates[::-1], (A, C, value))[0] is FeePayer.RECEIVER


def test_a_direct_transfer_counts_as_paid_by_the_sender() -> None:
    assert way([(A, B, -7)], (A, B, 7)) == (FeePayer.SENDER, (A, B), [7])


def test_a_cycle_leads_back_to_its_sender() -> None:
    assert way([(C, A, -100), (B, C, -111), (A, B, -123)], (A, A, 100))[1] == (A, B, C, A)


def test_a_path_may_pass_its_sender_or_its_receiver_on_the_way() -> None:
    past_sender = [(A, C, -10), (B, A, -10), (A, B, 0)]
    assert way(past_sender, (A, C, 10)) == (FeePayer.SENDER, (A, B, A, C), [10, 10, 10])
    past_receiver = [(B, C, -10), (C, B, 0), (A, C, -10)]
    assert way(past_receiver, (A, C, 10))[1] == (A, C, B, C)


def test_transfers_one_after_the_other_keep_to_themselves() -> None:
    history = History()
    kinds = [EventType.BALANCE_UPDATE, EventType.TRANSFER] * 2
    events = [event(kind, i, A, B, 5 if i % 2 else -5 * (i // 2 + 1)) for i, kind in enumerate(kinds)]
    history.add_balance(NETWORK, events[0], None)
    history.add_balance(NETWORK, events[2], Trustline(A, B, balance=-5, mtime=YEAR))
    history.add_transfers([(NETWORK, each) for each in events])
    assert [(each.first_index, each.log_index, each.amounts) for each in history.transfers] == [
        (0, 1, (5,)),
        (2, 3, (5,)),
    ]


def test_interest_applied_right_before_is_no_hop() -> None:
    assert way([(C, B, 0), (A, C, -9)], (A, C, 9))[1] == (A, C)
    assert way([(B, A, 0), (A, C, -9)], (A, C, 9))[1] == (A, C)


def test_a_gap_between_logs_or_another_transaction_ends_the_run() -> None:
    history = History()
    far, near = event(EventType.BALANCE_UPDATE, 0, B, C, -5), event(EventType.BALANCE_UPDATE, 2, A, B, -5)
    other = event(EventType.BALANCE_UPDATE, 4, A, B, -10, transaction=2)
    history.add_balance(NETWORK, far, None)
    history.add_balance(NETWORK, near, None)
    history.add_balance(NETWORK, other, Trustline(A, B, balance=-5, mtime=YEAR))
    history.add_transfers([(NETWORK, event(EventType.TRANSFER, 3, A, C, 5))])
    history.add_transfers([(NETWORK, event(EventType.TRANSFER, 5, A, B, 5))])
    assert history.transfers == []


def test_what_moved_is_told_without_the_interest_and_the_interest_apart() -> None:
    line = Trustline(A, B, balance=-1_000_000, rate_received=1000, mtime=0)
    grown = balance_with_interest(-1_000_000, 0, 1000, 0, YEAR)
    history = History()
    history.add_balance(NETWORK, event(EventType.BALANCE_UPDATE, 0, A, B, grown - 50), line)
    history.add_transfers([(NETWORK, event(EventType.TRANSFER, 1, A, B, 50))])
    assert history.accruals == [Accrual(NETWORK, (A, B), 2000, YEAR, grown + 1_000_000, 1000)]
    assert [each.amounts for each in history.transfers] == [(50,)]


def test_the_other_side_as_sender_of_a_balance_tells_the_same() -> None:
    line = Trustline(A, B, balance=-1_000_000, rate_received=1000, mtime=0)
    grown = balance_with_interest(-1_000_000, 0, 1000, 0, YEAR)
    history = History()
    history.add_balance(NETWORK, event(EventType.BALANCE_UPDATE, 0, B, A, -grown - 50), line)
    history.add_transfers([(NETWORK, event(EventType.TRANSFER, 1, B, A, 50))])
    assert [each.value for each in history.accruals] == [grown + 1_000_000]
    assert [each.amounts for each in history.transfers] == [(50,)]


@pytest.mark.parametrize(
    "line",
    [
        Trustline(A, B, balance=0, rate_given=1000, mtime=0),
        Trustline(A, B, balance=500, rate_received=1000, mtime=0),
        Trustline(A, B, balance=1, rate_given=1, mtime=0),
        Trustline(A, B, balance=10**6, rate_given=1000, mtime=YEAR),
    ],
)
def test_no_interest_is_no_entry(line: Trustline) -> None:
    history = History()
    history.add_balance(NETWORK, event(EventType.BALANCE_UPDATE, 0, A, B, line.balance), line)
    assert history.accruals == []
