# ruff: noqa: T201 - this command speaks to a terminal
"""`make soak MINUTES=n SEED=s`: simulations one after the other, until the time is up or a promise is broken."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from relay.devnet.anvil import install_anvil, tools_directory
from relay.devnet.errors import DevnetError
from tests.simulation.simulation import Failure, WorldLost, simulation

ROUNDS = 25
"""How many rounds a world lasts: anvil keeps the states of some hundred blocks, and fresh ones vary more."""


def main() -> int:
    """Run; return 0, or 1 with the seed and the schedule of what failed."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds in each world")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    ends_at = time.monotonic() + 60 * options.minutes
    points: Counter[str] = Counter()
    while time.monotonic() < ends_at:
        print(f"seed {seed}", flush=True)
        try:
            points += _run(seed, options.rounds, ends_at)
        except Failure as failure:
            print(failure, file=sys.stderr)
            return 1
        except WorldLost as lost:
            print(f"  {lost}", flush=True)
        except DevnetError as error:
            print(f"make soak: {error}", file=sys.stderr)
            return 2
        seed += 1
    killed = {name: count for name, count in points.items() if name.startswith("kill -9: ")}
    passed = {name for name in points if ": " not in name}
    print(f"killed at {len(killed)} of {len(passed)} points passed")
    return 0


def _run(seed: int, rounds: int, ends_at: float) -> Counter[str]:
    binary = str(install_anvil(tools_directory()))
    with tempfile.TemporaryDirectory(prefix="tl-soak-", ignore_cleanup_errors=True) as directory:
        place = Path(directory)
        place.chmod(0o755)
        with simulation(seed, binary, place) as running:
            for number in range(rounds):
                began = time.monotonic()
                running.run_round(number)
                print(f"  round {number} in {time.monotonic() - began:.1f} s; {running.tally}", flush=True)
                if time.monotonic() > ends_at:
                    break
            return running.tally.points


if __name__ == "__main__":
    sys.exit(main())
