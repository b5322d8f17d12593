"""What commands print for people: the state of the relay in lines of text."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from relay.addresses import to_checksum
from relay.index.verify import Contents, Difference
from relay.store.rows import FollowedNetwork
from relay.store.status import FollowerStatus, IndexState, RelayStatus

_ALIVE_SECONDS = 20.0
"""An index that has not reported for so long is not running; it reports about every second."""


def say(lines: Sequence[str]) -> None:
    """Print lines to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def is_well(status: RelayStatus) -> bool:
    """Return whether the index is running and gets on."""
    index = status.index
    return (
        index is not None
        and index.age_seconds < _ALIVE_SECONDS
        and index.state in (IndexState.BACKFILLING, IndexState.FOLLOWING)
    )


def status_lines(status: RelayStatus) -> list[str]:
    """Return how the relay runs."""
    lines = _index_lines(status)
    lines += [f"api        {_follower_text(follower, status)}" for follower in status.followers]
    if not status.followers:
        lines.append("api        no process has reported")
    served = sum(network.is_wanted and network.is_level for network in status.networks)
    behind = sum(network.is_wanted and not network.is_level for network in status.networks)
    lines.append(f"networks   {served} served" + (f", {behind} catching up" if behind else ""))
    lines.append("rows       " + ", ".join(f"{count} {table}" for table, count in status.rows.items()))
    return lines


def _index_lines(status: RelayStatus) -> list[str]:
    index, position = status.index, status.position
    if index is None:
        lines = ["index      has never run"]
    elif index.age_seconds >= _ALIVE_SECONDS and index.state is not IndexState.STOPPED:
        lines = [f"index      not running: {index.leader} was last heard of {index.age_seconds:.0f} s ago"]
    else:
        since = index.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        lines = [f"index      {index.state} since {since}, by {index.leader}"]
    if index is not None and index.reason:
        lines.append(f"           {index.reason}")
    if index is not None and index.head_number is not None:
        lines.append(f"head       {index.head_number}{_time_text(index.head_timestamp)}")
    if position is None:
        lines.append("indexed    nothing")
    else:
        lag = None if index is None or index.head_number is None else max(index.head_number - position.number, 0)
        lines.append(f"indexed    {position.number}" + ("" if lag is None else f", {lag} behind the head"))
    if index is not None and index.final_number is not None:
        lines.append(f"final      {index.final_number}")
    return [*lines, f"feed       {status.feed_position}"]


def _time_text(timestamp: int | None) -> str:
    if timestamp is None:
        return ""
    return datetime.fromtimestamp(timestamp, UTC).strftime(" of %Y-%m-%d %H:%M:%S UTC")


def _follower_text(follower: FollowerStatus, status: RelayStatus) -> str:
    lag = max(status.feed_position - follower.position, 0)
    behind = f", {lag} behind" if lag else ""
    block = "nothing" if follower.block_number is None else f"block {follower.block_number}"
    heard = f"heard of {follower.age_seconds:.0f} s ago"
    return f"{follower.process} at {block}, feed {follower.position}{behind}, {heard}"


def network_lines(status: RelayStatus) -> list[str]:
    """Return the networks and how far each has been read."""
    lines = [
        f"{to_checksum(network.info.address)}  {network.info.symbol}  {_standing(network, status)}"
        for network in status.networks
    ]
    known = {network.info.address for network in status.networks}
    lines += [
        f"{to_checksum(address)}  added, not taken in yet"
        for address, is_wanted in status.choices.items()
        if is_wanted and address not in known
    ]
    return lines or ["no network is known yet"]


def _standing(network: FollowedNetwork, status: RelayStatus) -> str:
    if not network.is_wanted:
        return "not served"
    if network.synced_to is None:
        return "served"
    end = "" if status.position is None else f" of {status.position.number}"
    return f"catching up: block {max(network.synced_to, 0)}{end}"


def verification_lines(contents: Contents, differences: Sequence[Difference], compared: int) -> list[str]:
    """Return the outcome of a verification."""
    if contents.block is None:
        return ["nothing has been indexed yet"]
    where = f"block {contents.block.number} (0x{contents.block.hash.hex()})"
    lines = [str(difference) for difference in differences]
    outcome = f"{len(differences)} differences" if differences else "no difference"
    return [*lines, f"{compared} trustlines in {len(contents.networks)} networks at {where}: {outcome}"]
