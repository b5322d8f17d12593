"""Plans of how a payment could flow: by the compiled kernel over the whole network, or by the reference in Python."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from graph.flow import Flow, Goal
from graph.network import NetworkGraph
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
    hops: Collection[Hop] | None = None,
    avoid: Collection[User] = (),
) -> Plan:
    """Plan how as much as can be, or the goal, flows between two users who have trustlines, losing least.

    Only ``hops`` are used, if they are given, and none of ``avoid`` mediates. The kernel gives in at ``deadline``,
    in seconds of ``time.monotonic``, 0 for never.
    """
    if network.kernel is None:
        return _planned_by_reference(network, sender, receiver, at, goal, budget, ignores_fees, hops, avoid)
    outcome, moves, (high, low), is_full, work = network.kernel.flow(
        sender,
        receiver,
        at,
        amount=goal.delivered if goal.sent is None else goal.sent,
        is_sent=goal.sent is not None,
        ignores_fees=ignores_fees,
        hops=None if hops is None else tuple(chain.from_iterable(hops)),
        avoid=tuple(avoid),
        budget=max(budget, 0),
        deadline=deadline,
    )
    # The kernel keeps trustlines in the order of their changes, on which no answer may depend.
    flows = {(payer, payee): high << 64 | low for payer, payee, high, low in sorted(moves)}
    return Plan(_net(flows), high << 64 | low, is_full, outcome == _SPENT, work)


def _planned_by_reference(
    network: NetworkGraph,
    sender: User,
    receiver: User,
    at: int,
    goal: Goal,
    budget: int,
    ignores_fees: bool,  # noqa: FBT001
    hops: Collection[Hop] | None,
    avoid: Collection[User],
) -> Plan:
    users = network.users
    numbers = {user: number for number, user in enumerate(users)}
    avoided = frozenset(avoid) - {sender, receiver}
    divisor = network.rules.fee_divisor
    flow = Flow(len(users), 0 if ignores_fees else divisor, budget)
    arcs: dict[int, Hop] = {}
    for user in users:
        for view in network.views(user, at):
            hop = (user, view.other)
            if user == receiver or view.other == sender or view.is_frozen or not avoided.isdisjoint(hop):
                continue
            if hops is not None and hop not in hops:
                continue
            for room, is_lossy in _split(view, divisor, is_last=view.other == receiver):
                is_dear = is_lossy and not ignores_fees
                arcs[flow.add_arc(numbers[user], numbers[view.other], room, is_lossy=is_dear)] = hop
    source = numbers[sender]
    flow.grow(source, numbers[receiver], goal)
    is_full = not flow.is_spent and numbers[receiver] not in flow.reachable(source)
    flows = dict.fromkeys(arcs.values(), 0)
    for arc, hop in arcs.items():
        flows[hop] += flow.planned(arc)
    return Plan(_net(flows), flow.delivered, is_full, flow.is_spent, budget - flow.left_budget)


def _split(view: View, divisor: int, *, is_last: bool) -> Iterator[tuple[int, bool]]:
    """The parts of a hop's room that pass free and with a loss."""
    room = max(view.left_received, 0)
    free = room if divisor == 0 or is_last else min(max(view.balance, 0), room)
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
