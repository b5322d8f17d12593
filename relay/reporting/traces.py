"""Traces for OpenTelemetry: a span for every request, in it those of looks into the database and of searches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relay import __version__, logs, spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_MILLISECONDS_TO_SEND = 2000


def extra_fault() -> str | None:
    """Return what is missing for traces, None if nothing is."""
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: PLC0415 - an extra
        import opentelemetry.sdk  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError:
        return "[telemetry] otlp_endpoint needs the extra: pip install 'trustlines-credit-relay[otel]'"
    return None


def trace(endpoint: str) -> Callable[[], None]:
    """Send the spans of this process to ``endpoint``/v1/traces from now on; return what sends the last ones."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk import resources  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # What the environment says comes last: it counts more.
    own = resources.Resource({resources.SERVICE_NAME: "tl-relay", resources.SERVICE_VERSION: __version__})
    resource = own.merge(resources.OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    _collect(provider)

    def end() -> None:
        spans.collect_spans(None)
        provider.force_flush(_MILLISECONDS_TO_SEND)
        provider.shutdown()

    return end


def _collect(provider: "TracerProvider") -> None:
    tracer = provider.get_tracer("relay", __version__)

    @contextmanager
    def open_span(name: str) -> Iterator[spans.Describe]:
        # An exception's text can say what no collector needs to know; that there was one is enough.
        with tracer.start_as_current_span(name, record_exception=False) as opened:
            identifier = logs.request_id.get()
            if identifier:
                opened.set_attribute("request.id", identifier)

            def describe(better_name: str, attributes: dict[str, str | int]) -> None:
                opened.update_name(better_name)
                opened.set_attributes(attributes)

            yield describe

    spans.collect_spans(open_span)
