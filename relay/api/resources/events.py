"""Events of currency networks, of all or of a user."""

from collections.abc import Sequence
from typing import Any

from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.event_questions import (
    TRUSTLINE_EVENT_TYPES,
    EventQuestion,
    EventQuestionSchema,
    TrustlineEventQuestionSchema,
)
from relay.api.resources.event_lists import EventLister
from relay.api.schemas import EventSchema
from relay.model import EventType
from relay.store.event_reading import EventFilter

DEFAULT_TYPES = (
    EventType.TRUSTLINE_UPDATE,
    EventType.TRUSTLINE_UPDATE_REQUEST,
    EventType.TRUSTLINE_UPDATE_CANCEL,
    EventType.TRANSFER,
)
"""What a list of events holds if no type is asked for."""


def network_filter(
    question: EventQuestion,
    network: Address | None = None,
    user: Address | None = None,
    other: Address | None = None,
    usual: Sequence[EventType] = DEFAULT_TYPES,
) -> EventFilter:
    """Return which events of networks are asked for; those of ``usual`` types if none are named."""
    asked = question.types
    types = tuple(usual) if asked is None else tuple(kind for kind in EventType if kind.value in asked)
    return EventFilter(types, network, user, question.from_block, other=other, to_block=question.to_block)


class _NetworkEventLister(EventLister):
    def list_of_network(
        self,
        question: EventQuestion,
        network: Address,
        user: Address | None = None,
        other: Address | None = None,
        usual: Sequence[EventType] = DEFAULT_TYPES,
    ) -> list[dict[str, Any]]:
        """Return a page of the events of a network; raises UnknownNetwork, and what `list_events` raises."""
        self.services.networks.info(network)
        return self.list_events(question, network_filter(question, network, user, other, usual), user=user)


class NetworkEvents(_NetworkEventLister):
    """The events of a network."""

    @speaks(EventSchema(many=True), query=EventQuestionSchema())
    def get(self, question: EventQuestion, network: Address) -> list[dict[str, Any]]:
        """List events of a network."""
        return self.list_of_network(question, network)


class NetworkUserEvents(_NetworkEventLister):
    """The events of a user in a network."""

    @speaks(EventSchema(many=True), query=EventQuestionSchema())
    def get(self, question: EventQuestion, network: Address, user: Address) -> list[dict[str, Any]]:
        """List events of a network in which a user takes part."""
        return self.list_of_network(question, network, user)


class TrustlineEvents(_NetworkEventLister):
    """The events of a trustline."""

    @speaks(EventSchema(many=True), query=TrustlineEventQuestionSchema())
    def get(
        self, question: EventQuestion, network: Address, user: Address, other: Address
    ) -> list[dict[str, Any]]:
        """List the events of the trustline between two users, as ``user`` sees them."""
        return self.list_of_network(question, network, user, other, TRUSTLINE_EVENT_TYPES)
