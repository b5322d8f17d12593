"""The devices of users: who may register and remove them."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from relay.addresses import Address
from relay.messaging.limits import ClientRate
from relay.messaging.proof import OwnerOf, Proof, fault_of, token_text
from relay.push.sending import NotSent, Sender, TokenInvalid
from relay.store.push import PushStore

_CHECKS_AT_ONCE, _CHECK_SECONDS = 4, 10.0
_TOKEN = re.compile(r"[A-Za-z0-9:_.=~+-]{1,1024}")


class InvalidToken(Exception):
    """What was given is no token of a device."""


class UnknownToken(Exception):
    """The user has no such device."""


class TooManyTokens(Exception):
    """There are as many devices as may be, or too much is asked by one client."""


class NotTheUser(Exception):
    """The signature that is demanded is missing or does not fit."""


class Devices:
    """Registers devices. Nobody is told which there are: to remove one, its token must be known.

    A registration that the user signed goes before those that anybody made: it takes their place where all are
    taken, and theirs never takes its.
    """

    def __init__(
        self,
        store: PushStore,
        sender: Sender,
        *,
        max_per_user: int,
        max_users_per_device: int,
        require_signature: bool,
        chain_id: int,
        owner_of: OwnerOf,
        clock: Callable[[], int],
        rate: ClientRate,
    ) -> None:
        """Prepare; ``rate`` is how often one client may ask."""
        self._store = store
        self._sender = sender
        self._max_per_user = max_per_user
        self._max_users_per_device = max_users_per_device
        self._require_signature = require_signature
        self._chain_id = chain_id
        self._owner_of = owner_of
        self._clock = clock
        self._rate = rate
        self._checks = ThreadPoolExecutor(_CHECKS_AT_ONCE, "tokens")
        self._free = threading.BoundedSemaphore(_CHECKS_AT_ONCE)

    def add(self, user: Address, token: str, client: str, proof: Proof | None) -> None:
        """Register a device.

        Raises:
            InvalidToken, TooManyTokens, NotTheUser: if it is refused.
            NotSent, StoreError, ChainError: if that cannot be looked at now.

        """
        self._admit("PUT", user, token, client, proof)
        if _TOKEN.fullmatch(token) is None:
            raise InvalidToken("the token is none")
        self._check(token)
        most, most_users = self._max_per_user, self._max_users_per_device
        if not self._store.add_token(user, token, most, most_users, is_proven=proof is not None):
            raise TooManyTokens(f"the user has {most} devices already, or the device {most_users} users")

    def _check(self, token: str) -> None:
        """Ask the sender, which may take long: not so often at once that no thread is left for other requests."""
        if not self._free.acquire(blocking=False):
            raise NotSent(f"{_CHECKS_AT_ONCE} tokens are being looked at already")
        check = self._checks.submit(self._sender.check, token)
        check.add_done_callback(lambda _: self._free.release())
        try:
            check.result(_CHECK_SECONDS)
        except TokenInvalid:
            raise InvalidToken("the token is none, or not of this relay's app") from None
        except TimeoutError:
            raise NotSent(f"no answer within {_CHECK_SECONDS:g} s") from None

    def remove(self, user: Address, token: str, client: str, proof: Proof | None) -> None:
        """Remove a device; raises UnknownToken, TooManyTokens, NotTheUser, StoreError, ChainError."""
        self._admit("DELETE", user, token, client, proof)
        # What could not be registered is not asked for: a NUL would be a fault of the query.
        if _TOKEN.fullmatch(token) is None or not self._store.remove_token(user, token):
            raise UnknownToken("the user has no such token")

    def _admit(self, action: str, user: Address, token: str, client: str, proof: Proof | None) -> None:
        if not self._rate.allows(client):
            raise TooManyTokens("too many tokens a minute from one client")
        if proof is None:
            if self._require_signature:
                raise NotTheUser("this relay takes signed requests only: timestamp and signature are missing")
            return
        text = token_text(self._chain_id, action, user, token, proof.timestamp)
        fault = fault_of(proof, text, self._clock(), self._owner_of)
        if fault is not None:
            raise NotTheUser(fault)
