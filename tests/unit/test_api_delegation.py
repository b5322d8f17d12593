"""The endpoints that send for users, over services that are played: shapes, faults, and what is switched off."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from relay.admin.orders import Orders
from relay.chain.identity import MetaTransaction
from relay.delegate.errors import CapReached, Overloaded, Refused, UnknownIdentity
from relay.delegate.fees import FeeOffer
from relay.delegate.identities import IdentityInfo
from relay.delegate.statuses import Fate, Status
from relay.model import Event, EventType
from relay.store.admin import Decisions, Part
from tests.support.fake_services import ADA, BO, CASH, CY, INDEXED_BLOCK, NOW, FakeEvents, client, text

HASH = bytes([7]) * 32
PENDING = Fate(Status.PENDING)
META = {"from": text(ADA), "to": text(BO), "value": "0", "data": "0x", "nonce": "1"}
API = "/api/v1"


@dataclass
class FakeMetaTransactions:
    fault: Exception | None = None
    taken: list[MetaTransaction] = field(default_factory=list)

    def relay(self, meta: MetaTransaction) -> bytes:
        if self.fault is not None:
            raise self.fault
        self.taken.append(meta)
        return HASH

    def fees(self, meta: MetaTransaction) -> tuple[FeeOffer, ...]:
        self.relay(meta)
        return (FeeOffer(0, 0, ADA), FeeOffer(10**20, 5, BO, CASH))


@dataclass
class FakeIdentities:
    fault: Exception | None = None
    factories: tuple[bytes, ...] = (CY,)

    def info(self, identity: bytes) -> IdentityInfo:
        if self.fault is not None:
            raise self.fault
        return IdentityInfo(identity, 3, 10**20, BO)

    def deploy(self, factory: bytes, implementation: bytes, signature: bytes) -> IdentityInfo:
        return self.info(ADA)


@dataclass
class FakeStatuses:
    fate: Fate = PENDING

    def of_transaction(self, transaction_hash: bytes) -> Fate:
        return self.fate

    def of_meta_transaction(self, identity: bytes, meta_hash: bytes) -> Fate:
        return self.fate


@dataclass
class FakeFaucet:
    gives: bytes | None = HASH

    def give(self, address: bytes) -> bytes | None:
        return self.gives


def test_what_is_switched_off_is_not_there() -> None:
    api = client()
    for path in ("relay-meta-transaction", "meta-transaction-fees", "identities", "request-ether"):
        assert api.post(f"{API}/{path}", json={}).status_code == 404
    for path in (
        "factories",
        f"identities/{text(ADA)}",
        f"transactions/0x{HASH.hex()}/status",
        f"identities/{text(ADA)}/meta-transactions/0x{HASH.hex()}/status",
    ):
        assert api.get(f"{API}/{path}").status_code == 404


def test_identities_can_be_told_of_without_being_deployed() -> None:
    api = client(identities=FakeIdentities())
    assert api.get(f"{API}/identities/{text(ADA)}").status_code == 200
    assert api.post(f"{API}/identities", json={}).status_code == 404


def test_an_identity_has_a_number_for_a_nonce_and_strings_for_amounts() -> None:
    api = client(identities=FakeIdentities(), deploys_identities=True)
    told = api.get(f"{API}/identities/{text(ADA)}").json
    assert told == {
        "identity": text(ADA),
        "nextNonce": 3,
        "balance": str(10**20),
        "implementationAddress": text(BO),
    }
    body = {"factoryAddress": text(CY), "implementationAddress": text(BO), "signature": "0x00"}
    assert api.post(f"{API}/identities", json=body).json == told
    assert api.get(f"{API}/factories/").json == [text(CY)]


def test_an_unknown_identity_is_said_so_in_the_words_that_clients_look_for() -> None:
    answer = client(identities=FakeIdentities(UnknownIdentity("x"))).get(f"{API}/identities/{text(ADA)}")
    assert (answer.status_code, answer.json["message"]) == (404, "Identity Contract not found or invalid")


def test_fees_are_listed_as_strings() -> None:
    answer = client(meta_transactions=FakeMetaTransactions()).post(
        f"{API}/meta-transaction-fees", json={"metaTransaction": META | {"signature": None}}
    )
    assert answer.json == [
        {"baseFee": "0", "gasPrice": "0", "feeRecipient": text(ADA), "currencyNetworkOfFees": "0x" + "0" * 40},
        {
            "baseFee": str(10**20),
            "gasPrice": "5",
            "feeRecipient": text(BO),
            "currencyNetworkOfFees": text(CASH),
        },
    ]


def test_a_meta_transaction_is_read_whole_and_with_its_usual_values() -> None:
    fake = FakeMetaTransactions()
    body = META | {"nonce": str(2**256 - 1), "chainId": 1337, "signature": "0x" + "ab" * 65}
    answer = client(meta_transactions=fake).post(f"{API}/relay-meta-transaction", json={"metaTransaction": body})
    assert answer.json == "0x" + HASH.hex()
    (meta,) = fake.taken
    assert (meta.identity, meta.to, meta.nonce, meta.chain_id) == (ADA, BO, 2**256 - 1, 1337)
    assert (meta.version, meta.currency_network_of_fees, meta.fee_recipient) == (1, BO, bytes(20))
    assert meta.signature == b"\xab" * 65


@pytest.mark.parametrize(
    ("fault", "status"), [(Refused("why"), 400), (CapReached("why"), 429), (Overloaded("why"), 503)]
)
def test_faults_are_told_with_their_reason(fault: Exception, status: int) -> None:
    api = client(meta_transactions=FakeMetaTransactions(fault))
    for path in ("relay-meta-transaction", "meta-transaction-fees"):
        answer = api.post(f"{API}/{path}", json={"metaTransaction": META})
        assert (answer.status_code, answer.json["message"]) == (status, "why")


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": str(2**256)},
        {"nonce": None},
        {"value": "-1"},
        {"baseFee": "1" * 79},
        {"gasLimit": 1.5},
        {"to": None},
        {"data": "0x1"},
        {"operationType": 4},
        {"signature": "hello"},
    ],
)
def test_a_body_that_is_no_meta_transaction_is_refused(changed: dict[str, Any]) -> None:
    fake = FakeMetaTransactions()
    body = {"metaTransaction": META | changed}
    answer = client(meta_transactions=fake).post(f"{API}/relay-meta-transaction", json=body)
    assert answer.status_code == 422
    assert next(iter(changed)) in answer.json["message"]
    assert not fake.taken


@pytest.mark.parametrize("body", [{}, {"metaTransaction": []}, {"metaTransaction": None}, [], 7])
def test_a_body_without_meta_transaction_is_refused(body: Any) -> None:
    answer = client(meta_transactions=FakeMetaTransactions()).post(f"{API}/relay-meta-transaction", json=body)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (Fate(Status.SUCCESS, HASH), {"status": "success", "transactionHash": "0x" + HASH.hex()}),
        (Fate(Status.PENDING), {"status": "pending"}),
        (Fate(Status.NOT_FOUND, reason="replaced"), {"status": "not found", "reason": "replaced"}),
    ],
)
def test_the_fate_of_a_transaction_is_told(fate: Fate, told: dict[str, str]) -> None:
    api = client(statuses=FakeStatuses(fate), meta_transactions=FakeMetaTransactions())
    assert api.get(f"{API}/transactions/0x{HASH.hex()}/status").json == told
    path = f"{API}/identities/{text(ADA)}/meta-transactions/0x{HASH.hex()}/status"
    assert api.get(path).json == told


@pytest.mark.parametrize("no_hash", ["0x12", "7", "0x" + "0" * 63, "0x" + "g" * 64])
def test_what_is_no_hash_is_not_found(no_hash: str) -> None:
    assert client(statuses=FakeStatuses()).get(f"{API}/transactions/{no_hash}/status").status_code == 404


@pytest.mark.parametrize(("gives", "told"), [(HASH, "0x" + HASH.hex()), (None, None)])
def test_a_gift_is_told_by_its_hash_and_none_by_null(gives: bytes | None, told: str | None) -> None:
    answer = client(faucet=FakeFaucet(gives)).post(f"{API}/request-ether", json={"address": text(ADA)})
    assert (answer.status_code, answer.json) == (200, told)
    assert client(faucet=FakeFaucet()).post(f"{API}/request-ether", json={"address": "7"}).status_code == 422


def test_what_is_expected_is_listed_as_sent_behind_what_is_in_blocks() -> None:
    def event(transaction: int, block: int) -> Event:
        return Event(
            CASH, EventType.TRANSFER, block, bytes(32), NOW, bytes([transaction]) * 32, 0, 0, ADA, BO, value=5
        )

    mined, waits = event(1, INDEXED_BLOCK), event(2, INDEXED_BLOCK + 1)
    api = client(events=FakeEvents([mined], expected=[waits]))
    for path in (f"users/{text(ADA)}", f"networks/{text(CASH)}", f"networks/{text(CASH)}/users/{text(ADA)}"):
        first, second = api.get(f"{API}/{path}/events").json
        assert (first["transactionHash"][-2:], first["status"]) == ("01", "pending")
        assert (second["transactionHash"][-2:], second["status"]) == ("02", "sent")
        assert None not in second.values()
        assert set(second) == set(first)


class Decided(Orders):
    """Orders as operators gave them."""

    def __init__(self, *paused: Part, banned: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self.known = Decisions(1, 0, frozenset(paused), frozenset(banned))


SENDING = {
    "relay-meta-transaction": {"metaTransaction": META},
    "request-ether": {"address": text(ADA)},
    "identities": {"factoryAddress": text(CY), "implementationAddress": text(BO), "signature": "0x" + "00" * 65},
}


@pytest.mark.parametrize("path", SENDING)
def test_a_paused_delegate_takes_nothing_new(path: str) -> None:
    faucet, metas = FakeFaucet(), FakeMetaTransactions()
    parts: dict[str, Any] = {
        "faucet": faucet,
        "meta_transactions": metas,
        "identities": FakeIdentities(),
        "deploys_identities": True,
    }
    paused = client(orders=Decided(Part.DELEGATE), **parts).post(f"{API}/{path}", json=SENDING[path])
    assert paused.status_code == 503
    assert int(paused.headers["Retry-After"]) > 0
    assert "does not send transactions for users" in paused.get_json()["message"]
    assert metas.taken == []
    other = client(orders=Decided(Part.INDEX), **parts).post(f"{API}/{path}", json=SENDING[path])
    assert other.status_code == 200


def test_who_is_banned_is_sent_nothing_and_others_are() -> None:
    metas = FakeMetaTransactions()
    api = client(orders=Decided(banned=(ADA,)), meta_transactions=metas, faucet=FakeFaucet())
    refused = api.post(f"{API}/relay-meta-transaction", json=SENDING["relay-meta-transaction"])
    assert refused.status_code == 403
    assert text(ADA) in refused.get_json()["message"]
    assert metas.taken == []
    assert api.post(f"{API}/request-ether", json={"address": text(ADA)}).status_code == 403
    assert api.post(f"{API}/request-ether", json={"address": text(BO)}).status_code == 200
    assert (
        api.post(f"{API}/relay-meta-transaction", json={"metaTransaction": META | {"from": text(CY)}}).status_code
        == 200
    )
