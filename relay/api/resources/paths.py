"""Searches for ways through a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from werkzeug.exceptions import BadRequest

from graph.answers import Found, Limits, NotFound, Reason, Result
from graph.search import cheapest_closing, cheapest_transfer, largest_transfer
from graph.transfer import FeePayer, Transfer
from relay.addresses import Address, to_checksum
from relay.api.contract import speaks
from relay.api.fields import Amount
from relay.api.resources.base import ApiResource, Reading
from relay.api.schemas import (
    CapacityQuestionSchema,
    CapacitySchema,
    ClosingQuestionSchema,
    PathQuestion,
    PathSchema,
    TransferQuestion,
    TransferQuestionSchema,
)
from relay.api.services import PlannedTransfer

_SENTENCES: dict[Reason, str] = {
    Reason.UNKNOWN_SENDER: "the sender has no trustline in this network",
    Reason.UNKNOWN_RECEIVER: "the receiver has no trustline in this network",
    Reason.SAME_USER: "sender and receiver are the same user",
    Reason.NOT_CONNECTED: "no chain of trustlines leads from the sender to the receiver",
    Reason.FROZEN: "every chain of trustlines from the sender to the receiver is frozen",
    Reason.CAPACITY: "no path has the capacity for this value",
    Reason.FEES: "every path costs more than the maximum of fees",
    Reason.HOPS: "every path takes more than the maximum of hops",
    Reason.MEDIATOR_INTERESTS: "every path would leave a mediator with interests to pay",
    Reason.NOTHING_TO_CLOSE: "there is no trustline with a balance to settle",
    Reason.BUDGET: "the search was given up before it found a path",
}


class _PathResource(ApiResource):
    @contextmanager
    def searching(self, network: Address) -> Iterator[Reading]:
        """Hold a network's graph still for a search.

        Raises:
            UnknownNetwork: if the network is not served.
            BadRequest: if it is frozen.

        """
        with self.reading(network) as reading:
            if reading.graph.is_frozen:
                raise BadRequest(f"the currency network {to_checksum(network)} is frozen: nothing moves in it")
            yield reading


class TransferPath(_PathResource):
    """The cheapest way to send a value."""

    @speaks(PathSchema(), body=TransferQuestionSchema())
    def post(self, question: TransferQuestion, network: Address) -> dict[str, Any]:
        """Find the cheapest path for a transfer."""
        with self.searching(network) as reading:
            result = cheapest_transfer(
                reading.graph,
                question.sender,
                question.receiver,
                question.value,
                reading.at,
                fee_payer=question.fee_payer,
                limits=Limits(question.max_fees, question.max_hops),
            )
            planned = _plan(reading, result.transfer, question.extra_data) if isinstance(result, Found) else None
        if planned is None:
            nothing = {"estimated_gas": 0, "value": question.value, "fee_payer": question.fee_payer}
            return _path(result) | nothing
        return _path(result) | {"estimated_gas": self.services.estimate_gas(planned)}


class CapacityPath(_PathResource):
    """The largest value that can be sent."""

    @speaks(CapacitySchema(), body=CapacityQuestionSchema())
    def post(self, question: PathQuestion, network: Address) -> dict[str, Any]:
        """Find the largest value that a user can send another, bearing the fees, and the path for it."""
        sender, receiver = question.sender, question.receiver
        with self.searching(network) as reading:
            result = largest_transfer(reading.graph, sender, receiver, reading.at, max_hops=question.max_hops)
        if isinstance(result, NotFound):
            return {"capacity": 0, "path": []} | _why(result.reason)
        return {"capacity": result.transfer.value, "path": result.transfer.path}


class ClosingPath(_PathResource):
    """The cheapest way to settle a trustline's balance."""

    @speaks(PathSchema(), body=ClosingQuestionSchema())
    def post(self, question: PathQuestion, network: Address) -> dict[str, Any]:
        """Find the cheapest cycle that brings the balance of a trustline to zero, so that it can be closed."""
        user, other = question.sender, question.receiver
        limits = Limits(question.max_fees, question.max_hops)
        with self.searching(network) as reading:
            view = reading.graph.view(user, other, reading.at)
            result = cheapest_closing(reading.graph, user, other, reading.at, limits=limits)
        if isinstance(result, Found):
            return _path(result)
        is_owed = view is not None and view.balance > 0
        fee_payer = FeePayer.RECEIVER if is_owed else FeePayer.SENDER
        return _path(result) | {"value": 0, "fee_payer": fee_payer}


class SpendableTo(ApiResource):
    """What a user can send another."""

    @speaks(Amount())
    def get(self, network: Address, user: Address, other: Address) -> int:
        """Return the largest value for which a transfer exists now, the sender paying the fees; 0 if none does."""
        with self.reading(network) as reading:
            result = largest_transfer(reading.graph, user, other, reading.at)
        return result.transfer.value if isinstance(result, Found) else 0


def _plan(reading: Reading, transfer: Transfer, extra_data: bytes) -> PlannedTransfer:
    trustlines = []
    for payer, payee in pairwise(transfer.path):
        trustline = reading.graph.trustline(payer, payee)
        assert trustline is not None
        trustlines.append(trustline)
    return PlannedTransfer(reading.info, transfer, tuple(trustlines), reading.at, extra_data)


def _path(result: Result) -> dict[str, Any]:
    if isinstance(result, NotFound):
        return {"path": [], "fees": 0} | _why(result.reason)
    transfer = result.transfer
    return {
        "path": transfer.path,
        "fees": transfer.fees,
        "value": transfer.value,
        "fee_payer": transfer.fee_payer,
    }


def _why(reason: Reason) -> dict[str, Any]:
    return {"reason": reason.value, "reason_message": _SENTENCES[reason]}
