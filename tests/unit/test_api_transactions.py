"""The node's side of the API: its head, accounts, and transactions on their way to it."""

import pytest
from eth_account import Account

from relay.chain.errors import (
    MalformedTransaction,
    NodeMisbehaved,
    NodeRefused,
    NodeUnreachable,
    WrongChain,
)
from relay.chain.relaying import Relaying
from relay.chain.transactions import parse_raw_transaction
from relay.store.reading import Snapshot
from relay.sync.networks import Networks
from tests.support.fake_services import (
    ADA,
    INDEXED_BLOCK,
    MAX_BODY_BYTES,
    STRANGER,
    FakeNode,
    FakeRelaying,
    client,
    raising,
    text,
)

UNREACHABLE = NodeUnreachable("the node http://10.0.0.7:8545 cannot be reached: Connection refused")
KEY = "0x" + "11" * 32


@pytest.mark.parametrize("name", ["tx-infos", "txinfos"])
def test_price_and_balance_are_text_and_the_nonce_is_a_number(name: str) -> None:
    assert client().get(f"/api/v1/users/{text(ADA)}/{name}").get_json() == {
        "gasPrice": "20000000000",
        "balance": "2377634165348042492",
        "nonce": 58,
    }


def test_an_account_that_never_was_has_nothing() -> None:
    answer = client(gas_price=lambda: 0).get(f"/api/v1/users/{text(STRANGER)}/txinfos").get_json()
    assert answer == {"gasPrice": "0", "balance": "0", "nonce": 0}


def test_the_block_number_is_the_nodes() -> None:
    assert client(node=FakeNode(head_number=7_426_584)).get("/api/v1/blocknumber").get_json() == 7_426_584


@pytest.mark.parametrize("fault", [UNREACHABLE, NodeMisbehaved("?"), NodeRefused("syncing", -32000)])
def test_while_the_node_is_away_the_block_number_is_the_indexed_one(fault: Exception) -> None:
    answer = client(node=FakeNode(fault=fault)).get("/api/v1/blocknumber")
    assert (answer.status_code, answer.get_json()) == (200, INDEXED_BLOCK)


def test_without_node_and_index_there_is_no_block_number() -> None:
    nothing = Networks()
    nothing.load(Snapshot(None, 0, [], lambda _: None))
    answer = client(networks=nothing, node=FakeNode(fault=UNREACHABLE)).get("/api/v1/blocknumber")
    assert answer.status_code == 503


@pytest.mark.parametrize("changed", [{"node": FakeNode(fault=UNREACHABLE)}, {"gas_price": raising(UNREACHABLE)}])
def test_an_unreachable_node_is_told_without_its_address(changed: dict[str, object]) -> None:
    answer = client(**changed).get(f"/api/v1/users/{text(ADA)}/txinfos")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["message"] == "the node cannot be reached at the moment"
    assert answer.get_json()["code"] == "node_unreachable"


def test_a_node_that_answers_nonsense_is_a_bad_gateway() -> None:
    node = FakeNode(fault=NodeMisbehaved("the node http://10.0.0.7 answered eth_getBalance in a wrong shape"))
    answer = client(node=node).get(f"/api/v1/users/{text(ADA)}/txinfos")
    assert answer.status_code == 502
    assert "10.0.0.7" not in answer.text


def test_a_transaction_is_handed_on_and_its_hash_answered() -> None:
    relaying = FakeRelaying()
    answer = client(relaying=relaying).post("/api/v1/relay", json={"rawTransaction": "0xf86b"})
    assert (answer.status_code, answer.get_json()) == (200, "0x" + "07" * 32)
    assert relaying.taken == ["0xf86b"]


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (MalformedTransaction("the raw transaction is empty"), 422, "the raw transaction is empty"),
        (WrongChain(1, 1337), 422, "signed for chain 1, but this relay serves chain 1337"),
        (NodeRefused("nonce too low", -32003), 409, "nonce too low"),
        (UNREACHABLE, 503, "the node cannot be reached"),
        (NodeMisbehaved("x"), 502, "no usable answer"),
    ],
)
def test_what_cannot_be_relayed_is_refused_with_the_reason(fault: Exception, status: int, said: str) -> None:
    answer = client(relaying=FakeRelaying(fault)).post("/api/v1/relay", json={"rawTransaction": "0x"})
    assert answer.status_code == status
    assert said in answer.get_json()["message"]


