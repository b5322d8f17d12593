"""What happens in a simulation, drawn from its seed before anything does: rounds of steps, each fit to be read."""

import random
from dataclasses import dataclass
from typing import TypeAlias

from tests.simulation.faults import Act, DatabaseFault, NodeFault, Side, Trap
from tests.simulation.world import Way

DEEPEST = 64


@dataclass(frozen=True)
class Grow:
    """Blocks are added, with so many transactions each on average."""

    blocks: int
    density: float


@dataclass(frozen=True)
class Reorg:
    """The last blocks are replaced by as many, fewer, more or none."""

    way: Way
    depth: int
    blocks: int
    density: float


@dataclass(frozen=True)
class NodeTrouble:
    """A share of the node's answers is at fault from now on."""

    fault: NodeFault
    share: float
    size: int


@dataclass(frozen=True)
class NodeWell:
    """The node answers as it should."""


@dataclass(frozen=True)
class DatabaseTrouble:
    """The database is lost for so many seconds."""

    fault: DatabaseFault
    seconds: float


@dataclass(frozen=True)
class Kill:
    """Every index process is killed, wherever it is; the next begins with a trap in it, or without."""

    trap: Trap | None
    batch_blocks: int


@dataclass(frozen=True)
class Standby:
    """One more index process is started."""

    batch_blocks: int


@dataclass(frozen=True)
class AddNetwork:
    """A network is put into the address file; with a trap, an index begins anew and is killed on taking it in."""

    trap: Trap | None


@dataclass(frozen=True)
class Pause:
    """Nothing new happens for so many seconds."""

    seconds: float


Step: TypeAlias = Grow | Reorg | NodeTrouble | NodeWell | DatabaseTrouble | Kill | Standby | AddNetwork | Pause


@dataclass(frozen=True)
class Round:
    """Steps, after which the causes end and everything must become equal."""

    number: int
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"round {self.number}:\n" + "\n".join(f"    {step}" for step in self.steps)


class Drawing:
    """Draws rounds; the same seed draws the same ones, whatever happens in them."""

    def __init__(
        self, seed: int, statements: tuple[str, ...], excluded: frozenset[NodeFault] = frozenset()
    ) -> None:
        """``statements`` are the names of those at which traps are set."""
        self._seed, self._statements = seed, statements
        self._node_faults = [fault for fault in NodeFault if fault not in excluded]
        self._database_faults = list(DatabaseFault)
        self._traps_set = 0

    def round(self, number: int) -> Round:
        """Draw one round, of three reorgs or four, a kill or two and mostly a loss of the database."""
        chance = random.Random(f"{self._seed}/round/{number}")
        troubles: list[Step] = [self._reorg(chance) for _ in range(chance.choice((3, 3, 4)))]
        if number == 3:
            trap = Trap(Act.DIE, chance.choice(list(Side)), None, chance.randint(1, 60))
            troubles.append(AddNetwork(trap if chance.random() < 0.6 else None))
        troubles += [self._kill(number, chance)]
        if number % 6 != 1:
            fault = self._database_faults[(number + self._seed) % len(self._database_faults)]
            troubles.append(DatabaseTrouble(fault, chance.choice((0.1, 0.4, 1.0))))
        for at in range(2):
            fault = self._node_faults[(2 * number + at + self._seed) % len(self._node_faults)]
            troubles.append(NodeTrouble(fault, chance.choice((1.0, 1.0, 0.4)), chance.choice((1, 2, 3, 8, 40))))
        if chance.random() < 0.25:
            troubles.append(Standby(_batch(chance)))
        chance.shuffle(troubles)
        steps: list[Step] = [Grow(chance.choice((1, 3, 10)), 2.0)]
        for trouble in troubles:
            steps.append(trouble)
            if isinstance(trouble, NodeTrouble):
                steps += [Pause(chance.choice((0.1, 0.3, 0.8))), Grow(chance.choice((1, 2, 6)), 2.0)]
                steps += [NodeWell()] * (chance.random() < 0.4)
            elif chance.random() < 0.5:
                steps.append(Pause(chance.choice((0.0, 0.05, 0.2))))
        return Round(number, tuple(steps))

    def _reorg(self, chance: random.Random) -> Reorg:
        way = chance.choice(list(Way))
        depth = chance.choice((1, 1, 2, 3, 5, 8, 13, 30, chance.randint(1, DEEPEST), DEEPEST))
        blocks = chance.choice(
            (depth, depth + 1, depth + chance.randint(1, 20), depth // 2, max(depth - 1, 0), 0, 1)
        )
        return Reorg(way, depth, blocks, chance.choice((0, 0.3, 1.5, 4)))

    def _kill(self, number: int, chance: random.Random) -> Kill:
        if number % 5 == 4:
            return Kill(None, _batch(chance))
        act = chance.choice((Act.DIE, Act.DIE, Act.DIE, Act.BREAK, Act.DISK_FULL))
        side = Side.BEFORE if act is Act.DISK_FULL else chance.choice(list(Side))
        if number % 2 == 0:
            return Kill(Trap(act, side, None, chance.randint(1, 60)), _batch(chance))
        name = chance.choice(self._statements)
        return Kill(Trap(act, side, name, chance.choice((1, 1, 2, 3))), _batch(chance))


def _batch(chance: random.Random) -> int:
    return chance.choice((3, 17, 2000))
