"""Path search over HTTP in the network of Ripple's credit lines, beside the predecessor."""

from pathlib import Path

from benchmarks.http_load import NoLoad, saturate
from benchmarks.http_requests import paths, write
from benchmarks.index_predecessor import PredecessorAbsent
from benchmarks.index_world import World
from benchmarks.networks import CreditNetwork, questions, ripple, ripple_path
from benchmarks.report import Report, Row
from benchmarks.server_world import Predecessor, relay, replace_trustlines
from relay.addresses import to_checksum

TIMES_PREDECESSOR = 100.0
SEED = 3
QUESTIONS = 3000
"""So many different questions: more than are asked of the predecessor, few enough to write down."""


def run(world: World, report: Report, *, seconds: float, is_decisive: bool) -> None:
    """Ask both for paths between random users."""
    try:
        network = ripple(ripple_path())
    except OSError as error:
        report.note(f"Path search over HTTP was not measured: {error.strerror} (RIPPLE_CSV).")
        return
    asks = paths(world.chain.network, questions(network, network.users(), SEED), QUESTIONS, maxFees="1000000000")
    requests = write(world.folder / "paths", asks)
    database = world.database(template=world.indexed().url)
    replace_trustlines(database, network)
    report.progress("path search over HTTP", 0, 1)
    try:
        with world.node() as node, relay(world, database, node) as server:
            saturate(server.port, requests, seconds=1)
            ours = saturate(server.port, requests, seconds=seconds)
    except NoLoad as error:
        report.note(f"Path search over HTTP was not measured: {error}.")
        return
    theirs = _predecessor(world, report, network, requests, seconds)
    times = None if theirs is None else ours.per_second / theirs
    peers: dict[str, float | str] = {"predecessor": "absent" if theirs is None else theirs}
    is_decided = is_decisive and times is not None
    report.add(
        Row(
            "path-info on the Ripple network over HTTP, requests/s on two cores",
            ours.per_second,
            "requests/s",
            peers,
            None,
            times,
            f"at least {TIMES_PREDECESSOR:g} times the predecessor" if is_decided else None,
            times is not None and times >= TIMES_PREDECESSOR if is_decided else None,
        )
    )
    report.add(Row("path-info on the Ripple network over HTTP, 16 at a time, 99th percentile", ours.p99, "ms"))
    world.drop(database)


def _predecessor(
    world: World, report: Report, network: CreditNetwork, requests: Path, seconds: float
) -> float | None:
    """Return the requests a second that the predecessor answers, None if it is not there."""
    try:
        with world.node() as node:
            predecessor = Predecessor(world, node)
            predecessor.adopt(network)
            report.progress("path search over HTTP, predecessor", 0, 1)
            known = to_checksum(network.rows[-1][0])
            address = to_checksum(world.chain.network)
            with predecessor.serving(
                f"/networks/{address}/users/{known}/trustlines", wanted=b"counterParty"
            ) as server:
                # It answers one at a time; more would only wait. Searches take up to a second.
                return saturate(server.port, requests, seconds=max(seconds, 20), connections=2).per_second
    except PredecessorAbsent as absent:
        report.note(f"The predecessor was not asked for paths over HTTP: {absent}.")
        return None
