"""Which addresses of nodes, databases and interfaces the relay accepts."""

import ipaddress
import re
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,A-Z]+")
_HEADER = re.compile(r"[A-Za-z0-9-]{0,100}")
_HOST = re.compile(r"[A-Za-z0-9._:%-]*")


def is_node_url(text: str) -> bool:
    """Tell whether the relay can reach a node by this URL: http(s)://host[:port] or an IPC socket's path."""
    if not text.isprintable() or text != text.strip():
        return False
    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("ipc", "file"):
        return rest.startswith("/") and len(rest) > 1
    if not separator:
        return text.endswith(".ipc")
    try:
        parts = urlsplit(text)
        return scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:
        return False


def is_heads_url(text: str) -> bool:
    """Tell whether new heads can be listened for by this URL: ws(s)://host[:port]; empty is none."""
    if not text:
        return True
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        return False


def is_database_url(text: str) -> bool:
    """Tell whether libpq understands this: a postgresql:// URL or ``key=value`` pairs; empty is none."""
    if not text.isprintable():
        return False
    return not text or text.startswith(("postgresql://", "postgres://")) or bool(re.match(r"\s*\w+\s*=", text))


def is_network(text: str) -> bool:
    """Tell whether a text is an IP address or a network in CIDR notation."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_origin(text: str) -> bool:
    """Tell whether a text is an origin as browsers send it, or * for any."""
    return text == "*" or _ORIGIN.fullmatch(text) is not None


def is_header(text: str) -> bool:
    """Tell whether a text can be the name of an HTTP header; empty for none."""
    return _HEADER.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Tell whether an interface can be named so; empty means all."""
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            return False
    return _HOST.fullmatch(text) is not None
