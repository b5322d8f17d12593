"""The answer of ``tl-relay status``: for people, and as JSON."""

from typing import Any

from relay.addresses import to_checksum
from relay.chain.nodes import NodeState
from relay.console.health import SILENT_SECONDS, Health, Standing
from relay.console.words import count, duration, labelled, moment, plain
from relay.store.admin import Pause
from relay.store.rows import FollowedNetwork
from relay.store.status import FollowerStatus, PushStatus, ReportedStatus

_ESTIMATED_FROM = 100_000
_ROWS = {"blocks": "header", "debts": "debt", "events": "event", "feed": "commit", "trustlines": "trustline"}


def status_lines(health: Health, now: int, finality: str) -> list[str]:
    """Return how the relay is doing.

    ``now`` is the time in Unix seconds, ``finality`` says by what rule blocks become final.
    """
    status = health.status
    rows = [("index", _index_text(health))]
    if status.index is not None and status.index.reason and health.standing is not Standing.NOT_RUNNING:
        rows.append(("", status.index.reason))
    rows += [("node", _node_text(node, status.index)) for node in health.nodes]
    rows.append(("head", _head_text(health, now)))
    rows.append(("indexed", _indexed_text(health)))
    if status.index is not None and status.index.final_number is not None:
        rows.append(("final", f"block {status.index.final_number} ({finality})"))
    if status.totals.get("reorgs"):
        rows.append(("reorgs", _reorgs_text(status.totals)))
    rows.append(("feed", f"position {status.feed_position}"))
    rows += [("api", _follower_text(follower, health)) for follower in status.followers]
    if not status.followers:
        rows.append(("api", "no process follows the feed"))
    rows.append(("networks", _networks_text(health)))
    rows += [("", f"{_name(network)}: {catching_up_text(network, health)}") for network in health.catching_up]
    rows.append(("rows", _rows_text(status.rows)))
    rows += [("paused", _pause_text(pause)) for pause in status.pauses]
    if status.bans:
        rows.append(("banned", f"{count(status.bans, 'address', 'addresses')}, see `tl-relay admin bans`"))
    if status.push is not None:
        rows.append(("push", _push_text(status.push)))
    return labelled(rows)


def _index_text(health: Health) -> str:
    index = health.status.index
    if index is None:
        if health.standing is Standing.STARTING:
            return "is starting: it has told nothing yet"
        return "has never run on this database: start `tl-relay index` or `tl-relay run`"
    if health.standing is Standing.NOT_RUNNING:
        ago = duration(index.age_seconds)
        return f"not running: {index.leader} was last heard of {ago} ago, {index.state.value}"
    what = {
        Standing.FOLLOWING: "following the chain",
        Standing.BACKFILLING: "backfilling: catching up with the chain",
        Standing.BEHIND: "behind: the node it asks does not have the newest blocks",
        Standing.WAITING: "waiting",
    }.get(health.standing, health.standing.value)
    return f"{what}, since {moment(index.since)}, by {index.leader}"


def _node_text(node: NodeState, index: ReportedStatus | None) -> str:
    is_used = index is not None and index.node == node.url
    where = node.url + (" (in use)" if is_used else "")
    if node.fault is not None:
        return f"{where}: {node.fault}"
    return where if node.head is None else f"{where}: at block {node.head}"


def _head_text(health: Health, now: int) -> str:
    head = health.head
    if head is None:
        return "not known"
    text = f"block {head.number}"
    if head.timestamp is not None:
        text += f" of {moment(head.timestamp)}"
        if head.timestamp <= now:
            text += f", {duration(now - head.timestamp)} old"
    return text if head.is_live else f"{text}, as the index told last"


def _indexed_text(health: Health) -> str:
    position, lag = health.status.position, health.lag
    if position is None:
        return "nothing yet"
    text = f"block {position.number}"
    if lag is None:
        return text
    if not lag.blocks:
        return f"{text}, the head"
    seconds = "" if lag.seconds is None else f" ({duration(lag.seconds)})"
    return f"{text}, {count(lag.blocks, 'block')}{seconds} behind the head"


def _follower_text(follower: FollowerStatus, health: Health) -> str:
    behind = health.behind_feed(follower)
    block = "nothing yet" if follower.block_number is None else f"block {follower.block_number}"
    place = f"at feed position {follower.position}" + (f", {count(behind, 'commit')} behind" if behind else "")
    heard = f"heard of {duration(follower.age_seconds)} ago"
    silent = ": it does not answer or has ended" if follower.age_seconds > SILENT_SECONDS else ""
    return f"{follower.process} serves {block}, {place}, {heard}{silent}"


