"""What one connection can ask for and has subscribed to, whatever carries it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from relay.addresses import Address, MalformedAddress, parse_address
from relay.store.errors import StoreError
from relay.store.feed_log import Reached
from relay.streams.cursor import MalformedCursor, read_cursor
from relay.streams.history import NotResumable
from relay.streams.hub import End, Hub, Kind, Receipt, Sink, Subscription
from relay.streams.resuming import Behind, Resumer
from relay.streams.rpc import (
    INVALID_PARAMS,
    NOT_RESUMABLE,
    UNAVAILABLE,
    Method,
    Params,
    RpcError,
    answer,
    last_word,
)

MOST_SUBSCRIPTIONS = 100
"""So many subscriptions a connection may hold."""

Missed = Callable[[Address], Awaitable[tuple[Sequence[Any], Receipt]]]
"""Returns the unread messages of a user, and what to call once they have arrived; may raise RpcError."""


class Outlet(Sink, Protocol):
    """The way to the other side of the connection."""

    def respond(self, text: bytes, receipt: Receipt | None) -> None:
        """Send an answer at once."""

    def hold(self) -> None:
        """Keep notifications back from now on."""

    def release(self) -> None:
        """Let them go once the other side has taken in what was sent before."""


class Session:
    """A connection's subscriptions and the methods it can call.

    ``missed`` is needed for messages only, and ``resumer`` for events with cursors.
    """

    def __init__(
        self,
        kind: Kind,
        hub: Hub,
        outlet: Outlet,
        missed: Missed | None = None,
        resumer: Resumer | None = None,
    ) -> None:
        self._kind = kind
        self._hub = hub
        self._outlet = outlet
        self._missed = missed
        self._resumer = resumer
        self._is_closed = False
        self._subscriptions: dict[str, Subscription] = {}
        self._receipt: Receipt | None = None
        self._has_subscribed = False

    async def receive(self, text: str | bytes) -> None:
        """Carry out what the other side asks for, and answer."""
        self._receipt, self._has_subscribed = None, False
        response = await answer(text, self._methods())
        if response is not None:
            self._outlet.respond(response, self._receipt)
        if self._has_subscribed:
            self._outlet.release()

    def close(self) -> None:
        """End all subscriptions."""
        self._is_closed = True
        for subscription in self._subscriptions.values():
            self._hub.unsubscribe(subscription)
        self._subscriptions.clear()

    def last_word(self, why: End, *, is_all_sent: bool) -> bytes:
        """Return what is said of the end of the connection: why, and where subscriptions stand if all was sent."""
        told = self._subscriptions if is_all_sent else {}
        cursors = {name: found.told for name, found in told.items() if found.told is not None}
        return last_word(why.code, why.message, cursors)

    def _methods(self) -> Mapping[str, Method]:
        if self._kind is Kind.EVENTS:
            return {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        return {"listen": self._listen, "unsubscribe": self._unsubscribe, "getMissedMessages": self._get_missed}

    async def _subscribe(self, params: Params) -> str:
        """Follow a user; with a ``cursor``, which may be null, each notification carries one as well."""
        user, wants_undone = _user_of(params, "event"), params.get("withdrawals", False)
        if not isinstance(wants_undone, bool):
            raise RpcError(INVALID_PARAMS, "withdrawals: true or false")
        if "cursor" not in params:
            return self._follow(user, wants_undone=wants_undone).id
        if self._resumer is None:
            raise RpcError(UNAVAILABLE, "there are no cursors here")
        reached = None if params["cursor"] is None else await _reached(self._resumer, params["cursor"])
        subscription = self._follow(user, wants_undone=wants_undone, wants_cursors=True, is_live=False)
        subscription.told = params["cursor"]
        self._resumer.follow(subscription, reached)
        return subscription.id

    async def _listen(self, params: Params) -> str:
        return self._follow(_user_of(params, "type")).id

    async def _get_missed(self, params: Params) -> Sequence[Any]:
        user = _user_of(params, "type")
        assert self._missed is not None
        if self._receipt is not None:
            raise RpcError(UNAVAILABLE, "getMissedMessages can stand in a batch only once")
        messages, self._receipt = await self._missed(user)
        return messages

    async def _unsubscribe(self, params: Params) -> bool:
        """End a subscription by its id, or all of a user; answer whether there was one."""
        number = params.get("subscription", params.get("id"))
        if isinstance(number, str):
            found = [number] if number in self._subscriptions else []
        else:
            user = _user_of(params, "event" if self._kind is Kind.EVENTS else "type")
            found = [name for name, entry in self._subscriptions.items() if entry.topic[1] == user]
        for name in found:
            self._hub.unsubscribe(self._subscriptions.pop(name))
        return bool(found)

    def _follow(
        self, user: Address, *, is_live: bool = True, wants_cursors: bool = False, wants_undone: bool = False
    ) -> Subscription:
        if self._is_closed:
            raise RpcError(UNAVAILABLE, "the connection has ended")
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise RpcError(UNAVAILABLE, f"a connection can hold {MOST_SUBSCRIPTIONS} subscriptions")
        if self._hub.is_full:
            raise RpcError(UNAVAILABLE, "the relay takes no further subscriptions at the moment")
        # The real client gets ready for notifications only after it has looked at the answer: one that comes
        # before or right behind the answer would be lost.
        self._outlet.hold()
        subscription = self._hub.subscribe(
            (self._kind, user),
            self._outlet,
            is_live=is_live,
            wants_cursors=wants_cursors,
            wants_undone=wants_undone,
        )
        self._subscriptions[subscription.id] = subscription
        self._has_subscribed = True
        return subscription


async def _reached(resumer: Resumer, text: object) -> Reached:
    """Return the place of a cursor from which can be gone on; raises RpcError."""
    try:
        reached = read_cursor(text)
        await resumer.require(reached)
    except MalformedCursor as error:
        raise RpcError(INVALID_PARAMS, f"cursor: {error}") from error
    except NotResumable as error:
        raise RpcError(NOT_RESUMABLE, error.why.message, {"code": error.why.code}) from error
    except Behind as error:
        raise RpcError(UNAVAILABLE, "the relay has not come as far as the cursor yet: try again") from error
    except StoreError as error:
        raise RpcError(UNAVAILABLE, "the database cannot be read at the moment: try again") from error
    return reached


def _user_of(params: Params, selector: str) -> Address:
    """Return the user of ``{<selector>: "all", user}``; raises RpcError."""
    for name in (selector, "user"):
        if name not in params:
            raise RpcError(INVALID_PARAMS, f"{name}: missing")
    if params[selector] != "all":
        raise RpcError(INVALID_PARAMS, f'{selector}: only "all" is known')
    try:
        return parse_address(params["user"])
    except MalformedAddress as error:
        raise RpcError(INVALID_PARAMS, f"user: {error}") from error
