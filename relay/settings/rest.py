"""Where and how the API is served."""

import os
from dataclasses import dataclass

from relay.settings.reading import ListOf, Text, WholeNumber, key
from relay.settings.urls import is_header, is_host, is_network, is_origin

ANY_INTERFACE = "0.0.0.0"  # noqa: S104  what an operator asks for with an empty host
_MOST_PROCESSES = 4
"""So many processes answer at most where their number is not set: each holds all networks in memory."""


@dataclass(frozen=True, slots=True)
class RestSettings:
    """[rest]: where the API listens, and whom it believes. An empty ``host`` means all interfaces.

    ``max_body_bytes`` may a request have, ``max_events`` an answer. ``client_header`` is what reverse proxies name
    clients by, believed from ``trusted_proxies`` only; scripts at ``cors_origins`` may read answers. ``threads``
    are those of each process; no number of ``processes`` means one for each core, four at most.
    """

    host: str = key(Text("a host name or an IP address", is_host), "127.0.0.1")
    port: int = key(WholeNumber(1, 65535), 5000)
    processes: int = key(WholeNumber(0, 64), 0)
    threads: int = key(WholeNumber(1, 1024), 8)
    max_body_bytes: int = key(WholeNumber(1), 131_072)
    client_header: str = key(Text("the name of an HTTP header", is_header), "")
    trusted_proxies: tuple[str, ...] = key(
        ListOf(Text("an IP address or a network like 10.0.0.0/8", is_network)), ("127.0.0.0/8", "::1/128")
    )
    cors_origins: tuple[str, ...] = key(
        ListOf(Text("an origin like https://wallet.example, or *", is_origin)), ("*",)
    )
    max_events: int = key(WholeNumber(1, 1_000_000), 5_000)

    @property
    def number_of_processes(self) -> int:
        """How many processes answer."""
        return self.processes or min(_cores(), _MOST_PROCESSES)

    @property
    def bind(self) -> str:
        """``host:port`` as a server binds to it: brackets around IPv6, 0.0.0.0 for an empty host."""
        host = self.host or ANY_INTERFACE
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _cores() -> int:
    # Not every system says which of its cores a process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
