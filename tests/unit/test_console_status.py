"""How a relay is judged from what database and nodes tell, and how that is said."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.chain.nodes import NodeState
from relay.console.health import Standing, judge
from relay.console.networks import network_lines
from relay.console.status import status_document, status_lines
from relay.model import NetworkInfo
from relay.store.admin import Part, Pause
from relay.store.rows import CursorPosition, FollowedNetwork
from relay.store.status import FollowerStatus, IndexState, RelayStatus, ReportedStatus

NOW = 1_700_000_100
SINCE = datetime(2023, 11, 14, 22, 0, tzinfo=UTC)
CASH = NetworkInfo(b"\x01" * 20, "Cash", "CASH", 4, 1000, 0, True, False, 10, False, False)
NODE = NodeState("http://node", is_used=True, fault=None, head=100, head_timestamp=1_700_000_090)
GONE = NodeState("http://node", is_used=False, fault="the node http://node cannot be reached", head=None)


def network(byte: int = 1, **changes: Any) -> FollowedNetwork:
    info = replace(CASH, address=bytes([byte]) * 20)
    return replace(FollowedNetwork(byte, info, True, None, 100, False), **changes)


def reported(state: IndexState = IndexState.FOLLOWING, reason: str = "") -> ReportedStatus:
    return ReportedStatus("here:1", state, reason, SINCE, 100, 1_700_000_090, 36, "http://node", 0.4)


def relay(**changes: Any) -> RelayStatus:
    status = RelayStatus(
        index=reported(),
        position=CursorPosition(100, b"h" * 32, 1_700_000_090),
        feed_position=70,
        networks=[network()],
        followers=[FollowerStatus("here:2", 70, 100, 0.3)],
        choices={},
        rows={"blocks": 30, "events": 1, "trustlines": 250_000},
        has_writer=True,
    )
    return replace(status, **changes)


def at_block(number: int, timestamp: int = 1_700_000_000) -> CursorPosition:
    return CursorPosition(number, b"h" * 32, timestamp)


def told(status: RelayStatus, *nodes: NodeState) -> dict[str, str]:
    """Return the lines by their labels, those without one joined to the one above."""
    found: dict[str, str] = {}
    label = ""
    for line in status_lines(judge(status, nodes or (NODE,)), NOW, "64 blocks below the head"):
        label = line[:10].strip() or label
        found[label] = f"{found[label]} | {line[11:]}" if label in found else line[11:]
    return found


def test_reorgs_are_told_where_there_were_any() -> None:
    assert "reorgs" not in told(relay(totals={"events": 12}))
    totals = {"events": 12, "reorgs": 2, "undone_blocks": 4, "deepest_reorg": 3}
    assert told(relay(totals=totals))["reorgs"] == "2 since the database began, 4 blocks undone, 3 at most"
    document = status_document(judge(relay(totals=totals), [NODE]), "by depth")
    assert document["reorgs"] == {"number": 2, "undoneBlocks": 4, "deepest": 3}


def test_a_relay_that_follows_is_well() -> None:
    assert judge(relay(), [NODE]).is_well
    assert told(relay()) == {
        "index": "following the chain, since 2023-11-14 22:00:00 UTC, by here:1",
        "node": "http://node (in use): at block 100",
        "head": "block 100 of 2023-11-14 22:14:50 UTC, 10 s old",
        "indexed": "block 100, the head",
        "final": "block 36 (64 blocks below the head)",
        "feed": "position 70",
        "api": "here:2 serves block 100, at feed position 70, heard of 0.3 s ago",
        "networks": "1 served",
        "rows": "30 headers, 1 event, about 250,000 trustlines",
    }


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({"index": reported(IndexState.BACKFILLING)}, Standing.BACKFILLING),
        ({"index": reported(IndexState.WAITING, "the node is away")}, Standing.WAITING),
        ({"index": reported(IndexState.STOPPED, "run this")}, Standing.STOPPED),
        ({"index": reported(IndexState.STOPPED, "run this"), "has_writer": False}, Standing.STOPPED),
        ({"has_writer": False}, Standing.NOT_RUNNING),
        ({"index": reported(IndexState.WAITING, "x"), "has_writer": False}, Standing.NOT_RUNNING),
        ({"index": None, "has_writer": False}, Standing.NEVER_RAN),
        ({"index": None}, Standing.STARTING),
        ({"position": at_block(90)}, Standing.BEHIND),
    ],
)
def test_everything_else_is_not(changes: dict[str, Any], standing: Standing) -> None:
    health = judge(relay(**changes), [NODE])
    assert (health.standing, health.is_well) == (standing, False)


def test_a_block_that_has_just_come_does_not_make_it_behind() -> None:
    assert judge(relay(position=at_block(99, 1_700_000_075)), [NODE]).standing is Standing.FOLLOWING


def test_the_lag_is_told_in_blocks_and_seconds() -> None:
    assert told(relay(position=at_block(88)))["indexed"] == "block 88, 12 blocks (1 min 30 s) behind the head"


def test_what_it_waits_for_and_why_it_stopped_are_read_aloud() -> None:
    assert told(relay(index=reported(IndexState.WAITING, "the node is away")))["index"].startswith(
        "waiting, since"
    )
    assert told(relay(index=reported(IndexState.STOPPED, "run this")))["index"].endswith("| run this")


def test_an_index_that_is_gone_says_when_it_was_last_heard_of() -> None:
    said = told(relay(has_writer=False))["index"]
    assert said == "not running: here:1 was last heard of 0.4 s ago, following"


def test_without_a_node_the_head_is_the_one_the_index_told_last() -> None:
    said = told(relay(position=at_block(98)), GONE)
    assert said["node"] == "http://node (in use): the node http://node cannot be reached"
    assert said["head"].endswith("as the index told last")
    assert said["indexed"].startswith("block 98, 2 blocks")


def test_a_node_on_another_chain_tells_no_head() -> None:
    elsewhere = NodeState(
        "http://b", is_used=False, fault="it is on another chain", head=10**6, head_timestamp=NOW
    )
    assert told(relay(), NODE, elsewhere)["head"].startswith("block 100 ")


def test_an_empty_database_is_told_as_well() -> None:
    empty = relay(index=None, position=None, feed_position=0, networks=[], followers=[], rows={}, has_writer=False)
    said = told(empty, GONE)
    assert "has never run" in said["index"]
    assert said["head"] == "not known"
    assert said["indexed"] == "nothing yet"
    assert said["api"] == "no process follows the feed"


def test_an_api_process_that_is_behind_or_silent_is_told() -> None:
    followers = [FollowerStatus("here:2", 60, 90, 0.3), FollowerStatus("here:3", 70, None, 33.0)]
    late, silent = told(relay(followers=followers))["api"].split(" | ")
    assert late == "here:2 serves block 90, at feed position 60, 10 commits behind, heard of 0.3 s ago"
    assert silent.startswith("here:3 serves nothing yet")
    assert silent.endswith("heard of 33 s ago: it does not answer or has ended")


def test_networks_that_catch_up_or_were_removed_are_counted() -> None:
    networks = [network(1), network(2, synced_to=54), network(3, is_wanted=False, synced_to=20)]
    first, second = told(relay(networks=networks))["networks"].split(" | ")
    assert first == "1 served, 1 catching up, 1 removed"
    assert second.startswith("CASH 0x0202")
    assert second.endswith(": at block 54 of 100 (49%)")


def test_the_document_says_the_same() -> None:
    status = relay(position=at_block(88), networks=[network(), network(2, synced_to=54)])
    document = json.loads(json.dumps(status_document(judge(status, [NODE]), "rule")))
    assert (document["healthy"], document["state"]) == (False, "behind")
    assert document["lag"] == {"blocks": 12, "seconds": 90}
    assert document["head"] == {"number": 100, "timestamp": 1_700_000_090, "isLive": True}
    assert document["final"] == {"number": 36, "rule": "rule"}
    assert document["api"][0]["feedBehind"] == 0
    assert [(entry["isServed"], entry["readTo"]) for entry in document["networks"]] == [(True, 88), (False, 54)]
    assert document["nodes"] == [{"url": "http://node", "inUse": True, "head": 100, "fault": None}]


def test_the_document_of_nothing_has_all_the_keys_of_the_other() -> None:
    empty = relay(index=None, position=None, networks=[], followers=[], rows={}, has_writer=False)
    assert status_document(judge(empty, []), "").keys() == status_document(judge(relay(), [NODE]), "").keys()


def test_networks_are_listed_with_how_far_each_is() -> None:
    networks = [network(1), network(2, synced_to=54), network(3, is_wanted=False, synced_to=20)]
    chosen = {b"\x04" * 20: True, b"\x05" * 20: False}
    lines = network_lines(relay(networks=networks, choices=chosen), [b"\x01" * 20, b"\x05" * 20, b"\x06" * 20])
    assert [line.split(maxsplit=1)[0][:6] for line in lines] == ["0x0101", "0x0202", "0x0303", "0x0606", "0x0404"]
    assert [line.split("Cash")[-1].strip() for line in lines[:3]] == [
        "served",
        "catching up, at block 54 of 100 (49%)",
        "not served",
    ]
    assert all(line.endswith("not taken in yet") for line in lines[3:])


def test_no_network_is_said_in_words() -> None:
    assert network_lines(relay(networks=[]), []) == ["no network is known yet"]


def test_what_operators_decided_is_told() -> None:
    decided = relay(
        index=reported(IndexState.PAUSED, "an operator paused it"),
        pauses=(Pause(Part.DELEGATE, SINCE, "ada@here by command"), Pause(Part.INDEX, SINCE, "ada@here")),
        bans=2,
    )
    health = judge(decided, [NODE])
    assert health.standing is Standing.PAUSED
    assert not health.is_well
    lines = told(decided)
    assert lines["index"].startswith("paused, since 2023-11-14 22:00:00 UTC")
    assert "delegate, since 2023-11-14 22:00:00 UTC, by ada@here by command" in lines["paused"]
    assert "`tl-relay admin resume index`" in lines["paused"]
    assert lines["banned"].startswith("2 addresses")
    document = status_document(health, "")
    assert [pause["part"] for pause in document["paused"]] == ["delegate", "index"]
    assert document["bans"] == 2
