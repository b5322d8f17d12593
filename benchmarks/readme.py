"""Write the tables and the plot of `benchmarks/README.md` from the results: ``python -m benchmarks.readme``."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.plots import COLOURS
from benchmarks.report import HEADINGS, RESULTS, Row, cells

HERE = Path(__file__).parent
README = HERE / "README.md"
PLOT = HERE / "paths.svg"
BEGIN, END = "<!-- {} -->\n", "<!-- end of {} -->"

BARS = {
    "server": ("Answers by the server on two cores", "requests/s"),
    "streams": ("One event to all subscriptions", "ms"),
}
"""The benchmarks of which there is a plot of bars: its title, and the unit of the rows in it."""

SIZES = {
    "1,000 users": 5000,
    "10,000 users": 50_000,
    "100,000 users, 500": 500_000,
    "100,000 users, 1,": 1_000_000,
}
WIDTH, HEIGHT, MARGIN, LEGEND = 760, 420, 60, 190


def main() -> None:
    """Rewrite what lies between the marks of the README, and the plot."""
    text = README.read_text(encoding="utf-8")
    for name in ("paths", "index", "server", "streams"):
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        results = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in results["rows"]]
        text = replaced(text, f"machine of {name}", machine(results["machine"]))
        text = replaced(text, name, markdown(rows))
        if name == "paths":
            PLOT.write_text(plot(rows), encoding="utf-8")
        if name in BARS:
            title, unit = BARS[name]
            (HERE / f"{name}.svg").write_text(plots.bars(title, unit, figures(rows, unit)), encoding="utf-8")
    held = RESULTS / "server-long.json"
    if held.exists():
        series = json.loads(held.read_text(encoding="ascii"))
        over_time = plots.lines("Memory during mixed load with reorgs", "MB", series)
        (HERE / "server-long.svg").write_text(over_time, encoding="utf-8")
    README.write_text(text, encoding="utf-8")


def figures(rows: Iterable[Row], unit: str) -> dict[str, dict[str, float]]:
    """Return the rows of a unit as bars: our figure, and those of the peers."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.unit == unit:
            numbers = {name: value for name, value in row.peers.items() if not isinstance(value, str)}
            whole = {"this relay": row.value, **numbers}
            label = row.name.removesuffix(", requests/s on two cores")
            found[label] = {name: value for name, value in whole.items() if value > 0}
    return found


def replaced(text: str, mark: str, content: str) -> str:
    """Return a text with other content between the two marks of this name."""
    begin, end = BEGIN.format(mark), END.format(mark)
    before, rest = text.split(begin)
    return before + begin + content + "\n" + end + rest.split(end)[1]


def machine(facts: dict[str, Any]) -> str:
    """Return a sentence about the machine."""
    inputs = " Quick run on smaller inputs." if facts["quick"] else ""
    return (
        f"Measured on {facts['cores']} cores of {facts['cpu']}, {facts['memory_gib']} GiB, {facts['system']}, "
        f"Python {facts['python']}.{inputs}"
    )


def markdown(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table, those with a target first."""
    ordered = sorted(rows, key=lambda row: row.target is None)
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *map(cells, ordered)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def series(rows: Iterable[Row]) -> dict[str, list[tuple[int, float]]]:
    """Return the medians of the cheapest path by trustlines, in milliseconds, of everybody who was asked."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        size = next((size for part, size in SIZES.items() if f"cheapest path, {part}" in row.name), None)
        if size is None or not row.name.endswith("median"):
            continue
        for name, value in {"this kernel": row.value, **row.peers}.items():
            if not isinstance(value, str):
                found.setdefault(name, []).append((size, value))
        if row.bound is not None:
            found.setdefault("bare pass over the arrays", []).append((size, row.bound))
    return found


class Axes:
    """Maps trustlines and milliseconds, both logarithmic, to places of the plot."""

    def __init__(self, lines: dict[str, list[tuple[int, float]]]) -> None:
        points = [point for line in lines.values() for point in line]
        self.x = _decades(size for size, _ in points)
        self.y = _decades(milliseconds for _, milliseconds in points)

    def place(self, size: float, milliseconds: float) -> tuple[float, float]:
        """Return the place of a point."""
        x = MARGIN + (math.log10(size) - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - MARGIN - LEGEND)
        y = (
            HEIGHT
            - MARGIN
            - (math.log10(milliseconds) - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - 2 * MARGIN)
        )
        return round(x, 1), round(y, 1)


def plot(rows: Iterable[Row]) -> str:
    """Return a plot of time against the size of the network, as SVG."""
    lines = series(rows)
    axes = Axes(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="30" font-size="15">Cheapest path: median time by size of the network</text>',
        *_grid(axes),
    ]
    for index, (name, points) in enumerate(lines.items()):
        parts += _line(axes, name, points, COLOURS[index % len(COLOURS)])
    return "\n".join([*parts, "</svg>\n"])


def _grid(axes: Axes) -> Iterator[str]:
    left, bottom = axes.place(10 ** axes.x[0], 10 ** axes.y[0])
    right, top = axes.place(10 ** axes.x[1], 10 ** axes.y[1])
    for power in range(axes.x[0], axes.x[1] + 1):
        x, _ = axes.place(10**power, 10 ** axes.y[0])
        yield f'<path d="M{x} {bottom}V{top}" stroke="#ddd"/>'
        yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>'
    for power in range(axes.y[0], axes.y[1] + 1):
        _, y = axes.place(10 ** axes.x[0], 10**power)
        yield f'<path d="M{left} {y}H{right}" stroke="#ddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{10.0**power:,g} ms</text>'
    yield f'<text x="{(left + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">trustlines</text>'


def _line(axes: Axes, name: str, points: list[tuple[int, float]], colour: str) -> Iterator[str]:
    places = [axes.place(*point) for point in sorted(points)]
    path = "L".join(f"{x} {y}" for x, y in places)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in places:
        yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    x, y = places[-1]
    yield f'<text x="{x + 8}" y="{y + 4}" fill="{colour}">{name}</text>'


def _decades(values: Iterable[float]) -> tuple[int, int]:
    logarithms = [math.log10(value) for value in values]
    low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
    return low, max(high, low + 1)


if __name__ == "__main__":
    main()
