"""The others: the predecessor, networkx and igraph, asked the same in the same run."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import igraph  # type: ignore[import-untyped]
import networkx as nx

from benchmarks.networks import AT, DIVISOR, CreditNetwork, Question
from benchmarks.timing import Times, time_each
from graph.network import NetworkGraph
from graph.trustline import User

DRIVER = Path(__file__).parent / "predecessor_driver.py"


class PredecessorAbsent(Exception):
    """There is no predecessor to ask; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the predecessor said to a question: how fast, and at which fees (None: no path)."""

    milliseconds: float
    fees: int | None
    hops: int


class Predecessor:
    """The predecessor with one network loaded, in a process of its own."""

    def __init__(self, network_file: Path) -> None:
        python = os.environ.get("PEER_PYTHON")
        if not python:
            raise PredecessorAbsent("PEER_PYTHON is not set")
        # -I keeps this checkout's own package of the same name out of the predecessor's sight.
        command = [python, "-I", str(DRIVER), str(network_file), str(DIVISOR), str(AT)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        except OSError as error:
            raise PredecessorAbsent(f"PEER_PYTHON cannot be run: {error.strerror}") from None
        loaded = self._read()
        self.load_seconds: float = loaded["seconds"]
        self.megabytes: float = loaded["mb"]

    def ask(self, question: Question) -> Answer:
        """Ask for the cheapest path of which the sender pays the fees."""
        line = f"{question.sender.hex()} {question.receiver.hex()} {question.value}\n"
        stream = self._stream(self._process.stdin)
        stream.write(line)
        stream.flush()
        answer = self._read()
        return Answer(answer["ms"], answer["fees"], answer["hops"])

    def close(self) -> None:
        """End its process."""
        self._stream(self._process.stdin).close()
        self._process.wait()
        self._stream(self._process.stdout).close()

    def _read(self) -> dict[str, Any]:
        line = self._stream(self._process.stdout).readline()
        if not line:
            self._process.kill()
            self._process.wait()
            raise PredecessorAbsent("PEER_PYTHON names a Python without the predecessor, or it failed")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream


class Igraph:
    """A network as igraph sees it: an arc for every direction in which anything can be paid, each at cost 1."""

    def __init__(self, network: CreditNetwork, users: Sequence[User]) -> None:
        self._indices = {user: index for index, user in enumerate(users)}
        arcs = list(_arcs(network, self._indices))
        self._graph = igraph.Graph(len(users), arcs, directed=True)
        self._graph.es["cost"] = [1.0] * len(arcs)

    def dijkstra(self, questions: Sequence[Question]) -> Times:
        """Time its Dijkstra search from sender to receiver."""

        def search(ends: tuple[int, int]) -> object:
            return self._graph.get_shortest_path(*ends, weights="cost", algorithm="dijkstra")

        return time_each(search, self._ends(questions))

    def breadth_first(self, questions: Sequence[Question]) -> Times:
        """Time its breadth-first search from sender to receiver, which knows no costs at all."""
        return time_each(lambda ends: self._graph.get_shortest_path(*ends), self._ends(questions))

    def everywhere(self, questions: Sequence[Question]) -> Times:
        """Time its Dijkstra search from the sender to all users."""

        def search(ends: tuple[int, int]) -> object:
            return self._graph.distances(ends[0], weights="cost", algorithm="dijkstra")

        return time_each(search, self._ends(questions))

    def breadth_first_everywhere(self, questions: Sequence[Question]) -> Times:
        """Time its breadth-first search from the sender to all users."""
        return time_each(lambda ends: self._graph.distances(ends[0]), self._ends(questions))

    def _ends(self, questions: Sequence[Question]) -> list[tuple[int, int]]:
        return [(self._indices[asked.sender], self._indices[asked.receiver]) for asked in questions]


def _arcs(network: CreditNetwork, indices: dict[User, int]) -> Iterator[tuple[int, int]]:
    for lower, higher, balance, given, received, _, _, is_frozen, _ in network.rows:
        if is_frozen:
            continue
        if received + balance > 0:
            yield indices[lower], indices[higher]
        if given - balance > 0:
            yield indices[higher], indices[lower]


def networkx_bidirectional(network: NetworkGraph, questions: Sequence[Question]) -> Times:
    """Time networkx's bidirectional Dijkstra search at cost 1 a hop, over any trustline, whatever it can carry."""
    graph = network.graph
    return time_each(lambda asked: nx.bidirectional_dijkstra(graph, asked.sender, asked.receiver), questions)
