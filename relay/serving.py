"""The HTTP server: gunicorn with one process and a pool of threads around a WSGI application."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from relay.settings import RestSettings

_GRACEFUL_SECONDS = 10
_LONGEST_REQUEST_LINE = 8190


class _Logger(GunicornLogger):  # type: ignore[misc]
    """Sends gunicorn's own lines through the logging that the whole process uses."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers and levels alone."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Threads that answer in JSON also where a request is too broken to reach the application."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that cannot be read."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = HTTPStatus.BAD_REQUEST
        if isinstance(exc, LimitRequestLine):
            status = HTTPStatus.REQUEST_URI_TOO_LONG
        elif isinstance(exc, LimitRequestHeaders):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        body = json.dumps({"message": f"the request cannot be read: {status.phrase.lower()}"})
        head = f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        answer = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
        try:
            write_nonblock(client, answer.encode("ascii"))
        except OSError:
            self.log.debug("the client of a broken request did not wait for the answer")

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Leave a connection alone that the application took away, as it does to open a stream."""
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
            return
        super().finish_request(conn, fs)


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, make_app: Callable[[], Any], options: dict[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        self.made = self._make_app()
        return self.made

    def stop(self) -> None:
        """End what the application runs beside its requests."""
        stop = getattr(getattr(self, "made", None), "stop", None)
        if stop is not None:
            stop()


def serve(make_app: Callable[[], Any], settings: RestSettings, *, when_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished within 10 s.

    Arguments:
        make_app: makes the WSGI application, called in the process that serves it. Its ``stop``, if it has one, is
            called there at the end.
        settings: where to listen and with how many threads.
        when_ready: called once the port is open.

    """
    options = {
        "bind": settings.bind,
        "workers": 1,
        "worker_class": Worker,
        "threads": settings.threads,
        "graceful_timeout": _GRACEFUL_SECONDS,
        "keepalive": 15,
        "limit_request_line": _LONGEST_REQUEST_LINE,
        "logger_class": _Logger,
        "control_socket_disable": True,
        "when_ready": lambda _server: when_ready(),
        "worker_exit": lambda _server, worker: worker.app.stop(),
    }
    _Server(make_app, options).run()
