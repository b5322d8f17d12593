"""What lists of events have in common: a page is read, answered, and linked to its neighbours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from flask import Response, after_this_request, request

from relay.addresses import Address
from relay.api.event_answers import event_answer
from relay.api.event_questions import EventQuestion, ListOrder
from relay.api.paging import CursorOutdated, Turn, link, read_cursor, write_cursor
from relay.api.resources.base import ApiResource
from relay.model import Event
from relay.store.contract_reading import ContractFilter
from relay.store.event_reading import EventFilter
from relay.store.expected import ExpectedEvent
from relay.store.pages import HASH_PIECE, Mark, MarkOutdated, Page, PageQuestion, place_of
from relay.store.stretch import Position

_KEPT = ("type", "contractType", "fromBlock", "toBlock", "since", "until", "order", "limit")
"""The parameters that a link repeats."""


class EventLister(ApiResource):
    """A resource that lists events."""

    def list_events(
        self,
        question: EventQuestion,
        networks: EventFilter | None,
        contracts: ContractFilter | None = None,
        user: Address | None = None,
    ) -> list[dict[str, Any]]:
        """Return what is answered for a page of the events asked for, and link it to the pages beside it.

        Raises:
            UnprocessableEntity: if the cursor is none, or another list's.
            CursorOutdated: if the list changed below the cursor.
            UnknownContract: if a contract is asked for that is not served.
            StoreError: if they cannot be read.

        """
        self.note_block()
        is_descending = question.order is ListOrder.DESCENDING
        name = repr((networks, contracts, question.since, question.until, question.order.value)).encode()
        turn = None if question.cursor is None else read_cursor(question.cursor, name)
        asked = PageQuestion(
            networks,
            contracts,
            most=min(question.limit or self.services.max_events, self.services.max_events),
            is_forward=not is_descending if turn is None else turn.is_forward,
            mark=None if turn is None else turn.mark,
            since=question.since,
            until=question.until,
        )
        try:
            page = self.services.events.page(asked)
        except MarkOutdated as error:
            raise CursorOutdated from error
        _add_links(page, asked.mark, name, is_descending=is_descending)
        block = self.services.networks.block
        head = 0 if block is None else block.number
        answer = [event_answer(event, head, user) for event in page.events]
        answer += [event_answer(event, None, user) for event in page.expected]
        return answer[::-1] if is_descending else answer


def _add_links(page: Page, mark: Mark | None, name: bytes, *, is_descending: bool) -> None:
    turns = dict(_turns(page, mark))
    relations = {"next": turns.get(not is_descending), "prev": turns.get(is_descending)}
    path, given = quote(request.script_root + request.path), request.args
    kept = [(key, value) for key in _KEPT for value in given.getlist(key)]
    links = [
        link(path, [*kept, ("cursor", write_cursor(turn, name))], relation)
        for relation, turn in relations.items()
        if turn is not None
    ]
    if mark is not None:
        links.append(link(path, kept, "first"))
    if not links:
        return

    @after_this_request
    def add(response: Response) -> Response:
        response.headers["Link"] = ", ".join(links)
        return response


def _turns(page: Page, mark: Mark | None) -> Iterator[tuple[bool, Turn]]:
    """Return where the list goes on from a page, by whether that is to newer events."""
    if page.has_older and (at := _mark_at(page, mark, 0)):
        yield False, Turn(at, is_forward=False)
    if page.has_newer and (at := _mark_at(page, mark, -1)):
        yield True, Turn(at, is_forward=True)


def _mark_at(page: Page, mark: Mark | None, end: int) -> Mark | None:
    """Return the mark before the first event of a page, or behind the last; that of an empty page is its own."""
    if not page.events:
        return mark
    event = page.events[end]
    block_number, log_index = place_of(event)
    position = Position(block_number, log_index if end == 0 else log_index + 1)
    return Mark(position, _block_hash(event)[:HASH_PIECE], page.scope)


def _block_hash(event: ExpectedEvent) -> bytes:
    return event.block_hash if isinstance(event, Event) else event.origin.block_hash
