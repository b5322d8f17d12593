"""Taking messages: what is refused, and why; what is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relay.addresses import Address
from relay.messaging.errors import MailboxFull, NotProven, RelayFull, TooLarge, TooMany
from relay.messaging.limits import ClientRate, Rate
from relay.messaging.proof import VALID_SECONDS, OwnerOf, Proof, digest_of, fault_of, message_text
from relay.store.connection import Cursor
from relay.store.messages import Message, MessageStore
from relay.store.operating import OperatingPool
from relay.store.rates import RateStore, take

DEFAULT_TYPE = "Message"
"""The type of a message whose sender gave none."""

MAX_TYPE_LENGTH = 100

_RECOUNT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken, rates a minute (0: any); ``max_unread`` are kept for a user and ``max_stored`` for all."""

    max_bytes: int = 16_384
    per_receiver: int = 120
    per_client: int = 120
    max_unread: int = 1_000
    max_stored: int = 1_000_000
    require_signature: bool = False


class Also(Protocol):
    """What else is done with a message, in the transaction that stores it."""

    def __call__(self, cursor: Cursor, message: Message) -> None:
        """Do it; raises StoreError."""


class Mailboxes:
    """Takes messages for users."""

    def __init__(
        self,
        pool: OperatingPool,
        rules: Rules,
        *,
        chain_id: int,
        owner_of: OwnerOf,
        clock: Callable[[], int],
        ticks: Callable[[], float],
        also: Also | None = None,
    ) -> None:
        """Prepare; ``clock`` tells Unix seconds, ``ticks`` seconds for the rates."""
        self._pool = pool
        self._store = MessageStore(pool)
        self._rules = rules
        self._chain_id = chain_id
        self._owner_of = owner_of
        self._clock = clock
        self._also = also
        self._ticks = ticks
        self._from_client = ClientRate(RateStore(pool), "messages from", rules.per_client, ticks)
        self._to_user = Rate(rules.per_receiver, ticks)
        self._stored, self._counted_at = 0, -_RECOUNT_SECONDS

    def post(
        self, receiver: Address, body: str, kind: str | None, *, client: str, proof: Proof | None = None
    ) -> None:
        """Store a message; ``client`` is where it came from. A proof that is given must hold.

        Raises:
            TooLarge, TooMany, MailboxFull, RelayFull, NotProven: if it is refused.
            StoreError, ChainError: if it cannot be stored, or the proof not be looked at.

        """
        rules, kind = self._rules, kind or DEFAULT_TYPE
        if len(body.encode("utf-8")) > rules.max_bytes:
            raise TooLarge(f"the message has more than {rules.max_bytes} bytes")
        if not self._from_client.allows(client):
            raise TooMany(f"more than {rules.per_client} messages a minute from one client")
        now = self._clock()
        digest = self._proven(receiver, kind, body, now, proof)
        if not self._to_user.allows(receiver):
            raise self._too_many_to_user()
        with self._pool.transaction() as cursor:
            if digest is not None and not self._store.note_signature(cursor, digest, now + 2 * VALID_SECONDS):
                raise NotProven("a message with this signature has been sent before")
            self._require_room(cursor, receiver)
            sender = None if proof is None else proof.signer
            message = self._store.add(cursor, receiver, kind, body, now, sender)
            if self._also is not None:
                self._also(cursor, message)

    def _require_room(self, cursor: Cursor, receiver: Address) -> None:
        """Raise unless one more message to a user may be kept; counted one after the other for each user."""
        rules, ticks = self._rules, self._ticks()
        if ticks - self._counted_at >= _RECOUNT_SECONDS:
            self._stored, self._counted_at = self._store.number(cursor, rules.max_stored), ticks
        if self._stored >= rules.max_stored:
            raise RelayFull(f"the relay keeps {rules.max_stored} messages already")
        self._store.lock_mailbox(cursor, receiver)
        if rules.per_receiver and not take(cursor, "messages to", receiver, rules.per_receiver):
            raise self._too_many_to_user()
        if self._store.number_unread(cursor, receiver, rules.max_unread) >= rules.max_unread:
            raise MailboxFull(f"the receiver has {rules.max_unread} unread messages: no more are kept")
        self._stored += 1

    def _too_many_to_user(self) -> TooMany:
        return TooMany(f"more than {self._rules.per_receiver} messages a minute to one user")

    def _proven(self, receiver: Address, kind: str, body: str, now: int, proof: Proof | None) -> bytes | None:
        """Return what a proof signs, None where there is none and none is needed; raises NotProven."""
        if proof is None:
            if self._rules.require_signature:
                raise NotProven(
                    "this relay takes signed messages only: sender, timestamp and signature are missing"
                )
            return None
        text = message_text(self._chain_id, receiver, kind, body, proof.timestamp)
        fault = fault_of(proof, text, now, self._owner_of)
        if fault is not None:
            raise NotProven(fault)
        return digest_of(text)
