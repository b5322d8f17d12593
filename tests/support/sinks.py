"""A server of a test's own that takes whatever is reported to it."""

import gzip
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Sink:
    """``taken`` are the bodies of requests by their path, unpacked."""

    port: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)

    def bodies(self, path: str) -> list[bytes]:
        return [body for taken_at, body in list(self.taken) if taken_at.startswith(path)]


@contextmanager
def sink() -> Iterator[Sink]:
    """Take requests until the end of the block."""
    found = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding")
            if packed == "gzip":
                body = gzip.decompress(body)
            elif packed == "br":
                # Sentry's library packs so where this is installed, as it is by others' wish.
                body = importlib.import_module("brotli").decompress(body)
            found.taken.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
