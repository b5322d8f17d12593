"""Sending by Firebase Cloud Messaging; needs the extra ``firebase``."""

from pathlib import Path
from typing import Any

import orjson

from relay.push.sending import NotSent, Refused, TokenInvalid
from relay.store.push import Notification
from relay.streams.hub import Kind

_NAME = "trustlines-relay"
_MAX_DATA_BYTES = 3_500
"""Firebase takes 4 kB of data; some are for its own names."""

_TIMEOUT_SECONDS = 8
"""For one attempt of the library, which makes five of them at most, with 7 s between them."""

_COPIED = {
    Kind.EVENTS.value: ("blockHash", "blockNumber", "logIndex", "transactionHash"),
    Kind.MESSAGES.value: ("message",),
}
"""What is sent beside the whole event, by the stream that delivers it: what wallets have always been sent."""


class FirebaseMissing(Exception):
    """The library is not installed, or the key file is no good; one sentence says which."""


class _NotTaken(Refused):
    """Firebase calls an argument invalid, and does not say whether it is the token or the message."""


def key_fault(credentials: Path) -> str | None:
    """Return what is wrong with a key file or with the library, None if all is there."""
    try:
        _key(credentials)
    except FirebaseMissing as error:
        return str(error)
    return None


def _key(credentials: Path) -> Any:
    try:
        from firebase_admin.credentials import Certificate  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise FirebaseMissing(
            "[push_notification] sender: firebase needs the extra, pip install 'trustlines-credit-relay[firebase]'"
        ) from None
    fault = "cannot be read as a key file"
    try:
        key = Certificate(str(credentials))
        fault = "names no project" if not key.project_id else ""
    except FileNotFoundError:
        fault = "is not there"
    except (OSError, ValueError, AttributeError):
        pass
    if fault:
        raise FirebaseMissing(f"[push_notification] firebase_credentials_path: {credentials} {fault}")
    return key


class Firebase:
    """Sends data messages: ``eventType``, what wallets have always read, and the whole event as JSON."""

    def __init__(self, credentials: Path) -> None:
        """Read the account's key file; raises FirebaseMissing."""
        key = _key(credentials)
        import firebase_admin  # noqa: PLC0415
        from firebase_admin import messaging  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        self._app = firebase_admin.initialize_app(key, {"httpTimeout": _TIMEOUT_SECONDS}, name=_NAME)
        self._faults: Any = firebase_admin.exceptions
        self._messaging: Any = messaging
        self._auth_error: type[Exception] = GoogleAuthError

    def check(self, token: str) -> None:
        """Ask Firebase whether a token is one; raises TokenInvalid, NotSent."""
        try:
            self._hand_over({}, token, dry_run=True)
        except Refused as error:
            # All that can be wrong with an empty message is the token, or whose it is.
            raise TokenInvalid from error

    def send(self, notification: Notification) -> None:
        """Send something; raises TokenInvalid, NotSent, Refused."""
        data = data_of(notification.stream, orjson.loads(notification.event))
        try:
            self._hand_over(data, notification.token, dry_run=False)
        except _NotTaken:
            # Nobody is to lose a device because somebody sent what Firebase does not like.
            self.check(notification.token)
            raise

    def _hand_over(self, data: dict[str, str], token: str, *, dry_run: bool) -> None:
        messaging, faults = self._messaging, self._faults
        message = messaging.Message(
            data=data,
            token=token,
            android=messaging.AndroidConfig(priority="high"),
            apns=messaging.APNSConfig(
                headers={"apns-push-type": "background", "apns-priority": "5"},
                payload=messaging.APNSPayload(aps=messaging.Aps(content_available=True)),
            ),
        )
        try:
            messaging.send(message, dry_run=dry_run, app=self._app)
        except messaging.UnregisteredError:
            raise TokenInvalid from None
        except messaging.SenderIdMismatchError:
            raise Refused("the device belongs to another Firebase project than the key file") from None
        except faults.InvalidArgumentError:
            raise _NotTaken("Firebase does not take such a message") from None
        except faults.FirebaseError as error:
            raise NotSent(f"Firebase refused it ({error.code})") from None
        except self._auth_error as error:
            raise NotSent(f"Google does not let the account of the key file in ({type(error).__name__})") from None


def data_of(stream: str, event: dict[str, Any]) -> dict[str, str]:
    """Return the strings that are sent for an event of a stream.

    The whole event is left out where it does not fit, and then a message's text.
    """
    data = {"eventType": str(event["type"]), "stream": stream}
    # Hashes without 0x, as wallets have always been sent them.
    data |= {name: str(event[name]).removeprefix("0x") for name in _COPIED[stream] if name in event}
    data["event"] = orjson.dumps(event).decode("utf-8")
    for name in ("event", "message"):
        if sum(map(_bytes, (*data, *data.values()))) > _MAX_DATA_BYTES:
            data.pop(name, None)
    return data


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))
