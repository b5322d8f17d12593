# mypy: ignore-errors
"""Times the predecessor's path search; run by the Python 3.8 in which the predecessor is installed.

Usage: ``python predecessor_driver.py NETWORK DIVISOR AT``. Reads the network that `CreditNetwork.write` wrote,
then a question per line from standard input ("sender receiver value"), and answers each with a line of JSON:
milliseconds, fees, hops. The first line tells the seconds and the memory that the network took.
"""

import json
import resource
import sys
import time

from relay.blockchain.currency_network_proxy import Trustline
from relay.network_graph.graph import CurrencyNetworkGraph


def read(path):
    """Yield the trustlines of a file."""
    with open(path, encoding="ascii") as file:
        for line in file:
            lower, higher, *rest = line.split()
            balance, given, received, rate_given, rate_received, is_frozen, mtime = map(int, rest)
            yield Trustline(
                user="0x" + lower,
                counter_party="0x" + higher,
                creditline_given=given,
                creditline_received=received,
                interest_rate_given=rate_given,
                interest_rate_received=rate_received,
                is_frozen=bool(is_frozen),
                m_time=mtime,
                balance=balance,
            )


def resident_mb():
    """Return the memory of this process, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


class Stream:
    """The trustlines one by one, so that a list of them does not count as memory of the graph."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 0  # it is only logged

    def __iter__(self):
        return read(self.path)


def answer(graph, line, at):
    """Answer a question."""
    sender, receiver, value = line.split()
    start = time.perf_counter()
    fees, path = graph.find_transfer_path_sender_pays_fees(
        "0x" + sender, "0x" + receiver, value=int(value), timestamp=at
    )
    milliseconds = (time.perf_counter() - start) * 1000
    return {"ms": milliseconds, "fees": fees if path else None, "hops": len(path) - 1}


def say(something):
    """Print as JSON, at once."""
    sys.stdout.write(json.dumps(something) + "\n")
    sys.stdout.flush()


def main():
    """Load, then answer until there are no more questions."""
    path, divisor, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    before = resident_mb()
    start = time.perf_counter()
    graph = CurrencyNetworkGraph(capacity_imbalance_fee_divisor=divisor)
    graph.gen_network(Stream(path))
    say({"seconds": time.perf_counter() - start, "mb": resident_mb(), "mb_before": before})
    for line in sys.stdin:
        say(answer(graph, line, at))


main()
