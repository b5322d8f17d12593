"""Whether a node is fit to be used: on the chain that the others are on, and not behind it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.chain import wire
from relay.chain.calls import block_or_none
from relay.chain.errors import ChainError
from relay.chain.node import Node
from relay.model import Block


@dataclass(slots=True)
class Member:
    """One of several nodes, and what was found when it was looked at last.

    ``fault`` is a sentence that says why it is not fit, None if it is. ``is_elsewhere``: it is on another chain.
    ``fit_rounds`` counts the rounds in which it was fit, one after another.
    """

    node: Node
    fault: str | None = None
    head: Block | None = None
    is_elsewhere: bool = False
    fit_rounds: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What a node answered, or the fault that kept it from answering; ``anchored``: its block at the anchor."""

    chain_id: int = 0
    head: Block | None = None
    anchored: Block | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the chain: its id, a block that no reorg reaches (the anchor), and the newest head seen."""

    chain_id: int | None = None
    anchor: Block | None = None
    seen: Block | None = None


def look(
    nodes: Sequence[Node], known: Known, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[Look]:
    """Return what the nodes answer, asked at the same time and within ``seconds``."""
    looks = [Look(fault=f"the node {node.url} did not answer within {seconds:g} s") for node in nodes]
    until = clock() + seconds

    def fill(at: int) -> None:
        try:
            looks[at] = _look(nodes[at], known.anchor, lambda: max(0.001, until - clock()))
        except ChainError as error:
            looks[at] = Look(fault=str(error))

    threads = [
        threading.Thread(target=fill, args=(at,), name="node check", daemon=True) for at in range(len(nodes))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - clock()) + 0.1)
    return list(looks)


def _look(node: Node, anchor: Block | None, left: Callable[[], float]) -> Look:
    chain_id = node.ask("eth_chainId", [], wire.quantity, left())
    head = node.ask("eth_getBlockByNumber", ["latest", False], wire.block, left())
    anchored = None
    if anchor is not None and anchor.number <= head.number:
        params = [hex(anchor.number), False]
        anchored = node.ask("eth_getBlockByNumber", params, block_or_none, left())
    return Look(chain_id, head, anchored)


def judge(member: Member, found: Look, known: Known, lag: int) -> None:
    """Note whether a node is fit: on the known chain, and no more than ``lag`` blocks below the newest head."""
    url, head = member.node.url, found.head
    member.is_elsewhere = False
    if head is None:
        member.fault = found.fault
        return
    member.head = head
    elsewhere = _elsewhere(found, known)
    if elsewhere is not None:
        member.is_elsewhere = True
        member.fault = f"the node {url} is on another chain: {elsewhere}"
    elif known.anchor is not None and found.anchored is None:
        member.fault = f"the node {url} is behind: it has no block {known.anchor.number}"
    elif known.seen is not None and head.number + lag < known.seen.number:
        member.fault = f"the node {url} is behind: its head is block {head.number}, not {known.seen.number}"
    else:
        member.fault = None


def _elsewhere(found: Look, known: Known) -> str | None:
    if known.chain_id is not None and found.chain_id != known.chain_id:
        return f"its id is {found.chain_id}, not {known.chain_id}"
    anchor, anchored = known.anchor, found.anchored
    if anchor is not None and anchored is not None and anchored.hash != anchor.hash:
        return f"its block {anchor.number} is 0x{anchored.hash.hex()}, not 0x{anchor.hash.hex()}"
    return None
