"""What stands between the index and its node and database, and misbehaves on order."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.simulation.faults import NodeFault

LONGEST_HANG_SECONDS = 30.0
DRIP_SECONDS = 0.15
UNWELL_STATUS = {NodeFault.STATUS_500: 500, NodeFault.STATUS_429: 429, NodeFault.STATUS_502: 502}


class NodeProxy:
    """An HTTP (and WebSocket) server before a node; healthy until a fault is ordered."""

    def __init__(self, node_port: int, seed: str) -> None:
        self.node_port = node_port
        self._chance = random.Random(seed)
        self._fault: NodeFault | None = None
        self._share = 1.0
        self._lag = 0
        self._epoch = threading.Event()
        self._sockets: set[socket.socket] = set()
        self.injected: dict[NodeFault, int] = {}
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL that the index takes for its node's."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def misbehave(self, fault: NodeFault, share: float, lag: int) -> None:
        """Answer this ``share`` of the requests wrongly from now on; ``lag`` is the size of the fault, if any."""
        self._lag, self._share, self._fault = lag, share, fault
        if fault is NodeFault.DROPPED:
            self._cut()

    def heal(self) -> None:
        """Answer as the node does, and let go of requests that hang."""
        self._fault = None
        epoch, self._epoch = self._epoch, threading.Event()
        epoch.set()

    def fault_for_next(self) -> tuple[NodeFault | None, int, threading.Event]:
        """Draw what happens to a request that has come in."""
        fault = self._fault
        if fault is None or self._chance.random() >= self._share:
            return None, 0, self._epoch
        return fault, self._lag, self._epoch

    def count(self, fault: NodeFault) -> None:
        """Note that an answer was really spoilt."""
        self.injected[fault] = self.injected.get(fault, 0) + 1

    @contextmanager
    def attended(self, connection: socket.socket) -> Iterator[None]:
        """Keep an open connection where an order to drop them all finds it."""
        self._sockets.add(connection)
        try:
            yield
        finally:
            self._sockets.discard(connection)

    def close(self) -> None:
        """End the server and every connection."""
        self.heal()
        self._server.shutdown()
        self._cut()
        self._server.server_close()
        self._thread.join()

    def _cut(self) -> None:
        for connection in list(self._sockets):
            _shut(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: NodeProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream: HTTPConnection | None = None

    def handle(self) -> None:
        with self.proxy.attended(self.connection), suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if self._upstream is not None:
            self._upstream.close()

    def do_GET(self) -> None:
        """Pass a WebSocket on, byte for byte."""
        fault, _, _ = self.proxy.fault_for_next()
        if fault is not None:
            self.proxy.count(fault)
            self.close_connection = True
            return
        with socket.create_connection(("127.0.0.1", self.proxy.node_port), timeout=5) as node:
            node.settimeout(None)
            head = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
            node.sendall("\r\n".join(head).encode("latin-1"))
            with self.proxy.attended(node):
                _pump_both(self.connection, node)
        self.close_connection = True

    def do_POST(self) -> None:
        """Pass a request on, and spoil the answer if that is ordered."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault, size, epoch = self.proxy.fault_for_next()
        if fault is NodeFault.HANG:
            self.proxy.count(fault)
            epoch.wait(LONGEST_HANG_SECONDS)
            self.close_connection = True
            return
        if fault is NodeFault.DROPPED:
            self.proxy.count(fault)
            self.close_connection = True
            return
        if fault in UNWELL_STATUS:
            self.proxy.count(fault)
            headers = {"Retry-After": "1"} if fault is NodeFault.STATUS_429 else {}
            self._answer(b'{"error": "unwell"}', UNWELL_STATUS[fault], headers)
            return
        request = json.loads(body)
        if fault is not None:
            otherwise = _ask_otherwise(fault, request, size, self._head, self._number_of)
            if otherwise != request:
                self.proxy.count(fault)
            request, body = otherwise, json.dumps(otherwise).encode()
        answer = self._ask(body)
        if fault is not None:
            spoilt = _spoil(fault, request, answer, size)
            if spoilt != answer or fault in (NodeFault.DRIPPING, NodeFault.CUT_SHORT):
                self.proxy.count(fault)
            answer = spoilt
        if fault is NodeFault.CUT_SHORT:
            self._answer(answer[: len(answer) // 2], 200, {}, claimed=len(answer))
            self.close_connection = True
        elif fault is NodeFault.DRIPPING:
            self._drip(answer, epoch)
        else:
            self._answer(answer, 200, {})

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _ask(self, body: bytes) -> bytes:
        for attempt in (1, 2):
            if self._upstream is None:
                self._upstream = HTTPConnection("127.0.0.1", self.proxy.node_port, timeout=60)
            try:
                self._upstream.request("POST", "/", body, {"Content-Type": "application/json"})
                return self._upstream.getresponse().read()
            except (OSError, HTTPException):
                self._upstream.close()
                self._upstream = None
                if attempt == 2:
                    raise
        raise AssertionError

    def _head(self) -> int:
        answer = self._ask(b'{"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []}')
        return int(json.loads(answer)["result"], 16)

    def _number_of(self, block_hash: str) -> int:
        question = {"jsonrpc": "2.0", "id": 0, "method": "eth_getBlockByHash", "params": [block_hash, False]}
        block = json.loads(self._ask(json.dumps(question).encode()))["result"]
        return 0 if block is None else int(block["number"], 16)

    def _answer(self, body: bytes, status: int, headers: dict[str, str], claimed: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, body: bytes, epoch: threading.Event) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for at, byte in enumerate(body):
            if epoch.wait(DRIP_SECONDS):
                self.wfile.write(body[at:])
                return
            self.wfile.write(bytes([byte]))


def _ask_otherwise(
    fault: NodeFault, request: Any, size: int, head: Callable[[], int], number_of: Callable[[str], int]
) -> Any:
    """Change a request so that the node answers as one that is behind would."""
    if fault not in (NodeFault.HEAD_BACK, NodeFault.LAGGING, NodeFault.LATE_LOGS):
        return request
    behind = max(head() - size, 0)

    def late(one: Any) -> Any:
        method, parameters = one.get("method"), list(one.get("params", []))
        if method == "eth_getBlockByNumber" and fault is not NodeFault.LATE_LOGS:
            tag = parameters[0]
            if tag == "latest":
                parameters[0] = hex(behind)
            elif fault is NodeFault.LAGGING and tag.startswith("0x") and int(tag, 16) > behind:
                parameters[0] = hex(2**40)
        elif method == "eth_getLogs" and fault is not NodeFault.HEAD_BACK and "blockHash" in parameters[0]:
            # A node that is behind knows only that it does not know this block.
            if number_of(parameters[0]["blockHash"]) > behind:
                parameters[0] = {**parameters[0], "blockHash": "0x" + "f" * 64}
        elif method == "eth_getLogs" and fault is not NodeFault.HEAD_BACK and "toBlock" in parameters[0]:
            criteria = parameters[0]
            last = criteria["toBlock"]
            if last.startswith("0x"):
                criteria = {**criteria, "toBlock": hex(min(int(last, 16), behind))}
                if int(criteria["fromBlock"], 16) > behind:
                    # A range that no log is in, as the node that is behind has none yet.
                    criteria = {**criteria, "fromBlock": "0x0", "toBlock": "0x0"}
            parameters[0] = criteria
        return {**one, "params": parameters}

    return [late(one) for one in request] if isinstance(request, list) else late(request)


def _spoil(fault: NodeFault, request: Any, answer: bytes, size: int) -> bytes:
    """Change an answer."""
    if fault is NodeFault.TRUNCATED:
        return answer[: len(answer) * 2 // 3]
    if fault is NodeFault.NO_JSON:
        return b"<html>a page of a load balancer</html>"
    if fault not in _SPOILERS:
        return answer
    parsed = json.loads(answer)
    if not isinstance(request, list):
        return json.dumps(_SPOILERS[fault](request, parsed, size)).encode()
    questions = {one["id"]: one for one in request}
    spoilt = [_SPOILERS[fault](questions[one["id"]], one, size) for one in parsed]
    if fault is NodeFault.INCOMPLETE_BATCH:
        spoilt = spoilt[:-1]
    if fault is NodeFault.WRONG_ID:
        # The ids of a batch, but each on its neighbour's answer.
        ids = [one["id"] for one in parsed]
        spoilt = [{**one, "id": name} for one, name in zip(parsed, ids[1:] + ids[:1], strict=True)]
    return json.dumps(spoilt).encode()


def _wrong_id(_question: Any, answer: Any, _size: int) -> Any:
    return {**answer, "id": answer["id"] + 1 if isinstance(answer["id"], int) else 1}


def _foreign_logs(question: Any, answer: Any, size: int) -> Any:
    if question["method"] != "eth_getLogs" or not answer.get("result"):
        return answer
    logs = [dict(log) for log in answer["result"]]
    logs[-1 - size % len(logs)]["blockHash"] = "0x" + random.Random(size).randbytes(32).hex()
    return {**answer, "result": logs}


def _other_range(question: Any, answer: Any, _size: int) -> Any:
    if question["method"] != "eth_getLogs" or not answer.get("result"):
        return answer
    log = dict(answer["result"][-1])
    log["blockNumber"] = hex(int(log["blockNumber"], 16) + 1_000_000)
    return {**answer, "result": [*answer["result"], log]}


def _doubled_logs(question: Any, answer: Any, _size: int) -> Any:
    if question["method"] != "eth_getLogs" or not answer.get("result"):
        return answer
    return {**answer, "result": [*answer["result"], answer["result"][0]]}


def _range_limit(question: Any, answer: Any, size: int) -> Any:
    criteria = question["params"][0] if question["method"] == "eth_getLogs" else {}
    if "toBlock" not in criteria or int(criteria["toBlock"], 16) - int(criteria["fromBlock"], 16) < size:
        return answer
    return _refused(answer, -32000, f"block range is too wide, at most {size}")


def _result_limit(question: Any, answer: Any, size: int) -> Any:
    if question["method"] != "eth_getLogs" or len(answer.get("result") or ()) <= size:
        return answer
    return _refused(answer, -32005, f"query returned more than {size} results")


def _null_blocks(question: Any, answer: Any, _size: int) -> Any:
    return {**answer, "result": None} if question["method"].startswith("eth_getBlock") else answer


def _internal_error(_question: Any, answer: Any, _size: int) -> Any:
    return _refused(answer, -32603, "internal error")


def _as_it_is(_question: Any, answer: Any, _size: int) -> Any:
    return answer


def _refused(answer: Any, code: int, message: str) -> Any:
    return {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": code, "message": message}}


_SPOILERS: dict[NodeFault, Callable[[Any, Any, int], Any]] = {
    NodeFault.WRONG_ID: _wrong_id,
    NodeFault.FOREIGN_LOGS: _foreign_logs,
    NodeFault.OTHER_RANGE: _other_range,
    NodeFault.DOUBLED_LOGS: _doubled_logs,
    NodeFault.RANGE_LIMIT: _range_limit,
    NodeFault.RESULT_LIMIT: _result_limit,
    NodeFault.NULL_BLOCKS: _null_blocks,
    NodeFault.INTERNAL_ERROR: _internal_error,
    NodeFault.INCOMPLETE_BATCH: _as_it_is,
}


class DatabaseProxy:
    """A TCP port before the Unix socket of a PostgreSQL server, which cuts, refuses and stalls on order."""

    def __init__(self, socket_path: Callable[[], str]) -> None:
        """Listen; ``socket_path`` tells where the server's socket lies at the moment."""
        self._socket_path = socket_path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flowing = threading.Event()
        self._flowing.set()
        self._refuses = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for end in pair:
                _shut(end)

    def refuse(self) -> None:
        """Break all connections, and every new one at once."""
        self._refuses = True
        self.cut()

    def stall(self) -> None:
        """Pass nothing on, and leave the connections open."""
        self._flowing.clear()

    def heal(self) -> None:
        """Do as a cable does."""
        self._refuses = False
        self._flowing.set()

    def close(self) -> None:
        """Stop listening and break all connections."""
        self.heal()
        # Closing alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        pair = (client, server)
        try:
            if self._refuses:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect(self._socket_path())
            with self._lock:
                self._pairs.add(pair)
            _pump_both(client, server, self._flowing)
        except OSError:
            pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
            client.close()
            server.close()


def _pump_both(one: socket.socket, other: socket.socket, flowing: threading.Event | None = None) -> None:
    back = threading.Thread(target=_pump, args=(other, one, flowing), daemon=True)
    back.start()
    _pump(one, other, flowing)
    back.join()


def _pump(source: socket.socket, target: socket.socket, flowing: threading.Event | None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if flowing is not None:
                flowing.wait(LONGEST_HANG_SECONDS)
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Return whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
