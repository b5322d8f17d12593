"""/health, /ready and /metrics at the root of the port, in front of the API and what it refuses."""

import hmac
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from relay import telemetry
from relay.api.bounded import NotAnswered
from relay.api.figures import node_figures, one, vital_figures
from relay.api.readiness import Readiness
from relay.chain.nodes import NodeState
from relay.common_headers import always, request_id_of
from relay.problems import code_of, problem
from relay.store.errors import StoreError
from relay.store.vitals import Vitals

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PROXIED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_JSON = "application/json"
_PATHS = frozenset(("/health", "/ready", "/metrics"))

Answer = tuple[HTTPStatus, str, bytes]


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is told figures: ``networks`` that connect directly, and whoever sends the token, if there is one."""

    networks: Sequence[str] = ("127.0.0.0/8", "::1/128")
    token: bytes | None = None

    def admits(self, environ: "WSGIEnvironment") -> bool:
        """Say whether a request may be answered."""
        if self.token is not None:
            scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
            if scheme.lower() == "bearer" and hmac.compare_digest(
                given.strip().encode("latin-1", "replace"), self.token
            ):
                return True
        # Behind a proxy of this machine all the world would come from here.
        if any(environ.get(name) for name in _PROXIED):
            return False
        try:
            address = ipaddress.ip_address(str(environ.get("REMOTE_ADDR", "")).partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in ipaddress.ip_network(network) for network in self.networks)


class Operations:
    """Answers what is for operators, and passes everything else on."""

    def __init__(
        self,
        app: "WSGIApplication",
        readiness: Readiness,
        *,
        vitals: Callable[[], Vitals],
        nodes: Callable[[], Sequence[NodeState]],
        build: telemetry.Figure,
        admission: Admission | None = None,
    ) -> None:
        """``vitals`` may raise StoreError or NotAnswered; without ``admission`` there is no /metrics."""
        self._app = app
        self._readiness = readiness
        self._vitals = vitals
        self._nodes = nodes
        self._build = build
        self._admission = admission

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if path not in _PATHS:
            return self._app(environ, start_response)
        answers = {"/health": _health, "/ready": self._ready, "/metrics": self._metrics}
        answer = answers[path]
        if path == "/metrics" and self._admission is None:
            return self._app(environ, start_response)
        method = environ["REQUEST_METHOD"]
        is_taken = method in ("GET", "HEAD")
        status, kind, body = answer(environ) if is_taken else _refusal(environ, HTTPStatus.METHOD_NOT_ALLOWED)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        headers += always(request_id_of(environ))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", "2"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if method == "HEAD" else [body]

    def _ready(self, _: "WSGIEnvironment") -> Answer:
        verdict = self._readiness.judge()
        status = HTTPStatus.OK if verdict.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, _JSON, _json(verdict.document())

    def _metrics(self, environ: "WSGIEnvironment") -> Answer:
        assert self._admission is not None, "without it there is no such URL"
        if not self._admission.admits(environ):
            return _refusal(environ, HTTPStatus.FORBIDDEN)
        figures = [self._build, one("ready", "Whether /ready answers 200.", self._readiness.judge().is_ready)]
        try:
            figures += vital_figures(self._vitals())
            is_up = True
        except (StoreError, NotAnswered):
            is_up = False
        figures += [one("database_up", "Whether the database answers.", is_up), *node_figures(self._nodes())]
        return HTTPStatus.OK, telemetry.CONTENT_TYPE, telemetry.exposition(figures)


def _health(_: "WSGIEnvironment") -> Answer:
    return HTTPStatus.OK, _JSON, _json({"alive": True})


_SENTENCES = {
    HTTPStatus.METHOD_NOT_ALLOWED: "this URL does not take that method",
    HTTPStatus.FORBIDDEN: "figures are told to [operations] metrics_networks, or with the token",
}


def _refusal(environ: "WSGIEnvironment", status: HTTPStatus) -> Answer:
    told = problem(
        status, code_of(status), _SENTENCES[status], request_id_of(environ), path=environ.get("PATH_INFO", "")
    )
    return status, _JSON, _json(told)


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
