"""A way to a Postgres server on which, when told so, everything disappears without a word."""

import contextlib
import select
import socket
import threading
from urllib.parse import parse_qs, quote, urlsplit


class SwallowingProxy:
    """Listens on a port and hands on what comes, to the Unix socket or the port of a database URL."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._swallows = threading.Event()
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the same database by way of this."""
        target = self._target
        user = target.username or "postgres"
        password = f":{quote(target.password)}" if target.password else ""
        port = self._listener.getsockname()[1]
        return target._replace(netloc=f"{user}{password}@127.0.0.1:{port}", query="").geturl()

    def swallow(self) -> None:
        """From now on nothing arrives any more, on old connections and on new ones."""
        self._swallows.set()

    def pass_on(self) -> None:
        """New connections work; what went by old ones is lost, and they stay silent."""
        self._swallows.clear()

    def close(self) -> None:
        self._is_over.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, self._connect() as server:
            others = {client: server, server: client}
            is_dead = False
            while not self._is_over.is_set():
                is_dead = is_dead or self._swallows.is_set()
                readable, _, _ = select.select(list(others), [], [], 0.02)
                for one in readable:
                    with contextlib.suppress(ConnectionError):
                        data = one.recv(65536)
                        if not data:
                            return
                        if not is_dead and not self._swallows.is_set():
                            others[one].sendall(data)

    def _connect(self) -> socket.socket:
        target = self._target
        query = parse_qs(target.query)
        host = (query.get("host") or [target.hostname or "127.0.0.1"])[0]
        port = int((query.get("port") or [str(target.port or 5432)])[0])
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))
