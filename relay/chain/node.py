"""A node, asked over JSON-RPC."""

import http.client
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as LibraryTimeout

from relay.chain import jsonrpc
from relay.chain.calls import BATCH, BlockTag, ChainCalls
from relay.chain.errors import AnswerTooLarge, NodeMisbehaved, NodeRefused, NodeTooSlow, NodeUnreachable
from relay.chain.transport import BrokenOff, HttpStatus, TooManyBytes, Transport, transport_to
from relay.chain.urls import public_url

__all__ = ["BATCH", "BlockTag", "ChainCalls", "Node", "public_url"]

MOST_BYTES = 256 << 20
"""No answer is taken that is longer: some 400,000 logs."""

LONGEST_PAUSE_SECONDS = 60.0
"""No longer than this is a node's wish to be left alone respected (Retry-After)."""

_SHORTEST_PAUSE_SECONDS = 1.0
_TOO_MANY_REQUESTS, _BUSY = 429, 503
_NOT_ALLOWED = {401, 403, 407, 408}

T = TypeVar("T")


class Node(ChainCalls):
    """An Ethereum node, reached by ``http(s)://``, ``ipc://``, ``file://`` or the path of an ``.ipc`` socket.

    Safe to use from several threads and after a fork. Nothing is retried. A request takes at most ``timeout``
    seconds in all: finding the name out, connecting, sending, and the whole answer.

    A node that answers HTTP status 429, or 503 with a Retry-After, is left alone for as long as it says (a second
    where it says nothing, a minute at most): meanwhile every method raises NodeUnreachable at once.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 10,
        connect: Callable[[str, float], Transport] = transport_to,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the connection; nothing is sent yet. ``clock`` is in seconds, from any beginning.

        Raises:
            ValueError: if the URL has a scheme or form that no node is reached by.

        """
        self.url = public_url(url)
        self.timeout = timeout
        self._target = url
        self._connect = connect
        self._clock = clock
        self._transport = connect(url, timeout)
        self._pid = os.getpid()
        self._batch = BATCH
        self._silent_until = -math.inf

    def ask(self, method: str, params: list[Any], read: Callable[[Any], T], seconds: float | None = None) -> T:
        """As `ChainCalls.ask`, within ``seconds`` if that is less than the timeout."""
        (identifier,) = ids = jsonrpc.new_ids(1)
        answer = self._exchange(method, jsonrpc.encode([(method, params)], ids, as_batch=False), seconds)
        return self._read(method, self._understand(method, lambda: jsonrpc.single(answer, identifier)), read)

    def ask_all(
        self,
        requests: Sequence[tuple[str, list[Any]]],
        reads: Sequence[Callable[[Any], T]],
        seconds: float | None = None,
    ) -> list[T]:
        """As `ChainCalls.ask_all`, within ``seconds`` if that is less than the timeout.

        A node that refuses a batch as a whole is asked for less at a time, from then on.
        """
        until = self._clock() + self._limit(seconds)
        results: list[T] = []
        while len(results) < len(requests):
            size = min(self._batch, len(requests) - len(results))
            some, readers = requests[len(results) :][:size], reads[len(results) :][:size]
            left = max(0.001, until - self._clock())
            try:
                results += [self.ask(*some[0], readers[0], left)] if size == 1 else self._ask(some, readers, left)
            except _BatchRefused as refused:
                self._batch = min(self._batch, refused.at_once)
        return results

    def forget_silence(self) -> None:
        """Ask the node again although it wanted to be left alone."""
        self._silent_until = -math.inf

    def _ask(
        self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], T]], seconds: float
    ) -> list[T]:
        method = requests[0][0]
        ids = jsonrpc.new_ids(len(requests))
        answer = self._exchange(method, jsonrpc.encode(requests, ids, as_batch=True), seconds)
        if not isinstance(answer, list):
            if isinstance(answer, dict) and answer.get("error") is not None:
                raise _BatchRefused(len(requests) // 2)
            raise NodeMisbehaved(f"the node {self.url} answered a batch of {method} with no batch")
        answers = self._understand(method, lambda: jsonrpc.batch(answer, ids))
        return [self._read(method, one, read) for one, read in zip(answers, reads, strict=True)]

    def _limit(self, seconds: float | None) -> float:
        return self.timeout if seconds is None else min(seconds, self.timeout)

    def _exchange(self, method: str, payload: bytes, seconds: float | None) -> Any:
        """Return the decoded answer to a request."""
        pause = self._silent_until - self._clock()
        if pause > 0:
            raise NodeUnreachable(f"the node {self.url} asked to be left alone for {math.ceil(pause)} s more")
        limit = self._limit(seconds)
        try:
            answer = self._door().send(payload, limit, MOST_BYTES)
        except HttpStatus as status:
            answer = self._refusal_within(status, method)
        except NewConnectionError as error:  # which its library counts among the timeouts
            raise NodeUnreachable(f"the node {self.url} cannot be reached: {_reason(error)}") from None
        except (TimeoutError, LibraryTimeout):
            raise NodeTooSlow(f"the node {self.url} did not answer {method} within {limit:.3g} s") from None
        except TooManyBytes:
            raise AnswerTooLarge(
                f"the node {self.url} answered {method} with more than {MOST_BYTES >> 20} MiB"
            ) from None
        except BrokenOff:
            raise NodeUnreachable(f"the node {self.url} broke off its answer to {method}") from None
        except DecodeError:
            raise NodeMisbehaved(f"the node {self.url} answered {method} with broken compression") from None
        except (HTTPError, http.client.HTTPException, OSError) as error:
            # `from None`: the libraries' own texts quote the whole URL, and paths of hosted nodes are secrets.
            raise NodeUnreachable(f"the node {self.url} cannot be reached: {_reason(error)}") from None
        return self._understand(method, lambda: jsonrpc.decode(answer))

    def _door(self) -> Transport:
        # A forked worker must not share its parent's sockets: the two would read each other's answers.
        if os.getpid() != self._pid:
            self._transport = self._connect(self._target, self.timeout)
            self._pid = os.getpid()
        return self._transport

    def _refusal_within(self, answer: HttpStatus, method: str) -> bytes:
        """Return the body of an HTTP error that holds a JSON-RPC error, as hosted nodes send it; else raise."""
        if answer.status == _TOO_MANY_REQUESTS or (answer.status == _BUSY and answer.retry_after):
            pause = min(max(_seconds(answer.retry_after), _SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._silent_until = self._clock() + pause
        elif 400 <= answer.status < 500 and answer.status not in _NOT_ALLOWED:
            with suppress(jsonrpc.NotJsonRpc):
                body = jsonrpc.decode(answer.body)
                if isinstance(body, dict) and isinstance(body.get("error"), dict):
                    return answer.body
        raise NodeUnreachable(f"the node {self.url} answered HTTP status {answer.status} to {method}") from None

    def _understand(self, method: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except jsonrpc.NotJsonRpc as problem:
            raise NodeMisbehaved(f"the node {self.url} answered {method} {problem}") from None

    def _read(self, method: str, answer: dict[str, Any], read: Callable[[Any], T]) -> T:
        error = answer.get("error")
        if error is not None:
            raise _refusal(error)
        try:
            return read(answer["result"])
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise NodeMisbehaved(
                f"the node {self.url} answered {method} in a wrong shape: {type(problem).__name__}: {problem}"
            ) from problem


class _BatchRefused(Exception):
    """A batch was refused as a whole; half of it may not be."""

    def __init__(self, at_once: int) -> None:
        super().__init__(at_once)
        self.at_once = at_once


def _refusal(error: Any) -> NodeRefused:
    if not isinstance(error, dict):
        return NodeRefused(str(error), 0)
    code = error.get("code")
    return NodeRefused(str(error.get("message")), code if isinstance(code, int) else 0, error.get("data"))


def _seconds(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After header names, 0 where it names none or a date (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    return float(text[:9]) if text.isascii() and text.isdecimal() else 0.0


def _reason(error: BaseException) -> str:
    """Return the operating system's word for a failed connection, found in the chain of causes."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            break
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        nested = getattr(seen, "reason", None) or next(
            (argument for argument in seen.args if isinstance(argument, BaseException)), None
        )
        seen = nested if isinstance(nested, BaseException) else (seen.__cause__ or seen.__context__)
    return type(error).__name__