def _reorgs_text(totals: dict[str, int]) -> str:
    undone = count(totals.get("undone_blocks", 0), "block")
    return (
        f"{totals['reorgs']} since the database began, {undone} undone, {totals.get('deepest_reorg', 0)} at most"
    )


def _push_text(push: PushStatus) -> str:
    waiting = f"{count(push.waiting, 'notification')} waiting"
    if push.waiting:
        waiting += f", the oldest for {duration(push.waiting_seconds)}"
    return waiting + (f"; {push.given_up} given up, last: {push.last_fault}" if push.given_up else "")


def _pause_text(pause: Pause) -> str:
    since, by = moment(pause.since), plain(pause.by, 100)
    return f"{pause.part}, since {since}, by {by}: `tl-relay admin resume {pause.part}`"


def _networks_text(health: Health) -> str:
    networks = health.status.networks
    parts = [f"{sum(network.is_wanted and network.is_level for network in networks)} served"]
    if health.catching_up:
        parts.append(f"{len(health.catching_up)} catching up")
    removed = sum(not network.is_wanted for network in networks)
    if removed:
        parts.append(f"{removed} removed")
    return ", ".join(parts)


def _name(network: FollowedNetwork) -> str:
    return f"{plain(network.info.symbol)} {to_checksum(network.info.address)}"


def catching_up_text(network: FollowedNetwork, health: Health) -> str:
    """Return how far a network has been read that is catching up."""
    position, block = health.status.position, max(network.synced_to or 0, 0)
    if position is None:
        return f"at block {block}"
    whole = position.number - network.info.first_block + 1
    share = f" ({(block - network.info.first_block + 1) / whole:.0%})" if whole > 0 else ""
    return f"at block {block} of {position.number}{share}"


def _rows_text(rows: dict[str, int]) -> str:
    """Return the counts; those of large tables are Postgres' estimates."""
    return ", ".join(
        ("about " if number >= _ESTIMATED_FROM else "") + count(number, _ROWS.get(table, table))
        for table, number in rows.items()
    )


def status_document(health: Health, finality: str) -> dict[str, Any]:
    """Return the same as plain data for JSON; times are ISO 8601 or Unix seconds, lags None where unknown."""
    status, index, head, lag = health.status, health.status.index, health.head, health.lag
    position = status.position
    return {
        "healthy": health.is_well,
        "state": health.standing.value,
        "reason": "" if index is None else index.reason,
        "since": None if index is None else index.since.isoformat(),
        "leader": None if index is None else index.leader,
        "reportedSecondsAgo": None if index is None else round(index.age_seconds, 1),
        "head": None
        if head is None
        else {"number": head.number, "timestamp": head.timestamp, "isLive": head.is_live},
        "indexed": None
        if position is None
        else {"number": position.number, "hash": f"0x{position.hash.hex()}", "timestamp": position.timestamp},
        "lag": None if lag is None else {"blocks": lag.blocks, "seconds": lag.seconds},
        "final": {"number": None if index is None else index.final_number, "rule": finality},
        "reorgs": {
            "number": status.totals.get("reorgs", 0),
            "undoneBlocks": status.totals.get("undone_blocks", 0),
            "deepest": status.totals.get("deepest_reorg", 0),
        },
        "feedPosition": status.feed_position,
        "api": [
            {
                "process": follower.process,
                "feedPosition": follower.position,
                "feedBehind": health.behind_feed(follower),
                "block": follower.block_number,
                "heardSecondsAgo": round(follower.age_seconds, 1),
            }
            for follower in status.followers
        ],
        "push": None
        if status.push is None
        else {
            "waiting": status.push.waiting,
            "waitingSeconds": round(status.push.waiting_seconds, 1),
            "givenUp": status.push.given_up,
            "lastFault": status.push.last_fault,
        },
        "paused": [
            {"part": pause.part.value, "since": pause.since.isoformat(), "by": pause.by} for pause in status.pauses
        ],
        "bans": status.bans,
        "networks": [
            {
                "address": to_checksum(network.info.address),
                "symbol": network.info.symbol,
                "isWanted": network.is_wanted,
                "isServed": network.is_wanted and network.is_level,
                "readTo": network.synced_to if position is None or not network.is_level else position.number,
            }
            for network in status.networks
        ],
        "nodes": [
            {
                "url": node.url,
                "inUse": index is not None and index.node == node.url,
                "head": node.head,
                "fault": node.fault,
            }
            for node in health.nodes
        ],
        "rows": status.rows,
    }
