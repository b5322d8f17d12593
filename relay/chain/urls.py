"""URLs of nodes: what they mean, and what of them may be shown."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Where an http(s) URL leads: ``path`` with its query, user and password apart from it."""

    host: str
    port: int | None
    path: str
    is_secure: bool
    login: tuple[str, str] | None


def socket_path(url: str) -> str | None:
    """Return the path that ``ipc://``, ``file://`` or a bare ``.ipc`` path names, None for any other URL."""
    for scheme in ("ipc://", "file://"):
        if url.startswith(scheme):
            return unquote(url[len(scheme) :])
    return url if "://" not in url and url.endswith(".ipc") else None


def http_target(url: str) -> HttpTarget:
    """Return what an http(s) URL names.

    Raises:
        ValueError: if it is no such URL.

    """
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not the URL of a node: {public_url(url)} (expected http://, https:// or ipc://)")
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HttpTarget(parts.hostname, parts.port, path, parts.scheme == "https", login)


def public_url(url: str) -> str:
    """Return what of a node's URL may be shown: scheme, host and port, or the path of a socket.

    User, password, path and query are left out: hosted nodes put the key there.
    """
    path = socket_path(url)
    if path is not None:
        return path
    parts = _split(url)
    if parts is None or not parts.netloc:
        return "(not a URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is no port
    except ValueError:
        return None
    return parts
