"""Several nodes of one chain that stand in for each other.

One of them is used for everything. When it fails, another takes over if it is on the same chain and not behind:
the same chain id, the same block at a depth that no reorg reaches (the *anchor*), and a head not below the newest
one that was seen. A node that lags behind is therefore never asked, and what it lacks never looks like a reorg.

A stretch of blocks can be fetched from two nodes if the first fails in between. Who fetches it notices where that
matters (`relay.index.source`): headers of blocks that can still be replaced must be linked to each other, and
every log must name the hash of its header. Blocks below the anchor are the same on both, and that the second node
lacks some is ruled out by its head.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from relay.chain.calls import ChainCalls, block_or_none
from relay.chain.errors import ChainError, NodeMisbehaved, NodeTooSlow, NodeUnreachable
from relay.chain.fitness import Known, Look, Member, judge, look
from relay.chain.node import Node
from relay.chain.transport import Transport, transport_to
from relay.model import Block

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.7
"""How long an answer is waited for while another node may give it."""
CHECK_SECONDS = 1.0
"""How long a node may take to show that it is fit to take over. Both together stay below 3 s."""
FIRST_CHECK_SECONDS = 3.0
ROUND_SECONDS = 10.0
"""How often all nodes are looked at."""
ROUNDS = 3
"""In so many rounds, one after another, a preferred node must have been fit before it is used again."""
SMALL_LAG = 3
"""So many blocks below the others a node may be while nothing depends on it."""
OLD_HEAD_SECONDS = 60.0
"""A head that nobody has shown for so long may be lost with the node that showed it."""

_IN_A_STEP = {"eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs", "eth_call", "eth_getStorageAt"}
"""Questions that belong together, in the middle of which a preferred node is not returned to."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeState:
    """How one of the nodes is: ``fault`` says why it is not fit, None if it is; ``head`` is a block number.

    ``head_timestamp`` is that block's, in Unix seconds.
    """

    url: str
    is_used: bool
    fault: str | None
    head: int | None
    head_timestamp: int | None = None


