"""Answers are written in a way of our own, for speed: it must be what marshmallow makes of the same schema."""

from typing import Any

import orjson
import pytest
from marshmallow import Schema

from graph.transfer import FeePayer
from relay.api.contract import AnswerSchema
from relay.api.history_schemas import NetworkDebtsSchema, TransferDetailsSchema, TrustlineInterestsSchema
from relay.api.schemas import CapacitySchema, EventSchema, NetworkSchema, PathSchema, TrustlineSchema
from tests.support.fake_services import ADA, BO, CASH, CY

EVENT = {
    "network_address": CASH,
    "block_number": 7,
    "block_hash": b"\x01" * 32,
    "timestamp": 1_600_000_000,
    "type": "Transfer",
    "status": "pending",
    "transaction_hash": b"\x02" * 32,
    "log_index": 3,
    "sender": ADA,
    "receiver": BO,
    "amount": 2**64 - 1,
    "extra_data": b"",
    "unknown": object(),
}
WAY = {"path": [ADA, BO], "fees": 3, "estimated_gas": 70_000}


class _AsMarshmallow(Schema):
    """Writes as marshmallow does."""

    get_attribute = staticmethod(lambda obj, attr, default: obj.get(attr, default))


def by_marshmallow(schema: AnswerSchema, obj: Any) -> Any:
    kind = type(schema)
    twin = type(kind.__name__, (_AsMarshmallow,), {"on_bind_field": kind.on_bind_field, **kind._declared_fields})
    return twin(many=schema.many).dump(obj)


@pytest.mark.parametrize(
    ("schema", "answered"),
    [
        (EventSchema(many=True), [EVENT, {**EVENT, "user": ADA, "counter_party": BO, "direction": "sent"}, {}]),
        (EventSchema(), {"type": "NetworkFreeze", "is_frozen": False, "debt": 0, "transfer": -5}),
        (TrustlineSchema(), {"id": b"\x05" * 32, "counter_party": BO, "balance": -(2**64), "is_frozen": True}),
        (NetworkSchema(many=True), []),
        (NetworkSchema(), {"name": "Cash", "decimals": 4, "default_interest_rate": 0, "custom_interests": True}),
        (CapacitySchema(), {"capacity": 0, "path": [], "reason": "capacity", "largest_value": 0}),
        (PathSchema(), {"fee_payer": FeePayer.RECEIVER, "value": 1, "parts": [{**WAY, "value": 5}], **WAY}),
        (NetworkDebtsSchema(many=True), [{"currency_network": CASH, "debts": [{"debtor": CY, "value": -1}]}]),
        (TransferDetailsSchema(), {"path": (ADA, BO, CY), "fees_paid": (1,), "fee_payer": FeePayer.SENDER}),
    ],
)
def test_an_answer_is_what_marshmallow_would_write(schema: AnswerSchema, answered: Any) -> None:
    written = schema.dump(answered)
    assert written == by_marshmallow(schema, answered)
    for one in written if schema.many else [written]:
        assert list(one) == [key for key in map(_key, schema.dump_fields.values()) if key in one]


def _key(field: Any) -> str:
    return str(field.data_key)


def test_a_schema_writes_one_or_many_as_it_is_asked() -> None:
    assert EventSchema().dump([EVENT, EVENT], many=True) == [EventSchema().dump(EVENT)] * 2
    assert EventSchema(many=True).dump(EVENT, many=False) == EventSchema().dump(EVENT)


def test_a_prepared_list_is_handed_through_as_it_is() -> None:
    written = TrustlineInterestsSchema().dump({"accrued_interests": [b"1", b"2"], "user": ADA, "counterparty": BO})
    assert orjson.loads(orjson.dumps(written))["accruedInterests"] == [1, 2]
