# ruff: noqa: RUF009  key() declares a default, it does not share a mutable one
"""[operations], [telemetry] and [sentry]: what operators see of a relay, and whom it reports to."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from relay.settings.reading import FilePath, ListOf, Seconds, Switch, Text, WholeNumber, key


def is_network(text: str) -> bool:
    """Tell whether this is a network such as 10.0.0.0/8, or a single address."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_collector_url(text: str) -> bool:
    """Tell whether spans can be sent there: http(s)://host[:port][/path]; empty is nowhere."""
    try:
        parts = urlsplit(text)
        return not text or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class OperationsSettings:
    """[operations]: /ready and /metrics.

    More than ``max_lag_seconds`` or ``max_lag_blocks`` (0: any number) behind the head the relay is not ready.
    /metrics is told to ``metrics_networks``, and to who sends the token in the first line of a file.
    """

    max_lag_seconds: float = key(Seconds(), 60.0)
    max_lag_blocks: int = key(WholeNumber(), 0)
    metrics: bool = key(Switch(), True)
    metrics_networks: tuple[str, ...] = key(
        ListOf(Text("a network such as 10.0.0.0/8", is_network)), ("127.0.0.0/8", "::1/128")
    )
    metrics_token_path: Path | None = key(FilePath(), None, is_path=True)


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """[telemetry]: where traces go, OTLP over HTTP; empty for nowhere. The URL may hold credentials."""

    otlp_endpoint: str = key(Text("an http:// or https:// URL", is_collector_url), "", secret=True)


@dataclass(frozen=True, slots=True)
class SentrySettings:
    """[sentry]: where faults are reported; the DSN is a secret. SENTRY_ENVIRONMENT counts."""

    dsn: str = key(Text("a Sentry DSN"), secret=True)

    def faults(self) -> Iterator[tuple[str, str]]:
        """A DSN names whom to report to; the text must not repeat it."""
        if not is_collector_url(self.dsn) or not urlsplit(self.dsn).username:
            yield "dsn", "expected a Sentry DSN, https://key@host/project"
