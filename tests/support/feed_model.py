"""What happens on a chain with reorgs, written down as it happens: what readers of the feed are to be told."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph.trustline import Pair
from relay.addresses import Address
from relay.contracts import ExchangeEvent, ExchangeEventType, Origin, TokenEvent, TokenEventType
from relay.model import Block, Event, EventType, Terms
from relay.store.contract_reading import UserEvent, users_of
from relay.store.feed_log import TAG_BYTES, Change, Entry, Log, Mark, NotOnFeed, NotYet, Place, Reached
from relay.store.happenings import NEWS_TYPES, STATE_TYPES

AnyEvent = Event | UserEvent
IDENTITY = 4711
_TERMS = Terms(10, 20, 0, 0, False)


@dataclass(frozen=True)
class Commit:
    """What the index wrote in one transaction; ``turn`` is the last commit up to it that undid blocks, or 0."""

    position: int
    turn: int
    undone_after: int | None
    blocks: Sequence[Block]
    withdrawn: Sequence[AnyEvent]
    added: Sequence[AnyEvent]
    last: Block

    @property
    def mark(self) -> Mark:
        return Mark(IDENTITY, self.position, self.last.number, self.last.hash[:TAG_BYTES])

    def changes(self) -> list[tuple[Change, AnyEvent]]:
        """Return what it did, in order: the newest is withdrawn first."""
        return [(Change.WITHDRAWN, event) for event in reversed(self.withdrawn)] + [
            (Change.ADDED, event) for event in self.added
        ]


class FeedModel:
    """A chain that grows and is replaced at random, and the log of all that was done."""

    def __init__(
        self,
        seed: int,
        users: Sequence[Address],
        network: Address,
        others: tuple[Address, Address] | None = None,
        first_position: int = 1,
    ) -> None:
        """Begin; ``others`` are a token and an exchange, if there are to be events of such."""
        self.commits: list[Commit] = []
        self._random = random.Random(seed)
        self._users, self._network, self._others = users, network, others
        self._next = first_position
        self._hashes = 0
        self._turn = 0
        self._chain = [self._block(0)]
        self._events: list[AnyEvent] = []

    def commit(self, position: int | None = None) -> Commit:
        """Let some blocks be added, now and then after others were undone."""
        position = position or self._next
        self._next = position + self._random.choice((1, 1, 1, 3))
        undone_after, withdrawn = None, []
        if len(self._chain) > 2 and self._random.random() < 0.35:
            depth = self._random.randint(1, min(4, len(self._chain) - 1))
            del self._chain[-depth:]
            undone_after, self._turn = self._chain[-1].number, position
            withdrawn = [event for event in self._events if where(event)[0] > undone_after]
            self._events = [event for event in self._events if where(event)[0] <= undone_after]
        least = 0 if undone_after is not None else 1
        blocks = [self._append() for _ in range(self._random.randint(least, 3))]
        added = [event for block in blocks for event in self._happening(block, withdrawn)]
        self._events += added
        made = Commit(position, self._turn, undone_after, blocks, withdrawn, added, self._chain[-1])
        self.commits.append(made)
        return made

    def log_of(self, user: Address) -> list[tuple[Change, AnyEvent]]:
        """Return all that a user is to be told who wants to know everything."""
        found = [change for commit in self.commits for change in commit.changes()]
        return [(change, event) for change, event in found if is_news(event) and user in parties(event)]

    def _append(self) -> Block:
        self._chain.append(self._block(self._chain[-1].number + 1))
        return self._chain[-1]

    def _block(self, number: int) -> Block:
        self._hashes += 1
        return Block(number, self._hashes.to_bytes(4) + bytes([number % 256]) * 28, b"", 1_000 + number)

    def _happening(self, block: Block, withdrawn: Sequence[AnyEvent]) -> list[AnyEvent]:
        """Return the events of a new block: new ones, and some that a reorg took out of another."""
        found: list[AnyEvent] = []
        for log in range(self._random.choice((0, 1, 1, 2, 4))):
            if withdrawn and self._random.random() < 0.5:
                found.append(_moved(self._random.choice(withdrawn), block, log))
            else:
                found.append(self._event(block, log))
        return found

    def _event(self, block: Block, log: int) -> AnyEvent:
        sender, receiver = self._random.choices(self._users, k=2)
        transaction = self._random.randbytes(32)
        if self._others is not None and self._random.random() < 0.4:
            token, exchange = self._others
            if self._random.random() < 0.5:
                origin = Origin(token, block.number, block.hash, block.timestamp, transaction, 0, log)
                return TokenEvent(origin, TokenEventType.TRANSFER, sender, receiver, 5)
            origin = Origin(exchange, block.number, block.hash, block.timestamp, transaction, 0, log)
            tokens = (token, token)
            return ExchangeEvent(
                origin, ExchangeEventType.LOG_FILL, transaction, sender, receiver, bytes(20), *tokens, 1, 2, 0, 0
            )
        kind = self._random.choice((EventType.TRANSFER, EventType.BALANCE_UPDATE, EventType.TRUSTLINE_UPDATE))
        if kind is not EventType.TRANSFER and sender == receiver:
            kind = EventType.TRANSFER
        place = (block.number, block.hash, block.timestamp, transaction, 0, log)
        terms = _TERMS if kind is EventType.TRUSTLINE_UPDATE else None
        value = None if terms is not None else 7
        return Event(self._network, kind, *place, sender, receiver, value, terms)


class ModelLog:
    """Reads a model as `relay.store.feed_log.FeedLog` reads Postgres, of which ``shown`` commits are written."""

    def __init__(self, model: FeedModel) -> None:
        self._model = model
        self.shown = 0
        self.start = Mark(IDENTITY, 0, 0)

    def mark(self) -> Mark:
        return self._model.commits[self.shown - 1].mark if self.shown else self.start

    def require(self, reached: Reached) -> None:
        self._base(reached)

    def since(
        self,
        reached: Reached,
        until: Mark | None = None,
        user: Address | None = None,
        most: int = 1_000_000,
    ) -> Log:
        base = self._base(reached)
        until = until or self.mark()
        commits = self._model.commits[: self.shown]
        up_to = [commit for commit in commits if commit.position <= until.position]
        end = until.ends_at(max([turn for commit in up_to if (turn := commit.turn) > base.position], default=0))
        if reached.base > until.position or reached.place > end:
            raise NotYet
        entries: list[Entry] = []
        touched: dict[tuple[Address, Pair], None] = {}
        for commit in up_to:
            if commit.position <= base.position:
                continue
            later = [gone for other in commits if other.position > commit.position for gone in other.withdrawn]
            for change, event in commit.changes():
                if user is not None and user not in parties(event):
                    continue
                sign = -1 if change is Change.WITHDRAWN else 1
                block, log = where(event)
                turn = commit.turn if commit.turn > base.position else 0
                if isinstance(event, Event) and event.type in STATE_TYPES:
                    touched[event.network, pair(event)] = None
                entry = Entry(
                    Place(turn, change, sign * block, sign * log),
                    event,
                    change is Change.ADDED and event in later,
                )
                if is_news(event) and entry.place > reached.place:
                    entries.append(entry)
        if len(entries) > most:
            return Log(until, end, self.mark().block, is_too_much=True)
        return Log(until, end, self.mark().block, entries, list(touched))

    def _base(self, reached: Reached) -> Mark:
        known = [self.start, *(commit.mark for commit in self._model.commits[: self.shown])]
        if reached.identity != IDENTITY:
            raise NotOnFeed(is_foreign=True)
        if reached.base > known[-1].position:
            raise NotYet
        for mark in known:
            if mark.position == reached.base and mark.tag == reached.tag:
                return mark
        raise NotOnFeed(is_foreign=False)


def where(event: AnyEvent) -> tuple[int, int]:
    """Return block and log of an event."""
    place = event if isinstance(event, Event) else event.origin
    return place.block_number, place.log_index


def parties(event: AnyEvent) -> tuple[Address, ...]:
    """Return whom an event concerns."""
    if isinstance(event, Event):
        return tuple(user for user in (event.sender, event.receiver) if user is not None)
    return users_of(event)


def pair(event: Event) -> Pair:
    """Return whose trustline an event is about."""
    lower, higher = sorted(parties(event))
    return lower, higher


def is_news(event: AnyEvent) -> bool:
    """Say whether users are told of an event itself."""
    return not isinstance(event, Event) or event.type in NEWS_TYPES


def _moved(event: AnyEvent, block: Block, log: int) -> AnyEvent:
    """Return an event as it is when another block holds its transaction."""
    if isinstance(event, Event):
        return replace(
            event, block_number=block.number, block_hash=block.hash, timestamp=block.timestamp, log_index=log
        )
    moved = replace(
        event.origin, block_number=block.number, block_hash=block.hash, timestamp=block.timestamp, log_index=log
    )
    return replace(event, origin=moved)
