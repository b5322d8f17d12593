"""Carrying a request to a node and its answer back, within a time and a size that hold for the whole of it.

The timeouts of the libraries hold for every read from the socket: a node that sends a byte a second is never given
up by them, nor one whose name takes a minute to be found out. So an exchange runs in a thread of its own, and who
waits for it goes away in time and shuts the socket, which ends that thread too.
"""

import base64
import errno
import http.client
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

import certifi
import orjson
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError

from relay import __version__
from relay.chain.urls import HttpTarget, http_target, socket_path

_CHUNK = 1 << 18
_MOST_ERROR_BYTES = 1 << 16
_IDLE_CONNECTIONS = 32
_IDLE_SECONDS = 30.0
_HTTP_OK = 200


class HttpStatus(Exception):
    """The node answered another HTTP status than 200; ``retry_after`` is that header's text."""

    def __init__(self, status: int, retry_after: str | None, body: bytes) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.retry_after = retry_after
        self.body = body


class TooManyBytes(Exception):
    """The answer is larger than what is taken."""


class BrokenOff(Exception):
    """The answer ends before its end."""


class Dropped(ConnectionResetError):
    """The node hung up without any answer: it had closed the connection while that was idle, or it closes all."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "it hung up without an answer")


class Transport(Protocol):
    """One node's door; a test hands in another."""

    def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
        """Send one request, return the whole answer, undecoded.

        Raises:
            TimeoutError: if it has not come within ``seconds``.
            HttpStatus, TooManyBytes, BrokenOff: as they say.
            OSError, urllib3.exceptions.HTTPError, http.client.HTTPException: if the node cannot be reached.

        """


class Connection(Protocol):
    """A connection that one exchange at a time has to itself."""

    def exchange(self, payload: bytes, most_bytes: int) -> bytes:
        """Send and receive; as `Transport.send`, but without its limit of time."""

    def is_alive(self) -> bool:
        """Say whether it can be used again."""

    def interrupt(self) -> None:
        """Make an exchange that is under way in another thread fail."""

    def close(self) -> None:
        """Close it."""


def transport_to(url: str, timeout: float) -> Transport:
    """Return the transport for a node's URL; connecting to one of its addresses takes ``timeout`` at most.

    Raises:
        ValueError: if the URL has a scheme or form that no node is reached by.

    """
    path = socket_path(url)
    if path is not None:
        return PooledTransport(lambda: SocketConnection(path, timeout))
    target = http_target(url)
    context = _tls_context() if target.is_secure else None
    return PooledTransport(lambda: WebConnection(target, context, timeout))


