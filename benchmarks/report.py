"""What a benchmark hands out: rows of one form, written to ``benchmarks/results``, and a table at the end."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
BAR = 24
SILENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: what was measured.
        value: the figure, in ``unit``.
        unit: its unit.
        peers: the same of others in the same run, in the same unit; a sentence where there is none.
        bound: what the machine cannot go below, in the same unit, where that was measured.
        ratio: the figure that ``target`` speaks of, usually how many times one thing is the other.
        target: what is to be reached, in words.
        met: whether it is; None where nothing is to be reached, or it could not be decided.

    """

    name: str
    value: float
    unit: str
    peers: Mapping[str, float | str] = field(default_factory=dict)
    bound: float | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


class Report:
    """Collects the rows of a benchmark, saves them after each one, and says how far it is."""

    def __init__(self, benchmark: str, *, is_quick: bool, steps: int, results: Path = RESULTS) -> None:
        self.benchmark = benchmark
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._path = results / f"{benchmark}.json"
        self._is_quick = is_quick
        self._machine = machine() | {"quick": is_quick}
        self._steps, self._step = steps, 0
        self._started = self._shown = time.monotonic()
        self._doing = ""
        self._is_terminal = sys.stderr.isatty()

    @property
    def path(self) -> Path:
        """Where the rows are."""
        return self._path

    def keep(self, path: Path) -> None:
        """Take over the rows of an earlier run, to be replaced by those of the same name."""
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            self.rows.append(Row(**row))

    def add(self, row: Row) -> None:
        """Add a row, or put it in the place of the one with its name, and save; a quick run decides no target."""
        row = replace(row, met=None) if self._is_quick else row
        names = [known.name for known in self.rows]
        if row.name in names:
            self.rows[names.index(row.name)] = row
        else:
            self.rows.append(row)
        self._save()

    def note(self, sentence: str) -> None:
        """Say something now and again below the table."""
        self.notes.append(sentence)
        self._line(sentence)

    def begin(self, what: str) -> None:
        """Say that the next of the steps begins."""
        self._step += 1
        self.progress(what, 0, 1)

    def progress(self, what: str, done: int, of: int) -> None:
        """Say how far the step is: as a bar on a terminal, otherwise in a line now and then."""
        now = time.monotonic()
        if self._is_terminal:
            share = (self._step - 1 + done / of) / self._steps
            bar = "#" * round(share * BAR)
            sys.stderr.write(f"\r\033[K[{bar:.<{BAR}}] {share:4.0%}  {what}")
            sys.stderr.flush()
        elif what != self._doing or now - self._shown > SILENCE_SECONDS:
            self._line(f"[{self._step}/{self._steps}, {now - self._started:.0f} s] {what}: {done / of:.0%}")
            self._doing, self._shown = what, now

    def finish(self) -> None:
        """Print the table, and what else there is to say."""
        self._line(f"done in {time.monotonic() - self._started:.0f} s")
        sys.stdout.write(f"\n{table(self.rows)}\n\n")
        for sentence in self.notes:
            sys.stdout.write(f"{sentence}\n")
        decided = [row for row in self.rows if row.met is not None]
        missed = [row for row in decided if not row.met]
        if self._is_quick:
            sys.stdout.write("So few questions decide no target.\n")
        if decided:
            sys.stdout.write(f"{len(decided) - len(missed)} of {len(decided)} targets met.\n")
        for row in missed:
            sys.stdout.write(f"Missed: {row.name}: {said(row)}, target: {row.target}.\n")
        sys.stdout.write(f"The rows are in {self._path.parent.name}/{self._path.name}.\n")

    def _line(self, text: str) -> None:
        sys.stderr.write(f"\r\033[K{text}\n" if self._is_terminal else f"{text}\n")
        sys.stderr.flush()

    def _save(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        whole = {"benchmark": self.benchmark, "machine": self._machine, "rows": [asdict(row) for row in self.rows]}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(self._path)


def machine() -> dict[str, Any]:
    """Describe the machine as far as it matters to figures; neither its name nor its paths."""
    return {
        "cpu": _first_after("model name", Path("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _first_after(key: str, path: Path) -> str | None:
    if not path.exists():
        return None
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def number(value: float | str | None) -> str:
    """Write a number with three digits that matter, thousands apart; other words as they are."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def said(row: Row) -> str:
    """Write the figure that the target of a row speaks of."""
    if row.ratio is None:
        return f"{number(row.value)} {row.unit}"
    return f"{number(row.ratio)} times"


def cells(row: Row) -> tuple[str, ...]:
    """Return the columns of a row: name, value, peers, bound, ratio, target, met."""
    peers = ", ".join(f"{name} {number(value)}" for name, value in row.peers.items())
    met = {True: "yes", False: "NO", None: ""}[row.met]
    value = f"{number(row.value)} {row.unit}"
    return (row.name, value, peers, number(row.bound), number(row.ratio), row.target or "", met)


HEADINGS = ("what", "value", "peers", "bound", "ratio", "target", "met")


def table(rows: Iterable[Row]) -> str:
    """Return rows as a table of text."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    written = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    written.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in written)
