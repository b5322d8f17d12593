"""Who is an operator: whoever knows the token. Who guesses is counted, and soon not listened to."""

import hashlib
import hmac
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized

logger = logging.getLogger("relay.admin")

_MOST_CLIENTS = 10_000


class Operators:
    """Knows operators by ``Authorization: Bearer TOKEN``."""

    def __init__(
        self, token: str, clock: Callable[[], float], most_failures: int = 10, seconds: float = 60.0
    ) -> None:
        """Prepare; so many failures of one client are borne within ``seconds``, which ``clock`` tells."""
        self._digest = _digest(token)
        self._clock = clock
        self._most_failures = most_failures
        self._seconds = seconds
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def require(self, client: str) -> None:
        """Let the present request pass if it is an operator's.

        Raises:
            Unauthorized: if it brings no token, or not the right one.
            TooManyRequests: if the client brought wrong ones too often; then it is not even looked at.

        """
        if self._is_locked_out(client):
            raise TooManyRequests("too many attempts without the operators' token", retry_after=int(self._seconds))
        # Not the library's reading of it, which takes a token with = in it for something else.
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if token and hmac.compare_digest(_digest(token), self._digest):
            return
        self._note_failure(client)
        why = "a wrong token" if token else "no token"
        logger.warning("refused %s with %s: %s %s", client, why, request.method, request.path)
        raise Unauthorized("this is for operators", www_authenticate=WWWAuthenticate("bearer", {"realm": "relay"}))

    def _is_locked_out(self, client: str) -> bool:
        with self._lock:
            since, failures = self._failures.get(client, (0.0, 0))
        return failures >= self._most_failures and self._clock() - since < self._seconds

    def _note_failure(self, client: str) -> None:
        now = self._clock()
        with self._lock:
            since, failures = self._failures.get(client, (now, 0))
            self._failures[client] = (since, failures + 1) if now - since < self._seconds else (now, 1)
            self._failures.move_to_end(client)
            while len(self._failures) > _MOST_CLIENTS:
                self._failures.popitem(last=False)


def _digest(token: str) -> bytes:
    # Of one length whatever is given, so that the time of the comparison tells nothing.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
