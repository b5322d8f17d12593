"""What simulations have found, one test each, with the seed that did.

The rounds of a seed change with the simulation, so each test says in steps of its own what it came down to.
"""

import pytest

from tests.simulation.conftest import NOT_YET
from tests.simulation.faults import NodeFault
from tests.simulation.schedule import Grow, Kill, NodeTrouble, Pause, Round
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.timeout(300)


def test_a_node_without_headers_is_not_taken_for_another_chain(world: Simulation) -> None:
    """Seed 1: no header at or below the cursor was taken for a chain that differs past finality."""
    trouble = NodeTrouble(NodeFault.NULL_BLOCKS, 1.0, 1)
    world.run(Round(0, (Grow(10, 2), Pause(0.5), trouble, Pause(0.3), Grow(1, 2), Pause(0.2))))


def test_an_internal_error_is_not_taken_for_a_contract_that_is_no_network(world: Simulation) -> None:
    """Seed 20261120: an error while a network was read for the first time ended the index for good."""
    trouble = NodeTrouble(NodeFault.INTERNAL_ERROR, 0.2, 1)
    world.run(Round(0, (trouble, Kill(None, 17), Pause(1.5), Grow(1, 2))))


@pytest.mark.skipif(NodeFault.LAGGING in NOT_YET, reason="logs of a node that is behind are taken for complete")
def test_a_node_that_is_behind_now_and_then_costs_no_events(world: Simulation) -> None:
    """Seed 1000: behind a load balancer, headers came from one node and too few logs from another."""
    steps = [step for _ in range(8) for step in (Grow(2, 4), Pause(0.15))]
    world.run(Round(0, (Grow(3, 2), Pause(0.4), NodeTrouble(NodeFault.LAGGING, 0.4, 2), *steps)))


def test_logs_of_a_block_that_name_another_number_invent_no_block(world: Simulation) -> None:
    """Seed 1000: a log asked for by its block's hash brought a block of another number into the database."""
    trouble = NodeTrouble(NodeFault.OTHER_RANGE, 1.0, 1)
    world.run(Round(0, (Grow(3, 2), Pause(0.5), trouble, Grow(1, 8), Pause(0.4))))


def test_a_log_that_is_told_twice_does_not_end_the_index(world: Simulation) -> None:
    """Seed 8: the database refused the second one, which nobody expected."""
    trouble = NodeTrouble(NodeFault.DOUBLED_LOGS, 1.0, 1)
    world.run(Round(0, (Grow(3, 2), Pause(0.5), trouble, Grow(3, 8), Pause(0.4))))
