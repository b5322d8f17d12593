"""Events of tokens, wrapped ether and exchanges, balances of tokens, and what meta-transactions have cost."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields

from relay.addresses import Address, to_checksum
from relay.api.contract import speaks
from relay.api.contract_schemas import (
    AnyEventSchema,
    DelegationFeeSchema,
    ExchangeEventSchema,
    TokenEventSchema,
    TransactionNameSchema,
)
from relay.api.event_questions import (
    EVENT_TYPES,
    ContractType,
    EventQuestion,
    ExchangeEventQuestionSchema,
    TokenEventQuestionSchema,
    UserEventQuestionSchema,
)
from relay.api.faults import ExchangeUnknown, TokenUnknown
from relay.api.fields import AddressField, Amount
from relay.api.resources.base import ApiResource
from relay.api.resources.event_lists import EventLister
from relay.api.resources.events import network_filter
from relay.api.services import ContractEvents
from relay.contracts import ContractKind
from relay.store.contract_reading import TOKEN_KINDS, ContractFilter, UnknownContract

_EXCHANGES = (ContractKind.EXCHANGE,)
_KINDS = {
    ContractType.EXCHANGE: ContractKind.EXCHANGE,
    ContractType.UNW_ETH: ContractKind.UNW_ETH,
    ContractType.TOKEN: ContractKind.TOKEN,
}


class _ContractResource(ApiResource):
    @property
    def contracts(self) -> ContractEvents:
        assert self.services.contracts is not None, "without it there is no such route"
        return self.services.contracts


class _ContractEventLister(_ContractResource, EventLister):
    def list_of(
        self,
        question: EventQuestion,
        kinds: Sequence[ContractKind],
        contract: Address | None = None,
        user: Address | None = None,
    ) -> list[dict[str, Any]]:
        """Return a page of the events of contracts; raises NotFound, and what `list_events` raises."""
        try:
            return self.list_events(question, None, _filter(question, kinds, contract, user), user)
        except UnknownContract as error:
            raise _unknown(error, kinds) from error


class UserEvents(EventLister):
    """The events of a user in all networks, exchanges and tokens."""

    @speaks(AnyEventSchema(many=True), query=UserEventQuestionSchema())
    def get(self, question: EventQuestion, user: Address) -> list[dict[str, Any]]:
        """List events in which a user takes part."""
        asked = list(ContractType) if question.contract_type is None else [question.contract_type]
        wanted = question.types
        emitting = [kind for kind in asked if wanted is None or not EVENT_TYPES[kind].isdisjoint(wanted)]
        kinds = [_KINDS[kind] for kind in emitting if kind in _KINDS] if self.services.contracts else []
        return self.list_events(
            question,
            network_filter(question, user=user) if ContractType.CURRENCY_NETWORK in emitting else None,
            _filter(question, kinds, user=user) if kinds else None,
            user,
        )


class Tokens(_ContractResource):
    """The tokens."""

    @speaks(fields.List(AddressField()))
    def get(self) -> list[Address]:
        """List the contracts that wrap ether, and the tokens."""
        return self.contracts.addresses(TOKEN_KINDS)


class TokenEvents(_ContractEventLister):
    """The events of a token."""

    @speaks(TokenEventSchema(many=True), query=TokenEventQuestionSchema())
    def get(self, question: EventQuestion, token: Address) -> list[dict[str, Any]]:
        """List events of a token."""
        return self.list_of(question, TOKEN_KINDS, token)


class TokenUserEvents(_ContractEventLister):
    """The events of a token in which a user takes part."""

    @speaks(TokenEventSchema(many=True), query=TokenEventQuestionSchema())
    def get(self, question: EventQuestion, token: Address, user: Address) -> list[dict[str, Any]]:
        """List events of a token in which a user takes part."""
        return self.list_of(question, TOKEN_KINDS, token, user)


class TokenBalance(_ContractResource):
    """What a user has of a token."""

    @speaks(Amount())
    def get(self, token: Address, user: Address) -> int:
        """Return what the contract says that a user has, in the token's smallest unit."""
        assert self.services.token_balance is not None, "without it there is no such route"
        try:
            self.contracts.require(token, TOKEN_KINDS)
        except UnknownContract as error:
            raise _unknown(error, TOKEN_KINDS) from error
        return self.services.token_balance(token, user)


class ExchangeEvents(_ContractEventLister):
    """The events of an exchange."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, exchange: Address) -> list[dict[str, Any]]:
        """List events of an exchange."""
        return self.list_of(question, _EXCHANGES, exchange)


class ExchangeUserEvents(_ContractEventLister):
    """The events of an exchange in which a user takes part."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, exchange: Address, user: Address) -> list[dict[str, Any]]:
        """List events of an exchange in which a user is maker or taker."""
        return self.list_of(question, _EXCHANGES, exchange, user)


class AllExchangesUserEvents(_ContractEventLister):
    """The events of all exchanges in which a user takes part."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, user: Address) -> list[dict[str, Any]]:
        """List events of all exchanges in which a user is maker or taker."""
        return self.list_of(question, _EXCHANGES, user=user)


class DelegationFees(_ContractResource):
    """What meta-transactions have cost."""

    @speaks(DelegationFeeSchema(many=True), query=TransactionNameSchema())
    def get(self, transaction_hash: bytes) -> list[dict[str, Any]]:
        """List the fees that identities booked in a transaction."""
        self.note_block()
        return [
            {
                "fee_sender": fee.origin.contract,
                "fee_recipient": fee.recipient,
                "total_fee": fee.value,
                "currency_network_of_fees": fee.currency_network,
            }
            for fee in self.contracts.fees_of(transaction_hash)
        ]


def _unknown(error: UnknownContract, kinds: Sequence[ContractKind]) -> ExchangeUnknown | TokenUnknown:
    address = to_checksum(error.args[0])
    if ContractKind.EXCHANGE in kinds:
        return ExchangeUnknown(f"no exchange {address} is served here")
    return TokenUnknown(f"no token {address} is served here")


def _filter(
    question: EventQuestion,
    kinds: Sequence[ContractKind],
    contract: Address | None = None,
    user: Address | None = None,
) -> ContractFilter:
    return ContractFilter(kinds, contract, user, question.types, question.from_block, to_block=question.to_block)
