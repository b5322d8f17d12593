"""Requests for Server-Sent Events: what is wrong with one, and what it asks for."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from relay.addresses import Address, MalformedAddress, parse_address
from relay.store.errors import StoreError
from relay.store.feed_log import NotYet, Reached
from relay.streams.cursor import MalformedCursor, read_cursor
from relay.streams.history import History, NotResumable
from relay.streams.server import StreamServer
from relay.streams.sse import EventRequest
from relay.sync.networks import Networks, UnknownNetwork

_PATH = re.compile(r"/api/v1(?:/networks/(?P<network>[^/]+))?/users/(?P<user>[^/]+)/events/stream/?")

METHODS = "GET, HEAD, OPTIONS"


class Refusal(Exception):
    """A request that is not fulfilled: the status of the answer, the stable code, what is to be said."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


class EventDoor:
    """Knows requests for a user's events as they happen: ``/users/:user/events/stream``, also of a network."""

    def __init__(self, server: StreamServer, history: History, networks: Networks) -> None:
        self.server = server
        self._history = history
        self._networks = networks

    def is_for(self, path: str) -> bool:
        """Return whether a path is one of these."""
        return _PATH.fullmatch(path) is not None

    def read(self, path: str, query: str, last_event_id: str, request_id: str = "") -> EventRequest:
        """Return what is asked for; raises Refusal."""
        found = _PATH.fullmatch(path)
        assert found is not None
        user = _address(found["user"])
        network = None if found["network"] is None else self._network(found["network"])
        return EventRequest(user, network, self._reached(query, last_event_id), request_id)

    def _network(self, text: str) -> Address:
        network = _address(text)
        try:
            self._networks.info(network)
        except UnknownNetwork:
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown_network", f"no network {text} is served here") from None
        return network

    def _reached(self, query: str, last_event_id: str) -> Reached | None:
        # A browser that connects again asks with the URL it began with, and says in the header how far it came.
        text = last_event_id or _only(parse_qs(query, keep_blank_values=True), "cursor")
        if not text:
            return None
        try:
            reached = read_cursor(text)
            self._history.require(reached)
        except MalformedCursor as error:
            message = f"cursor: {error}"
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed_cursor", message) from error
        except NotResumable as error:
            raise Refusal(HTTPStatus.GONE, error.why.code, error.why.message) from error
        except NotYet as error:
            raise _later("behind_cursor", "the relay has not come as far as the cursor yet") from error
        except StoreError as error:
            raise _later("database_unreachable", "the database cannot be read at the moment") from error
        return reached


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except MalformedAddress as error:
        raise Refusal(HTTPStatus.NOT_FOUND, "malformed_address", str(error)) from error


def _only(query: Mapping[str, list[str]], name: str) -> str:
    return query.get(name, [""])[-1]


def _later(code: str, message: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, message, (("Retry-After", "1"),))
