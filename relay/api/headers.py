"""The headers that answers carry: for browsers of other origins, and against misuse of what is answered."""

from collections.abc import Sequence

from relay.common_headers import COMMON

BLOCK = "X-Trustlines-Block"
"""The header that names the block an answer was computed at."""

REVALIDATE, NO_STORE = "no-cache", "no-store"
"""What ``Cache-Control`` says: an answer may be kept but asked about before every use, or not be kept at all."""

OVERRIDABLE = frozenset(name.lower() for name, _ in COMMON)

_EXPOSED = (
    *("X-Request-ID", BLOCK, "X-Trustlines-Proven", "ETag", "Link", "Retry-After"),
    *("RateLimit", "RateLimit-Policy", "Content-Disposition"),
)
_TAKEN = (
    *("Content-Type", "If-None-Match", "X-Request-ID", "Last-Event-ID"),
    *("X-Trustlines-Timestamp", "X-Trustlines-Signature"),
)
_METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_DAY = "86400"

ANY_ORIGIN = "*"


class Origins:
    """The origins whose scripts may read answers; never with credentials, as there are none to be sent."""

    def __init__(self, allowed: Sequence[str] = (ANY_ORIGIN,)) -> None:
        self._is_any = ANY_ORIGIN in allowed
        self._allowed = frozenset(allowed)
        self.vary: tuple[str, ...] = () if self._is_any else ("Origin",)
        self._exposed = ("Access-Control-Expose-Headers", ", ".join(_EXPOSED))
        self._any = (("Access-Control-Allow-Origin", ANY_ORIGIN), self._exposed)
        self._taken = ("Access-Control-Allow-Headers", ", ".join(_TAKEN))

    def headers(self, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return the headers that let a script at an origin read an answer."""
        if self._is_any:
            return self._any
        if origin is None or origin not in self._allowed:
            return ()
        return (("Access-Control-Allow-Origin", origin), self._exposed)

    def preflight(self, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return the headers that answer a browser's question before the request itself."""
        vary = (("Vary", "Origin"),) if self.vary else ()
        allowed = self.headers(origin)
        if not allowed:
            return vary
        return (
            allowed[0],
            ("Access-Control-Allow-Methods", _METHODS),
            self._taken,
            ("Access-Control-Max-Age", _DAY),
            *vary,
        )

    def methods(self, allowed: Sequence[str]) -> list[tuple[str, str]]:
        """Return what an answer to OPTIONS tells beside the methods that a URL takes."""
        return [("Access-Control-Allow-Methods", ", ".join(allowed)), self._taken]
