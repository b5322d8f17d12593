"""Faults for Sentry: what is logged as an error, with the id of its request and no more than is needed."""

import logging
from collections.abc import Callable
from typing import Any

from relay import __version__, logs
from relay.redaction import redacted

_KEPT = frozenset(
    ("event_id", "timestamp", "level", "logger", "logentry", "message", "exception", "release", "environment")
) | {"platform", "tags", "sdk", "contexts", "modules", "type"}
"""What of an event is told; user, request, server's name, command line and variables are not."""

_SECONDS_TO_SEND = 2.0


def extra_fault() -> str | None:
    """Return what is missing for reports, None if nothing is."""
    try:
        import sentry_sdk  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError:
        return "[sentry] needs the extra: pip install 'trustlines-credit-relay[sentry]'"
    return None


def dsn_fault(dsn: str) -> str | None:
    """Return why a DSN names nobody to report to, None if it does; the text does not repeat it."""
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - an extra

    try:
        Dsn(dsn)
    except (BadDsn, ValueError):
        return "[sentry] dsn: expected a Sentry DSN, https://key@host/project"
    return None


def report_faults(dsn: str, role: str) -> Callable[[], None]:
    """Report errors of this process from now on; return what sends those that wait, within some seconds."""
    import sentry_sdk  # noqa: PLC0415 - an extra
    from sentry_sdk.integrations.logging import LoggingIntegration  # noqa: PLC0415 - an extra

    sentry_sdk.init(
        dsn=dsn,
        release=f"tl-relay@{__version__}",
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        traces_sample_rate=None,
        default_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
        before_send=before_send,  # type: ignore[arg-type]
    )
    sentry_sdk.set_tag("role", role)
    return lambda: sentry_sdk.flush(_SECONDS_TO_SEND)


def before_send(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """Return what of an event is told."""
    told = {name: _cleaned(value) for name, value in event.items() if name in _KEPT}
    # A secret among these is no longer recognised by the word that stands before it.
    if "logentry" in told:
        told["logentry"].pop("params", None)
    identifier = logs.request_id.get()
    if identifier:
        told["tags"] = {**_as_dict(told.get("tags")), "request_id": identifier}
    return told


def _as_dict(tags: Any) -> dict[str, Any]:
    return dict(tags) if tags else {}


def _cleaned(value: Any) -> Any:
    """Return the same without secrets in any of its texts."""
    match value:
        case str():
            return redacted(value)
        case dict():
            return {name: _cleaned(entry) for name, entry in value.items()}
        case list() | tuple():
            return [_cleaned(entry) for entry in value]
        case _:
            return value
