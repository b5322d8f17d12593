"""Starting to report what a process does, as the settings want it."""

import atexit

from relay import telemetry
from relay.reporting import sentry, traces
from relay.settings import Settings


def extra_fault(settings: Settings) -> str | None:
    """Return why faults or traces could not be told as the settings want it, None if they can."""
    if settings.sentry is not None:
        fault = sentry.extra_fault() or sentry.dsn_fault(settings.sentry.dsn)
        if fault is not None:
            return fault
    return traces.extra_fault() if settings.telemetry.otlp_endpoint else None


def start_reporting(settings: Settings, role: str) -> None:
    """Report faults and traces of this process until it ends, and let its figures tell what it does."""
    telemetry.process_role.labels(role).set(1)
    if settings.sentry is not None:
        atexit.register(sentry.report_faults(settings.sentry.dsn, role))
    if settings.telemetry.otlp_endpoint:
        atexit.register(traces.trace(settings.telemetry.otlp_endpoint))
