"""What a relay counts for Prometheus: the instruments, and how they are told for all processes that share them.

Instruments are counted up where things happen, which takes a microsecond or two. Where several processes share a
directory, each keeps its figures in files there, and whichever is asked tells them all; the counters of a process
that has ended are there still, so that no sum goes backwards.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.multiprocess import mark_process_dead as forget_live_figures
from prometheus_client.registry import Collector

from relay.metrics_directory import DIRECTORY

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_REGISTRY = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"trustlines_{name}", what, labels, registry=_REGISTRY)


def _gauge(name: str, what: str, *labels: str, of_all: str = "livesum") -> Gauge:
    return Gauge(f"trustlines_{name}", what, labels, registry=_REGISTRY, multiprocess_mode=of_all)  # type: ignore[arg-type]


def _histogram(name: str, what: str, *labels: str) -> Histogram:
    return Histogram(f"trustlines_{name}", what, labels, registry=_REGISTRY, buckets=_SECONDS)


# Requests.
http_requests = _counter("http_requests", "Answered requests.", "method", "route", "status")
http_seconds = _histogram("http_request_duration_seconds", "Time until an answer was made.", "method", "route")
http_in_progress = _gauge("http_requests_in_progress", "Requests being answered.")
http_slow = _counter("http_slow_requests", "Requests that took longer than [logging] slow_seconds.", "route")

# Searches.
searches = _counter("searches", "Searches for ways through a network.", "kind", "outcome")
search_seconds = _histogram("search_duration_seconds", "Time that searches took.", "kind")

# Graphs.
graph_block = _gauge("graph_block", "The block that a process's graphs stand at.", "role", of_all="liveall")
graph_position = _gauge("graph_feed_position", "How far on the feed these have come.", "role", of_all="liveall")
graph_loads = _counter("graph_loads", "Times that all graphs were loaded anew.")

# Streams.
stream_connections = _gauge("stream_connections", "Open streams.")
stream_subscriptions = _gauge("stream_subscriptions", "Open subscriptions.")
stream_notifications = _counter("stream_notifications", "Notifications handed to streams.", "kind")
stream_ended = _counter("stream_ended", "Streams that were cut off.", "reason")

# Sending.
relayed_transactions = _counter("relayed_transactions", "Transactions of users to be relayed.", "outcome")
meta_transactions = _counter("meta_transactions", "Meta-transactions to be executed.", "outcome")
sent_transactions = _counter("sent_transactions", "The relay's transactions in blocks.", "purpose", "outcome")
sent_gas = _counter("sent_gas", "Gas that the relay's transactions used.", "purpose")
faucet_wei = _counter("faucet_wei", "Ether given away.")
account_balance = _gauge("account_balance_wei", "What the sending account had last.", of_all="mostrecent")

# Messages and push notifications.
messages = _counter("messages", "Messages to be stored.", "outcome")
push_notifications = _counter("push_notifications", "Attempts to send push notifications.", "outcome")

# Connections to the database.
connections_busy = _gauge("database_connections_busy", "Connections in use.", "pool")
connections_waiting = _gauge("database_connections_waiting", "Who waits for a connection.", "pool")
connection_timeouts = _counter("database_timeouts", "Waits for a connection in vain.", "pool")
connects = _counter("database_connects", "Connections opened.", "pool")

# What tells each process apart has a label, so that it is only there of processes that say something.
process_role = _gauge("process_role", "What a process does.", "role", of_all="liveall")


@dataclass(frozen=True, slots=True)
class Figure:
    """What is not counted here but read where it stands, when Prometheus asks: values by their labels."""

    name: str
    what: str
    values: Sequence[tuple[Mapping[str, str], float]]
    is_counter: bool = False


@lru_cache(4096)
def of_requests(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    """Return what counts and times such requests; to find them by their labels takes longer than to count."""
    return http_requests.labels(method, route, status), http_seconds.labels(method, route)


@lru_cache(16)
def connections_of(pool: str) -> Gauge:
    """Return what tells how many connections of such pools are in use."""
    return connections_busy.labels(pool)


def mark_process_dead(pid: int) -> None:
    """Leave what a process had open or was at out of the sums; what it counted stays.

    Whoever is asked for the figures sees to this as well, for all processes that are no more.
    """
    if os.environ.get(DIRECTORY):
        forget_live_figures(pid)  # type: ignore[no-untyped-call]


def exposition(figures: Iterable[Figure]) -> bytes:
    """Return all figures in the text format of Prometheus, ``figures`` among them."""
    registry = CollectorRegistry()
    directory = os.environ.get(DIRECTORY)
    if directory and Path(directory).is_dir():
        pids = _living(Path(directory))
        MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
        registry.register(_Processes(pids))
    else:
        registry.register(_Instruments())
        registry.register(_Processes(()))
    registry.register(_Read(tuple(figures)))
    return generate_latest(registry)


class _Instruments(Collector):
    """What this process counted."""

    def collect(self) -> Iterator[Metric]:
        yield from _REGISTRY.collect()


class _Read(Collector):
    """Figures as Prometheus' library has them."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            labels = tuple(figure.values[0][0]) if figure.values else ()
            family = CounterMetricFamily if figure.is_counter else GaugeMetricFamily
            metric = family(figure.name, figure.what, labels=labels)
            for given, value in figure.values:
                metric.add_metric([given[label] for label in labels], value)
            yield metric


class _Processes(Collector):
    """Memory, processor time and files of some processes by their ids, or of this one alone."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        if not self._pids:
            yield from ProcessCollector(registry=None).collect()
            return
        whole: dict[str, Metric] = {}
        for pid in self._pids:
            for found in ProcessCollector(pid=str(pid).__str__, registry=None).collect():
                metric = whole.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                for sample in found.samples:
                    metric.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
        yield from whole.values()


def _living(directory: Path) -> list[int]:
    """Return the processes that share a directory, and forget what those had open that are no more."""
    pids = {int(path.stem.rpartition("_")[2]) for path in directory.glob("gauge_liveall_*.db")}
    living = []
    for pid in sorted(pids):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)
        except PermissionError:  # it is somebody else's by now
            mark_process_dead(pid)
        else:
            living.append(pid)
    return living


def build_info(version: str, *, is_compiled: bool) -> Figure:
    """Return what tells which program this is."""
    python = ".".join(map(str, sys.version_info[:3]))
    labels = {"version": version, "python": python, "kernel": "compiled" if is_compiled else "python"}
    return Figure("trustlines_build_info", "Always 1; its labels tell which program this is.", [(labels, 1)])
