"""What is noted of every request: figures, a line of the log, a span; around the application."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from relay import logs, telemetry
from relay.api.application import ROUTE_KEY, Application
from relay.clients import Clients
from relay.common_headers import request_id_of
from relay.spans import span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger("relay.access")

_METHODS = frozenset(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"))


class Measuring:
    """Notes the requests that an application answers, by the template of their route: URLs hold secrets."""

    def __init__(
        self,
        app: Application,
        *,
        is_logging: bool = False,
        slow_seconds: float = 5.0,
        clients: Clients | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Every request is logged if ``is_logging``, one that takes longer than ``slow_seconds`` in any case."""
        self._app = app.wsgi_app
        self._is_logging = is_logging
        self._slow_seconds = slow_seconds
        self._clients = clients or Clients()
        self._clock = clock

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        told: list[Any] = ["500", ()]

        def note_start(status: str, headers: Any, exc_info: Any = None) -> Any:
            told[:] = status[:3], headers
            return start_response(status, headers, *(() if exc_info is None else (exc_info,)))

        token = logs.request_id.set(request_id_of(environ))
        telemetry.http_in_progress.inc()
        start = self._clock()
        try:
            with span("request") as describe:
                answer = self._app(environ, note_start)
                name = f"{environ['REQUEST_METHOD']} {environ.get(ROUTE_KEY, 'none')}"
                describe(name, {"http.response.status_code": int(told[0])})
                return answer
        finally:
            seconds = self._clock() - start
            telemetry.http_in_progress.dec()
            self._note(environ, told[0], told[1], seconds)
            logs.request_id.reset(token)

    def _note(
        self, environ: "WSGIEnvironment", status: str, headers: Iterable[tuple[str, str]], seconds: float
    ) -> None:
        method, route = environ["REQUEST_METHOD"], environ.get(ROUTE_KEY, "none")
        known = method if method in _METHODS else "other"
        requests, times = telemetry.of_requests(known, route, status)
        requests.inc()
        times.observe(seconds)
        is_slow = seconds > self._slow_seconds
        if is_slow:
            telemetry.http_slow.labels(route).inc()
        if is_slow or self._is_logging:
            told = dict(headers)
            fields = {
                "method": known,
                "route": route,
                "status": int(status),
                "duration_ms": round(seconds * 1000, 1),
                "bytes": told.get("Content-Length"),
                "client": self._clients.of(environ),
                "block": told.get("X-Trustlines-Block"),
            }
            level, message = (logging.WARNING, "a slow request") if is_slow else (logging.INFO, "request")
            logger.log(level, message, extra={name: value for name, value in fields.items() if value is not None})
