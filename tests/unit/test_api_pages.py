"""Walking through lists of events, over a chain in memory that grows and is reorganised."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.contracts import Origin, TokenEvent, TokenEventType
from relay.model import Event, EventType
from relay.store.expected import ExpectedEvent
from relay.store.pages import HASH_PIECE, MarkOutdated, Page, PageQuestion, cut_page, place_of
from tests.support.fake_services import ADA, BO, CASH, CY, NOW, FakeEvents, client, text
from tests.support.walking import Get, links_of, pages_from, with_query

NETWORK_URL = f"/api/v1/networks/{text(CASH)}/events"
USER_URL = f"/api/v1/users/{text(ADA)}/events"
TOKEN = bytes([0x70]) * 20
SERVED: Any = object()
KINDS = (EventType.TRANSFER, EventType.TRUSTLINE_UPDATE_CANCEL, EventType.ONBOARD, None)
"""The events that are drawn; None is a token's transfer."""


@dataclass
class Chain:
    """Blocks of events from number 1 on, which lists are made of in the plainest way."""

    blocks: list[list[EventType | None]] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    scope: bytes = bytes(4)

    def add(self, kinds: list[EventType | None], branch: int) -> None:
        self.blocks.append(kinds)
        self.branch.append(branch)

    def undo_after(self, number: int) -> None:
        del self.blocks[number:], self.branch[number:]

    def hash_of(self, number: int) -> bytes:
        return blake2b(repr(self.branch[:number]).encode(), digest_size=32).digest()

    @property
    def events(self) -> list[ExpectedEvent]:
        return [
            self._event(number, index, kind)
            for number, kinds in enumerate(self.blocks, 1)
            for index, kind in enumerate(kinds)
        ]

    def _event(self, number: int, index: int, kind: EventType | None) -> ExpectedEvent:
        at = (number, self.hash_of(number), NOW + number, bytes(32), 0, index)
        if kind is None:
            return TokenEvent(Origin(TOKEN, *at), TokenEventType.TRANSFER, ADA, BO, 1)
        return Event(CASH, kind, *at, ADA, BO, value=1)

    def matching(self, asked: PageQuestion) -> list[ExpectedEvent]:
        return [event for event in self.events if _is_wanted(event, asked)]

    def page(self, asked: PageQuestion) -> Page:
        found = self.matching(asked)[:: 1 if asked.is_forward else -1]
        if asked.mark is not None:
            number = asked.mark.position.block_number
            is_there = number <= len(self.blocks) and self.hash_of(number)[:HASH_PIECE] == asked.mark.hash_piece
            if not is_there or self.scope != asked.mark.scope:
                raise MarkOutdated
            edge = asked.mark.position
            found = [event for event in found if (place_of(event) >= edge) == asked.is_forward]
        return cut_page(asked, found[: asked.most + 1], self.scope)


def _is_wanted(event: ExpectedEvent, asked: PageQuestion) -> bool:
    wanted = asked.networks if isinstance(event, Event) else asked.contracts
    if wanted is None:
        return False
    number = place_of(event).block_number
    return (
        (wanted.types is None or event.type in wanted.types)
        and wanted.from_block <= number
        and (wanted.to_block is None or number <= wanted.to_block)
    )


def api_of(chain: Chain, most: int = 10_000) -> Get:
    return client(events=chain, contracts=SERVED, max_events=most).get


def placed(answer: Any) -> list[tuple[str, int]]:
    return [(event["blockHash"], event["logIndex"]) for event in answer.get_json()]


blocks = st.lists(st.lists(st.sampled_from(KINDS), max_size=4), max_size=8)
walks = st.fixed_dictionaries(
    {
        "order": st.sampled_from([None, "asc", "desc"]),
        "limit": st.integers(1, 6),
        "fromBlock": st.none() | st.integers(0, 9),
        "toBlock": st.none() | st.integers(0, 9),
        "type": st.none()
        | st.lists(st.sampled_from(["Transfer", "TrustlineUpdateCancel", "Onboard"]), min_size=1, max_size=2),
    }
)


def chain_of(drawn: list[list[EventType | None]]) -> Chain:
    chain = Chain()
    for kinds in drawn:
        chain.add(kinds, 0)
    return chain


