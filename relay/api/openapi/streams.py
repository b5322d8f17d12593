"""What the document says of streams, which are no resources: they are taken in front of the application."""

from collections.abc import Iterator
from typing import Any

from relay.api.openapi.conversion import ADDRESS

TAG = {
    "name": "Streams",
    "description": "Live notifications: JSON-RPC 2.0 over WebSocket, and Server-Sent Events. OpenAPI cannot "
    "describe what is then said; docs/streams.md of the relay's sources does.",
}

_STREAMS: dict[str, tuple[str, str]] = {
    "events": (
        "Open a stream of events",
        'The method `subscribe` with the parameters `{"event": "all", "user": "0x..."}` answers the id of a '
        "subscription. What happens to the user comes as notifications `subscription_<id>` with the parameters "
        '`{"event": {...}}`.',
    ),
    "messages": (
        "Open a stream of messages",
        'The method `listen` with the parameters `{"type": "all", "user": "0x..."}` answers the id of a '
        'subscription. Messages then come as notifications `subscription_<id>` with `{"event": {"message", '
        '"timestamp", ...}}`; `getMissedMessages` with the same parameters answers those that are unread.',
    ),
}


def path_of(kind: str) -> str:
    """Return the URL of a kind of stream."""
    return f"/streams/{kind}"


def describe(kind: str) -> dict[str, Any]:
    """Return the operation that opens a kind of stream."""
    summary, description = _STREAMS[kind]
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "operationId": f"open{kind.capitalize()}",
        "tags": [TAG["name"]],
        "summary": summary,
        "description": description,
        "responses": {
            "101": {"description": "The connection speaks WebSocket from now on."},
            "400": {"description": "The handshake is none.", "content": refusal},
            "426": {"description": "The URL takes WebSocket connections only.", "content": refusal},
            "503": {
                "description": "No further stream can be opened at the moment.",
                "headers": {"Retry-After": {"$ref": "#/components/headers/Retry-After"}},
                "content": refusal,
            },
        },
    }


def server_sent_events() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the URLs of a user's events as Server-Sent Events, each with its operation."""
    of_user = {
        "name": "user",
        "in": "path",
        "required": True,
        "description": "The user's address.",
        "schema": ADDRESS,
    }
    of_network = of_user | {"name": "network", "description": "The currency network's address."}
    yield "/users/{user}/events/stream", _sent(of_user, name="openUserEvents")
    yield (
        "/networks/{network}/users/{user}/events/stream",
        _sent(of_network, of_user, name="openNetworkUserEvents"),
    )


def _sent(*in_url: dict[str, Any], name: str) -> dict[str, Any]:
    resumed = "Where to go on: the `id` of the last event that arrived."
    text = {"type": "string"}
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    later = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return {
        "operationId": name,
        "tags": [TAG["name"]],
        "summary": "Hear of a user's events as they happen",
        "description": "Server-Sent Events: each has an `id` to resume from and, as `data`, the JSON object that "
        "the streams over WebSocket tell; one that a reorganisation of the chain took back comes again with "
        '`"status": "withdrawn"`. `event: end` says why the relay ends the stream.',
        "parameters": [
            *in_url,
            {"name": "cursor", "in": "query", "description": resumed, "schema": text},
            {"name": "Last-Event-ID", "in": "header", "description": resumed, "schema": text},
        ],
        "responses": {
            "200": {"description": "The stream.", "content": {"text/event-stream": {"schema": text}}},
            "404": {"description": "An address is malformed, or the network is not served.", "content": refusal},
            "410": {"description": "What happened since the cursor cannot be told any more.", "content": refusal},
            "422": {"description": "The cursor is none.", "content": refusal},
            "503": {
                "description": "No further stream can be opened, or the cursor is ahead of this relay.",
                "headers": later,
                "content": refusal,
            },
        },
    }
