"""Who comes back with a cursor is told what happened meanwhile: all of it and once, whenever they left."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from relay.addresses import Address, to_checksum
from relay.store.errors import DatabaseUnreachable
from relay.store.feed_log import Change, Log, Mark, Reached
from relay.streams.cursor import MalformedCursor, read_cursor, write_cursor
from relay.streams.feeder import Feeder
from relay.streams.history import MOST_RESUMED, History
from relay.streams.hub import Batch, End, Hub, Kind, News, Receipt, Subscription
from relay.streams.resuming import Resumer
from relay.streams.rpc import notification
from relay.streams.session import Session
from tests.support.fake_services import ADA, BO, CASH, CY, graphs
from tests.support.feed_model import FeedModel, ModelLog, is_news, pair, parties, where

USERS = [ADA, BO, CY]
AT_THE_END = 10**9
"""The graphs of these tests are where the feed is."""


class Process:
    """An API process: what it has read of the feed may reach its hub late."""

    def __init__(self, log: ModelLog) -> None:
        self.hub = Hub()
        networks = graphs(position=AT_THE_END)
        self.resumer = Resumer(History(log, networks), self.hub)
        self.under_way: list[Batch] = []
        self._feeder = Feeder(log, networks, self.hub, self.under_way.append, lambda: pytest.fail("not run"))

    def read(self) -> None:
        self._feeder.catch_up()

    def tell(self, most: int = 1_000) -> None:
        for batch in self.under_way[:most]:
            self.hub.advance(batch)
        del self.under_way[:most]


class Line:
    """A connection: what is said over it may be lost at its end."""

    def __init__(self, log: ModelLog, hears: int = 1_000_000) -> None:
        self.heard: list[tuple[int, dict[str, Any]]] = []
        self.ended: End | None = None
        self._log, self._hears = log, hears

    def tell(self, subscription: Subscription, news: News) -> None:
        cursor = news.cursor if subscription.wants_cursors else None
        if news.event is not None or cursor is not None:
            self._hear(json.loads(notification(subscription.id, news.event, cursor))["params"])

    def has_room(self) -> bool:
        return True

    def allow(self, size: int) -> None:
        pass

    def end(self, why: End) -> None:
        self.ended = why

    def respond(self, text: bytes, receipt: Receipt | None) -> None:
        answer = json.loads(text)
        assert "error" not in answer, answer

    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass

    def _hear(self, params: dict[str, Any]) -> None:
        if len(self.heard) < self._hears:
            self.heard.append((self._log.shown, params))


class Client:
    """Follows a user, now over this connection, now over that, and notes what it hears and when."""

    def __init__(self, user: Address, *, withdrawals: bool) -> None:
        self.user, self.withdrawals = user, withdrawals
        self.cursor: str | None = None
        self.heard: list[tuple[int, dict[str, Any]]] = []
        self.line: Line | None = None
        self._session: Session | None = None

    async def connect(self, process: Process, log: ModelLog, hears: int = 1_000_000) -> None:
        self.line = Line(log, hears)
        self._session = Session(Kind.EVENTS, process.hub, self.line, None, process.resumer)
        params = {"event": "all", "user": to_checksum(self.user), "cursor": self.cursor}
        params["withdrawals"] = self.withdrawals
        call = {"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1}
        await self._session.receive(json.dumps(call))

    def leave(self) -> None:
        if self.line is None or self._session is None:
            return
        self._session.close()
        self.heard += self.line.heard
        for _, params in self.line.heard:
            self.cursor = params.get("cursor", self.cursor)
        self.line = None

    def told(self) -> list[tuple[Change, int, int, str]]:
        """Return the events and withdrawals that were heard, in order."""
        found = []
        for _, params in self.heard:
            event = params.get("event", {})
            if "logIndex" in event:
                change = Change.WITHDRAWN if event["status"] == "withdrawn" else Change.ADDED
                found.append((change, event["blockNumber"], event["logIndex"], event["blockHash"]))
        return found


def run(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(act())


async def settle(processes: list[Process]) -> None:
    """Let everybody be told all there is."""
    for _ in range(6):
        for process in processes:
            process.read()
            process.tell()
        await asyncio.sleep(0.01)


async def play(seed: int, model: FeedModel, log: ModelLog, clients: list[Client]) -> None:
    """Let clients come and go while the chain moves and processes read of it now and then."""
    chance = random.Random(seed)
    processes = [Process(log), Process(log)]
    await settle(processes)
    for client in clients:
        await client.connect(chance.choice(processes), log)
    await settle(processes)
    for _ in range(40):
        model.commit()
        log.shown = min(log.shown + chance.choice((0, 1, 1, 3)), len(model.commits))
        for process in processes:
            if chance.random() < 0.6:
                process.read()
            if chance.random() < 0.6:
                process.tell(chance.randint(1, 3))
        if chance.random() < 0.3:
            await asyncio.sleep(0.002)
        for client in clients:
            await come_or_go(client, chance, processes, log)
    log.shown = len(model.commits)
    for _ in range(2):
        await settle(processes)
        for client in clients:
            client.leave()
            await client.connect(chance.choice(processes), log)
    await settle(processes)
    for client in clients:
        client.leave()
    for process in processes:
        process.resumer.stop()


async def come_or_go(client: Client, chance: random.Random, processes: list[Process], log: ModelLog) -> None:
    if client.line is not None and chance.random() < 0.3:
        client.leave()
    if client.line is None and chance.random() < 0.5:
        await client.connect(chance.choice(processes), log, chance.choice((0, 1, 2, 5, 1_000)))


def played(seed: int, *, withdrawals: bool) -> tuple[FeedModel, list[Client]]:
    """Return what happened and the clients, one for each user, who followed it."""
    model = FeedModel(seed, USERS, CASH)
    log = ModelLog(model)
    clients = [Client(user, withdrawals=withdrawals) for user in USERS]

    async def act() -> None:
        await play(seed, model, log, clients)

    run(act)
    return model, clients


@pytest.mark.parametrize("seed", range(12))
def test_through_reorgs_and_breaks_everything_is_told_once_and_in_order(seed: int) -> None:
    model, clients = played(seed, withdrawals=True)
    for client in clients:
        wanted = [
            (change, *where(event), f"0x{event.block_hash.hex()}")  # type: ignore[union-attr]
            for change, event in model.log_of(client.user)
        ]
        assert len(wanted) > 10
        assert client.told() == wanted


@pytest.mark.parametrize("seed", range(100, 106))
def test_who_does_not_ask_for_withdrawals_is_told_of_what_stands_once_and_of_no_withdrawal(seed: int) -> None:
    model, clients = played(seed, withdrawals=False)
    for client in clients:
        told = client.told()
        happened = model.log_of(client.user)
        added = [
            (Change.ADDED, *where(event), f"0x{event.block_hash.hex()}")  # type: ignore[union-attr]
            for change, event in happened
            if change is Change.ADDED
        ]
        gone = {
            (*where(event), f"0x{event.block_hash.hex()}")  # type: ignore[union-attr]
            for change, event in happened
            if change is Change.WITHDRAWN
        }
        assert told == [entry for entry in added if entry in set(told)], "in order, once, and only what happened"
        assert [entry for entry in told if entry[1:] not in gone] == [
            entry for entry in added if entry[1:] not in gone
        ]


@pytest.mark.parametrize("seed", range(200, 206))
def test_how_a_trustline_stands_is_told_after_its_last_change_whatever_broke_meanwhile(seed: int) -> None:
    model, clients = played(seed, withdrawals=False)
    for client in clients:
        changed: dict[str, int] = {}
        for number, commit in enumerate(model.commits, 1):
            for _, event in commit.changes():
                if client.user in parties(event) and (not is_news(event) or event.type == "TrustlineUpdate"):
                    (other,) = set(pair(event)) - {client.user}  # type: ignore[arg-type]
                    changed[to_checksum(other)] = number
        told: dict[str, int] = {}
        totals_at = 0
        for shown, params in client.heard:
            if params.get("event", {}).get("type") == "BalanceUpdate":
                told[params["event"]["counterParty"]] = shown
            if params.get("event", {}).get("type") == "NetworkBalance":
                totals_at = shown
        assert changed
        for other, number in changed.items():
            assert told[other] >= number
            assert totals_at >= number


@pytest.mark.parametrize("seed", range(301, 305))
def test_who_leaves_between_two_balances_told_together_is_told_of_both_again(seed: int) -> None:
    model = FeedModel(seed, USERS, CASH)
    log = ModelLog(model)
    whole, broken = Client(ADA, withdrawals=True), Client(ADA, withdrawals=True)

    async def act() -> None:
        process = Process(log)
        await settle([process])
        await whole.connect(process, log)
        await settle([process])
        for _ in range(15):
            model.commit()
        log.shown = len(model.commits)
        await settle([process])
        whole.leave()
        states = [n for n, (_, params) in enumerate(whole.heard) if "to" in params.get("event", {})]
        first = next(n for n in states if whole.heard[n][1]["event"]["type"] == "BalanceUpdate")
        broken.cursor = whole.heard[first][1]["cursor"]
        await broken.connect(process, log)
        await settle([process])
        broken.leave()
        assert states_in(broken) == states_in(whole)
        assert len(states_in(broken)) > 2
        assert broken.told() == []
        process.resumer.stop()

    run(act)


def states_in(client: Client) -> list[dict[str, Any]]:
    events = [params["event"] for _, params in client.heard if "event" in params]
    return [event for event in events if event["type"] in ("BalanceUpdate", "NetworkBalance")]


def test_from_a_cursor_of_nothing_new_only_the_place_is_told() -> None:
    model = FeedModel(1, USERS, CASH)
    log = ModelLog(model)
    client = Client(ADA, withdrawals=False)

    async def act() -> None:
        process = Process(log)
        await settle([process])
        for _ in range(2):
            await client.connect(process, log)
            await settle([process])
            client.leave()
        process.resumer.stop()

    run(act)
    first, second = (params for _, params in client.heard)
    assert set(first) == {"cursor"}
    assert first == second


def test_a_cursor_of_a_process_that_is_ahead_waits_for_this_one() -> None:
    model = FeedModel(2, USERS, CASH)
    log = ModelLog(model)
    client = Client(ADA, withdrawals=True)

    async def act() -> None:
        ahead, behind = Process(log), Process(log)
        await settle([ahead, behind])
        await client.connect(ahead, log)
        await settle([ahead])
        for _ in range(12):
            model.commit()
            log.shown += 1
            ahead.read()
            ahead.tell()
        client.leave()
        before = len(client.told())
        assert before
        await client.connect(behind, log)
        await asyncio.sleep(0.02)
        assert client.line is not None
        assert client.line.heard == []
        await settle([behind])
        client.leave()
        assert len(client.told()) == before
        for process in (ahead, behind):
            process.resumer.stop()

    run(act)


class FailingLog(ModelLog):
    """A log that cannot be read some of the time."""

    failures = 0

    def since(self, reached: Reached, until: Mark | None = None, *more: Any) -> Log:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnreachable("away")
        return super().since(reached, until, *more)


def test_what_cannot_be_read_for_a_moment_is_told_later() -> None:
    model = FeedModel(3, USERS, CASH)
    log = FailingLog(model)
    client = Client(ADA, withdrawals=True)

    async def act() -> None:
        process = Process(log)
        await settle([process])
        await client.connect(process, log)
        await settle([process])
        client.leave()
        for _ in range(10):
            model.commit()
        log.shown = len(model.commits)
        await settle([process])
        log.failures = 1
        await client.connect(process, log)
        await asyncio.sleep(0.7)
        await settle([process])
        client.leave()
        process.resumer.stop()

    run(act)
    assert len(client.told()) == len(model.log_of(ADA)) > 0


def test_a_feed_that_does_not_lead_on_ends_the_subscriptions_with_a_reason() -> None:
    model = FeedModel(4, USERS, CASH)
    log = ModelLog(model)
    client = Client(ADA, withdrawals=False)

    async def act() -> None:
        process = Process(log)
        model.commit()
        log.shown = 1
        await settle([process])
        await client.connect(process, log)
        await settle([process])
        # Another database stands at other commits.
        other = FeedModel(5, USERS, CASH, first_position=50)
        other.commit()
        log._model = other
        process.read()
        process.tell()
        assert client.line is not None
        assert client.line.ended is not None
        assert client.line.ended.code == "interrupted"
        process.resumer.stop()

    run(act)


class OverflowingLog(ModelLog):
    """A log of which there is too much for all together."""

    def since(self, reached: Reached, until: Mark | None = None, user: Address | None = None, *more: Any) -> Log:
        return super().since(reached, until, user, *(more if user is not None else (0,)))


def test_what_is_too_much_to_be_told_to_all_is_said_and_each_can_go_on_from_the_cursor() -> None:
    model = FeedModel(7, USERS, CASH)
    log = OverflowingLog(model)
    client = Client(ADA, withdrawals=True)

    async def act() -> None:
        process = Process(log)
        await settle([process])
        await client.connect(process, log)
        await settle([process])
        for _ in range(8):
            model.commit()
        log.shown = len(model.commits)
        await settle([process])
        assert client.line is not None
        assert client.line.ended is not None
        assert client.line.ended.code == "interrupted"
        client.leave()
        assert client.told() == []
        await client.connect(process, log)
        await settle([process])
        client.leave()
        process.resumer.stop()

    run(act)
    assert len(client.told()) == len(model.log_of(ADA)) > 0


class ShortLog(ModelLog):
    """A log of which three events are too much for anybody."""

    asked_for = 0

    def since(
        self, reached: Reached, until: Mark | None = None, user: Address | None = None, most: int = 0
    ) -> Log:
        self.asked_for = most
        return super().since(reached, until, user, 2)


def test_more_than_is_told_since_a_cursor_is_an_end_with_a_reason() -> None:
    model = FeedModel(8, USERS, CASH)
    log = ShortLog(model)
    client = Client(ADA, withdrawals=True)

    async def act() -> None:
        process = Process(log)
        await settle([process])
        await client.connect(process, log)
        await settle([process])
        client.leave()
        while len(model.log_of(ADA)) <= 2:
            model.commit()
        log.shown = len(model.commits)
        await settle([process])
        await client.connect(process, log)
        while client.line is not None and client.line.ended is None:
            await asyncio.sleep(0.01)
        assert client.line is not None
        assert client.line.ended is not None
        assert client.line.ended.code == "too_much"
        assert log.asked_for == MOST_RESUMED
        process.resumer.stop()

    run(act)


@pytest.mark.parametrize(
    "text", ["", "x" * 56, "A" * 55, "A" * 57, "ä" * 56, 7, None, [], "=" * 56, "A" * 55 + "\n"]
)
def test_a_text_that_is_no_cursor_is_malformed(text: object) -> None:
    with pytest.raises(MalformedCursor):
        read_cursor(text)


def test_a_cursor_is_a_text_for_urls_that_stands_for_its_place() -> None:
    model = FeedModel(6, USERS, CASH)
    log = ModelLog(model)
    for _ in range(20):
        model.commit()
    log.shown = 20
    whole = Reached.whole(model.commits[0].mark)
    for entry in log.since(whole).entries:
        reached = whole.at(entry.place)
        text = write_cursor(reached)
        assert read_cursor(text) == reached
        assert text.replace("-", "").replace("_", "").isalnum()
