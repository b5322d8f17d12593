"""The node as the relay sees it, with the transport handed in."""

import json
import os
from typing import Any

import pytest
from urllib3.exceptions import DecodeError, ProtocolError

from relay.chain.errors import AnswerTooLarge, NodeMisbehaved, NodeRefused, NodeTooSlow, NodeUnreachable
from relay.chain.node import BATCH, Node
from relay.chain.transport import BrokenOff, HttpStatus, TooManyBytes
from relay.chain.urls import HttpTarget, http_target, public_url, socket_path
from relay.model import Block
from tests.support.fake_node import FakeTransport, answer_to

URL = "http://user:secret@node.example:8545/v3/apikey?token=abc"
NETWORK = bytes.fromhex("11" * 20)


def node_answering(answer: Any) -> tuple[Node, FakeTransport]:
    transport = FakeTransport(answer)
    return Node(URL, connect=lambda *_: transport), transport


def node_sending(body: Any) -> Node:
    """A node whose answer is these bytes, or what a function makes of the decoded request, or an error."""

    class Sending(FakeTransport):
        def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
            if isinstance(body, BaseException):
                raise body
            return bytes(body(json.loads(payload)) if callable(body) else body)

    return Node(URL, connect=lambda *_: Sending(None))


def node_with_result(result: Any) -> Node:
    return node_answering(lambda *_: {"result": result})[0]


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

    node, transport = node_answering(answer)
    numbers = list(range(249, -1, -1))
    blocks = node.blocks(numbers)
    assert [block.number if block else None for block in blocks] == [
        number if number < 240 else None for number in numbers
    ]
    assert transport.batches == [BATCH, BATCH, 50]


def test_no_blocks_are_asked_for_when_none_are_wanted() -> None:
    node, transport = node_answering(lambda *_: {"result": None})
    assert node.blocks([]) == []
    assert transport.batches == []


def test_a_batch_answered_with_another_block_is_refused() -> None:
    with pytest.raises(NodeMisbehaved, match="it is block 5, not 4"):
        node_with_result(block_object(5)).blocks([4])


def test_a_block_of_another_number_or_hash_than_asked_for_is_refused() -> None:
    with pytest.raises(NodeMisbehaved, match="it is block 5, not 4"):
        node_with_result(block_object(5)).block(4)
    node = node_with_result(block_object(5))
    assert node.block_by_hash((5).to_bytes(32, "big")) == node.block(5)
    with pytest.raises(NodeMisbehaved, match="it is block 0x"):
        node.block_by_hash(bytes(32))


def batch_answered(change: Any) -> Node:
    """A node that makes of the proper answers to a batch what ``change`` says."""

    def body(requests: Any) -> bytes:
        answers = [answer_to(one, {"result": block_object(int(one["params"][0], 16))}) for one in requests]
        return json.dumps(change(answers)).encode()

    return node_sending(body)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda answers: answers[:-1], "only 2 of 3 requests of a batch"),
        (lambda answers: [*answers, {**answers[0], "id": 10**9}], "with ids that were not asked"),
        (lambda answers: [*answers[:2], answers[0]], "comes twice"),
        (lambda answers: [*answers[:2], {**answers[2], "id": None}], "missing"),
        (lambda answers: [*answers[:2], {**answers[2], "id": True}], "missing"),
        (lambda answers: [*answers[:2], "text"], "missing"),
        (lambda _: "text", "with no batch"),
        (lambda answers: answers[0], "with no batch"),
    ],
)
def test_a_batch_whose_answers_are_not_those_to_its_requests_is_refused(change: Any, words: str) -> None:
    with pytest.raises(NodeMisbehaved, match=words):
        batch_answered(change).blocks([1, 2, 3])


def test_a_batch_may_be_answered_in_any_order() -> None:
    blocks = batch_answered(lambda answers: answers[::-1]).blocks([1, 2, 3])
    assert [block.number for block in blocks if block] == [1, 2, 3]


def test_a_batch_refused_as_a_whole_is_asked_in_smaller_ones_from_then_on() -> None:
    sizes: list[int] = []

    def body(requests: Any) -> bytes:
        size = len(requests) if isinstance(requests, list) else 1
        sizes.append(size)
        if size > 10:
            return json.dumps({"id": None, "error": {"code": -32600, "message": "batch too large"}}).encode()
        answers = [answer_to(one, {"result": block_object(int(one["params"][0], 16))}) for one in requests]
        return json.dumps(answers).encode()

    node = node_sending(body)
    assert [block.number for block in node.blocks(range(30)) if block] == list(range(30))
    assert sizes == [30, 15, 7, 7, 7, 7, 2]


def test_a_node_that_takes_no_batches_is_asked_one_by_one() -> None:
    def body(request: Any) -> bytes:
        if isinstance(request, list):
            return b'{"id": null, "error": {"code": -32600, "message": "no batches here"}}'
        return json.dumps(answer_to(request, {"result": block_object(int(request["params"][0], 16))})).encode()

    assert [block.number for block in node_sending(body).blocks([1, 2, 3]) if block] == [1, 2, 3]


