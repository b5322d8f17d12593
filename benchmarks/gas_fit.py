"""Measure real transfers on a fresh chain and fit the constants of `relay.chain.gas` to them.

Run from the checkout: ``python -m benchmarks.gas_fit --count 700 --seed 1``. It prints the fitted constants beside
those in use, and how far the model with the new ones is from what the chain charged.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.gas_world import GasWorld, Measurement
from relay.chain.gas import FITTED, Work, estimate_transfer_gas, stated_gas, work
from relay.devnet.anvil import Anvil, install_anvil, tools_directory


def fit(measured: Sequence[Measurement]) -> Work:
    """Return the gas for one of each kind of work that makes the sum of squared relative errors least.

    Transfers that paid the floor price of their data say nothing of the contract's work and are left out.
    """
    size = len(Work._fields)
    matrix = [[0.0] * size for _ in range(size)]
    right = [0.0] * size
    for m in measured:
        if estimate_transfer_gas(m.call, m.hops, m.network, Work(*[0.0] * size)) >= m.gas_used:
            continue
        amounts = work(m.call, m.hops, m.network)
        rest = m.gas_used - stated_gas(m.call.calldata(), m.hops)
        for i, amount in enumerate(amounts):
            right[i] += amount * rest / m.gas_used**2
            for j, other in enumerate(amounts):
                matrix[i][j] += amount * other / m.gas_used**2
    return Work(*solve(matrix, right))


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a small system of linear equations by Gauss-Jordan elimination with pivoting."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(len(rows)):
            if row != column:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[-1] for row in rows]


def error(m: Measurement, fitted: Work) -> float:
    """Return the relative error of the estimate, positive if it is too high."""
    return estimate_transfer_gas(m.call, m.hops, m.network, fitted) / m.gas_used - 1


def label(m: Measurement) -> str:
    """Return the name of a measurement's kind of network."""
    way = ", proxied" if m.kind.proxied else ""
    return f"{m.kind.terms.name} ({m.kind.contract}{way})"


def report(measured: Sequence[Measurement], fitted: Work) -> list[str]:
    """Return a table of errors by kind of network, by hops and by size of the extra data."""
    groups: dict[str, list[float]] = defaultdict(list)
    for m in measured:
        size = len(m.call.extra_data)
        for group in (label(m), f"{len(m.hops)} hops", f"extra data < {10 ** len(str(size))} bytes", "all"):
            groups[group].append(error(m, fitted))
    lines = [f"{'':58} {'count':>6} {'mean':>8} {'worst':>8}"]
    for group, errors in sorted(groups.items()):
        worst = max(errors, key=abs)
        lines.append(f"{group:58} {len(errors):6} {sum(errors) / len(errors):8.2%} {worst:8.2%}")
    return lines


def main() -> None:
    """Measure, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=700, help="how many transfers to measure")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with Anvil(install_anvil(tools_directory())) as anvil:
        measured = list(GasWorld(anvil, options.seed).measurements(options.count))
    fitted = fit(measured)
    for name, new, used in zip(Work._fields, fitted, FITTED, strict=True):
        print(f"{name:20} fitted {new:10.1f}   in use {used:10.1f}")  # noqa: T201
    print(*report(measured, fitted), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
