"""Writing events, and the state that follows from them, within a transaction."""

from collections.abc import Mapping, Sequence

from graph.trustline import Trustline
from relay.addresses import Address
from relay.index.history import History
from relay.index.ledger import FREEZE_EVENTS, TRUSTLINE_EVENTS, advance, debt_of_lower, pair_touched
from relay.model import Event, EventType
from relay.store.state_writing import PairKey
from relay.store.writing import WriteTransaction

OwnedEvent = tuple[int, Event]
"""An event with the id of its network."""


def record(transaction: WriteTransaction, ids: Mapping[Address, int], events: Sequence[Event]) -> set[PairKey]:
    """Write events, which follow all those stored of their networks; return the trustlines they touch."""
    owned = [(ids[event.network], event) for event in events]
    history = History()
    states, rows = _advance_all(transaction, owned, history)
    history.add_transfers(owned)
    for network_id, freezes in _freezes(owned).items():
        _record_freezes(transaction, network_id, freezes)
    transaction.add_events(rows)
    transaction.save_trustlines((network_id, line) for (network_id, _), line in states.items())
    transaction.save_debts(_debts(owned).items())
    transaction.add_history(history.accruals, history.transfers)
    return set(states)


def undo(transaction: WriteTransaction, number: int, feed_position: int) -> set[PairKey]:
    """Take back the blocks above ``number`` with all they changed; return the trustlines they had touched."""
    transaction.undo_contracts_after(number, feed_position)
    undone = transaction.undo_after(number, feed_position)
    transaction.restore_trustlines(undone.trustlines)
    transaction.restore_debts(undone.debts)
    transaction.undo_history(number, undone.trustlines)
    for network_id in undone.networks:
        transaction.restore_network_frozen(network_id)
    transaction.doubt_networks_after(number)
    return set(undone.trustlines)


def _advance_all(
    transaction: WriteTransaction, events: Sequence[OwnedEvent], history: History
) -> tuple[dict[PairKey, Trustline], list[tuple[int, Event, bool | None]]]:
    """Return the new states of all trustlines touched, and the events with what they close; note the history."""
    # One look at each event says whose trustline it is about; there are tens of thousands.
    keys = [
        (network_id, pair_touched(event)) if event.type in TRUSTLINE_EVENTS else None
        for network_id, event in events
    ]
    states = transaction.trustlines({key for key in keys if key is not None})
    rows: list[tuple[int, Event, bool | None]] = []
    for (network_id, event), key in zip(events, keys, strict=True):
        closes = None
        if key is not None:
            before = states.get(key)
            if event.type is EventType.BALANCE_UPDATE:
                history.add_balance(network_id, event, before)
            after = advance(before or Trustline(*key[1]), event)
            closes = after.is_closed
            # Terms of nothing, or a transfer of nothing, between strangers make no trustline.
            if before is not None or not closes:
                states[key] = after
        rows.append((network_id, event, closes))
    return states, rows


def _debts(events: Sequence[OwnedEvent]) -> dict[PairKey, int]:
    return {
        (network_id, pair_touched(event)): debt_of_lower(event)
        for network_id, event in events
        if event.type is EventType.DEBT_UPDATE and event.sender != event.receiver
    }


def _freezes(events: Sequence[OwnedEvent]) -> dict[int, list[Event]]:
    """Return the events that freeze or unfreeze networks, by the network's id."""
    found: dict[int, list[Event]] = {}
    for network_id, event in events:
        if event.type in FREEZE_EVENTS:
            found.setdefault(network_id, []).append(event)
    return found


def _record_freezes(transaction: WriteTransaction, network_id: int, freezes: Sequence[Event]) -> None:
    is_first = not transaction.has_freeze_events(network_id)
    transaction.set_network_frozen(
        network_id,
        is_frozen=freezes[-1].type is EventType.NETWORK_FREEZE,
        # Before its first change the network was the opposite of what it changed to.
        started_frozen=freezes[0].type is EventType.NETWORK_UNFREEZE if is_first else None,
    )
