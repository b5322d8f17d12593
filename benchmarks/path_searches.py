"""How long searches take in one network, and how long the others take with the same questions."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.networks import AT, CreditNetwork, Question, questions
from benchmarks.peers import Answer, Igraph, Predecessor, PredecessorAbsent, networkx_bidirectional
from benchmarks.report import Report, Row
from benchmarks.timing import Times, time_each, time_steadily
from graph import paths
from graph.answers import NO_LIMITS, Found, Limits, Reason, Result
from graph.network import NetworkGraph
from graph.transfer import FeePayer
from graph.trustline import Pair

SEED = 20_201_120
CLOSING_BUDGET, MOST_SPENT = 1_000_000, 20
"""After so many steps a closing cycle is not taken as a question, and how many of those may be met."""

PATIENCE = 60
"""So many random questions are tried for one of the kind that is sought."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is asked of whom, and which targets speak of this network."""

    questions: int
    peer_questions: int
    predecessor_questions: int
    worst_questions: int
    larger: int
    """How many questions of the kinds that take longer: the largest value, closing cycles."""
    times_predecessor: float | None = None
    times_igraph: float | None = None
    is_decisive: bool = True
    """Whether the targets are about a network like this one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions by kind: with an answer, and with none because no path leads there or can carry so much."""

    reachable: list[Question]
    unreachable: list[Question]


