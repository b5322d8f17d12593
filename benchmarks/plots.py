"""Plots of results as SVG: bars beside each other, and lines over time."""

import math
from collections.abc import Iterator, Mapping, Sequence

COLOURS = ("#0b6e4f", "#b3261e", "#8a6d00", "#5b5f97", "#c2570c", "#777777")
WIDTH, MARGIN, LABELS, LEGEND = 820, 46, 270, 170
BAR, GAP = 16, 14


def bars(title: str, unit: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return a plot of bars on a logarithmic scale: for each row what each of several reached."""
    who = list(dict.fromkeys(name for row in rows.values() for name in row))
    values = [value for row in rows.values() for value in row.values() if value > 0]
    low = math.floor(math.log10(min(values)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    left, right = LABELS, WIDTH - MARGIN

    def place(value: float) -> float:
        return round(left + (math.log10(value) - low) / (high - low) * (right - left), 1)

    parts, y = [], 60.0
    bottom = y + sum(len(row) * BAR + GAP for row in rows.values())
    for power in range(low, high + 1):
        x = place(10.0**power)
        parts.append(f'<path d="M{x} {y - 6}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{10.0**power:,g}</text>')
    for label, row in rows.items():
        middle = y + len(row) * BAR / 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{_escaped(label)}</text>')
        for name, value in row.items():
            colour, end = COLOURS[who.index(name) % len(COLOURS)], place(value)
            size = f'width="{max(end - left, 1)}" height="{BAR - 3}"'
            parts.append(f'<rect x="{left}" y="{y}" {size} fill="{colour}"/>')
            parts.append(f'<text x="{end + 5}" y="{y + 11}" fill="{colour}">{value:,.4g}</text>')
            y += BAR
        y += GAP
    parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">{_escaped(unit)}</text>')
    return _whole(title, bottom + 50, [*parts, *_legend(who)])


def lines(title: str, unit: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a plot of lines over minutes, each as (minutes, value)."""
    bottom, top, left, right = 360.0, 50.0, 60.0, WIDTH - LEGEND
    latest = max(x for points in series.values() for x, _ in points)
    highest = max(y for points in series.values() for _, y in points) * 1.05
    parts = []
    for step in range(5):
        y = round(bottom - (bottom - top) * step / 4, 1)
        parts.append(f'<path d="M{left} {y}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{highest * step / 4:,.0f}</text>')
        x = round(left + (right - left) * step / 4, 1)
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{latest * step / 4:,.0f} min</text>')
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        placed = [
            (round(left + x / latest * (right - left), 1), round(bottom - y / highest * (bottom - top), 1))
            for x, y in points
        ]
        path = "L".join(f"{x} {y}" for x, y in placed)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{right + 6}" y="{placed[-1][1] + 4}" fill="{colour}">{_escaped(name)}</text>')
    parts.append(f'<text x="{left}" y="{top - 8}" text-anchor="end">{_escaped(unit)}</text>')
    return _whole(title, bottom + 34, parts)


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = float(LABELS)
    for index, name in enumerate(names):
        yield f'<rect x="{x}" y="34" width="10" height="10" fill="{COLOURS[index % len(COLOURS)]}"/>'
        yield f'<text x="{x + 15}" y="44">{_escaped(name)}</text>'
        x += 30 + 6.2 * len(name)


def _whole(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        'font-family="sans-serif" font-size="12">'
    )
    background = f'<rect width="{WIDTH}" height="{height:g}" fill="white"/>'
    heading = f'<text x="{MARGIN}" y="22" font-size="15">{_escaped(title)}</text>'
    return "\n".join([head, background, heading, *parts, "</svg>\n"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
