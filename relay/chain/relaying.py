"""Taking users' signed transactions to the node."""

from typing import Protocol

from relay.chain.errors import NodeRefused
from relay.chain.transactions import parse_raw_transaction


class TransactionNode(Protocol):
    """What relaying asks of a node; `relay.chain.node.Node` is one."""

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Hand over a signed transaction, return its hash; raises NodeRefused, ChainError."""

    def transaction_known(self, transaction_hash: bytes) -> bool:
        """Return whether the transaction waits in the pool or is in a block; raises ChainError."""


class Relaying:
    """Sends transactions of one chain; sending one twice is the same as sending it once."""

    def __init__(self, node: TransactionNode, chain_id: int) -> None:
        self._node = node
        self._chain_id = chain_id

    def relay(self, raw_transaction: str) -> bytes:
        """Return the 32-byte hash of a signed transaction, hex text, that the node has or has just taken.

        Raises:
            MalformedTransaction: if it is none; the node was not asked.
            WrongChain: if it is signed for another chain; the node was not asked.
            NodeRefused: if the node does not take it; its reason is in ``message``.
            ChainError: if the node cannot be asked.

        """
        transaction = parse_raw_transaction(raw_transaction, self._chain_id)
        try:
            self._node.send_raw_transaction(transaction.raw)
        except NodeRefused:
            # Nodes refuse what they already have, waiting or mined, each in its own words.
            if not self._node.transaction_known(transaction.hash):
                raise
        return transaction.hash
