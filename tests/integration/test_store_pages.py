"""Pages of events in the database: the list piece by piece, also while an index writes and takes back."""

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from relay.contracts import ContractKind, ExchangeEvent, ExchangeEventType, Origin, TokenEvent, TokenEventType
from relay.model import Block, Event, EventType
from relay.store.connection import Pool
from relay.store.expected import ExpectedEvent
from relay.store.migrate import migrate
from relay.store.operations import WritingPool
from relay.store.pages import EventPages, place_of
from relay.store.relayed import RelayedTransactions
from relay.store.writing import Writer
from tests.support.fake_services import ADA, BO, CASH, CASH_INFO, CY, FROZEN_INFO, FROZEN_NETWORK, client, text
from tests.support.walking import pages_from, with_query

TOKEN, EXCHANGE = bytes([0x70]) * 20, bytes([0xEC]) * 20
TWIN = ADA[:19] + b"!"
"""Shares all that an index knows of Ada's address."""

PEOPLE = (ADA, BO, CY, TWIN)
API = "/api/v1"
KINDS = (EventType.TRANSFER, EventType.TRANSFER, EventType.BALANCE_UPDATE, EventType.ONBOARD)
TIMES = 10
"""So many seconds lie between two blocks."""


@pytest.fixture
def writer(database_url: str) -> Iterator[Writer]:
    migrate(database_url)
    writer = Writer(database_url, silence_seconds=60)
    assert writer.try_lock()
    yield writer
    writer.close()


@pytest.fixture
def pool(database_url: str, writer: Writer) -> Iterator[Pool]:
    pool = Pool(database_url)
    yield pool
    pool.close()


@dataclass
class Story:
    """A chain as it is written to the database; ``states`` are all the lists of events that it ever had."""

    writer: Writer
    rng: random.Random
    networks: dict[bytes, int] = field(default_factory=dict)
    contracts: dict[bytes, int] = field(default_factory=dict)
    blocks: list[list[ExpectedEvent]] = field(default_factory=list)
    states: list[list[ExpectedEvent]] = field(default_factory=list)
    branch: int = 0

    def begin(self) -> None:
        with self.writer.transaction() as transaction:
            for info in (CASH_INFO, FROZEN_INFO):
                self.networks[info.address] = transaction.add_network(info).id
            transaction.add_contract(ContractKind.TOKEN, TOKEN, 0, None)
            transaction.add_contract(ContractKind.EXCHANGE, EXCHANGE, 0, None)
            self.contracts = {known.address: known.id for known in transaction.contracts() if known.address}
        self.states.append([])

    def go_on(self, count: int, undone: int = 0) -> None:
        """Take back the newest blocks, and add some, in one commit."""
        self.branch += 1
        stays = max(len(self.blocks) - undone, 0)
        added = [self._block(number) for number in range(stays + 1, stays + 1 + count)]
        events = [event for block in added for event in block]
        after = [event for block in [*self.blocks[:stays], *added] for event in block]
        with self.writer.transaction() as transaction:
            if undone:
                transaction.undo_contracts_after(stays, transaction.next_feed_position())
                transaction.undo_after(stays)
            transaction.add_blocks(self._header(stays + 1 + place) for place in range(count))
            transaction.add_events(
                (self.networks[event.network], event, None) for event in events if isinstance(event, Event)
            )
            transaction.add_contract_events(
                (self.contracts[event.origin.contract], event) for event in events if not isinstance(event, Event)
            )
            # Readers may see it from the commit on, so it is known before.
            self.states.append(after)
        self.blocks[stays:] = added

    def _header(self, number: int) -> Block:
        return Block(number, self._hash(number), b"", number * TIMES)

    def _hash(self, number: int) -> bytes:
        return (self.branch.to_bytes(4) + number.to_bytes(4)) * 4

    def _block(self, number: int) -> list[ExpectedEvent]:
        return [self._event(number, index) for index in sorted(self.rng.sample(range(20), self.rng.randrange(6)))]

    def _event(self, number: int, index: int) -> ExpectedEvent:
        at = (number, self._hash(number), number * TIMES, bytes(32), 0, index)
        sender, receiver = self.rng.choice(PEOPLE), self.rng.choice(PEOPLE)
        match self.rng.randrange(6):
            case 0:
                return TokenEvent(Origin(TOKEN, *at), TokenEventType.TRANSFER, sender, receiver, 1)
            case 1:
                taken = (bytes(32), sender, receiver, CY, TOKEN, TOKEN, 1, 1, 0, 0)
                return ExchangeEvent(Origin(EXCHANGE, *at), ExchangeEventType.LOG_FILL, *taken)
            case _:
                network = self.rng.choice((CASH, FROZEN_NETWORK))
                return Event(network, self.rng.choice(KINDS), *at, sender, receiver, value=1)


