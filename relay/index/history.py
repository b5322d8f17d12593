"""What events tell beyond the state they leave: the interest that balances bore, and the way transfers took. Pure.

A BalanceUpdate carries the new balance, interest included. What it was before, with the interest up to the block's
time by the contract's own formula, tells both the interest and what moved over the trustline.

A Transfer follows directly on the BalanceUpdates of its hops: the log indexes are consecutive, and each names the
hop's payer first. Where the sender pays the contract walks backwards, so the last of them is the first hop; where
the receiver pays they are in the order of the path. That holds for every function that transfers (`transfer`,
`transferFrom`, `transferReceiverPays`, `debitTransfer`, closing directly or in a triangle, accepting a request
with a transfer), also within a transaction that does several of these.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from graph.interest import applicable_rate, balance_with_interest
from graph.transfer import FeePayer
from graph.trustline import Trustline
from relay.model import Event, EventType
from relay.store.history_rows import Accrual, TransferRecord

Hop = tuple[int, Event, int]
"""A BalanceUpdate with the id of its network and the amount that its sender lost by it beside interest."""


class History:
    """Collects what some events tell; they are handed over in the order of the chain, whole blocks of them."""

    def __init__(self) -> None:
        self.accruals: list[Accrual] = []
        self.transfers: list[TransferRecord] = []
        self._hops: dict[tuple[int, int], Hop] = {}

    def add_balance(self, network_id: int, event: Event, before: Trustline | None) -> None:
        """Take a BalanceUpdate; ``before`` is the trustline it changes, None if it is new."""
        assert event.value is not None
        old = 0
        if before is not None and before.balance:
            old = self._with_interest(network_id, event, before)
            if event.sender != before.lower:
                old = -old
        self._hops[event.block_number, event.log_index] = (network_id, event, old - event.value)

    def add_transfers(self, events: Iterable[tuple[int, Event]]) -> None:
        """Take the Transfers among events whose BalanceUpdates have all been taken."""
        for network_id, event in events:
            if event.type is EventType.TRANSFER:
                run = self._run_before(network_id, event)
                found = _way(event, run)
                if found is not None:
                    self.transfers.append(_record(network_id, event, *found))

    def _with_interest(self, network_id: int, event: Event, before: Trustline) -> int:
        rates = before.rate_given, before.rate_received
        if rates == (0, 0) or event.timestamp <= before.mtime:
            return before.balance
        balance = balance_with_interest(before.balance, *rates, before.mtime, event.timestamp)
        if balance != before.balance:
            rate = applicable_rate(before.balance, *rates)
            gained = balance - before.balance
            self.accruals.append(
                Accrual(network_id, before.pair, event.block_number, event.timestamp, gained, rate)
            )
        return balance

    def _run_before(self, network_id: int, transfer: Event) -> list[Hop]:
        """Return the BalanceUpdates of its network and transaction right before a Transfer, the last one first."""
        run: list[Hop] = []
        for index in range(transfer.log_index - 1, -1, -1):
            hop = self._hops.get((transfer.block_number, index))
            if hop is None or hop[0] != network_id or hop[1].transaction_hash != transfer.transaction_hash:
                break
            run.append(hop)
        return run


def _way(transfer: Event, run: list[Hop]) -> tuple[FeePayer, list[Hop]] | None:
    """Return who pays the fees of a transfer and its hops in the order of the path; None if no way is told.

    Among the ways that the events could have been, the longest is taken on which the amount told was received
    (sender pays) or sent (receiver pays) and no mediator lost. A shorter one is only a piece of it, where a path
    passes its sender or receiver on the way; what comes before it (interest applied by the same transaction) moved
    nothing.
    """
    fallback = None
    for length in range(len(run), 0, -1):
        for payer, hops in ((FeePayer.SENDER, run[:length]), (FeePayer.RECEIVER, run[length - 1 :: -1])):
            if _leads(transfer, hops):
                if _fits(transfer, payer, hops):
                    return payer, hops
                fallback = fallback or (payer, hops)
    return fallback


def _leads(transfer: Event, hops: Sequence[Hop]) -> bool:
    """Say whether hops lead from the sender of a transfer to its receiver."""
    ends = hops[0][1].sender == transfer.sender and hops[-1][1].receiver == transfer.receiver
    return ends and all(one[1].receiver == next_one[1].sender for one, next_one in pairwise(hops))


def _fits(transfer: Event, payer: FeePayer, hops: Sequence[Hop]) -> bool:
    amounts = [amount for _, _, amount in hops]
    told = amounts[-1] if payer is FeePayer.SENDER else amounts[0]
    return told == transfer.value and all(came >= left for came, left in pairwise(amounts))


def _record(network_id: int, transfer: Event, payer: FeePayer, hops: Sequence[Hop]) -> TransferRecord:
    users = [event.sender for _, event, _ in hops] + [transfer.receiver]
    return TransferRecord(
        network_id=network_id,
        block_number=transfer.block_number,
        timestamp=transfer.timestamp,
        transaction_hash=transfer.transaction_hash,
        first_index=transfer.log_index - len(hops),
        log_index=transfer.log_index,
        fee_payer=payer,
        path=tuple(user for user in users if user is not None),
        amounts=tuple(amount for _, _, amount in hops),
    )
