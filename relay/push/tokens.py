"""The devices of users: who may register and remove them."""

import re
from collections.abc import Callable

from relay.addresses import Address
from relay.messaging.limits import Rate
from relay.messaging.proof import OwnerOf, Proof, fault_of, token_text
from relay.push.sending import Sender, TokenInvalid
from relay.store.push import PushStore

_TOKEN = re.compile(r"[A-Za-z0-9:_.=~+-]{1,1024}")


class InvalidToken(Exception):
    """What was given is no token of a device."""


class UnknownToken(Exception):
    """The user has no such device."""


class TooManyTokens(Exception):
    """The user has as many devices as one may have, or too much is asked from one place."""


class NotTheUser(Exception):
    """The signature that is demanded is missing or does not fit."""


class Devices:
    """Registers devices. Nobody is told which there are: to remove one, its token must be known."""

    def __init__(
        self,
        store: PushStore,
        sender: Sender,
        *,
        max_per_user: int,
        require_signature: bool,
        chain_id: int,
        owner_of: OwnerOf,
        clock: Callable[[], int],
        rate: Rate,
    ) -> None:
        """Prepare; ``rate`` is how often one place may ask."""
        self._store = store
        self._sender = sender
        self._max_per_user = max_per_user
        self._require_signature = require_signature
        self._chain_id = chain_id
        self._owner_of = owner_of
        self._clock = clock
        self._rate = rate

    def add(self, user: Address, token: str, place: str, proof: Proof | None) -> None:
        """Register a device.

        Raises:
            InvalidToken, TooManyTokens, NotTheUser: if it is refused.
            NotSent, StoreError, ChainError: if that cannot be looked at now.

        """
        self._admit("PUT", user, token, place, proof)
        if _TOKEN.fullmatch(token) is None:
            raise InvalidToken("the token is none")
        try:
            self._sender.check(token)
        except TokenInvalid:
            raise InvalidToken("the token is none, or not of this relay's app") from None
        if not self._store.add_token(user, token, self._max_per_user):
            raise TooManyTokens(f"the user has {self._max_per_user} devices already")

    def remove(self, user: Address, token: str, place: str, proof: Proof | None) -> None:
        """Remove a device; raises UnknownToken, TooManyTokens, NotTheUser, StoreError, ChainError."""
        self._admit("DELETE", user, token, place, proof)
        if not self._store.remove_token(user, token):
            raise UnknownToken("the user has no such token")

    def _admit(self, action: str, user: Address, token: str, place: str, proof: Proof | None) -> None:
        if not self._rate.allows(place):
            raise TooManyTokens("too many tokens a minute from one place")
        if proof is None:
            if self._require_signature:
                raise NotTheUser("this relay takes signed requests only: timestamp and signature are missing")
            return
        text = token_text(self._chain_id, action, user, token, proof.timestamp)
        fault = fault_of(proof, text, self._clock(), self._owner_of)
        if fault is not None:
            raise NotTheUser(fault)