@pytest.fixture
def story(writer: Writer) -> Story:
    story = Story(writer, random.Random(20))
    story.begin()
    return story


@pytest.fixture
def api(pool: Pool) -> Any:
    contracts: Any = object()
    pages = EventPages(pool, lists_expected=True)
    return client(events=pages, contracts=contracts, order_book=contracts, max_events=10_000).get


def users_of(event: ExpectedEvent) -> set[bytes | None]:
    if isinstance(event, ExchangeEvent):
        return {event.maker, event.taker}
    return {event.sender, event.receiver}


def house_of(event: ExpectedEvent) -> bytes:
    return event.network if isinstance(event, Event) else event.origin.contract


PATHS: dict[str, Any] = {
    f"networks/{text(CASH)}": lambda event: house_of(event) == CASH,
    f"networks/{text(CASH)}/users/{text(ADA)}": lambda event: house_of(event) == CASH and ADA in users_of(event),
    f"networks/{text(CASH)}/users/{text(ADA)}/trustlines/{text(BO)}": lambda event: (
        house_of(event) == CASH and users_of(event) == {ADA, BO}
    ),
    f"users/{text(ADA)}": lambda event: ADA in users_of(event),
    f"tokens/{text(TOKEN)}": lambda event: house_of(event) == TOKEN,
    f"tokens/{text(TOKEN)}/users/{text(ADA)}": lambda event: house_of(event) == TOKEN and ADA in users_of(event),
    f"exchange/{text(EXCHANGE)}": lambda event: house_of(event) == EXCHANGE,
    f"exchange/{text(EXCHANGE)}/users/{text(ADA)}": lambda event: (
        house_of(event) == EXCHANGE and ADA in users_of(event)
    ),
    f"exchange/users/{text(ADA)}": lambda event: house_of(event) == EXCHANGE and ADA in users_of(event),
}
"""Every list, and whether an event is on it."""


def usual_types(path: str) -> set[str]:
    if "trustlines" in path:
        return {"BalanceUpdate"}
    return {"Transfer", "LogFill"}


def types_of(path: str) -> list[str]:
    if path.startswith("exchange"):
        return ["LogFill"]
    if path.startswith("tokens"):
        return ["Transfer", "Approval"]
    return (
        ["BalanceUpdate", "TrustlineUpdate"] if "trustlines" in path else ["Transfer", "BalanceUpdate", "Onboard"]
    )


def drawn_query(rng: random.Random, path: str, blocks: int) -> dict[str, Any]:
    """Draw parameters, each as often given as not."""
    types = types_of(path)

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.5 else None

    return {
        "limit": rng.randint(1, 12),
        "order": maybe(rng.choice(("asc", "desc"))),
        "type": maybe(rng.sample(types, rng.randint(1, min(2, len(types))))),
        "fromBlock": maybe(rng.randint(0, blocks)),
        "toBlock": maybe(rng.randint(0, blocks)),
        "since": maybe(rng.randint(0, blocks * TIMES)),
        "until": maybe(rng.randint(0, blocks * TIMES)),
    }


def matching(events: Sequence[ExpectedEvent], path: str, query: dict[str, Any]) -> list[tuple[str, int]]:
    """Return what is to be listed, found by looking at every event."""
    types = query.get("type") or usual_types(path)

    def is_within(event: ExpectedEvent) -> bool:
        number = place_of(event).block_number
        time = number * TIMES
        bounds = (
            (query.get("fromBlock"), lambda bound: number >= bound),
            (query.get("toBlock"), lambda bound: number <= bound),
            (query.get("since"), lambda bound: time >= bound),
            (query.get("until"), lambda bound: time < bound),
        )
        return all(bound is None or holds(bound) for bound, holds in bounds)

    found = [event for event in events if PATHS[path](event) and event.type in types and is_within(event)]
    return [place_seen(event) for event in (found[::-1] if query.get("order") == "desc" else found)]


def place_seen(event: ExpectedEvent) -> tuple[str, int]:
    at = event if isinstance(event, Event) else event.origin
    return "0x" + at.block_hash.hex(), at.log_index


def seen(answers: Sequence[Any]) -> list[tuple[str, int]]:
    return [(event["blockHash"], event["logIndex"]) for answer in answers for event in answer.get_json()]


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_the_list_in_both_directions_whatever_is_asked_for(story: Story, api: Any, path: str) -> None:
    story.go_on(60)
    rng = random.Random(path)
    for _ in range(12):
        query = drawn_query(rng, path, 60)
        expected = matching(story.states[-1], path, query)
        forth = list(pages_from(api, with_query(f"{API}/{path}/events", **query)))
        assert seen([page for _, page in forth]) == expected, query
        back = [page for _, page in pages_from(api, forth[-1][0], "prev")]
        assert seen(back[::-1]) == expected, query
    assert matching(story.states[-1], path, {}), "there was something to page through"


