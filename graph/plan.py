"""Plans of how a payment could flow: by the compiled kernel, or by the reference in pure Python."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from graph.flow import Flow, Goal
from graph.network import NetworkGraph
from graph.transfer import MAX_AMOUNT
from graph.trustline import User, View

Hop = tuple[User, User]
"""A trustline in the direction of a payment: payer, payee."""

_SPENT = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What moves over which hops, and what that comes to; amounts in the smallest unit.

    Attributes:
        moves: what leaves the payer of each hop, rounded up, less what comes back over the same trustline.
        delivered: what arrives, rounded down.
        is_full: whether it is certain that nothing can be added.
        is_spent: whether budget or time ended it.
        work: how many ends of trustlines were looked at.

    """

    moves: dict[Hop, int]
    delivered: int
    is_full: bool
    is_spent: bool
    work: int


def plan_flow(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    goal: Goal,
    *,
    budget: int,
    deadline: float = 0,
    ignores_fees: bool = False,
    narrowest: int = 0,
    avoid: Collection[User] = (),
) -> Plan:
    """Plan how as much as can be, or the goal, flows between two users who have trustlines, losing least.

    None of ``avoid`` mediates. What can move less than ``narrowest`` is left out, be it only what a hop moves free
    of fees or what it moves beyond; then more could arrive than is planned. Planning gives in at ``deadline``, in
    seconds of ``time.monotonic``, 0 for never.
    """
    if network.kernel is None:
        # A divisor of 1 leaves nothing of what adds to a debt, whether fees count or not.
        divisor = 0 if ignores_fees and network.rules.fee_divisor != 1 else network.rules.fee_divisor
        flow = Flow(network.number_of_users, divisor, budget, deadline)
        hops = _hops(network, sender, receiver, at, divisor, narrowest, avoid)
        return _planned_by_reference(flow, network.users, sender, receiver, goal, hops)
    outcome, moves, (high, low), is_full, work = network.kernel.flow(
        sender,
        receiver,
        at,
        amount=goal.delivered if goal.sent is None else goal.sent,
        is_sent=goal.sent is not None,
        ignores_fees=ignores_fees,
        narrowest=min(narrowest, MAX_AMOUNT),
        avoid=tuple(avoid),
        budget=max(budget, 0),
        deadline=deadline,
    )
    # The kernel keeps trustlines in the order of their changes, on which no answer may depend.
    flows = {(payer, payee): upper << 64 | lower for payer, payee, upper, lower in sorted(moves)}
    return Plan(_net(flows), high << 64 | low, is_full, outcome == _SPENT, work)


def _hops(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    divisor: int,
    narrowest: int,
    avoid: Collection[User],
) -> Iterator[tuple[Hop, int, bool]]:
    """All hops, in parts: how much each can move, and whether with a loss."""
    avoided = frozenset(avoid) - {sender, receiver}
    for user in network.users:
        for view in network.views(user, at):
            hop = (user, view.other)
            if user == receiver or view.other == sender or view.is_frozen or not avoided.isdisjoint(hop):
                continue
            for room, is_lossy in _split(view, divisor, narrowest, is_last=hop[1] == receiver):
                yield hop, room, is_lossy


def _planned_by_reference(
    flow: Flow,
    users: list[User],
    sender: User,
    receiver: User,
    goal: Goal,
    hops: Iterable[tuple[Hop, int, bool]],
) -> Plan:
    numbers = {user: number for number, user in enumerate(users)}
    source, sink = numbers[sender], numbers[receiver]
    budget = flow.left_budget
    arcs = [
        (flow.add_arc(numbers[payer], numbers[payee], room, is_lossy=is_lossy), (payer, payee))
        for (payer, payee), room, is_lossy in hops
    ]
    flow.grow(source, sink, goal)
    is_full = not flow.is_spent and sink not in flow.reachable(source)
    flows = {hop: 0 for _, hop in arcs}
    for arc, hop in arcs:
        flows[hop] += flow.planned(arc)
    return Plan(_net(flows), flow.delivered, is_full, flow.is_spent, budget - flow.left_budget)


def _split(view: View, divisor: int, narrowest: int, *, is_last: bool) -> Iterator[tuple[int, bool]]:
    """The parts of a hop's room that pass free and with a loss."""
    room = max(view.left_received, 0)
    free = room if divisor == 0 or is_last else min(max(view.balance, 0), room)
    if room < narrowest:
        return
    if free < narrowest:
        free = 0
    elif room - free < narrowest:
        room = free
    if free:
        yield free, False
    if room > free and divisor != 1:
        yield room - free, True


def _net(flows: dict[Hop, int]) -> dict[Hop, int]:
    """Take off what goes to and fro over a trustline."""
    moves = {
        (payer, payee): amount - flows.get((payee, payer), 0) for (payer, payee), amount in flows.items() if amount
    }
    return {hop: amount for hop, amount in moves.items() if amount > 0}
