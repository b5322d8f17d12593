"""Events of currency networks, of all or of a user."""

from collections.abc import Sequence
from typing import Any

from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.history_schemas import TRUSTLINE_EVENT_TYPES, TrustlineEventQuestionSchema
from relay.api.resources.base import ApiResource
from relay.api.schemas import EventQuestion, EventQuestionSchema, EventSchema
from relay.model import Event, EventType
from relay.store.reading import EventFilter

CONFIRMED_DEPTH = 5
"""An event is confirmed if so many blocks follow the block that holds it."""

DEFAULT_TYPES = (
    EventType.TRUSTLINE_UPDATE,
    EventType.TRUSTLINE_UPDATE_REQUEST,
    EventType.TRUSTLINE_UPDATE_CANCEL,
    EventType.TRANSFER,
)
"""What a list of events holds if no type is asked for."""


class EventLister(ApiResource):
    """A resource that lists events of currency networks."""

    def list_network_events(
        self,
        question: EventQuestion,
        network: Address | None = None,
        user: Address | None = None,
        other: Address | None = None,
        usual: Sequence[EventType] = DEFAULT_TYPES,
    ) -> list[dict[str, Any]]:
        """Return what is answered for the events asked for, in the order of the chain.

        Raises:
            UnknownNetwork: if the network is not served.
            StoreError: if they cannot be read.

        """
        if network is not None:
            self.services.networks.info(network)
        self.note_block()
        block = self.services.networks.block
        head = 0 if block is None else block.number
        types = usual if question.type is None else (EventType(question.type),)
        # First what waits: what comes into a block in between is then found there.
        expected = [] if (source := self.services.expected_events) is None else source.events(types, network, user)
        events = self.services.events.events(EventFilter(types, network, user, question.from_block, other=other))
        mined = {event.transaction_hash for event in events}
        sent = [
            _event(event, None, user)
            for event in expected
            if event.transaction_hash not in mined and (other is None or _is_between(event, user, other))
        ]
        return [_event(event, head, user) for event in events] + sent


class NetworkEvents(EventLister):
    """The events of a network."""

    @speaks(EventSchema(many=True), query=EventQuestionSchema())
    def get(self, question: EventQuestion, network: Address) -> list[dict[str, Any]]:
        """List events of a network."""
        return self.list_network_events(question, network)


class NetworkUserEvents(EventLister):
    """The events of a user in a network."""

    @speaks(EventSchema(many=True), query=EventQuestionSchema())
    def get(self, question: EventQuestion, network: Address, user: Address) -> list[dict[str, Any]]:
        """List events of a network in which a user takes part."""
        return self.list_network_events(question, network, user)


class TrustlineEvents(EventLister):
    """The events of a trustline."""

    @speaks(EventSchema(many=True), query=TrustlineEventQuestionSchema())
    def get(
        self, question: EventQuestion, network: Address, user: Address, other: Address
    ) -> list[dict[str, Any]]:
        """List the events of the trustline between two users, as ``user`` sees them."""
        return self.list_network_events(question, network, user, other, TRUSTLINE_EVENT_TYPES)


def _is_between(event: Event, user: Address | None, other: Address) -> bool:
    return user != other and {event.sender, event.receiver} == {user, other}


def _event(event: Event, head: int | None, user: Address | None) -> dict[str, Any]:
    """Return an event as it is answered; without ``head`` one that is in no block yet."""
    answer: dict[str, Any] = {
        "network_address": event.network,
        "block_number": event.block_number,
        "block_hash": event.block_hash,
        "timestamp": event.timestamp,
        "type": event.type.value,
        "status": status_of(event.block_number, head),
        "transaction_hash": event.transaction_hash,
        "log_index": event.log_index,
    }
    # What an event does not have stays out of its object: clients read an attribute that is there as a value.
    if event.sender is not None:
        answer["sender"] = event.sender
    if event.receiver is not None:
        answer["receiver"] = event.receiver
    if user is not None:
        is_sender = event.sender == user
        answer["user"] = user
        answer["counter_party"] = event.receiver if is_sender else event.sender
        answer["direction"] = "sent" if is_sender else "received"
    return answer | _particulars(event)


def status_of(block_number: int, head: int | None) -> str:
    """Return the status of an event in a block; ``head`` is the newest block, None where it is in no block yet."""
    if head is None:
        return "sent"
    return "confirmed" if head - block_number >= CONFIRMED_DEPTH else "pending"


def _particulars(event: Event) -> dict[str, Any]:
    """Return the attributes that only events of this type have."""
    found: dict[str, Any] = {}
    if event.terms is not None:
        found |= {
            "given": event.terms.given,
            "received": event.terms.received,
            "interest_rate_given": event.terms.rate_given,
            "interest_rate_received": event.terms.rate_received,
            "is_frozen": event.terms.is_frozen,
        }
    if event.type is EventType.TRUSTLINE_UPDATE_REQUEST:
        # Clients read it on every request; the networks that know of none ask for none.
        found["transfer"] = event.value or 0
    elif event.value is not None:
        found["debt" if event.type is EventType.DEBT_UPDATE else "amount"] = event.value
    if event.extra_data is not None:
        found["extra_data"] = event.extra_data
    return found
