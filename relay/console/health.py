"""How a relay is doing, judged from what its database and its nodes tell. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from relay.chain.nodes import NodeState
from relay.store.rows import FollowedNetwork
from relay.store.status import FollowerStatus, IndexState, RelayStatus

BEHIND_SECONDS = 60
"""An index that says it follows is behind all the same if a node has a block that is so much newer."""
SILENT_SECONDS = 15.0
"""An API process notes at least every ten seconds how far it has come."""


class Standing(StrEnum):
    """What the index does, or that it does not."""

    FOLLOWING = "following"
    BACKFILLING = "backfilling"
    BEHIND = "behind"
    WAITING = "waiting"
    STOPPED = "stopped"
    PAUSED = "paused"
    STARTING = "starting"
    NOT_RUNNING = "not running"
    NEVER_RAN = "never ran"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block known: a node's of this moment (``is_live``), or as the index reported it last."""

    number: int
    timestamp: int | None
    is_live: bool


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the index is behind the head, in blocks and in seconds of the chain's clock."""

    blocks: int
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """A relay as it was found; ``head`` and ``lag`` are None where nothing tells them."""

    standing: Standing
    status: RelayStatus
    nodes: Sequence[NodeState]
    head: Head | None
    lag: Lag | None

    @property
    def is_well(self) -> bool:
        """Whether the index follows the chain."""
        return self.standing is Standing.FOLLOWING

    @property
    def catching_up(self) -> list[FollowedNetwork]:
        """The networks that joined later and are not served yet."""
        return [network for network in self.status.networks if network.is_wanted and not network.is_level]

    def behind_feed(self, follower: FollowerStatus) -> int:
        """Return how many commits an API process has not taken over yet."""
        return max(self.status.feed_position - follower.position, 0)


def judge(status: RelayStatus, nodes: Sequence[NodeState]) -> Health:
    """Return how the relay is doing."""
    head = _head(status, nodes)
    lag = _lag(status, head)
    return Health(_standing(status, lag), status, nodes, head, lag)


def _head(status: RelayStatus, nodes: Sequence[NodeState]) -> Head | None:
    # A node that is not fit may be on another chain: its head says nothing about ours.
    fit = [node for node in nodes if node.fault is None and node.head is not None]
    if fit:
        best = max(fit, key=lambda node: node.head or 0)
        return Head(best.head or 0, best.head_timestamp, is_live=True)
    index = status.index
    if index is None or index.head_number is None:
        return None
    return Head(index.head_number, index.head_timestamp, is_live=False)


def _lag(status: RelayStatus, head: Head | None) -> Lag | None:
    if head is None or status.position is None:
        return None
    blocks = max(head.number - status.position.number, 0)
    if blocks == 0:
        return Lag(0, 0)
    return Lag(blocks, None if head.timestamp is None else max(head.timestamp - status.position.timestamp, 0))


def _standing(status: RelayStatus, lag: Lag | None) -> Standing:
    index = status.index
    if index is None:
        return Standing.STARTING if status.has_writer else Standing.NEVER_RAN
    if index.state is IndexState.STOPPED:
        return Standing.STOPPED
    if not status.has_writer:
        return Standing.NOT_RUNNING
    is_behind = lag is not None and lag.blocks > 0 and (lag.seconds or 0) > BEHIND_SECONDS
    if index.state is IndexState.FOLLOWING and is_behind:
        return Standing.BEHIND
    return Standing(index.state.value)
