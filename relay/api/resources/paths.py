"""Searches for ways through a network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from flask import Response, after_this_request

from graph.alternatives import AlternativesFound, cheapest_alternatives
from graph.answers import Found, Limits, NotFound, Reason, Result
from graph.parts import PartsFound, PartsResult, largest_payment, payment_in_parts
from graph.paths import cheapest_closing, cheapest_transfer, largest_transfer
from graph.transfer import FeePayer, Transfer
from graph.trustline import Pair, Trustline
from relay.addresses import Address, to_checksum
from relay.api.contract import speaks
from relay.api.counting import searched
from relay.api.faults import NetworkFrozen
from relay.api.fields import Amount
from relay.api.reasons import describe
from relay.api.resources.base import ApiResource, Reading
from relay.api.schemas import (
    CapacityQuestionSchema,
    CapacitySchema,
    ClosingQuestionSchema,
    PathQuestion,
    PathSchema,
    SpendableQuestion,
    SpendableQuestionSchema,
    TransferQuestion,
    TransferQuestionSchema,
)
from relay.api.services import PlannedTransfer

PROVEN_HEADER = "X-Trustlines-Proven"
"""Comes with what cannot say itself that it is not proven to be the best: "false"."""


class _PathResource(ApiResource):
    @contextmanager
    def searching(self, network: Address) -> Iterator[Reading]:
        """Hold a network's graph still for a search.

        Raises:
            UnknownNetwork: if the network is not served.
            NetworkFrozen: if it is.

        """
        with self.reading(network) as reading:
            if reading.graph.is_frozen:
                raise NetworkFrozen(f"the currency network {to_checksum(network)} is frozen: nothing moves in it")
            yield reading


class TransferPath(_PathResource):
    """The cheapest way to send a value."""

    @speaks(PathSchema(), body=TransferQuestionSchema())
    def post(self, question: TransferQuestion, network: Address) -> dict[str, Any]:
        """Find the cheapest path for a transfer, or the parts that it can be sent in, and alternatives."""
        with self.searching(network) as reading:
            result = searched("path_info", lambda: _search(reading, question))
            parts = _plan_all(reading, result.parts, question) if isinstance(result, PartsFound) else []
            others = _alternatives(reading, question)
            transfers = () if others is None else others.transfers
            planned = [plan for other in transfers for plan in _plan_all(reading, [other], question)]
        ways = [self._way(part) for part in parts]
        answer = {"value": question.value, "fee_payer": question.fee_payer} | _whole(result, ways)
        is_best = isinstance(result, NotFound) or result.is_proven
        answer |= _unless_proven(is_best and (others is None or others.is_proven))
        if question.max_parts > 1:
            answer["parts"] = [way | {"value": part.transfer.value} for way, part in zip(ways, parts, strict=True)]
        if question.alternatives:
            answer["alternatives"] = [self._way(plan) for plan in planned]
        return answer

    def _way(self, planned: PlannedTransfer) -> dict[str, Any]:
        transfer, gas = planned.transfer, self.services.estimate_gas(planned)
        return {"path": transfer.path, "fees": transfer.fees, "estimated_gas": gas}


class CapacityPath(_PathResource):
    """The largest value that can be sent."""

    @speaks(CapacitySchema(), body=CapacityQuestionSchema())
    def post(self, question: PathQuestion, network: Address) -> dict[str, Any]:
        """Find the largest value that a user can send another, bearing the fees, and the path for it."""
        sender, receiver = question.sender, question.receiver
        with self.searching(network) as reading:
            graph, at, hops = reading.graph, reading.at, question.max_hops
            result = searched(
                "capacity",
                lambda: largest_transfer(graph, sender, receiver, at, max_hops=hops, engine=reading.engine),
            )
        if isinstance(result, NotFound):
            return {"capacity": 0, "path": []} | describe(result)
        found = {"capacity": result.transfer.value, "path": result.transfer.path}
        return found | _unless_proven(result.is_proven)


class ClosingPath(_PathResource):
    """The cheapest way to settle a trustline's balance."""

    @speaks(PathSchema(), body=ClosingQuestionSchema())
    def post(self, question: PathQuestion, network: Address) -> dict[str, Any]:
        """Find the cheapest cycle that brings the balance of a trustline to zero, so that it can be closed."""
        user, other = question.sender, question.receiver
        limits = Limits(question.max_fees, question.max_hops)
        with self.searching(network) as reading:
            view = reading.graph.view(user, other, reading.at)
            graph, at = reading.graph, reading.at
            result = searched(
                "closing",
                lambda: cheapest_closing(graph, user, other, at, limits=limits, engine=reading.engine),
            )
        if isinstance(result, Found):
            cycle = result.transfer
            found = {"path": cycle.path, "fees": cycle.fees, "value": cycle.value, "fee_payer": cycle.fee_payer}
            return found | _unless_proven(result.is_proven)
        balance = 0 if view is None else view.balance
        fee_payer = FeePayer.RECEIVER if balance > 0 else FeePayer.SENDER
        # Clients close directly where there is nothing to settle, and tell that from no way by the value.
        return {"path": [], "fees": 0, "value": abs(balance), "fee_payer": fee_payer} | describe(result)


