"""The relay's node, asked over JSON-RPC."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from requests import exceptions as http
from web3._utils.threads import Timeout
from web3.providers import HTTPProvider, IPCProvider

from relay.addresses import Address
from relay.chain import wire
from relay.chain.errors import NodeMisbehaved, NodeRefused, NodeUnreachable
from relay.chain.wire import Log
from relay.model import Block

BATCH = 100
"""Requests per JSON-RPC batch: geth's default limit is 1000, hosted nodes go down to 100."""

BlockTag = int | Literal["latest"]
T = TypeVar("T")


class RpcProvider(Protocol):
    """The part of a web3 provider that is used here; a test hands in another."""

    def make_request(self, method: Any, params: Any) -> Any:
        """Send one request, return the whole JSON-RPC answer."""

    def make_batch_request(self, requests: Any) -> Any:
        """Send (method, params) pairs as one batch, return the answers in their order."""


class Node:
    """An Ethereum node, reached by ``http(s)://``, ``ipc://``, ``file://`` or the path of an ``.ipc`` socket.

    Safe to use from several threads and after a fork. Nothing is retried: every request takes at most about
    ``timeout`` seconds (to connect, and again to answer).

    Every method raises NodeUnreachable (no answer), NodeRefused (the node answered with an error) or
    NodeMisbehaved (an answer of the wrong shape).
    """

    def __init__(
        self, url: str, timeout: float = 10, connect: "Callable[[str, float], RpcProvider] | None" = None
    ) -> None:
        """Prepare the connection; nothing is sent yet.

        Raises:
            ValueError: if the URL has a scheme or form that no node is reached by.

        """
        self.url = public_url(url)
        self._target = url
        self._timeout = timeout
        self._connect = connect or connect_by_url
        self._provider = self._connect(url, timeout)
        self._pid = os.getpid()

    def chain_id(self) -> int:
        """Return the chain's id (EIP-155)."""
        return self._ask("eth_chainId", [], wire.quantity)

    def ping(self) -> None:
        """Raise unless the node answers."""
        self._ask("eth_blockNumber", [], wire.quantity)

    def head(self) -> Block:
        """Return the newest block."""
        return self._ask("eth_getBlockByNumber", ["latest", False], wire.block)

    def block(self, number: int) -> Block | None:
        """Return the canonical block of that number, None if there is none (yet, or any more)."""
        return self._ask("eth_getBlockByNumber", [hex(number), False], _block_or_none)

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return what `block` returns for every number, in the same order, in batches of at most 100."""
        found: list[Block | None] = []
        for start in range(0, len(numbers), BATCH):
            chunk = numbers[start : start + BATCH]
            requests = [("eth_getBlockByNumber", [hex(number), False]) for number in chunk]
            blocks = self._ask_all(requests, _block_or_none)
            for number, block in zip(chunk, blocks, strict=True):
                if block is not None and block.number != number:
                    raise NodeMisbehaved(f"the node {self.url} answered block {block.number} for {number}")
            found += blocks
        return found

    def logs(self, addresses: Sequence[Address], first: int, last: int) -> list[Log]:
        """Return all logs of these contracts in the blocks first..last (inclusive), in chain order.

        Nodes limit the range or the number of logs and answer NodeRefused beyond it.
        """
        if not addresses or last < first:
            return []  # to a node an empty address filter means every contract
        criteria = {
            "address": ["0x" + address.hex() for address in addresses],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        wanted = frozenset(addresses)

        def read(value: Any) -> list[Log]:
            logs = [wire.log(entry) for entry in value]
            for log in logs:
                if log.address not in wanted or not first <= log.block_number <= last:
                    raise ValueError(f"log {log.log_index} of block {log.block_number} was not asked for")
            return sorted(logs, key=lambda log: (log.block_number, log.log_index))

        return self._ask("eth_getLogs", [criteria], read)

    def call(self, to: Address, data: bytes, block: BlockTag = "latest") -> bytes:
        """Return what the contract returns to a message call; a revert is NodeRefused."""
        message = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
        return self._ask("eth_call", [message, _tag(block)], wire.octets)

    def code(self, address: Address, block: BlockTag = "latest") -> bytes:
        """Return the contract code at an address, empty if there is none. Needs the state of that block."""
        return self._ask("eth_getCode", ["0x" + address.hex(), _tag(block)], wire.octets)

    def storage(self, address: Address, slot: int, block: BlockTag = "latest") -> bytes:
        """Return the 32-byte word in a slot of a contract's storage, zero if it was never written."""
        params = ["0x" + address.hex(), hex(slot), _tag(block)]
        return self._ask("eth_getStorageAt", params, lambda value: wire.octets(value, 32))

    def balance(self, address: Address) -> int:
        """Return the balance of an account in wei."""
        return self._ask("eth_getBalance", ["0x" + address.hex(), "latest"], wire.quantity)

    def pending_nonce(self, address: Address) -> int:
        """Return the next nonce of an account, counting its transactions that wait in the node's pool."""
        return self._ask("eth_getTransactionCount", ["0x" + address.hex(), "pending"], wire.quantity)

    def gas_price(self) -> int:
        """Return the node's suggested gas price in wei."""
        return self._ask("eth_gasPrice", [], wire.quantity)

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Hand a signed transaction to the node, return its hash; NodeRefused carries the node's reason."""
        return self._ask("eth_sendRawTransaction", ["0x" + raw.hex()], _hash)

    def ask(self, method: str, params: list[Any], read: Callable[[Any], T]) -> T:
        """Return what ``read`` makes of the result of one request.

        ``read`` raises ValueError, KeyError, TypeError or AttributeError on a result of the wrong shape.
        """
        return self._ask(method, params, read)

    def ask_all(self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], T]]) -> list[T]:
        """Return what ``reads`` make of the results of up to 100 requests, each of its own."""
        positions = iter(reads)
        return self._ask_all(list(requests), lambda value: next(positions)(value))  # noqa: PLW0108 - another one each time

    def transaction_known(self, transaction_hash: bytes) -> bool:
        """Return whether the node has this transaction, in its pool or in a block."""
        return self._ask(
            "eth_getTransactionByHash", ["0x" + transaction_hash.hex()], lambda value: value is not None
        )

    def _ask(self, method: str, params: list[Any], read: Callable[[Any], T]) -> T:
        answer = self._exchange(method, lambda: self._transport().make_request(method, params))
        return self._read(method, answer, read)

    def _ask_all(self, requests: list[tuple[str, list[Any]]], read: Callable[[Any], T]) -> list[T]:
        method = requests[0][0]
        answers = self._exchange(method, lambda: self._transport().make_batch_request(requests))
        if not isinstance(answers, list):
            return [self._read(method, answers, read)]  # one error object for the whole batch: raises
        if len(answers) != len(requests):
            raise NodeMisbehaved(
                f"the node {self.url} answered {len(answers)} of {len(requests)} batched {method} requests"
            )
        return [self._read(method, answer, read) for answer in answers]

    def _transport(self) -> RpcProvider:
        # A forked worker must not share its parent's sockets: the two would read each other's answers.
        if os.getpid() != self._pid:
            self._provider = self._connect(self._target, self._timeout)
            self._pid = os.getpid()
        return self._provider

    def _exchange(self, method: str, send: Callable[[], Any]) -> Any:
        try:
            return send()
        except http.HTTPError as error:
            status = "unknown" if error.response is None else error.response.status_code
            raise NodeUnreachable(f"the node {self.url} answered HTTP status {status} to {method}") from None
        except (http.Timeout, Timeout, TimeoutError):
            raise NodeUnreachable(
                f"the node {self.url} did not answer {method} within {self._timeout:g} s"
            ) from None
        except (http.RequestException, OSError) as error:
            # `from None`: the library's own text quotes the whole URL, and paths of hosted nodes are secrets.
            raise NodeUnreachable(f"the node {self.url} cannot be reached: {_reason(error)}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NodeMisbehaved(f"the node {self.url} answered {method} with no JSON-RPC") from error

    def _read(self, method: str, answer: Any, read: Callable[[Any], T]) -> T:
        if not isinstance(answer, dict):
            raise NodeMisbehaved(f"the node {self.url} answered {method} with no JSON-RPC object")
        error = answer.get("error")
        if error is not None:
            raise _refusal(error)
        if "result" not in answer:
            raise NodeMisbehaved(f"the node {self.url} answered {method} with neither result nor error")
        try:
            return read(answer["result"])
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise NodeMisbehaved(
                f"the node {self.url} answered {method} in a wrong shape: {type(problem).__name__}: {problem}"
            ) from problem


def connect_by_url(url: str, timeout: float) -> RpcProvider:
    """Return a web3 provider for the URL, without retries.

    Credentials of an http URL are handed over as basic authentication, so that web3's logs lack them.

    Raises:
        ValueError: if the URL has a scheme or form that no node is reached by.

    """
    path = _socket_path(url)
    if path is not None:
        return IPCProvider(path, timeout=max(1, round(timeout)))
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not the URL of a node: {public_url(url)} (expected http://, https:// or ipc://)")
    options: dict[str, Any] = {"timeout": timeout}
    if parts.username is not None:
        options["auth"] = (unquote(parts.username), unquote(parts.password or ""))
    location = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return HTTPProvider(location, request_kwargs=options, exception_retry_configuration=None)


def public_url(url: str) -> str:
    """Return what of a node's URL may be shown: scheme, host and port, or the path of a socket.

    User, password, path and query are left out: hosted nodes put the key there.
    """
    path = _socket_path(url)
    if path is not None:
        return path
    parts = _split(url)
    if parts is None or not parts.netloc:
        return "(not a URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is no port
    except ValueError:
        return None
    return parts


def _socket_path(url: str) -> str | None:
    for scheme in ("ipc://", "file://"):
        if url.startswith(scheme):
            return unquote(url[len(scheme) :])
    return url if "://" not in url and url.endswith(".ipc") else None


def _tag(block: BlockTag) -> str:
    return block if isinstance(block, str) else hex(block)


def _block_or_none(value: Any) -> Block | None:
    return None if value is None else wire.block(value)


def _hash(value: Any) -> bytes:
    return wire.octets(value, 32)


def _refusal(error: Any) -> NodeRefused:
    if not isinstance(error, dict):
        return NodeRefused(str(error), 0)
    code = error.get("code")
    return NodeRefused(str(error.get("message")), code if isinstance(code, int) else 0, error.get("data"))


def _reason(error: BaseException) -> str:
    """Return the operating system's word for a failed connection, found in the chain of causes."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        nested = getattr(seen, "reason", None) or next(
            (argument for argument in seen.args if isinstance(argument, BaseException)), None
        )
        seen = nested if isinstance(nested, BaseException) else (seen.__cause__ or seen.__context__)
    return type(error).__name__
