"""The transport to a node, without a node."""

import json
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[[str, Any], Any]


def answer_to(request: Any, answer: Any) -> Any:
    """Make an answer one to a request, where it is an object."""
    return {"jsonrpc": "2.0", "id": request["id"], **answer} if isinstance(answer, dict) else answer


class FakeTransport:
    """Answers every request from a function of method and params; remembers what was asked, and batches' sizes."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []
        self.batches: list[int] = []

    def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
        request = json.loads(payload)
        if isinstance(request, list):
            self.batches.append(len(request))
            return json.dumps([self._answer(one) for one in request]).encode()
        return json.dumps(self._answer(request)).encode()

    def _answer(self, request: Any) -> Any:
        self.asked.append((request["method"], request["params"]))
        assert self.answer is not None
        return answer_to(request, self.answer(request["method"], request["params"]))


class FakeChain:
    """The blocks of a chain as a node's answers; ``salt`` makes another chain of the blocks from ``fork`` on."""

    def __init__(self, head: int, chain_id: int = 1337, salt: bytes = b"\0", fork: int = 0) -> None:
        self.head = head
        self.chain_id = chain_id
        self.salt = salt
        self.fork = fork

    def block(self, number: int) -> dict[str, str] | None:
        if not 0 <= number <= self.head:
            return None
        return {
            "number": hex(number),
            "hash": "0x" + self._hash(number).hex(),
            "parentHash": "0x" + self._hash(number - 1).hex(),
            "timestamp": hex(1000 + number),
        }

    def answer(self, method: str, params: Any) -> Any:
        if method == "eth_chainId":
            return {"result": hex(self.chain_id)}
        if method == "eth_blockNumber":
            return {"result": hex(self.head)}
        if method == "eth_getBlockByNumber":
            return {"result": self.block(self.head if params[0] == "latest" else int(params[0], 16))}
        if method in ("eth_gasPrice", "eth_getBalance"):
            return {"result": "0x5"}
        return {"error": {"code": -32601, "message": f"no {method} here"}}

    def _hash(self, number: int) -> bytes:
        salt = self.salt if number >= self.fork else b"\0"
        return salt + (number + 1).to_bytes(31, "big")


class FakeNode:
    """A node by its URL: a chain, and what is wrong with it at the moment (an error to raise, or ``hangs``)."""

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.error: BaseException | None = None
        self.hangs = False
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
        request = json.loads(payload)
        with self._lock:
            self.asked += [one["method"] for one in (request if isinstance(request, list) else [request])]
        if self.hangs:
            threading.Event().wait(seconds)
            raise TimeoutError
        if self.error is not None:
            raise self.error
        return FakeTransport(self.chain.answer).send(payload, seconds, most_bytes)
