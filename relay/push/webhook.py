"""Sending by a webhook: a POST to the operator's own service, signed with HMAC."""

import hashlib
import hmac
from collections.abc import Callable

import orjson
import urllib3

from relay.addresses import to_checksum
from relay.push.sending import NotSent, TokenInvalid
from relay.store.push import Notification

SIGNATURE_HEADER, TIMESTAMP_HEADER = "X-Relay-Signature", "X-Relay-Timestamp"
_GONE = 410


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return ``sha256=`` and the HMAC-SHA256 of the timestamp (decimal digits), a full stop and the body."""
    return "sha256=" + hmac.new(secret, str(timestamp).encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """POSTs ``{id, user, token, stream, event}``; any 2xx takes it, 410 says that the token is gone."""

    def __init__(self, url: str, secret: bytes, timeout: float, clock: Callable[[], int]) -> None:
        """Prepare; ``timeout`` in seconds, ``clock`` tells Unix seconds."""
        self._url = url
        self._secret = secret
        self._clock = clock
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(total=timeout), retries=False, maxsize=8)

    def __repr__(self) -> str:
        return "Webhook()"

    def check(self, token: str) -> None:
        """Take any token: what it means is known to the receiver only."""

    def send(self, notification: Notification) -> None:
        """Send something; raises TokenInvalid, NotSent."""
        body = orjson.dumps(
            {
                "id": notification.id,
                "user": to_checksum(notification.user),
                "token": notification.token,
                "stream": notification.stream,
                "event": orjson.loads(notification.event),
            }
        )
        now = self._clock()
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: str(now),
            SIGNATURE_HEADER: signature(self._secret, now, body),
        }
        try:
            # What the answer's body says is of no interest, and may be of any length.
            answer = self._http.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            # The error's text would show the URL, which may hold a secret.
            raise NotSent(f"the webhook cannot be reached ({type(error).__name__})") from None
        answer.close()
        if answer.status == _GONE:
            raise TokenInvalid
        if not 200 <= answer.status < 300:
            raise NotSent(f"the webhook answered {answer.status}")
