"""The bound of the server: a Flask application with one view that returns two bytes, on the relay's own server.

Run as ``python -m benchmarks.server_empty PORT PROCESSES`` it serves until it is told to end.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from benchmarks.http_requests import PREFIX
from relay.serving.generation import Plan
from relay.serving.parent import Parent
from relay.settings import RestSettings
from relay.sync.told import Standing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Empty:
    """Nothing but Flask."""

    is_ready = True

    def __init__(self) -> None:
        self._flask = Flask("empty", static_folder=None)
        self._flask.add_url_rule(f"{PREFIX}/empty", view_func=lambda: "{}", endpoint="empty")

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        return self._flask(environ, start_response)

    def stop(self) -> None:
        """Nothing goes on."""


def main() -> int:
    """Serve."""
    port, processes = map(int, sys.argv[1:])

    def make_app(_: Standing) -> Empty:
        return Empty()

    plan = Plan(RestSettings(port=port, processes=processes), make_app)
    parent = Parent(lambda: plan, faults=(), tell_fault=lambda _: None, when_ready=lambda _: None)
    return parent.run()


if __name__ == "__main__":
    sys.exit(main())