class PooledTransport:
    """Keeps connections open between exchanges."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Prepare; ``connect`` makes a connection, which opens itself with its first exchange."""
        self._connect = connect
        self._idle: deque[Connection] = deque()
        self._workers: deque[_Worker] = deque()

    def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
        """As `Transport.send`."""
        exchange = _Exchange(self, payload, most_bytes)
        try:
            worker = self._workers.pop()
        except IndexError:
            worker = _Worker(self._workers)
            worker.start()
        worker.jobs.put(exchange)
        try:
            return exchange.answer.result(seconds)
        except TimeoutError:
            exchange.abandon()
            raise

    def take(self) -> tuple[Connection, bool]:
        """Return a connection, and whether it has been used before."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(), False
            if connection.is_alive():
                return connection, True
            connection.close()

    def put(self, connection: Connection) -> None:
        """Keep a connection for the next exchange."""
        if len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()


class _Exchange:
    """One request and its answer."""

    def __init__(self, pool: PooledTransport, payload: bytes, most_bytes: int) -> None:
        self.answer: Future[bytes] = Future()
        self._pool = pool
        self._payload = payload
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_abandoned = False

    def carry_out(self) -> None:
        try:
            self.answer.set_result(self._answer())
        except BaseException as error:
            self.answer.set_exception(error)

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
            if self._connection is not None:
                self._connection.interrupt()

    def _answer(self) -> bytes:
        while True:
            connection, is_used = self._pool.take()
            with self._lock:
                if self._is_abandoned:
                    connection.close()
                    raise TimeoutError
                self._connection = connection
            try:
                answer = connection.exchange(self._payload, self._most_bytes)
            except BaseException as error:
                connection.close()
                if is_used and isinstance(error, Dropped):
                    continue
                raise
            with self._lock:
                self._connection = None
            self._pool.put(connection)
            return answer


class _Worker(threading.Thread):
    """Carries out exchanges, one after another; a daemon, so that one that hangs keeps no process from its end."""

    def __init__(self, idle: "deque[_Worker]") -> None:
        super().__init__(name="node", daemon=True)
        self.jobs: SimpleQueue[_Exchange] = SimpleQueue()
        self._idle = idle

    def run(self) -> None:
        while True:
            try:
                self.jobs.get(timeout=_IDLE_SECONDS).carry_out()
            except Empty:
                try:
                    self._idle.remove(self)
                except ValueError:
                    continue  # someone has just taken it, and will hand it an exchange
                return
            self._idle.append(self)


class WebConnection:
    """A connection for http(s) URLs."""

    def __init__(self, target: HttpTarget, context: ssl.SSLContext | None, timeout: float) -> None:
        """Prepare; it connects with its first exchange."""
        self._path = target.path
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"tl-relay/{__version__}",
        }
        if target.login is not None:
            text = ":".join(target.login).encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(text).decode("ascii")
        if context is None:
            self._connection = HTTPConnection(target.host, target.port or 80, timeout=timeout)
        else:
            self._connection = HTTPSConnection(
                target.host, target.port or 443, timeout=timeout, ssl_context=context
            )

    def exchange(self, payload: bytes, most_bytes: int) -> bytes:
        """As `Connection.exchange`."""
        try:
            self._connection.request("POST", self._path, payload, self._headers, preload_content=False)
            response = self._connection.getresponse()
        except (ConnectionResetError, BrokenPipeError) as error:  # http.client's RemoteDisconnected is one
            raise Dropped from error
        if response.status != _HTTP_OK:
            body = response.read(_MOST_ERROR_BYTES, decode_content=True)
            raise HttpStatus(response.status, response.headers.get("Retry-After"), body)
        chunks, size = [], 0
        try:
            while chunk := response.read(_CHUNK, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > most_bytes:
                    raise TooManyBytes
        except TimeoutError:
            raise
        except (ProtocolError, http.client.HTTPException, OSError) as error:
            raise BrokenOff from error
        return b"".join(chunks)

    def is_alive(self) -> bool:
        """As `Connection.is_alive`."""
        return self._connection.is_connected

    def interrupt(self) -> None:
        """As `Connection.interrupt`."""
        _shut(self._connection.sock)

    def close(self) -> None:
        """As `Connection.close`."""
        self._connection.close()


class SocketConnection:
    """A connection to a node's Unix socket, where an answer ends with the JSON value it is."""

    def __init__(self, path: str, timeout: float) -> None:
        """Prepare; it connects with its first exchange."""
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def exchange(self, payload: bytes, most_bytes: int) -> bytes:
        """As `Connection.exchange`."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(self._timeout)
            self._socket.connect(self._path)
        received = bytearray()
        try:
            self._socket.sendall(payload + b"\n")
            chunk = self._socket.recv(_CHUNK)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Dropped from error
        if not chunk:
            raise Dropped
        while True:
            if not chunk:
                raise BrokenOff
            received += chunk
            if len(received) > most_bytes:
                raise TooManyBytes
            if _is_json(received):
                return bytes(received)
            chunk = self._socket.recv(_CHUNK)

    def is_alive(self) -> bool:
        """As `Connection.is_alive`: nothing, not even an end, must have come since the last answer."""
        if self._socket is None:
            return False
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        else:
            return False
        finally:
            self._socket.settimeout(self._timeout)

    def interrupt(self) -> None:
        """As `Connection.interrupt`."""
        _shut(self._socket)

    def close(self) -> None:
        """As `Connection.close`."""
        if self._socket is not None:
            self._socket.close()


def _is_json(received: bytearray) -> bool:
    if not received.rstrip().endswith((b"}", b"]")):
        return False
    try:
        orjson.loads(received)
    except orjson.JSONDecodeError:
        return False
    return True


def _shut(open_socket: socket.socket | None) -> None:
    if open_socket is not None:
        with suppress(OSError):
            # Not the TLS layer's own method, which would take its state away under the thread that reads.
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())  # for machines that bring no certificates of their own
    return context