def test_a_request_refused_within_a_batch_carries_the_reason() -> None:
    refused = {"error": {"code": -32000, "message": "no such luck"}}
    node, _ = node_answering(lambda _, params: refused if params[0] == "0x2" else {"result": None})
    with pytest.raises(NodeRefused, match="no such luck"):
        node.blocks([1, 2])


@pytest.mark.parametrize("identifier", [0, "1", None, True, 1.0, 10**9])
def test_an_answer_to_another_request_is_refused(identifier: Any) -> None:
    node = node_sending(json.dumps({"jsonrpc": "2.0", "id": identifier, "result": "0x1"}).encode())
    with pytest.raises(NodeMisbehaved, match="which was not asked"):
        node.chain_id()


def test_an_error_may_lack_the_id_of_its_request() -> None:
    with pytest.raises(NodeRefused, match="parse error"):
        node_sending(b'{"id": null, "error": {"code": -32700, "message": "parse error"}}').ping()


def test_the_final_block_is_none_where_the_node_knows_of_none() -> None:
    assert node_with_result(block_object(7)).finalized() == Block(
        7, (7).to_bytes(32, "big"), (6).to_bytes(32, "big"), 1007
    )
    assert node_with_result(None).finalized() is None
    for code in (-32602, -39001, -32000):
        refusing, _ = node_answering(lambda *_, code=code: {"error": {"code": code, "message": "unknown tag"}})
        assert refusing.finalized() is None
    limited, _ = node_answering(lambda *_: {"error": {"code": -32005, "message": "limit exceeded"}})
    with pytest.raises(NodeRefused, match="limit exceeded"):
        limited.finalized()


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
    node, transport = node_answering(lambda *_: {"result": [log_object(1, 1)]})
    assert node.logs([], 0, 10) == []
    assert node.logs([NETWORK], 5, 4) == []
    assert transport.asked == []


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
        log_object(8, 2**31),
        log_object(8, 0, removed=True),
        log_object(8, 0, blockTimestamp="0xffffffffffffffff"),
        {},
        None,
        "text",
    ],
)
def test_a_log_of_another_shape_or_not_asked_for_misbehaves(log: Any) -> None:
    with pytest.raises(NodeMisbehaved, match="eth_getLogs"):
        node_with_result([log]).logs([NETWORK], 0, 10)


def test_a_log_that_comes_twice_misbehaves() -> None:
    with pytest.raises(NodeMisbehaved, match="log 3 of block 8 came twice"):
        node_with_result([log_object(8, 3), log_object(9, 3), log_object(8, 3)]).logs([NETWORK], 0, 10)


def test_the_logs_of_one_block_are_asked_for_by_its_hash() -> None:
    block = Block(8, b"\xcd" * 32, bytes(32), 0)
    node, transport = node_answering(lambda *_: {"result": [log_object(8, 1), log_object(8, 0)]})
    assert [log.log_index for log in node.logs_of_block([NETWORK], block)] == [0, 1]
    assert transport.asked[0][1] == [{"address": ["0x" + "11" * 20], "blockHash": "0x" + "cd" * 32}]
    with pytest.raises(NodeMisbehaved, match="not asked for"):
        node.logs_of_block([NETWORK], Block(8, b"\xce" * 32, bytes(32), 0))


def test_a_call_names_its_block() -> None:
    node, transport = node_answering(lambda *_: {"result": "0x2a"})
    assert node.call(NETWORK, b"\x01", 255) == b"\x2a"
    node.call(NETWORK, b"\x01")
    node.call(NETWORK, b"\x01", b"\xaa" * 32)
    assert [params[1] for _, params in transport.asked] == ["0xff", "latest", {"blockHash": "0x" + "aa" * 32}]


def test_calls_go_in_batches() -> None:
    node, transport = node_answering(lambda _, params: {"result": params[0]["data"]})
    data = [bytes([number]) for number in range(150)]
    assert node.calls(NETWORK, data) == data
    assert transport.batches == [BATCH, 50]


def test_numbers_and_known_transactions() -> None:
    node = node_with_result("0x1f")
    assert [node.chain_id(), node.balance(NETWORK), node.pending_nonce(NETWORK), node.gas_price()] == [31] * 4
    assert node_with_result({"hash": "0x"}).transaction_known(bytes(32))
    assert not node_with_result(None).transaction_known(bytes(32))


