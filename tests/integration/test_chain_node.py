"""The chain room against a real node with real contracts."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Signer
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address
from relay.chain.errors import NodeMisbehaved, NodeRefused, NodeUnreachable, NotANetwork
from relay.chain.events import decode
from relay.chain.gas import TransferCall
from relay.chain.network import Account, find_first_block, read_account, read_network, read_users
from relay.chain.node import Node
from relay.chain.transactions import parse_raw_transaction
from relay.devnet.anvil import CHAIN_ID, Anvil, free_port
from relay.devnet.deploy import CASH, deploy_network, transact
from relay.model import Block, Event, EventType, Terms

NOBODY = b"\xee" * 20
NO_ONBOARDER = bytes(19) + b"\x01"


def raw(address: str) -> Address:
    return bytes.fromhex(address[2:])


@pytest.fixture(scope="module")
def node(anvil: Anvil) -> Node:
    return Node(anvil.url)


@pytest.fixture(scope="module")
def network(w3: Web3) -> Contract:
    return deploy_network(w3, CASH, "CurrencyNetworkOwnable")


@pytest.fixture(scope="module")
def history(w3: Web3, network: Contract) -> dict[str, Any]:
    """One event of nearly every kind, in the order of their blocks."""
    call = network.functions
    a, b, c = w3.eth.accounts[1:4]
    first = w3.eth.block_number + 1
    transact(w3, call.unfreezeNetwork())
    transact(w3, call.updateTrustline(b, 100, 200, 10, 20, False), a)
    transact(w3, call.updateTrustline(a, 200, 100, 20, 10, False), b)
    transact(w3, call.updateTrustline(c, 1, 2, 0, 0, False), a)
    transact(w3, call.cancelTrustlineUpdate(c), a)
    transact(w3, call.transfer(42, 0, [a, b], b"thanks"), a)
    transact(w3, call.increaseDebt(b, 5), a)
    return {"a": raw(a), "b": raw(b), "c": raw(c), "first": first, "last": w3.eth.block_number}


def test_the_node_tells_its_chain(node: Node, w3: Web3) -> None:
    node.ping()
    assert node.chain_id() == CHAIN_ID
    assert node.gas_price() == w3.eth.gas_price
    account = raw(w3.eth.accounts[0])
    assert node.balance(account) == w3.eth.get_balance(w3.eth.accounts[0])
    assert node.pending_nonce(account) == w3.eth.get_transaction_count(w3.eth.accounts[0], "pending")


def test_blocks_are_chained_by_their_hashes(node: Node, w3: Web3) -> None:
    w3.provider.make_request("anvil_mine", ["0xfa"])  # type: ignore[arg-type]
    head = node.head()
    assert head.number >= 250
    blocks = node.blocks(range(head.number + 3))
    assert blocks[-2:] == [None, None]
    known = [block for block in blocks if block is not None]
    assert [block.number for block in known] == list(range(head.number + 1))
    assert all(child.parent_hash == parent.hash for parent, child in pairwise(known))
    assert known[-1] == head == node.block(head.number)
    assert node.block(head.number + 1) is None
    theirs = w3.eth.get_block(head.number)
    assert (head.hash, head.timestamp) == (bytes(theirs["hash"]), theirs["timestamp"])


def test_logs_become_the_events_that_happened(node: Node, network: Contract, history: dict[str, Any]) -> None:
    a, b, c = history["a"], history["b"], history["c"]
    logs = node.logs([raw(network.address)], history["first"], history["last"])
    events: list[Event] = []
    for log in logs:
        block = node.block(log.block_number)
        assert block is not None
        assert log.block_hash == block.hash
        assert log.block_timestamp in {block.timestamp, None}
        event = decode(log, block.timestamp)
        if event is not None:
            events.append(event)
    assert {event.network for event in events} == {raw(network.address)}
    assert [(event.type, event.sender, event.receiver, event.value) for event in events] == [
        (EventType.NETWORK_UNFREEZE, None, None, None),
        (EventType.TRUSTLINE_UPDATE_REQUEST, a, b, None),
        (EventType.ONBOARD, NO_ONBOARDER, a, None),
        (EventType.ONBOARD, NO_ONBOARDER, b, None),
        (EventType.TRUSTLINE_UPDATE, a, b, None),
        (EventType.TRUSTLINE_UPDATE_REQUEST, a, c, None),
        (EventType.TRUSTLINE_UPDATE_CANCEL, a, c, None),
        (EventType.BALANCE_UPDATE, a, b, -42),
        (EventType.TRANSFER, a, b, 42),
        (EventType.DEBT_UPDATE, a, b, 5),
    ]
    assert [event.terms for event in events if event.terms] == [
        Terms(100, 200, 10, 20, False),
        Terms(100, 200, 10, 20, False),
        Terms(1, 2, 0, 0, False),
    ]
    assert [event.extra_data for event in events if event.type == EventType.TRANSFER] == [b"thanks"]


def test_logs_of_other_contracts_and_blocks_stay_out(
    node: Node, network: Contract, history: dict[str, Any]
) -> None:
    address = raw(network.address)
    assert node.logs([NOBODY], 0, history["last"]) == []
    both = node.logs([NOBODY, address], history["first"] + 1, history["first"] + 1)
    assert {log.block_number for log in both} == {history["first"] + 1}


def test_a_network_tells_of_itself(node: Node, network: Contract, history: dict[str, Any], w3: Web3) -> None:
    info = read_network(node, raw(network.address))
    assert (info.name, info.symbol, info.decimals) == (CASH.name, CASH.symbol, CASH.decimals)
    assert (info.fee_divisor, info.default_interest_rate) == (CASH.fee_divisor, CASH.default_interest_rate)
    assert (info.custom_interests, info.prevent_mediator_interests) == (True, False)
    assert not info.is_frozen
    assert w3.eth.get_code(network.address, info.first_block)
    assert not w3.eth.get_code(network.address, info.first_block - 1)
    assert read_network(node, raw(network.address), first_block=1).first_block == 1


def test_accounts_and_users_are_read_as_of_any_block(
    node: Node, network: Contract, history: dict[str, Any]
) -> None:
    address, a, b = raw(network.address), history["a"], history["b"]
    account = read_account(node, address, a, b)
    assert account == Account(100, 200, 10, 20, False, account.mtime, -42)
    assert account.mtime > 0
    assert read_account(node, address, b, a) == Account(200, 100, 20, 10, False, account.mtime, 42)
    assert read_account(node, address, a, b, history["first"]) == Account(0, 0, 0, 0, False, 0, 0)
    assert sorted(read_users(node, address)) == sorted([a, b])
    assert read_users(node, address, history["first"]) == []


def test_what_is_no_network_is_named(node: Node, w3: Web3) -> None:
    with pytest.raises(NotANetwork, match="no contract at 0xEeee"):
        read_network(node, NOBODY)
    bytecode = "0x600a600c600039600a6000f3602a60005260206000f3"  # answers 42 to everything
    receipt = w3.eth.wait_for_transaction_receipt(
        w3.eth.send_transaction({"from": w3.eth.accounts[0], "data": bytecode})  # type: ignore[typeddict-item]
    )
    assert receipt["contractAddress"] is not None
    with pytest.raises(NotANetwork, match="is no currency network: name"):
        read_network(node, raw(receipt["contractAddress"]))


def test_a_reverted_call_carries_the_nodes_words(node: Node, network: Contract) -> None:
    with pytest.raises(NodeRefused, match="revert") as caught:
        node.call(raw(network.address), TransferCall(path=(NOBODY,), value=1, max_fee=0).calldata())
    assert caught.value.code == 3


def test_a_raw_transaction_is_sent_known_and_refused_the_second_time(node: Node, w3: Web3) -> None:
    signer = Signer.create()
    w3.provider.make_request("anvil_setBalance", [signer.address, hex(10**18)])  # type: ignore[arg-type]
    transaction = {"nonce": 0, "gas": 21_000, "gasPrice": 10**10, "to": NOBODY, "value": 5}
    signed = signer.sign_transaction({**transaction, "chainId": CHAIN_ID})
    parsed = parse_raw_transaction(signed.raw_transaction.hex(), node.chain_id())
    assert not node.transaction_known(parsed.hash)
    assert node.send_raw_transaction(parsed.raw) == parsed.hash == bytes(signed.hash)
    assert w3.eth.wait_for_transaction_receipt(HexBytes(parsed.hash))["from"] == signer.address
    assert node.transaction_known(parsed.hash)
    assert node.pending_nonce(parsed.sender) == 1
    with pytest.raises(NodeRefused, match="nonce too low"):
        node.send_raw_transaction(parsed.raw)


def test_a_transaction_without_funds_is_refused_with_the_nodes_words(node: Node) -> None:
    transaction = {"nonce": 0, "gas": 21_000, "gasPrice": 10**10, "to": NOBODY, "value": 5}
    signed = Signer.create().sign_transaction({**transaction, "chainId": CHAIN_ID})
    with pytest.raises(NodeRefused, match=r"(?i)insufficient funds"):
        node.send_raw_transaction(bytes(signed.raw_transaction))


def test_a_node_serves_many_threads(node: Node) -> None:
    head = node.head().number
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(node.block, [number % (head + 1) for number in range(200)]))
    assert [block.number if block else None for block in blocks] == [n % (head + 1) for n in range(200)]


def test_a_forked_worker_and_its_parent_do_not_mix_answers(node: Node) -> None:
    node.ping()
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            right = False
            try:
                right = all((block := node.block(number)) and block.number == number for _ in range(100))
            finally:
                os._exit(0 if right else 1)
        children.append(child)
    assert all(node.chain_id() == CHAIN_ID for _ in range(100))
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]


def test_nobody_listening_is_said_at_once() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/key"
    with pytest.raises(
        NodeUnreachable, match=r"^the node http://127\.0\.0\.1:\d+ cannot be reached: Connection ref"
    ):
        Node(url).ping()
    with pytest.raises(NodeUnreachable, match=r"nowhere\.invalid:8545 cannot be reached"):
        Node("http://nowhere.invalid:8545").ping()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_silent_node_is_given_up_in_time(listener: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(NodeUnreachable, match=r"did not answer eth_blockNumber within 0\.3 s"):
        Node(url_of(listener), timeout=0.3).ping()
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", NodeUnreachable, "HTTP status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", NodeMisbehaved, "no JSON-RPC"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff", NodeMisbehaved, "no JSON-RPC"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{", NodeUnreachable, "broke off its answer"),
        (b"", NodeUnreachable, "cannot be reached: it hung up without an answer"),
    ],
)
def test_what_is_no_node_is_recognised(
    listener: socket.socket, answer: bytes, error: type[Exception], words: str
) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(error, match=words):
        Node(url_of(listener), timeout=5).ping()
    thread.join()


def test_a_node_is_reached_by_its_socket_and_again_after_its_restart(anvil_binary: str, tmp_path: Path) -> None:
    path = tmp_path / "node.ipc"
    node = Node(f"ipc://{path}", timeout=5)
    with pytest.raises(NodeUnreachable, match=f"the node {path} cannot be reached: No such file"):
        node.ping()
    for _ in range(2):
        command = [anvil_binary, "--quiet", "--port", str(free_port()), "--ipc", str(path)]
        process = subprocess.Popen([*command, "--chain-id", str(CHAIN_ID)])
        try:
            wait_for(node)
            assert node.chain_id() == CHAIN_ID
            assert [block.number if block else None for block in node.blocks([0, 1])] == [0, None]
        finally:
            process.terminate()
            process.wait()
        with pytest.raises(NodeUnreachable, match=str(path)):
            node.ping()


def wait_for(node: Node) -> None:
    for _ in range(600):
        try:
            return node.ping()
        except NodeUnreachable:
            time.sleep(0.05)
    raise AssertionError("the node does not come up")


def test_a_chain_without_old_state_is_indexed_from_a_block_before_the_contract(
    anvil_binary: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state.json"
    with Anvil(anvil_binary, dump=state) as first:
        first.rpc("anvil_mine", "0x20")
        address = raw(deploy_network(Web3(Web3.HTTPProvider(first.url)), CASH).address)
        deployed = find_first_block(Node(first.url), address)
        assert deployed == 33
    assert not caplog.records
    with Anvil(anvil_binary, load=state) as second:
        second.rpc("anvil_mine", "0x20")
        info = read_network(Node(second.url), address)
    assert info.first_block <= deployed
    assert any("first block of contract" in record.getMessage() for record in caplog.records)


def test_blocks_are_found_by_their_hash_and_the_final_one_by_its_tag(node: Node, w3: Web3) -> None:
    w3.provider.make_request("anvil_mine", ["0xfa"])  # type: ignore[arg-type]
    head = node.head()
    assert node.block_by_hash(head.hash) == head
    assert node.block_by_hash(b"\xab" * 32) is None
    final = node.finalized()
    assert final is not None
    assert final == node.block(final.number)
    assert head.number - 128 <= final.number < head.number


def test_logs_and_calls_of_one_block_by_its_hash(node: Node, network: Contract, history: dict[str, Any]) -> None:
    address, a, b = raw(network.address), history["a"], history["b"]
    block = node.block(history["last"])
    assert block is not None
    assert node.logs_of_block([address], block) == node.logs([address], block.number, block.number)
    assert read_account(node, address, a, b, block.hash) == read_account(node, address, a, b, block.number)
    unknown = Block(block.number, b"\xab" * 32, b"", 0)
    with pytest.raises(NodeRefused):
        node.logs_of_block([address], unknown)
    with pytest.raises(NodeRefused):
        node.call(address, b"", unknown.hash)