def test_old_calls_get_the_whole_list_in_the_order_of_the_chain(story: Story, api: Any) -> None:
    story.go_on(60)
    for path in PATHS:
        answer = api(f"{API}/{path}/events")
        assert seen([answer]) == matching(story.states[-1], path, {})
        assert "Link" not in answer.headers


def test_who_walks_while_an_index_writes_and_takes_back_sees_the_list_of_one_moment(
    story: Story, api: Any
) -> None:
    """Oldest first it is the list as it was at the last page, newest first as at the first one."""
    story.go_on(40)
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            undone = story.rng.choice((0, 0, 1, 3))
            story.go_on(undone + story.rng.randint(0, 1), undone)
            is_over.wait(0.002)

    writing = ThreadPoolExecutor(1).submit(write)
    path = f"users/{text(ADA)}"
    whole = refused = 0
    try:
        for attempt in range(40):
            query = {"order": ("asc", "desc")[attempt % 2], "limit": 5 + attempt % 30}
            found, spans = [], []
            for _, page in _with_spans(api, with_query(f"{API}/{path}/events", **query), story, spans):
                found.append(page)
            if found[-1].status_code == 410:
                refused += 1
                continue
            first, last = spans[0] if query["order"] == "desc" else spans[-1]
            possible = [matching(state, path, query) for state in story.states[first : last + 1]]
            assert seen(found) in possible
            whole += len(found) > 1
    finally:
        is_over.set()
        writing.result()
    assert whole > 5, f"{whole} walks over several pages came to an end, {refused} did not"


def _with_spans(api: Any, url: str, story: Story, spans: list[tuple[int, int]]) -> Iterator[tuple[str, Any]]:
    """Walk, noting for each page which states there were from before it was asked for until it was there."""

    def get(target: str) -> Any:
        first = len(story.states) - 2
        answer = api(target)
        spans.append((max(first, 0), len(story.states) - 1))
        return answer

    return pages_from(get, url)


def test_a_network_that_comes_to_be_served_outdates_the_cursors_of_lists_that_it_belongs_to(
    story: Story, api: Any
) -> None:
    story.go_on(30)
    path = f"{API}/users/{text(ADA)}/events?limit=3"
    of_one = f"{API}/networks/{text(CASH)}/events?limit=3"
    (_, (following, _)), (_, (following_of_one, _)) = (list(pages_from(api, url))[:2] for url in (path, of_one))
    with story.writer.transaction() as transaction:
        transaction.want_only([CASH])
    assert api(following).status_code == 410
    assert api(following_of_one).status_code == 200


@pytest.mark.parametrize("house", [CASH, TOKEN], ids=["network", "token"])
def test_what_is_read_anew_outdates_cursors_for_it_may_have_lacked_something(
    story: Story, api: Any, house: bytes
) -> None:
    story.go_on(30)
    of_all = f"{API}/users/{text(ADA)}/events?limit=3"
    of_another = f"{API}/networks/{text(FROZEN_NETWORK)}/events?limit=1"
    (_, (following, _)), (_, (following_of_another, _)) = (
        list(pages_from(api, url))[:2] for url in (of_all, of_another)
    )
    with story.writer.transaction() as transaction:
        if house == CASH:
            transaction.forget_events_of(story.networks[CASH])
        else:
            transaction.forget_contract_events_of(story.contracts[TOKEN])
    assert api(following).status_code == 410
    assert api(following_of_another).status_code == 200


def test_what_is_in_no_block_yet_is_on_the_page_of_the_newest_alone(
    story: Story, api: Any, database_url: str
) -> None:
    story.go_on(20)
    waits = Event(CASH, EventType.TRANSFER, 0, bytes(32), 0, bytes(32), 0, 0, ADA, BO, value=5)
    pool = WritingPool(database_url)
    RelayedTransactions(pool).remember((b"\x07" * 32, b"", ADA, 1), [waits], 1000, most_of_sender=10)
    pool.close()
    for path in (f"users/{text(ADA)}", f"networks/{text(CASH)}/users/{text(ADA)}", f"networks/{text(CASH)}"):
        for order in ("asc", "desc"):
            pages = [
                [event["status"] == "sent" for event in page.get_json()]
                for _, page in pages_from(api, f"{API}/{path}/events?limit=3&order={order}")
            ]
            newest = pages.pop(-1 if order == "asc" else 0)
            assert newest.index(True) == (len(newest) - 1 if order == "asc" else 0)
            assert sum(newest) == 1
            assert pages
            assert not any(flag for page in pages for flag in page)
        # Where a list ends at a block or a time, nothing that is to come belongs to it.
        for bound in ("toBlock=1000000", "until=9000000000"):
            assert all(event["status"] != "sent" for event in api(f"{API}/{path}/events?{bound}").get_json())
        assert api(f"{API}/{path}/events?since=9000000000").get_json()[-1]["status"] == "sent"
