"""What is read for /metrics at the moment at which it is asked for: the index, the feed, nodes, what waits."""

from collections.abc import Sequence

from relay.api.readiness import lag_of
from relay.chain.nodes import NodeState
from relay.store.status import IndexState
from relay.store.vitals import Vitals
from relay.telemetry import Figure


def one(name: str, what: str, value: float, *, is_counter: bool = False) -> Figure:
    """Return a figure without labels."""
    return Figure(f"trustlines_{name}", what, [({}, value)], is_counter)


def vital_figures(vitals: Vitals) -> list[Figure]:
    """Return what the database tells; what nobody has noted yet is left out."""
    return [*_index_figures(vitals), *_other_figures(vitals)]


def _index_figures(vitals: Vitals) -> list[Figure]:
    figures = [
        one("index_running", "Whether a process holds the lock of the one that writes.", vitals.has_writer),
        Figure(
            "trustlines_index_state",
            "What the index does, 1 for one of these.",
            [({"state": state.value}, float(state is vitals.state)) for state in IndexState],
        ),
        one("index_networks", "Networks that are served.", vitals.networks),
        one("index_networks_joining", "Networks that catch up.", vitals.joining),
        one("index_events", "Events written.", vitals.totals.get("events", 0), is_counter=True),
        one("index_reorgs", "Reorgs.", vitals.totals.get("reorgs", 0), is_counter=True),
        one("index_undone_blocks", "Blocks they undid.", vitals.totals.get("undone_blocks", 0), is_counter=True),
        one("index_deepest_reorg_blocks", "The most that one undid.", vitals.totals.get("deepest_reorg", 0)),
    ]
    told = {
        "index_report_age_seconds": ("Time since the index said anything.", vitals.report_age),
        "index_head_block": ("The newest block that the index has heard of.", vitals.head),
        "index_block": ("The newest indexed block.", vitals.block),
        "index_final_block": ("The newest block that cannot be undone.", vitals.final),
    }
    figures += [one(name, what, value) for name, (what, value) in told.items() if value is not None]
    lag = lag_of(vitals, vitals.block, vitals.block_timestamp)
    if lag is not None:
        figures.append(one("index_lag_blocks", "Blocks that are not indexed yet.", lag.blocks))
        figures.append(one("index_lag_seconds", "How far that is in the chain's time.", lag.seconds))
    return figures


def _other_figures(vitals: Vitals) -> list[Figure]:
    slowest = vitals.feed_position if vitals.slowest is None else vitals.slowest
    waiting = [({"whose": "relay"}, vitals.own_waiting), ({"whose": "users"}, vitals.users_waiting)]
    return [
        one("feed_position", "The number of the newest commit.", vitals.feed_position),
        one("api_processes", "API processes that were heard of within a minute.", vitals.followers),
        one("api_feed_behind", "Commits that the last of them lacks.", max(0, vitals.feed_position - slowest)),
        Figure("trustlines_transactions_waiting", "Transactions that are in no block yet.", waiting),
        one("push_waiting", "Push notifications that wait.", vitals.push_waiting),
        one("push_oldest_seconds", "How long the oldest of them has.", vitals.push_oldest_seconds),
        one("push_given_up", "Push notifications given up within 30 days.", vitals.push_given_up),
    ]


def node_figures(states: Sequence[NodeState]) -> list[Figure]:
    """Return how the nodes are, by their place in the settings: their URLs are secrets."""
    numbered = [({"node": str(number)}, state) for number, state in enumerate(states)]
    are_fit = [(label, float(state.fault is None)) for label, state in numbered]
    are_used = [(label, float(state.is_used)) for label, state in numbered]
    heads = [(label, state.head) for label, state in numbered if state.head is not None]
    return [
        Figure("trustlines_node_up", "Whether a node is fit to be used.", are_fit),
        Figure("trustlines_node_in_use", "Whether a node is used.", are_used),
        Figure("trustlines_node_head_block", "A node's head when it was last looked at.", heads),
    ]
