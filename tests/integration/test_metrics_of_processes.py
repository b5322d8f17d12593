"""Several processes count in one directory: sums are those of all, and one that ends takes nothing away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay import telemetry
from relay.metrics_directory import DIRECTORY, shared_directory

COUNT = """
import sys
from relay import telemetry
telemetry.process_role.labels("api").set(1)
telemetry.graph_block.labels("api").set(int(sys.argv[1]))
telemetry.http_requests.labels("GET", "/r", "200").inc(int(sys.argv[1]))
telemetry.http_seconds.labels("GET", "/r").observe(0.004)
telemetry.stream_connections.inc(int(sys.argv[1]))
telemetry.account_balance.set(10 ** 20)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with shared_directory():
        made = Path(os.environ[DIRECTORY])
        yield made
    assert not made.exists()
    assert DIRECTORY not in os.environ


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(number: int) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", COUNT, str(number)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def figures() -> dict[tuple[str, ...], float]:
    told = telemetry.exposition([telemetry.Figure("trustlines_of_now", "Read when it is asked for.", [({}, 3)])])
    return {
        (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(told.decode("utf-8"))
        for sample in family.samples
    }


def test_figures_are_sums_and_what_ended_has_counted_for_good(
    directory: Path, started: list["subprocess.Popen[str]"]
) -> None:
    started += [start(3), start(4)]
    one, other = (str(process.pid) for process in started)
    told = figures()
    assert told["trustlines_http_requests_total", "GET", "/r", "200"] == 7
    assert told["trustlines_http_request_duration_seconds_count", "GET", "/r"] == 2
    assert told["trustlines_stream_connections",] == 7
    assert told["trustlines_account_balance_wei",] == 10**20, "what several know is not added up"
    assert (told["trustlines_graph_block", one, "api"], told["trustlines_graph_block", other, "api"]) == (3, 4)
    assert told["trustlines_of_now",] == 3
    for pid in (one, other):
        assert told["process_resident_memory_bytes", pid] > 1_000_000
        assert told["process_open_fds", pid] >= 3
        assert told["process_cpu_seconds_total", pid] > 0
    started[0].kill()
    started[0].wait()
    told = figures()
    assert told["trustlines_http_requests_total", "GET", "/r", "200"] == 7
    assert told["trustlines_stream_connections",] == 4
    assert ("trustlines_graph_block", one, "api") not in told
    assert ("process_open_fds", one) not in told
    started.append(start(5))
    told = figures()
    assert told["trustlines_http_requests_total", "GET", "/r", "200"] == 12
    assert told["trustlines_stream_connections",] == 9


def test_a_parent_can_say_itself_that_a_process_has_ended(
    directory: Path, started: list["subprocess.Popen[str]"]
) -> None:
    started.append(start(3))
    pid = started[0].pid
    assert list(directory.glob(f"gauge_live*_{pid}.db"))
    started[0].kill()
    telemetry.mark_process_dead(pid)
    assert not list(directory.glob(f"gauge_live*_{pid}.db"))
    assert list(directory.glob(f"counter_{pid}.db"))


def test_a_directory_that_a_parent_s_parent_made_stays_in_use(directory: Path) -> None:
    with shared_directory():
        assert os.environ[DIRECTORY] == str(directory)
    assert directory.exists()
