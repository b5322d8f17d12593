# ruff: noqa: RUF009  key() is this package's field(): it declares a default, it does not share a mutable one
"""The settings of what reaches users by itself: streams, messages, push notifications."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from relay.settings.reading import Choice, FilePath, Seconds, Switch, Text, WholeNumber, key
from relay.settings.urls import is_header


def _is_web_url(text: str) -> bool:
    return re.fullmatch(r"https?://[^\s/]+(/\S*)?", text) is not None


@dataclass(frozen=True, slots=True)
class StreamsSettings:
    """[streams]: notifications over WebSocket; ``max_buffered_bytes`` wait for a slow reader at most."""

    enable: bool = key(Switch(), True)
    max_connections: int = key(WholeNumber(1, 1_000_000), 20_000)
    max_connections_per_client: int = key(WholeNumber(), 2_000)
    max_buffered_bytes: int = key(WholeNumber(65_536), 262_144)
    ping_seconds: float = key(Seconds(), 30.0)


@dataclass(frozen=True, slots=True)
class MessagingSettings:
    """[messaging]: rates a minute, 0 for any; ``client_header`` is an older name of [rest] client_header."""

    enable: bool = key(Switch(), False, implied=True)
    require_signature: bool = key(Switch(), False)
    max_message_bytes: int = key(WholeNumber(1, 1_000_000), 16_384)
    max_per_receiver: int = key(WholeNumber(), 120)
    max_per_client: int = key(WholeNumber(), 120)
    max_unread: int = key(WholeNumber(1), 1_000)
    max_stored: int = key(WholeNumber(1), 1_000_000)
    retention_days: int = key(WholeNumber(1, 36_500), 30)
    client_header: str = key(Text("the name of an HTTP header", is_header), "")


class PushSender(StrEnum):
    """By what push notifications go out."""

    FIREBASE = "firebase"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class PushNotificationSettings:
    """[push_notification]: ``webhook_url`` may hold a secret and is not shown by repr."""

    enable: bool = key(Switch(), False)
    sender: PushSender = key(Choice(PushSender), PushSender.FIREBASE)
    firebase_credentials_path: Path = key(FilePath(), Path("firebaseAccountKey.json"), is_path=True)
    webhook_url: str | None = key(Text("an http:// or https:// URL", _is_web_url), None, secret=True)
    webhook_secret_path: Path | None = key(FilePath(), None, is_path=True)
    webhook_timeout_seconds: float = key(Seconds(), 10.0)
    max_attempts: int = key(WholeNumber(1, 100), 8)
    first_wait_seconds: float = key(Seconds(), 2.0)
    max_devices_per_user: int = key(WholeNumber(1, 10_000), 20)
    max_users_per_device: int = key(WholeNumber(1), 50)
    require_signature: bool = key(Switch(), False)

    def faults(self) -> Iterator[tuple[str, str]]:
        """A webhook needs its URL and the secret it is signed with."""
        if self.enable and self.sender is PushSender.WEBHOOK:
            for name in ("webhook_url", "webhook_secret_path"):
                if getattr(self, name) is None:
                    yield name, f'needed with sender = "{self.sender}"'
