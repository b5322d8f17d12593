"""The index against a chain, a node and a database that fail in every way we know, beside a fresh synchronisation.

TEST_SEED chooses another run; a failure prints its seed and the steps that led to it. `make soak` runs on.
"""

import pytest

from tests.simulation.conftest import NOT_YET, SEED, SIEVES_LOGS
from tests.simulation.faults import DatabaseFault, NodeFault, Side
from tests.simulation.schedule import DatabaseTrouble, Grow, NodeTrouble, NodeWell, Pause, Round, Step
from tests.simulation.simulation import Failure, Simulation

ROUNDS = 12
LEAST_REORGS, LEAST_KILLS, LEAST_LOSSES = 40, 20, 10
MOST_ROUNDS = 30
AT_ONCE = 3
"""How many faults come between two comparisons."""

UNDOING_AND_WRITING = (
    "DELETE FROM events",
    "DELETE FROM blocks",
    "COPY events",
    "INSERT INTO trustlines",
    "INSERT INTO feed",
)

pytestmark = pytest.mark.timeout(600)


def test_through_reorgs_kills_and_losses_every_state_is_that_of_a_fresh_synchronisation(world: Simulation) -> None:
    print(f"seed {SEED}")  # noqa: T201
    for number in range(MOST_ROUNDS):
        world.run_round(number)
        done = world.tally
        enough = done.reorgs >= LEAST_REORGS and done.kills >= LEAST_KILLS and done.losses >= LEAST_LOSSES
        if number + 1 >= ROUNDS and enough:
            break
    print(world.tally)  # noqa: T201
    assert world.tally.reorgs >= LEAST_REORGS
    assert world.tally.kills >= LEAST_KILLS
    assert world.tally.losses >= LEAST_LOSSES
    assert world.tally.samples > world.tally.rounds


def test_killed_at_every_point_of_a_reorg_the_index_goes_on_to_the_same_database(world: Simulation) -> None:
    world.run(Round(0, (Grow(10, 5),)))
    died, missed = world.kill_everywhere()
    assert not missed
    assert {f"{side} {statement}" for side in Side for statement in ("COMMIT", *UNDOING_AND_WRITING)} <= died


def test_every_fault_of_the_node_alone_passes_without_a_trace(world: Simulation) -> None:
    faults = [fault for fault in NodeFault if fault not in NOT_YET]
    for start in range(0, len(faults), AT_ONCE):
        some = faults[start : start + AT_ONCE]
        world.run(Round(start, tuple(step for fault in some for step in alone(fault))))
        for fault in some:
            assert world.node_proxy.injected.get(fault), f"the index never met: {fault}"


def test_every_loss_of_the_database_alone_passes_without_a_trace(world: Simulation) -> None:
    for number, fault in enumerate(DatabaseFault):
        world.run(Round(number, (Grow(3, 3), DatabaseTrouble(fault, 0.3), Grow(3, 3), Pause(0.4))))


@pytest.mark.xfail(
    not SIEVES_LOGS, raises=Failure, strict=True, reason="logs of a node that is behind are taken for complete"
)
def test_logs_of_a_node_that_is_behind_are_not_taken_for_complete(world: Simulation) -> None:
    world.run(Round(0, alone(NodeFault.LATE_LOGS)))


def alone(fault: NodeFault) -> tuple[Step, ...]:
    """Blocks come before, during and after a fault, and nothing else goes wrong."""
    trouble = NodeTrouble(fault, 1.0, 2)
    return Grow(3, 4), Pause(0.2), trouble, Pause(0.1), Grow(3, 4), Pause(0.2), Grow(2, 4), Pause(0.2), NodeWell()
