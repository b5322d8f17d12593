"""The socket that the API listens on."""

import socket

from relay.settings import RestSettings

_BACKLOG = 2048


class CannotListen(Exception):
    """Another program has the port, or there is no such interface; the text is one sentence."""


def listen(settings: RestSettings) -> socket.socket:
    """Open the port; raises CannotListen."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"cannot listen on {settings.bind}: {error.strerror} ([rest] port or --port moves it)"
        ) from None
    listener.setblocking(False)
    return listener