class Nodes(ChainCalls):
    """Offers what `Node` offers, with failover; a single node is used as it is.

    Safe to use from several threads and after a fork. A request takes at most the nodes' timeout, and up to 3 s
    more where others have to be tried. A transaction may reach several nodes, which is the same as reaching one.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float = 10,
        finality_depth: int = 128,
        connect: Callable[[str, float], Transport] = transport_to,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked yet.

        Arguments:
            urls: at least one, the preferred ones first.
            timeout: seconds for a request to one node.
            finality_depth: how many blocks below the head the nodes must agree.
            connect: makes the transport to a URL.
            clock: seconds, from any beginning.

        Raises:
            ValueError: if a URL has a scheme or form that no node is reached by.

        """
        self._members = [Member(Node(url, timeout, connect, clock)) for url in urls]
        self._depth = finality_depth
        self._clock = clock
        self._used: Member | None = None
        self._chain_id: int | None = None
        self._anchor: Block | None = None
        self._seen: Block | None = None
        self._seen_at = clock()
        self._begin_process()

    def _begin_process(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # held by who chooses another node
        self._preferred: Member | None = None
        self._round: threading.Thread | None = None
        self._round_at = self._checked_at = -ROUND_SECONDS

    @property
    def url(self) -> str:
        """What may be shown of the URL of the node that is used."""
        return (self._used or self._members[0]).node.url

    def states(self) -> tuple[NodeState, ...]:
        """Return how the nodes are, in the order of preference, as far as they were looked at."""
        return tuple(
            NodeState(
                member.node.url,
                is_used=member is self._used,
                fault=member.fault,
                head=None if member.head is None else member.head.number,
                head_timestamp=None if member.head is None else member.head.timestamp,
            )
            for member in self._members
        )

    def check(self) -> tuple[NodeState, ...]:
        """Look at all nodes now, which takes up to 3 s, and return how they are; no fault of theirs raises."""
        with self._lock:
            self._judge(self._members, self._look(self._members, FIRST_CHECK_SECONDS), SMALL_LAG)
        return self.states()

    def reconnect(self) -> tuple[NodeState, ...]:
        """Forget what went wrong with the nodes and choose anew, the first that is fit; takes up to 3 s.

        Returns how they are; if none is fit, the one that was used is kept.
        """
        if os.getpid() != self._pid:
            self._begin_process()
        with self._lock:
            self._preferred, self._checked_at = None, -ROUND_SECONDS
            for member in self._members:
                member.node.forget_silence()
                member.fault, member.fit_rounds, member.is_elsewhere = None, 0, False
            self._judge(self._members, self._look(self._members, FIRST_CHECK_SECONDS), SMALL_LAG)
            fit = [member for member in self._members if member.fault is None]
            chosen = next((member for member in fit if not _is_behind(member, fit)), None)
            if chosen is not None and chosen is not self._used:
                self._use(chosen, "as it was to be chosen anew")
        return self.states()

    def ask(self, method: str, params: list[Any], read: Callable[[Any], T]) -> T:
        """As `ChainCalls.ask`."""
        return self._ask_one(lambda node, seconds: node.ask(method, params, read, seconds), method in _IN_A_STEP)

    def ask_all(self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], T]]) -> list[T]:
        """As `ChainCalls.ask_all`."""
        return self._ask_one(lambda node, seconds: node.ask_all(requests, reads, seconds), is_in_a_step=True)

    def head(self) -> Block:
        """Return the newest block of the node that is used.

        If it is below the newest one seen before, or does not stand on the anchor, the other nodes are looked at,
        and one that is fit is used from then on. If none is, the chain itself has got shorter.

        Raises:
            NodeMisbehaved: as ever, and if this node is on another chain while none that is fit can be reached.

        """
        if len(self._members) == 1:
            return super().head()
        self._return_to_preferred()
        head = super().head()
        used = self._used
        assert used is not None
        if not _extends(head, self._seen):
            head = self._doubted(used, head)
        self._see(head)
        return head

    def _ask_one(self, act: Callable[[Node, float], T], is_in_a_step: bool) -> T:
        if len(self._members) == 1:
            self._used = member = self._members[0]
            return act(member.node, member.node.timeout)
        if os.getpid() != self._pid:
            self._begin_process()
        if not is_in_a_step:
            self._return_to_preferred()
        member = self._used or self._choose()
        self._start_round_if_due()
        began = self._clock()
        patience, moves = self._patience(), len(self._members) - 1
        while True:
            left = member.node.timeout - (self._clock() - began)
            try:
                return act(member.node, min(patience, max(left, PATIENCE_SECONDS)))
            except (NodeUnreachable, NodeMisbehaved) as error:
                other = self._replace(member, str(error)) if moves else None
                if other is not None:
                    member, patience = other, PATIENCE_SECONDS
                    moves -= 1
                elif (
                    not isinstance(error, NodeTooSlow)
                    or self._clock() - began + CHECK_SECONDS > member.node.timeout
                ):
                    raise
                else:
                    patience *= 3  # nobody can stand in at the moment, and what is asked for may take its time

    def _patience(self) -> float:
        """Return how long the first answer is waited for: all the time where no other node could be used ever."""
        may_fail_over = any(not member.is_elsewhere for member in self._members if member is not self._used)
        return PATIENCE_SECONDS if may_fail_over else self._members[0].node.timeout

    def _choose(self) -> Member:
        """Use the first of the nodes with the newest head, on the chain of the first that answers."""
        with self._lock:
            if self._used is not None:
                return self._used
            fit = self._members
            for _ in range(2):  # the second time with the chain that the first time showed
                self._judge(fit, self._look(fit, FIRST_CHECK_SECONDS), SMALL_LAG)
                fit = [member for member in fit if member.fault is None]
                if not fit:
                    raise NodeUnreachable("; ".join(str(member.fault) for member in self._members))
                self._set_anchor(fit[0])
            chosen = max(fit, key=lambda member: member.head.number if member.head else -1)
            self._use(chosen)
            return chosen

    def _replace(self, member: Member, fault: str) -> Member | None:
        """Use another node than this one, which has a fault; return it, None if no other is fit."""
        with self._lock:
            if self._used is not member:
                return self._used  # another thread was faster
            member.fault, member.fit_rounds = fault, 0
            if self._clock() - self._checked_at < CHECK_SECONDS:
                return None  # the others have just been looked at, in vain
            others = [other for other in self._members if other is not member]
            is_old = self._clock() - self._seen_at > OLD_HEAD_SECONDS
            self._judge(others, self._look(others, CHECK_SECONDS), SMALL_LAG if is_old else 0)
            other = next((other for other in others if other.fault is None), None)
            if other is None:
                self._checked_at = self._clock()
            else:
                self._use(other, f"instead of another: {fault}")
            return other

    def _return_to_preferred(self) -> None:
        preferred = self._preferred
        if preferred is None:
            return
        with self._lock:
            self._preferred = None
            self._judge([preferred], self._look([preferred], CHECK_SECONDS), 0)
            if preferred.fault is None and preferred is not self._used:
                self._use(preferred, "again")

    def _use(self, member: Member, why: str = "") -> None:
        log = logger.warning if self._used is not None else logger.info
        log("using the node %s%s", member.node.url, why and f" {why}")
        self._used = member
        member.fault = None

    # What is known of the chain

    def _known(self) -> Known:
        return Known(self._chain_id, self._anchor, self._seen)

    def _see(self, head: Block) -> None:
        self._seen = head
        self._seen_at = self._clock()

    def _doubted(self, used: Member, head: Block) -> Block:
        """Return a head that does not follow the newest one seen, or that of a node which knows better."""
        found = Look(self._chain_id or 0, head, self._anchored(used, head))
        doubted = Member(used.node)
        judge(doubted, found, self._known(), 0)
        if doubted.fault is None:
            return head
        self._checked_at = -ROUND_SECONDS
        other = self._replace(used, doubted.fault)
        if other is not None and other.head is not None:
            return other.head
        if doubted.is_elsewhere and not all(member.is_elsewhere for member in self._members if member is not used):
            raise NodeMisbehaved(doubted.fault)
        logger.warning("the chain itself has changed: %s", doubted.fault)
        used.fault = None
        if doubted.is_elsewhere:
            self._chain_id = self._anchor = None
        return head

    def _anchored(self, member: Member, head: Block) -> Block | None:
        anchor = self._anchor
        if anchor is None or anchor.number > head.number:
            return None
        return member.node.block(anchor.number)

    def _set_anchor(self, member: Member) -> None:
        """Take the block that lies ``finality_depth`` below a node's head for one that no reorg reaches."""
        if member.head is None:
            return
        number = max(0, member.head.number - self._depth)
        anchor = self._anchor
        if anchor is None or number >= anchor.number + max(1, self._depth // 2):
            block = member.node.ask("eth_getBlockByNumber", [hex(number), False], block_or_none, CHECK_SECONDS)
            if block is not None:
                self._anchor = block

    # Looking at the nodes

    def _look(self, members: Sequence[Member], seconds: float) -> list[Look]:
        return look([member.node for member in members], self._known(), seconds, self._clock)

    def _judge(self, members: Sequence[Member], looks: Sequence[Look], lag: int) -> None:
        for member, found in zip(members, looks, strict=True):
            if self._chain_id is None and found.head is not None:
                self._chain_id = found.chain_id
            before = member.fault
            was_elsewhere = member.is_elsewhere
            judge(member, found, self._known(), lag)
            if member.is_elsewhere and not was_elsewhere:
                logger.error("refusing a node: %s", member.fault)
            elif member.fault is not None and before is None:
                logger.warning("not counting on a node: %s", member.fault)
            elif member.fault is None and before is not None:
                logger.info("the node %s can be counted on again", member.node.url)

    def _start_round_if_due(self) -> None:
        if self._clock() - self._round_at < ROUND_SECONDS or (self._round is not None and self._round.is_alive()):
            return
        self._round_at = self._clock()
        self._round = threading.Thread(target=self._go_round, name="node round", daemon=True)
        self._round.start()

    def _go_round(self) -> None:
        """Look at all nodes, so that it is known which are fit before one is needed."""
        looks = self._look(self._members, FIRST_CHECK_SECONDS)
        with self._lock:
            used = self._used
            self._judge(self._members, looks, SMALL_LAG)
            for member in self._members:
                member.fit_rounds = member.fit_rounds + 1 if member.fault is None else 0
            if used is None:
                return
            fit = [member for member in self._members if member.fit_rounds >= ROUNDS]
            preferred = next((member for member in fit if not _is_behind(member, fit)), None)
            if preferred is not None and preferred is not used:
                is_before = self._members.index(preferred) < self._members.index(used)
                self._preferred = preferred if is_before or _is_behind(used, fit) else None
        if used.fault is None:
            try:
                self._set_anchor(used)
            except ChainError as error:
                logger.debug("no new anchor: %s", error)


def _extends(head: Block, seen: Block | None) -> bool:
    if seen is None or head.hash == seen.hash:
        return True
    return head.number == seen.number + 1 and head.parent_hash == seen.hash


def _is_behind(member: Member, others: Sequence[Member]) -> bool:
    """Say whether a node's head is further below that of another than heads of equals are."""
    heads = [other.head.number for other in others if other.head is not None]
    return member.head is None or member.head.number + SMALL_LAG < max(heads, default=0)
