"""A real node with somebody in between, who sees every question and may answer in its stead."""

from collections.abc import Callable, Sequence
from typing import Any

from relay.chain.errors import NodeRefused
from relay.chain.node import Node

Interference = Callable[[str, list[Any]], Any]
"""Is told a method and its parameters; what it returns is the node's result, unless that is None."""


class FaultyNode:
    """Asks ``interfere`` before the node; put another in its place at any time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.interfere: Interference = lambda *_: None

    def ask(self, method: str, params: list[Any], read: Callable[[Any], Any]) -> Any:
        result = self.interfere(method, params)
        return self._node.ask(method, params, read) if result is None else read(result)

    def ask_all(
        self, requests: Sequence[tuple[str, list[Any]]], reads: Sequence[Callable[[Any], Any]]
    ) -> list[Any]:
        for method, params in requests:
            self.interfere(method, params)
        return self._node.ask_all(requests, reads)

    def send_raw_transaction(self, raw: bytes) -> bytes:
        self.interfere("eth_sendRawTransaction", ["0x" + raw.hex()])
        return self._node.send_raw_transaction(raw)

    def transaction_known(self, transaction_hash: bytes) -> bool:
        return self._node.transaction_known(transaction_hash)

    def refuse(self, refused: str, words: str, code: int = -32000) -> None:
        """Refuse a method from now on."""

        def interfere(method: str, _: list[Any]) -> None:
            if method == refused:
                raise NodeRefused(words, code)

        self.interfere = interfere

    def obey(self) -> None:
        """Interfere no more."""
        self.interfere = lambda *_: None