@pytest.mark.parametrize("body", [{}, {"rawTransaction": None}, {"rawTransaction": 5}, {"rawTransaction": ["0x"]}])
def test_a_body_without_transaction_is_refused_by_name(body: dict[str, object]) -> None:
    relaying = FakeRelaying()
    answer = client(relaying=relaying).post("/api/v1/relay", json=body)
    assert answer.status_code == 422
    assert answer.get_json()["message"].startswith("rawTransaction: ")
    assert relaying.taken == []


def test_a_body_above_the_limit_is_refused_before_anybody_is_asked() -> None:
    relaying = FakeRelaying()
    body = {"rawTransaction": "0x" + "00" * (MAX_BODY_BYTES // 2)}
    answer = client(relaying=relaying).post("/api/v1/relay", json=body)
    assert answer.status_code == 413
    assert answer.get_json()["message"]
    assert relaying.taken == []


def test_relaying_that_is_switched_off_is_not_found() -> None:
    answer = client(relaying=None).post("/api/v1/relay", json={"rawTransaction": "0x"})
    assert answer.status_code == 404
    assert answer.get_json()["message"]


class PlayedNode:
    """A node that takes a transaction once."""

    def __init__(self, refusal: NodeRefused | None = None) -> None:
        self.refusal = refusal
        self.sent: list[bytes] = []

    def send_raw_transaction(self, raw: bytes) -> bytes:
        if self.refusal is not None:
            raise self.refusal
        if raw in self.sent:
            raise NodeRefused("already known", -32000)
        self.sent.append(raw)
        return parse_raw_transaction("0x" + raw.hex(), 1337).hash

    def transaction_known(self, transaction_hash: bytes) -> bool:
        return any(parse_raw_transaction("0x" + raw.hex(), 1337).hash == transaction_hash for raw in self.sent)


def signed(chain_id: int = 1337) -> tuple[str, bytes]:
    transaction = {"to": text(ADA), "value": 1, "gas": 21_000, "gasPrice": 1, "nonce": 0, "chainId": chain_id}
    made = Account.sign_transaction(transaction, KEY)
    return "0x" + made.raw_transaction.hex(), bytes(made.hash)


def test_relaying_answers_the_hash_of_what_the_node_took() -> None:
    node = PlayedNode()
    raw, transaction_hash = signed()
    assert Relaying(node, 1337).relay(raw) == transaction_hash
    assert node.sent == [bytes.fromhex(raw[2:])]


def test_relaying_twice_is_the_same_as_relaying_once() -> None:
    node = PlayedNode()
    relaying = Relaying(node, 1337)
    raw, transaction_hash = signed()
    assert relaying.relay(raw) == relaying.relay(raw) == transaction_hash
    assert len(node.sent) == 1


def test_relaying_passes_the_refusal_of_an_unknown_transaction_on() -> None:
    with pytest.raises(NodeRefused, match="insufficient funds"):
        Relaying(PlayedNode(NodeRefused("insufficient funds", -32003)), 1337).relay(signed()[0])


@pytest.mark.parametrize("raw", ["", "0x", "0xzz", "0x00", "hello", signed(chain_id=1)[0]])
def test_relaying_refuses_what_is_wrong_without_asking_the_node(raw: str) -> None:
    node = PlayedNode()
    with pytest.raises((MalformedTransaction, WrongChain)):
        Relaying(node, 1337).relay(raw)
    assert node.sent == []