class Bench:
    """One network with its graph, and the rows that come of searching it."""

    def __init__(self, network: CreditNetwork, scale: Scale, report: Report) -> None:
        self.network, self.scale, self.report = network, scale, report
        self.name = network.name
        self.graph = network.build()
        self.users = network.users()
        self.asked = self._ask()

    def cheapest(self, asked: Question, limits: Limits = NO_LIMITS) -> Result:
        """Search for the cheapest transfer."""
        return paths.cheapest_transfer(self.graph, asked.sender, asked.receiver, asked.value, AT, limits=limits)

    def bare(self, asked: Question, limits: Limits = NO_LIMITS) -> Result:
        """Search for the cheapest transfer; if there is none, the reason is not looked into."""
        engine = paths.engine_of(self.graph)
        return engine.transfer(
            self.graph,
            asked.sender,
            asked.receiver,
            asked.value,
            AT,
            fee_payer=FeePayer.SENDER,
            limits=limits,
            avoid=(),
            budget=engine.default_budget,
        )

    def run(self) -> None:
        """Measure everything."""
        igraph = Igraph(self.network, self.users)
        self._cheapest(igraph)
        self._largest()
        self._closing()
        self._worst(igraph)

    def _ask(self) -> Asked:
        asked = Asked([], [])
        wanted = self.scale.questions
        for tried, question in enumerate(questions(self.network, self.users, SEED)):
            if len(asked.reachable) == wanted or tried == wanted * PATIENCE:
                break
            kind = asked.reachable if isinstance(self.bare(question), Found) else asked.unreachable
            kind.append(question)
            self._progress("finding questions", len(asked.reachable), wanted)
        return asked

    def _cheapest(self, igraph: Igraph) -> None:
        """Add the rows of the cheapest path."""
        self._progress("cheapest path")
        ours = time_steadily(self.cheapest, self.asked.reachable)
        bound = sweep_ms(self.graph)
        few = self.asked.reachable[: self.scale.peer_questions]
        self._progress("cheapest path, igraph")
        dijkstra, breadth_first = igraph.dijkstra(few), igraph.breadth_first(few)
        self._progress("cheapest path, networkx")
        networkx = networkx_bidirectional(self.graph, few)
        predecessor = self._predecessor()
        others = {
            "igraph Dijkstra": dijkstra,
            "igraph breadth-first": breadth_first,
            "networkx bidirectional": networkx,
        }

        def row(which: str, figure: float, peers: dict[str, float | str], factor: float | None, peer: str) -> Row:
            theirs = peers[peer]
            ratio = theirs / figure if isinstance(theirs, float) else None
            target = None if factor is None else f"at least {factor:,.0f} times {peer}"
            met = None if factor is None or ratio is None else ratio >= factor
            return Row(f"cheapest path, {self.name}, {which}", figure, "ms", peers, bound, ratio, target, met)

        medians = {"predecessor": predecessor if isinstance(predecessor, str) else predecessor.median}
        medians |= {name: times.median for name, times in others.items()}
        p99s = {"predecessor": predecessor if isinstance(predecessor, str) else predecessor.p99}
        p99s |= {name: times.p99 for name, times in others.items()}
        self.report.add(row("median", ours.median, medians, self.scale.times_predecessor, "predecessor"))
        if self.scale.times_igraph is not None:
            name = "median, beside igraph"
            self.report.add(row(name, ours.median, medians, self.scale.times_igraph, "igraph Dijkstra"))
        self.report.add(row("99th percentile", ours.p99, p99s, None, "predecessor"))

    def _predecessor(self) -> Times | str:
        """Time the predecessor with some of the questions, or say why that cannot be."""
        count = self.scale.predecessor_questions
        if not count:
            return "not asked at this size"
        chosen = self.asked.reachable[:count]
        self._progress("loading the predecessor")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "network")
            self.network.write(file)
            try:
                answers = list(self._ask_predecessor(file, chosen))
            except PredecessorAbsent as reason:
                self.report.note(f"The predecessor is left out for {self.name}: {reason}.")
                return f"absent: {reason}"
        self._compare(chosen, answers)
        return Times(tuple(answer.milliseconds for answer in answers))

    def _ask_predecessor(self, file: Path, chosen: Sequence[Question]) -> Iterator[Answer]:
        predecessor = Predecessor(file)
        try:
            for done, question in enumerate(chosen):
                self._progress("asking the predecessor", done, len(chosen))
                yield predecessor.ask(question)
        finally:
            predecessor.close()

    def _compare(self, chosen: Sequence[Question], answers: Sequence[Answer]) -> None:
        different = 0
        for question, answer in zip(chosen, answers, strict=True):
            result = self.cheapest(question)
            different += not isinstance(result, Found) or result.transfer.fees != answer.fees
        if different:
            self.report.note(
                f"{self.name}: the predecessor answers {different} of {len(chosen)} questions otherwise."
            )

    def _largest(self) -> None:
        self._progress("largest value")

        def search(asked: Question) -> object:
            return paths.largest_transfer(self.graph, asked.sender, asked.receiver, AT)

        times = time_steadily(search, self.asked.reachable[: self.scale.larger])
        self._add_multiple("largest value", times, 3)

    def _closing(self) -> None:
        self._progress("closing cycle")
        closings = list(self._closings())
        if not closings:
            self.report.note(f"{self.name}: no closing cycle was found to time.")
            return

        def search(pair: Pair) -> object:
            return paths.cheapest_closing(self.graph, *pair, AT)

        self._add_multiple("closing cycle", time_steadily(search, closings), 2)

    def _closings(self) -> Iterator[Pair]:
        """Trustlines that can be closed by a cycle, from either side; says how many took too long to decide."""
        rng = random.Random(SEED)  # noqa: S311 - reproducible questions, no secrets
        degree = self.graph.graph.degree
        used = [row for row in self.network.rows if row[2] and min(degree(row[0]), degree(row[1])) > 1]
        found = spent = tried = 0
        for row in rng.sample(used, min(len(used), self.scale.larger * 10)):
            pair = rng.choice((row[:2], row[1::-1]))
            result = paths.engine_of(self.graph).closing(
                self.graph, *pair, AT, limits=NO_LIMITS, avoid=(), budget=CLOSING_BUDGET
            )
            tried += 1
            if isinstance(result, Found) and result.is_proven:
                yield pair
                found += 1
            elif isinstance(result, Found) or result.reason is Reason.BUDGET:
                spent += 1
            if found == self.scale.larger or spent == MOST_SPENT:
                break
            self._progress("finding cycles", found, self.scale.larger)
        if tried:
            name = f"closing cycles unproven after {CLOSING_BUDGET:,} steps, {self.name}"
            self.report.add(Row(name, 100 * spent / tried, "%"))

    def _add_multiple(self, what: str, times: Times, factor: int) -> None:
        """Add the rows of a search that may take so many times the cheapest path, timed again beside it."""
        cheapest = time_steadily(self.cheapest, self.asked.reachable).median
        target = f"at most {factor} times the cheapest path" if self.scale.is_decisive else None
        ratio = times.median / cheapest
        met = ratio <= factor if target else None
        peers = {"cheapest path": cheapest}
        self.report.add(Row(f"{what}, {self.name}, median", times.median, "ms", peers, None, ratio, target, met))
        self.report.add(Row(f"{what}, {self.name}, 99th percentile", times.p99, "ms"))

    def _worst(self, igraph: Igraph) -> None:
        """Add the rows of what is hardest: there is no path, or none within so few hops."""
        self._progress("igraph, everywhere")
        some = self.asked.reachable[: self.scale.worst_questions]
        full, hops_only = igraph.everywhere(some), igraph.breadth_first_everywhere(some)
        unreachable = [*self._too_much(some), *self.asked.unreachable[: self.scale.worst_questions]]
        self._progress("no path")
        self._add_worst("no path", time_steadily(self.bare, unreachable), full, hops_only)
        limited = list(self._hop_limited(some))
        self._progress("few hops")
        times = time_steadily(lambda case: self.bare(*case), limited)
        self._add_worst("few hops", times, full, hops_only)
        self._progress("no path, and why")
        self._add_reasons(unreachable, full)

    def _too_much(self, some: Sequence[Question]) -> Iterator[Question]:
        """One unit more than can be sent: nothing but a complete search shows that there is no path."""
        for asked in some:
            result = paths.largest_transfer(self.graph, asked.sender, asked.receiver, AT)
            if isinstance(result, Found) and result.transfer.value < 2**64 - 1:
                yield Question(asked.sender, asked.receiver, result.transfer.value + 1)

    def _hop_limited(self, some: Sequence[Question]) -> Iterator[tuple[Question, Limits]]:
        """Ask with fewer hops than the cheapest path takes, down to one less than is possible."""
        for asked in some:
            result = self.cheapest(asked)
            while isinstance(result, Found) and result.transfer.hops > 1:
                limits = Limits(max_hops=result.transfer.hops - 1)
                yield asked, limits
                result = self.bare(asked, limits)

    def _add_worst(self, what: str, times: Times, full: Times, hops_only: Times) -> None:
        peers = {"igraph Dijkstra to all": full.median, "igraph breadth-first to all": hops_only.median}
        ratio = times.worst / full.median
        target = "at most 1.5 times igraph's full search" if self.scale.is_decisive else None
        met = ratio <= 1.5 if target else None
        self.report.add(
            Row(f"{what}, {self.name}, worst", times.worst, "ms", peers, sweep_ms(self.graph), ratio, target, met)
        )
        self.report.add(Row(f"{what}, {self.name}, median", times.median, "ms", peers))

    def _add_reasons(self, unreachable: Sequence[Question], full: Times) -> None:
        """Add what it takes to say why there is no path, with the largest value that would go through."""
        times = time_each(self.cheapest, unreachable)
        peers = {"igraph Dijkstra to all": full.median}
        name = f"no path, and why, {self.name}"
        self.report.add(Row(f"{name}, worst", times.worst, "ms", peers, None, times.worst / full.median))
        self.report.add(Row(f"{name}, median", times.median, "ms", peers, None, times.median / full.median))

    def _progress(self, what: str, done: int = 0, of: int = 1) -> None:
        self.report.progress(f"{self.name}: {what}", done, of)


def sweep_ms(graph: NetworkGraph) -> float | None:
    """Time a bare pass over the kernel's arrays: nothing that looks at every trustline takes less."""
    if graph.kernel is None:
        return None
    return time_each(graph.kernel.sweep, [AT] * 21).median
