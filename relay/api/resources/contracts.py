"""Events of tokens, wrapped ether and exchanges, balances of tokens, and what meta-transactions have cost."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields
from werkzeug.exceptions import NotFound

from relay.addresses import Address, to_checksum
from relay.api.contract import speaks
from relay.api.contract_schemas import (
    AnyEventSchema,
    DelegationFeeSchema,
    ExchangeEventQuestionSchema,
    ExchangeEventSchema,
    TokenEventQuestionSchema,
    TokenEventSchema,
    TransactionNameSchema,
)
from relay.api.fields import AddressField, Amount
from relay.api.resources.base import ApiResource
from relay.api.resources.events import EventLister, status_of
from relay.api.schemas import EVENT_TYPES, ContractType, EventQuestion, UserEventQuestionSchema
from relay.api.services import ContractEvents
from relay.contracts import ContractKind, ExchangeEvent, ExchangeEventType, TokenEvent
from relay.store.contract_reading import TOKEN_KINDS, ContractFilter, UnknownContract, UserEvent

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

    def list_events(
        self,
        question: EventQuestion,
        kinds: Sequence[ContractKind],
        contract: Address | None = None,
        user: Address | None = None,
    ) -> list[dict[str, Any]]:
        """Return what is answered for the events asked for, in the order of the chain; raises StoreError."""
        self.note_block()
        block = self.services.networks.block
        head = 0 if block is None else block.number
        types = None if question.type is None else (question.type,)
        wanted = ContractFilter(kinds, contract, user, types, question.from_block)
        # First what waits: what comes into a block in between is then found there.
        waiting = self.services.expected_contract_events
        expected = [] if waiting is None else waiting.events(wanted)
        try:
            found = self.contracts.events(wanted)
        except UnknownContract as error:
            raise _unknown(error, kinds) from error
        mined = {event.origin.transaction_hash for event in found}
        sent = [event for event in expected if event.origin.transaction_hash not in mined]
        return [_event(event, head, user) for event in found] + [_event(event, None, user) for event in sent]


class UserEvents(_ContractResource, EventLister):
    """The events of a user in all networks, exchanges and tokens."""

    @speaks(AnyEventSchema(many=True), query=UserEventQuestionSchema())
    def get(self, question: EventQuestion, user: Address) -> list[dict[str, Any]]:
        """List events in which a user takes part."""
        asked = list(ContractType) if question.contract_type is None else [question.contract_type]
        emitting = [kind for kind in asked if question.type is None or question.type in EVENT_TYPES[kind]]
        kinds = [_KINDS[kind] for kind in emitting if kind in _KINDS]
        others = self.list_events(question, kinds, user=user) if kinds and self.services.contracts else []
        if ContractType.CURRENCY_NETWORK not in emitting:
            self.note_block()
            return others
        of_networks = self.list_network_events(question, user=user)
        return sorted((*of_networks, *others), key=_place) if others else of_networks


class Tokens(_ContractResource):
    """The tokens."""

    @speaks(fields.List(AddressField()))
    def get(self) -> list[Address]:
        """List the contracts that wrap ether, and the tokens."""
        return self.contracts.addresses(TOKEN_KINDS)


class TokenEvents(_ContractResource):
    """The events of a token."""

    @speaks(TokenEventSchema(many=True), query=TokenEventQuestionSchema())
    def get(self, question: EventQuestion, token: Address) -> list[dict[str, Any]]:
        """List events of a token."""
        return self.list_events(question, TOKEN_KINDS, token)


class TokenUserEvents(_ContractResource):
    """The events of a token in which a user takes part."""

    @speaks(TokenEventSchema(many=True), query=TokenEventQuestionSchema())
    def get(self, question: EventQuestion, token: Address, user: Address) -> list[dict[str, Any]]:
        """List events of a token in which a user takes part."""
        return self.list_events(question, TOKEN_KINDS, token, user)


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


class ExchangeEvents(_ContractResource):
    """The events of an exchange."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, exchange: Address) -> list[dict[str, Any]]:
        """List events of an exchange."""
        return self.list_events(question, _EXCHANGES, exchange)


class ExchangeUserEvents(_ContractResource):
    """The events of an exchange in which a user takes part."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, exchange: Address, user: Address) -> list[dict[str, Any]]:
        """List events of an exchange in which a user is maker or taker."""
        return self.list_events(question, _EXCHANGES, exchange, user)


class AllExchangesUserEvents(_ContractResource):
    """The events of all exchanges in which a user takes part."""

    @speaks(ExchangeEventSchema(many=True), query=ExchangeEventQuestionSchema())
    def get(self, question: EventQuestion, user: Address) -> list[dict[str, Any]]:
        """List events of all exchanges in which a user is maker or taker."""
        return self.list_events(question, _EXCHANGES, user=user)


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


def _unknown(error: UnknownContract, kinds: Sequence[ContractKind]) -> NotFound:
    name = "exchange" if ContractKind.EXCHANGE in kinds else "token"
    return NotFound(f"no {name} {to_checksum(error.args[0])} is served here")


def _place(event: dict[str, Any]) -> tuple[bool, int, int]:
    # What waits comes last, in its own order.
    is_sent = event["status"] == "sent"
    return is_sent, 0 if is_sent else event["block_number"], 0 if is_sent else event["log_index"]


def _event(event: UserEvent, head: int | None, user: Address | None) -> dict[str, Any]:
    """Return an event as it is answered; without ``head`` one that is in no block yet."""
    origin = event.origin
    answer: dict[str, Any] = {
        "block_number": origin.block_number,
        "block_hash": origin.block_hash,
        "timestamp": origin.timestamp,
        "type": event.type.value,
        "status": status_of(origin.block_number, head),
        "transaction_hash": origin.transaction_hash,
        "log_index": origin.log_index,
    }
    match event:
        case TokenEvent():
            sender, receiver = event.sender, event.receiver
            answer |= {"token_address": origin.contract, "amount": event.value}
        case ExchangeEvent():
            sender, receiver = event.maker, event.taker or event.maker
            answer |= _exchanged(event)
    answer |= {"sender": sender, "receiver": receiver}
    if user is not None:
        is_sender = sender == user
        answer |= {
            "user": user,
            "counter_party": receiver if is_sender else sender,
            "direction": "sent" if is_sender else "received",
        }
    return answer


def _exchanged(event: ExchangeEvent) -> dict[str, Any]:
    done = "filled" if event.type is ExchangeEventType.LOG_FILL else "cancelled"
    return {
        "exchange_address": event.origin.contract,
        "maker_token_address": event.maker_token,
        "taker_token_address": event.taker_token,
        "order_hash": event.order_hash,
        f"{done}_maker_amount": event.maker_amount,
        f"{done}_taker_amount": event.taker_amount,
    }
