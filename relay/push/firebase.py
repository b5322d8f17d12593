"""Sending by Firebase Cloud Messaging; needs the extra ``firebase``."""

from pathlib import Path
from typing import Any

import orjson

from relay.push.sending import NotSent, TokenInvalid
from relay.store.push import Notification

_NAME = "trustlines-relay"
_MAX_DATA_BYTES = 3_500
"""Firebase takes 4 kB of data; some are for its own names."""

_COPIED = ("blockHash", "blockNumber", "logIndex", "transactionHash", "message")


class FirebaseMissing(Exception):
    """The package that speaks with Firebase is not installed, or the key file is no good."""


class Firebase:
    """Sends data messages: ``eventType``, what wallets have always read, and the whole event as JSON."""

    def __init__(self, credentials: Path) -> None:
        """Read the account's key file; raises FirebaseMissing."""
        try:
            import firebase_admin  # noqa: PLC0415 - an extra
            from firebase_admin import messaging  # noqa: PLC0415
        except ModuleNotFoundError:
            raise FirebaseMissing(
                "push notifications by Firebase need the extra: pip install 'trustlines-credit-relay[firebase]'"
            ) from None
        try:
            key = firebase_admin.credentials.Certificate(str(credentials))
            self._app = firebase_admin.initialize_app(key, name=_NAME)
        except (OSError, ValueError):
            raise FirebaseMissing(
                f"[push_notification] firebase_credentials_path: {credentials} cannot be read as a key file"
            ) from None
        self._firebase: Any = firebase_admin
        self._messaging: Any = messaging

    def check(self, token: str) -> None:
        """Ask Firebase whether a token is one; raises TokenInvalid, NotSent."""
        self._hand_over({}, token, dry_run=True)

    def send(self, notification: Notification) -> None:
        """Send something; raises TokenInvalid, NotSent."""
        self._hand_over(data_of(orjson.loads(notification.event)), notification.token, dry_run=False)

    def _hand_over(self, data: dict[str, str], token: str, *, dry_run: bool) -> None:
        messaging = self._messaging
        message = messaging.Message(
            data=data,
            token=token,
            android=messaging.AndroidConfig(priority="high"),
            apns=messaging.APNSConfig(
                headers={"apns-push-type": "background", "apns-priority": "5"},
                payload=messaging.APNSPayload(aps=messaging.Aps(content_available=True)),
            ),
        )
        invalid = (
            messaging.UnregisteredError,
            messaging.SenderIdMismatchError,
            self._firebase.exceptions.InvalidArgumentError,
            ValueError,
        )
        try:
            messaging.send(message, dry_run=dry_run, app=self._app)
        except invalid:
            raise TokenInvalid from None
        except self._firebase.exceptions.FirebaseError as error:
            raise NotSent(f"Firebase refused it ({error.code})") from None


def data_of(event: dict[str, Any]) -> dict[str, str]:
    """Return the strings that are sent for an event; ``event`` is left out where it would not fit."""
    data = {"eventType": str(event["type"])}
    # Hashes without 0x, as wallets have always been sent them.
    data |= {name: str(event[name]).removeprefix("0x") for name in _COPIED if name in event}
    whole = orjson.dumps(event).decode("utf-8")
    if len(whole.encode("utf-8")) + sum(len(value.encode("utf-8")) for value in data.values()) <= _MAX_DATA_BYTES:
        data["event"] = whole
    if len(data.get("message", "").encode("utf-8")) > _MAX_DATA_BYTES:
        del data["message"]
    return data