def whole(chain: Chain, walk: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the places of all events that a walk is to come by, found without the relay."""
    types = walk["type"] or ["Transfer", "TrustlineUpdateCancel"]
    found = [
        ("0x" + chain.hash_of(number).hex(), index)
        for number, kinds in enumerate(chain.blocks, 1)
        for index, kind in enumerate(kinds)
        if (walk["fromBlock"] or 0) <= number <= (9 if walk["toBlock"] is None else walk["toBlock"])
        and (kind or "Transfer") in types
    ]
    return found[::-1] if walk["order"] == "desc" else found


@settings(max_examples=60, deadline=None)
@given(blocks, walks, st.integers(1, 6))
def test_pages_one_by_one_are_the_list_and_so_are_they_on_the_way_back(
    drawn: list[list[EventType | None]], walk: dict[str, Any], other_limit: int
) -> None:
    chain = chain_of(drawn)
    get = api_of(chain)
    forth = list(pages_from(get, with_query(USER_URL, **walk)))
    expected = whole(chain, walk)
    assert [place for _, page in forth for place in placed(page)] == expected
    assert all(len(placed(page)) == walk["limit"] for _, page in forth[:-1])
    # Back from the last page, in steps of another size: all before it.
    _, last = forth[-1]
    before = links_of(last).get("prev")
    assert (before is None) == (len(forth) == 1)
    if before is not None:
        before = before.replace(f"limit={walk['limit']}", f"limit={other_limit}")
        back = [placed(page) for _, page in pages_from(get, before, "prev")]
        assert [place for page in reversed(back) for place in page] + placed(last) == expected
        assert all(len(page) == other_limit for page in back[:-1])


changes = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.lists(st.sampled_from(KINDS), max_size=3), max_size=3)), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(blocks, walks, changes)
def test_who_walks_while_the_chain_goes_on_sees_the_list_of_one_moment_or_is_told(
    drawn: list[list[EventType | None]], walk: dict[str, Any], later: list[tuple[int, list[Any]]]
) -> None:
    """Between any two pages blocks are undone and others come: that many, and these."""
    chain = chain_of(drawn)
    get = api_of(chain)
    first = whole(chain, walk)
    seen: list[tuple[str, int]] = []
    coming = iter(enumerate(later, 1))
    for _, page in pages_from(get, with_query(USER_URL, **walk)):
        if page.status_code == 410:
            # Nothing is refused but what really changed.
            assert seen[-1] not in whole(chain, walk)
            return
        seen += placed(page)
        now = whole(chain, walk)
        for branch, (undone, added) in coming:
            chain.undo_after(max(len(chain.blocks) - undone, 0))
            for kinds in added:
                chain.add(kinds, branch)
            break
    # Newest first it is the list as it was at the beginning; else as it is at the end.
    assert seen == (first if walk["order"] == "desc" else now)


def test_a_list_that_is_longer_than_an_answer_may_be_says_that_it_goes_on() -> None:
    get = api_of(chain_of([[EventType.TRANSFER] * 3, [EventType.TRANSFER] * 2]), most=4)
    answer = get(NETWORK_URL)
    assert len(answer.get_json()) == 4
    assert set(links_of(answer)) == {"next"}
    assert "Link" in answer.headers["Access-Control-Expose-Headers"]
    assert len(get(f"{NETWORK_URL}?limit=1000000").get_json()) == 4
    rest = get(links_of(answer)["next"])
    assert len(rest.get_json()) == 1
    assert set(links_of(rest)) == {"prev", "first"}


def test_a_list_that_is_answered_as_a_whole_has_no_links() -> None:
    answer = api_of(chain_of([[EventType.TRANSFER] * 4]), most=4)(NETWORK_URL)
    assert len(answer.get_json()) == 4
    assert "Link" not in answer.headers


def test_a_link_repeats_what_was_asked_and_names_no_host() -> None:
    get = api_of(chain_of([[EventType.TRANSFER] * 3, [EventType.ONBOARD] * 3]))
    query = "type=Transfer&type=Onboard,DebtUpdate&order=desc&limit=2&since=0&toBlock=7&colour=%3E%0A"
    target = links_of(get(f"{NETWORK_URL}?{query}"))["next"]
    parts = urlsplit(target)
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", NETWORK_URL)
    asked = parse_qs(parts.query)
    assert asked.pop("cursor")
    assert asked == {
        "type": ["Transfer", "Onboard,DebtUpdate"],
        "order": ["desc"],
        "limit": ["2"],
        "since": ["0"],
        "toBlock": ["7"],
    }


def test_the_last_page_asked_again_has_what_came_since() -> None:
    chain = chain_of([[EventType.TRANSFER] * 3])
    get = api_of(chain)
    *_, (url, page) = pages_from(get, f"{NETWORK_URL}?limit=2")
    assert len(placed(page)) == 1
    chain.add([EventType.TRANSFER] * 2, 0)
    again = get(url)
    assert placed(again)[:1] == placed(page)
    assert len(placed(again)) == 2
    assert len(placed(get(links_of(again)["next"]))) == 1


def test_the_first_page_is_linked_from_the_others() -> None:
    get = api_of(chain_of([[EventType.TRANSFER] * 3]))
    start = f"{NETWORK_URL}?limit=2&order=desc"
    second = get(links_of(get(start))["next"])
    assert placed(get(links_of(second)["first"])) == placed(get(start))


def test_a_cursor_below_which_the_chain_changed_is_gone_and_the_answer_says_why() -> None:
    chain = chain_of([[EventType.TRANSFER], [EventType.TRANSFER], [EventType.TRANSFER]])
    get = api_of(chain)
    following = links_of(get(f"{NETWORK_URL}?limit=2"))["next"]
    chain.undo_after(2)
    chain.add([EventType.TRANSFER], 1)
    assert get(following).status_code == 200
    chain.undo_after(1)
    chain.add([EventType.TRANSFER], 2)
    chain.add([EventType.TRANSFER], 2)
    answer = get(following)
    assert answer.status_code == 410
    assert "fromBlock" in answer.get_json()["message"]


def test_a_contract_that_comes_to_be_served_outdates_cursors() -> None:
    chain = chain_of([[EventType.TRANSFER] * 3])
    get = api_of(chain)
    following = links_of(get(f"{USER_URL}?limit=2"))["next"]
    chain.scope = b"more"
    assert get(following).status_code == 410


def _replaced(cursor: str, place: int) -> str:
    return cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]


@pytest.mark.parametrize(
    "other",
    [
        lambda url: url.replace("order=asc", "order=desc"),
        lambda url: url + "&type=Transfer",
        lambda url: url + "&fromBlock=1",
        lambda url: url + "&toBlock=100",
        lambda url: url + "&since=1",
        lambda url: url + "&until=9999999999",
        lambda url: url.replace(text(ADA), text(BO)),
        lambda url: url.replace("/users/", f"/networks/{text(CASH)}/users/"),
        lambda url: url + "&contractType=Token",
    ],
)
def test_a_cursor_goes_on_with_its_own_list_alone(other: Callable[[str], str]) -> None:
    get = api_of(chain_of([[EventType.TRANSFER, None, EventType.TRANSFER]]))
    following = links_of(get(f"{USER_URL}?order=asc&limit=1"))["next"]
    # How many, and an order that is the usual one anyway, make no other list.
    assert get(following.replace("limit=1", "limit=2").replace("order=asc&", "")).status_code == 200
    changed = other(following)
    assert changed != following
    answer = get(changed)
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith("cursor: ")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60) | st.binary(min_size=33, max_size=33).map(lambda raw: raw.hex()) | st.integers(0, 43))
def test_what_is_no_cursor_is_refused_whatever_it_is(drawn: str | int) -> None:
    get = api_of(CHAIN)
    cursor = drawn if isinstance(drawn, str) else _replaced(CURSOR, drawn)
    answer = get(with_query(NETWORK_URL, limit=1, cursor=cursor.encode(errors="replace")))
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith("cursor: ")


CHAIN = chain_of([[EventType.TRANSFER] * 3])
CURSOR = parse_qs(urlsplit(links_of(api_of(CHAIN)(f"{NETWORK_URL}?limit=1"))["next"]).query)["cursor"][0]


def waiting() -> Event:
    return Event(CASH, EventType.TRANSFER, 101, bytes(32), NOW, bytes([7]) * 32, 0, 0, ADA, BO, value=5)


def test_newest_first_begins_with_what_is_in_no_block_yet() -> None:
    mined = Event(CASH, EventType.TRANSFER, 42, bytes(32), NOW, bytes(32), 0, 0, ADA, BO, value=5)
    events = FakeEvents([mined], expected=[waiting()])
    statuses = [
        [event["status"] for event in client(events=events).get(f"{USER_URL}?order={order}").get_json()]
        for order in ("asc", "desc")
    ]
    assert statuses == [["confirmed", "sent"], ["sent", "confirmed"]]


@pytest.mark.parametrize(
    ("query", "types"),
    [
        ("type=Transfer&type=TrustlineUpdate", {"Transfer", "TrustlineUpdate"}),
        ("type=Transfer,TrustlineUpdate,Transfer", {"Transfer", "TrustlineUpdate"}),
        ("type=Transfer,Onboard&type=DebtUpdate", {"Transfer", "Onboard", "DebtUpdate"}),
    ],
)
@pytest.mark.parametrize("url", [NETWORK_URL, USER_URL, f"/api/v1/networks/{text(CASH)}/users/{text(CY)}/events"])
def test_several_types_are_named_one_by_one_or_together(url: str, query: str, types: set[str]) -> None:
    events = FakeEvents()
    assert client(events=events).get(f"{url}?{query}").status_code == 200
    (wanted,) = events.asked
    assert sorted(wanted.types) == sorted(types)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=all", "limit"),
        ("limit=", "limit"),
        ("toBlock=latest", "toBlock"),
        ("since=yesterday", "since"),
        (f"until={2**63}", "until"),
        ("order=newest", "order"),
        ("order=", "order"),
        ("type=Transfer,", "type"),
        ("type=Transfer&type=transfer", "type"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
    ],
)
@pytest.mark.parametrize("url", [NETWORK_URL, USER_URL])
def test_a_bad_parameter_is_refused_by_name(url: str, query: str, field: str) -> None:
    answer = client().get(f"{url}?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith(f"{field}: ")