class SpendableTo(ApiResource):
    """What a user can send another."""

    @speaks(Amount(), query=SpendableQuestionSchema())
    def get(self, question: SpendableQuestion, network: Address, user: Address, other: Address) -> int:
        """Return the largest value that can be sent now in so many parts, the sender paying the fees, or 0.

        A bare number cannot say that more might be possible: then the header ``X-Trustlines-Proven`` is "false".
        """
        with self.reading(network) as reading:
            result = searched("spendable", lambda: _largest(reading, user, other, question.max_parts))
        if not _is_proven(result):
            after_this_request(_mark_unproven)
        return result.value if isinstance(result, PartsFound) else 0


def _mark_unproven(response: Response) -> Response:
    response.headers[PROVEN_HEADER] = "false"
    return response


def _is_proven(result: PartsResult) -> bool:
    """Whether it is certain that there is nothing better; that nothing was found may be for lack of time."""
    return result.is_proven if isinstance(result, PartsFound) else result.reason is not Reason.BUDGET


def _unless_proven(is_proven: bool) -> dict[str, Any]:
    """Return the attribute of an answer that is not proven to be the best; others go without it."""
    return {} if is_proven else {"is_proven": False}


def _whole(result: PartsResult, ways: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes of the payment as a whole, made in these ways."""
    if isinstance(result, NotFound):
        return {"path": [], "fees": 0, "estimated_gas": 0} | describe(result)
    if len(ways) == 1:
        return ways[0]
    return {"path": [], "fees": result.fees, "estimated_gas": sum(way["estimated_gas"] for way in ways)}


def _search(reading: Reading, question: TransferQuestion) -> PartsResult:
    """Return the cheapest way, in a single part unless more are allowed."""
    limits = Limits(question.max_fees, question.max_hops)
    if question.max_parts == 1:
        return _as_parts(
            cheapest_transfer(
                reading.graph,
                question.sender,
                question.receiver,
                question.value,
                reading.at,
                fee_payer=question.fee_payer,
                limits=limits,
                avoid=question.avoid,
                engine=reading.engine,
            )
        )
    result = payment_in_parts(
        reading.graph,
        question.sender,
        question.receiver,
        question.value,
        reading.at,
        max_parts=question.max_parts,
        fee_payer=question.fee_payer,
        limits=limits,
        avoid=question.avoid,
        deadline=reading.deadline,
    )
    return result if isinstance(result, PartsFound) else _with_largest(reading, question, result)


def _with_largest(reading: Reading, question: TransferQuestion, why: NotFound) -> NotFound:
    """Return a reason why no parts pay a value, with the value that can be spent in parts where that is it."""
    is_plain = question.fee_payer is FeePayer.SENDER and question.max_fees is None
    if why.reason is not Reason.CAPACITY or why.largest is not None or not is_plain:
        return why
    sender, receiver, hops = question.sender, question.receiver, question.max_hops
    result = _largest(reading, sender, receiver, question.max_parts, hops, question.avoid)
    return replace(why, largest=result.value if isinstance(result, PartsFound) else None)


def _largest(
    reading: Reading,
    sender: Address,
    receiver: Address,
    max_parts: int,
    max_hops: int | None = None,
    avoid: Sequence[Address] = (),
) -> PartsResult:
    if max_parts == 1:
        result = largest_transfer(
            reading.graph, sender, receiver, reading.at, max_hops=max_hops, avoid=avoid, engine=reading.engine
        )
        return _as_parts(result)
    return largest_payment(
        reading.graph,
        sender,
        receiver,
        reading.at,
        max_parts=max_parts,
        max_hops=max_hops,
        avoid=avoid,
        deadline=reading.deadline,
    )


def _alternatives(reading: Reading, question: TransferQuestion) -> AlternativesFound | None:
    """Return the best single paths for the whole value, as many as are asked for; None without any."""
    if not question.alternatives:
        return None
    result = cheapest_alternatives(
        reading.graph,
        question.sender,
        question.receiver,
        question.value,
        reading.at,
        question.alternatives,
        fee_payer=question.fee_payer,
        limits=Limits(question.max_fees, question.max_hops),
        avoid=question.avoid,
        deadline=reading.deadline,
    )
    return None if isinstance(result, NotFound) else result


def _as_parts(result: Result) -> PartsResult:
    return result if isinstance(result, NotFound) else PartsFound((result.transfer,), result.is_proven)


def _plan_all(
    reading: Reading, transfers: Sequence[Transfer], question: TransferQuestion
) -> list[PlannedTransfer]:
    """Return transfers with all that their gas depends on, each on the trustlines as those before leave them."""
    lines: dict[Pair, Trustline] = {}
    planned = []
    for transfer in transfers:
        passed = []
        for payer, payee in pairwise(transfer.path):
            stored = reading.graph.trustline(payer, payee)
            assert stored is not None
            passed.append(lines.get(stored.pair, stored))
        planned.append(PlannedTransfer(reading.info, transfer, tuple(passed), reading.at, question.extra_data))
        for line, payer, amount in zip(passed, transfer.path, transfer.amounts, strict=False):
            now = line.at(reading.at)
            change = -amount if payer == line.lower else amount
            lines[line.pair] = replace(now, balance=now.balance + change, mtime=max(now.mtime, reading.at))
    return planned
