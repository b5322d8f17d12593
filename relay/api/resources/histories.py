"""What happened to a user's money: interest, mediation fees, transfers, and the debts that are left of it."""

from itertools import groupby
from operator import attrgetter
from typing import Any

from graph.answers import Found, Reason, Result
from graph.answers import NotFound as NoTransfer
from graph.paths import cheapest_transfer
from graph.transfer import MAX_AMOUNT, FeePayer, Transfer
from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.faults import PartOfNoTransfer, TransferUnknown
from relay.api.history_schemas import (
    MediationFeesSchema,
    NetworkDebtsSchema,
    TimeSpan,
    TimeSpanSchema,
    TransferDetailsSchema,
    TransferName,
    TransferNameSchema,
    TransferredSumSchema,
    TrustlineInterestsSchema,
)
from relay.api.reasons import describe
from relay.api.resources.base import ApiResource, Reading
from relay.store.history_reading import END_OF_TIME, StoredDebt, StoredTransfer, Window
from relay.sync.networks import UnknownNetwork


class _HistoryResource(ApiResource):
    def require_served(self, network: Address) -> None:
        """Raise UnknownNetwork unless a network is served; note the block that the answer is as of."""
        self.services.networks.info(network)
        self.note_block()


class Interests(_HistoryResource):
    """The interest on all trustlines of a user in a network."""

    @speaks(TrustlineInterestsSchema(many=True), query=TimeSpanSchema())
    def get(self, span: TimeSpan, network: Address, user: Address) -> list[dict[str, Any]]:
        """List the interest that a user gained and paid, trustline by trustline, if there was any."""
        self.require_served(network)
        found = self.services.histories.interests(network, user, None, _window(span))
        return [{"accrued_interests": entries, "user": user, "counterparty": other} for other, entries in found]


class TrustlineInterests(_HistoryResource):
    """The interest on one trustline."""

    @speaks(TrustlineInterestsSchema(), query=TimeSpanSchema())
    def get(self, span: TimeSpan, network: Address, user: Address, other: Address) -> dict[str, Any]:
        """List the interest that a user gained and paid on a trustline."""
        self.require_served(network)
        found = dict(self.services.histories.interests(network, user, other, _window(span)))
        return {"accrued_interests": found.get(other, []), "user": user, "counterparty": other}


class MediationFees(_HistoryResource):
    """What a user earned by passing transfers on."""

    @speaks(MediationFeesSchema(), query=TimeSpanSchema())
    def get(self, span: TimeSpan, network: Address, user: Address) -> dict[str, Any]:
        """List what a user earned as a mediator."""
        self.require_served(network)
        entries = self.services.histories.mediation_fees(network, user, _window(span))
        return {"mediation_fees": entries, "user": user, "network": network}


class TransferredSum(_HistoryResource):
    """What a user has sent another."""

    @speaks(TransferredSumSchema(), query=TimeSpanSchema())
    def get(self, span: TimeSpan, network: Address, user: Address, other: Address) -> dict[str, Any]:
        """Sum up the transfers from one user to another."""
        self.require_served(network)
        end = self.valuation_time() if span.end_time is None else span.end_time
        total = self.services.histories.transferred(network, user, other, Window(span.start_time, end))
        return {
            "sender": user,
            "receiver": other,
            "start_time": span.start_time,
            "end_time": end,
            "value": total,
        }


class Transfers(ApiResource):
    """Transfers as they were executed."""

    @speaks(TransferDetailsSchema(many=True), query=TransferNameSchema())
    def get(self, name: TransferName) -> list[dict[str, Any]]:
        """Describe the transfers of a transaction, or the one that an event is part of."""
        self.note_block()
        if name.transaction_hash is not None:
            found = self.services.histories.transfers_of(name.transaction_hash)
            if not found:
                raise TransferUnknown(f"no transfer is known in a transaction 0x{name.transaction_hash.hex()}")
            return [_transfer(each) for each in found]
        assert name.block_hash is not None
        assert name.log_index is not None
        event = f"event {name.log_index} in a block 0x{name.block_hash.hex()}"
        try:
            transfer = self.services.histories.transfer_at(name.block_hash, name.log_index)
        except KeyError:
            raise TransferUnknown(f"no {event} is known") from None
        if transfer is None:
            raise PartOfNoTransfer(f"{event} is part of no transfer")
        return [_transfer(transfer)]


class Debts(ApiResource):
    """What a user owes and is owed beside its trustlines."""

    @speaks(NetworkDebtsSchema(many=True))
    def get(self, user: Address) -> list[dict[str, Any]]:
        """List a user's debts, network by network, and how much of each can be claimed."""
        self.note_block()
        found = []
        debts = self.services.histories.debts(user)
        claims = _Claims()
        for network, owed in groupby(debts, key=attrgetter("network")):
            try:
                with self.reading(network) as reading:
                    listed = [_debt(claims, reading, user, debt) for debt in owed]
            except UnknownNetwork:
                continue
            found.append({"currency_network": network, "debts": listed})
        return found


def _window(span: TimeSpan) -> Window:
    return Window(span.start_time, END_OF_TIME if span.end_time is None else span.end_time)


def _transfer(transfer: StoredTransfer) -> dict[str, Any]:
    return {
        "currency_network": transfer.network,
        "path": transfer.path,
        "value": transfer.value,
        "fee_payer": transfer.fee_payer,
        "total_fees": sum(transfer.fees),
        "fees_paid": transfer.fees,
        "extra_data": transfer.extra_data,
    }


class _Claims:
    """Searches for what can be claimed, until one ran out of time: a whole answer has no more than that."""

    def __init__(self) -> None:
        self._is_time_over = False

    def largest(
        self, reading: Reading, debtor: Address, creditor: Address, owed: int
    ) -> tuple[Transfer | None, NoTransfer | None]:
        """Return the largest transfer by which a creditor can have a debt paid, and why it is not all of it.

        The contract's ``debitTransfer`` is one from the debtor to the creditor whose fees the receiver pays.
        """
        if reading.graph.is_frozen:
            return None, NoTransfer(Reason.FROZEN)
        obstacle, value = None, min(owed, MAX_AMOUNT)
        while value:
            result = self._search(reading, debtor, creditor, value)
            if isinstance(result, Found):
                return result.transfer, obstacle
            obstacle = obstacle or result
            value = result.largest if result.largest is not None and result.largest < value else 0
        return None, obstacle

    def _search(self, reading: Reading, debtor: Address, creditor: Address, value: int) -> Result:
        if self._is_time_over:
            return NoTransfer(Reason.BUDGET)
        result = cheapest_transfer(
            reading.graph, debtor, creditor, value, reading.at, fee_payer=FeePayer.RECEIVER, engine=reading.engine
        )
        self._is_time_over = isinstance(result, NoTransfer) and result.reason is Reason.BUDGET
        return result


def _debt(claims: _Claims, reading: Reading, user: Address, debt: StoredDebt) -> dict[str, Any]:
    answer: dict[str, Any] = {"debtor": debt.other, "value": debt.value}
    debtor, creditor = (debt.other, user) if debt.value > 0 else (user, debt.other)
    claim, obstacle = claims.largest(reading, debtor, creditor, abs(debt.value))
    if claim is None:
        answer["maximum_claimable_value"] = 0
    else:
        answer |= {"maximum_claimable_value": claim.value, "claim_path": claim.path}
    if obstacle is not None:
        told = describe(obstacle)
        answer |= {name: told[name] for name in ("reason", "reason_message")}
    return answer