def test_the_nonce_counts_pending_transactions() -> None:
    node, transport = node_answering(lambda *_: {"result": "0x1"})
    node.pending_nonce(NETWORK)
    assert transport.asked == [("eth_getTransactionCount", ["0x" + NETWORK.hex(), "pending"])]


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
    node = node_sending(lambda request: json.dumps(answer_to(request, answer)).encode())
    with pytest.raises(NodeMisbehaved, match="eth_chainId"):
        node.chain_id()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"jsonrpc":"2.0","id":1,"resu', b"\xff\xff", b"[" * 100_000])
def test_an_answer_that_is_no_json_misbehaves(body: bytes) -> None:
    with pytest.raises(
        NodeMisbehaved, match=r"the node http://node\.example:8545 answered eth_blockNumber with no"
    ):
        node_sending(body).ping()


@pytest.mark.parametrize("number", ["0x" + "f" * 17, "-0x1", "0x-1", "0x", "0xg", 5, None])
def test_a_number_that_no_block_has_misbehaves(number: Any) -> None:
    with pytest.raises(NodeMisbehaved, match="eth_getBlockByNumber"):
        node_with_result({**block_object(5), "number": number}).head()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), NodeTooSlow, "did not answer eth_blockNumber within 10 s"),
        (HttpStatus(500, None, b"oops"), NodeUnreachable, "answered HTTP status 500 to eth_blockNumber"),
        (HttpStatus(401, None, b'{"error": {"message": "key"}}'), NodeUnreachable, "HTTP status 401"),
        (HttpStatus(404, None, b"not found"), NodeUnreachable, "HTTP status 404"),
        (TooManyBytes(), AnswerTooLarge, "with more than 256 MiB"),
        (BrokenOff(), NodeUnreachable, "broke off its answer to eth_blockNumber"),
        (DecodeError(URL), NodeMisbehaved, "broken compression"),
        (FileNotFoundError(2, "No such file or directory"), NodeUnreachable, "No such file or directory"),
        (ConnectionResetError(URL), NodeUnreachable, "cannot be reached: ConnectionResetError"),
        (OSError(-2, "Name or service not known"), NodeUnreachable, "Name or service not known"),
        (ProtocolError(URL, OSError(111, "Connection refused")), NodeUnreachable, "Connection refused"),
    ],
)
def test_a_node_without_an_answer_is_named_without_its_secrets(
    error: BaseException, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        node_sending(error).ping()
    text = str(caught.value)
    assert "http://node.example:8545" in text
    for secret in ("user", "secret", "apikey", "abc"):
        assert secret not in text
    assert caught.value.__suppress_context__


def test_a_refusal_within_an_http_error_carries_its_reason() -> None:
    body = b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "range too wide"}}'
    with pytest.raises(NodeRefused, match="range too wide"):
        node_sending(HttpStatus(400, None, body)).logs([NETWORK], 0, 10)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [(429, "7", 7), (429, None, 1), (429, "999999", 60), (429, "Fri, 31 Dec 1999 23:59:59 GMT", 1), (503, "7", 7)],
)
def test_a_node_that_asks_for_a_pause_gets_it(status: int, header: str | None, pause: float) -> None:
    clock, answers = Clock(), [HttpStatus(status, header, b"")]

    class Limited(FakeTransport):
        def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
            if answers:
                raise answers.pop()
            return super().send(payload, seconds, most_bytes)

    node = Node(URL, connect=lambda *_: Limited(lambda *_: {"result": "0x1"}), clock=clock)
    with pytest.raises(NodeUnreachable, match=f"HTTP status {status}"):
        node.ping()
    clock.now += pause - 0.5
    with pytest.raises(NodeUnreachable, match="asked to be left alone for 1 s more"):
        node.ping()
    clock.now += 0.5
    node.ping()


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


def test_a_url_leads_to_a_host_or_a_socket_with_its_login_apart() -> None:
    assert http_target("https://user:p%40ss@node.example/rpc?key=1") == HttpTarget(
        "node.example", None, "/rpc?key=1", True, ("user", "p@ss")
    )
    assert http_target("http://[::1]:8545") == HttpTarget("::1", 8545, "/", False, None)
    for url in ("ipc:///run/node.ipc", "file:///run/node.ipc", "/run/node.ipc"):
        assert socket_path(url) == "/run/node.ipc"


@pytest.mark.parametrize(
    "url",
    ["ws://node.example:8546", "node.example:8545", "http://", "", "ftp://x", "http://[::1", "http://x:99999"],
)
def test_a_url_of_no_node_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="node"):
        Node(url)


def test_a_forked_process_gets_a_connection_of_its_own() -> None:
    made: list[FakeTransport] = []

    def connect(url: str, timeout: float) -> FakeTransport:
        made.append(FakeTransport(lambda *_: {"result": "0x1"}))
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


def test_the_filter_of_a_header_is_read_where_it_is_given() -> None:
    assert node_with_result(block_object(7)).head().logs_bloom == b""
    assert node_with_result({**block_object(7), "logsBloom": "0x" + "01" * 256}).head().logs_bloom == b"\x01" * 256
    with pytest.raises(NodeMisbehaved, match="expected 256 bytes"):
        node_with_result({**block_object(7), "logsBloom": "0x01"}).head()
