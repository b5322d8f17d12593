"""The node as the relay sees it, with the transport handed in."""

import os
from typing import Any

import pytest
import requests
from web3.providers import HTTPProvider, IPCProvider

from relay.chain.errors import NodeMisbehaved, NodeRefused, NodeUnreachable
from relay.chain.node import BATCH, Node, connect_by_url, public_url
from relay.model import Block

URL = "http://user:secret@node.example:8545/v3/apikey?token=abc"
NETWORK = bytes.fromhex("11" * 20)


class FakeProvider:
    """Answers from a function of (method, params); remembers what was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []
        self.batches: list[int] = []

    def make_request(self, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        return self.answer(method, params)

    def make_batch_request(self, requests: Any) -> Any:
        self.batches.append(len(requests))
        return [self.make_request(method, params) for method, params in requests]


def node_answering(answer: Any) -> tuple[Node, FakeProvider]:
    provider = FakeProvider(answer)
    return Node(URL, connect=lambda *_: provider), provider


def node_with_result(result: Any) -> Node:
    return node_answering(lambda *_: {"jsonrpc": "2.0", "id": 1, "result": result})[0]


def raising(error: BaseException) -> Node:
    def answer(method: str, params: Any) -> Any:
        raise error

    return node_answering(answer)[0]


def block_object(number: int) -> dict[str, str]:
    return {
        "number": hex(number),
        "hash": "0x" + number.to_bytes(32, "big").hex(),
        "parentHash": "0x" + max(0, number - 1).to_bytes(32, "big").hex(),
        "timestamp": hex(1000 + number),
        "miner": "0x" + "00" * 20,
    }


def log_object(number: int, index: int, **changes: Any) -> dict[str, Any]:
    return {
        "address": "0x" + NETWORK.hex(),
        "topics": ["0x" + "ab" * 32],
        "data": "0x0102",
        "blockNumber": hex(number),
        "blockHash": "0x" + "cd" * 32,
        "transactionHash": "0x" + "ef" * 32,
        "transactionIndex": "0x3",
        "logIndex": hex(index),
        "removed": False,
        **changes,
    }


def test_a_block_is_read() -> None:
    expected = Block(7, (7).to_bytes(32, "big"), (6).to_bytes(32, "big"), 1007)
    assert node_with_result(block_object(7)).head() == expected
    assert node_with_result(block_object(7)).block(7) == expected


def test_a_block_that_does_not_exist_is_none() -> None:
    assert node_with_result(None).block(7) is None


def test_a_node_without_any_block_misbehaves() -> None:
    with pytest.raises(NodeMisbehaved, match="eth_getBlockByNumber"):
        node_with_result(None).head()


def test_blocks_come_in_batches_in_the_order_asked() -> None:
    def answer(method: str, params: Any) -> Any:
        number = int(params[0], 16)
        return {"result": block_object(number) if number < 240 else None}

    node, provider = node_answering(answer)
    numbers = list(range(249, -1, -1))
    blocks = node.blocks(numbers)
    assert [block.number if block else None for block in blocks] == [
        number if number < 240 else None for number in numbers
    ]
    assert provider.batches == [BATCH, BATCH, 50]


def test_no_blocks_are_asked_for_when_none_are_wanted() -> None:
    node, provider = node_answering(lambda *_: {"result": None})
    assert node.blocks([]) == []
    assert provider.batches == []


def test_a_batch_answered_with_another_block_is_refused() -> None:
    with pytest.raises(NodeMisbehaved, match="answered block 5 for 4"):
        node_with_result(block_object(5)).blocks([4])


def test_a_batch_answered_in_part_is_refused() -> None:
    class Short(FakeProvider):
        def make_batch_request(self, requests: Any) -> Any:
            return super().make_batch_request(requests)[:-1]

    provider = Short(lambda _, params: {"result": block_object(int(params[0], 16))})
    with pytest.raises(NodeMisbehaved, match="2 of 3"):
        Node(URL, connect=lambda *_: provider).blocks([1, 2, 3])


def test_a_batch_refused_as_a_whole_carries_the_reason() -> None:
    class Refusing(FakeProvider):
        def make_batch_request(self, _: Any) -> Any:
            return {"error": {"code": -32600, "message": "no batches here"}}

    provider = Refusing(None)
    with pytest.raises(NodeRefused, match="no batches here"):
        Node(URL, connect=lambda *_: provider).blocks([1, 2])


def test_logs_are_read_and_sorted_into_chain_order() -> None:
    node = node_with_result(
        [log_object(9, 0), log_object(8, 12, blockTimestamp="0x64"), log_object(8, 2, blockTimestamp=None)]
    )
    logs = node.logs([NETWORK], 8, 9)
    assert [(log.block_number, log.log_index, log.block_timestamp) for log in logs] == [
        (8, 2, None),
        (8, 12, 100),
        (9, 0, None),
    ]
    first = logs[0]
    assert (first.address, first.topics, first.data) == (NETWORK, (b"\xab" * 32,), b"\x01\x02")
    assert (first.block_hash, first.transaction_hash) == (b"\xcd" * 32, b"\xef" * 32)
    assert first.transaction_index == 3


def test_no_address_means_no_logs_and_no_request() -> None:
    node, provider = node_answering(lambda *_: {"result": [log_object(1, 1)]})
    assert node.logs([], 0, 10) == []
    assert node.logs([NETWORK], 5, 4) == []
    assert provider.asked == []


@pytest.mark.parametrize(
    "log",
    [
        log_object(8, 0, address="0x" + "22" * 20),
        log_object(11, 0),
        log_object(8, 0, blockHash=None),
        log_object(8, 0, topics=["0x12"]),
        log_object(8, 0, topics=None),
        log_object(8, 0, data="zz"),
        log_object(8, 0, logIndex=3),
        {},
        None,
        "text",
    ],
)
def test_a_log_of_another_shape_or_not_asked_for_misbehaves(log: Any) -> None:
    with pytest.raises(NodeMisbehaved, match="eth_getLogs"):
        node_with_result([log]).logs([NETWORK], 0, 10)


def test_a_call_names_its_block() -> None:
    node, provider = node_answering(lambda *_: {"result": "0x2a"})
    assert node.call(NETWORK, b"\x01", 255) == b"\x2a"
    node.call(NETWORK, b"\x01")
    assert [params[1] for _, params in provider.asked] == ["0xff", "latest"]


def test_numbers_and_known_transactions() -> None:
    node = node_with_result("0x1f")
    assert [node.chain_id(), node.balance(NETWORK), node.pending_nonce(NETWORK), node.gas_price()] == [31] * 4
    assert node_with_result({"hash": "0x"}).transaction_known(bytes(32))
    assert not node_with_result(None).transaction_known(bytes(32))


def test_the_nonce_counts_pending_transactions() -> None:
    node, provider = node_answering(lambda *_: {"result": "0x1"})
    node.pending_nonce(NETWORK)
    assert provider.asked == [("eth_getTransactionCount", ["0x" + NETWORK.hex(), "pending"])]


def test_an_error_of_the_node_carries_its_words() -> None:
    answer = {"error": {"code": -32003, "message": "insufficient funds", "data": "0x01"}}
    node, _ = node_answering(lambda *_: answer)
    with pytest.raises(NodeRefused) as caught:
        node.send_raw_transaction(b"\x01")
    assert (caught.value.message, caught.value.code, caught.value.data) == ("insufficient funds", -32003, "0x01")


def test_an_error_that_is_no_object_is_still_a_refusal() -> None:
    node, _ = node_answering(lambda *_: {"error": "go away"})
    with pytest.raises(NodeRefused, match="go away"):
        node.ping()


@pytest.mark.parametrize(
    "answer", [None, [], "text", {}, {"id": 1}, {"result": None}, {"result": 12}, {"result": "12"}]
)
def test_an_answer_of_another_shape_misbehaves(answer: Any) -> None:
    node, _ = node_answering(lambda *_: answer)
    with pytest.raises(NodeMisbehaved, match="eth_chainId"):
        node.chain_id()


def test_an_answer_that_is_no_json_misbehaves() -> None:
    with pytest.raises(NodeMisbehaved, match=r"node\.example:8545"):
        raising(ValueError("Expecting value")).ping()


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Error for url: {URL}", response=response)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError(f"HTTPConnectionPool: {URL}"), "cannot be reached"),
        (requests.ReadTimeout(URL), "did not answer eth_blockNumber within 10 s"),
        (http_error(503), "HTTP status 503"),
        (requests.HTTPError(URL), "HTTP status unknown"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (TimeoutError(), "did not answer"),
    ],
)
def test_an_unreachable_node_is_named_without_its_secrets(error: BaseException, words: str) -> None:
    with pytest.raises(NodeUnreachable, match=words) as caught:
        raising(error).ping()
    text = str(caught.value)
    assert "http://node.example:8545" in text
    for secret in ("user", "secret", "apikey", "abc"):
        assert secret not in text
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "http://node.example:8545"),
        ("https://mainnet.example/v3/key", "https://mainnet.example"),
        ("http://[::1]:8545", "http://[::1]:8545"),
        ("ipc:///run/node.ipc", "/run/node.ipc"),
        ("file:///run/my%20node.ipc", "/run/my node.ipc"),
        ("/run/node.ipc", "/run/node.ipc"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert public_url(url) == shown


def test_the_url_chooses_the_transport_and_hides_credentials_from_it() -> None:
    provider = connect_by_url("https://user:p%40ss@node.example/rpc", 3)
    assert isinstance(provider, HTTPProvider)
    assert provider.endpoint_uri == "https://node.example/rpc"
    assert provider.exception_retry_configuration is None
    assert dict(provider.get_request_kwargs())["auth"] == ("user", "p@ss")
    assert dict(provider.get_request_kwargs())["timeout"] == 3
    for url in ("ipc:///run/node.ipc", "file:///run/node.ipc", "/run/node.ipc"):
        socket = connect_by_url(url, 3)
        assert isinstance(socket, IPCProvider)
        assert socket.ipc_path == "/run/node.ipc"


@pytest.mark.parametrize(
    "url",
    ["ws://node.example:8546", "node.example:8545", "http://", "", "ftp://x", "http://[::1", "http://x:99999"],
)
def test_a_url_of_no_node_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="node"):
        Node(url)


def test_a_forked_process_gets_a_connection_of_its_own() -> None:
    made: list[FakeProvider] = []

    def connect(url: str, timeout: float) -> FakeProvider:
        made.append(FakeProvider(lambda *_: {"result": "0x1"}))
        return made[-1]

    node = Node(URL, connect=connect)
    node.ping()
    child = os.fork()
    if child == 0:
        try:
            node.ping()
            right = len(made) == 2 and len(made[0].asked) == 1 and len(made[1].asked) == 1
        except BaseException:
            right = False
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    node.ping()
    assert len(made) == 1
