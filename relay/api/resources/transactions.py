"""What concerns the chain itself: its head, the accounts that send transactions, and the relaying of these."""

import logging
from typing import Any

from marshmallow import fields

from relay import telemetry
from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.counting import counting
from relay.api.faults import RefusedByNode
from relay.api.fields import Amount, HexField
from relay.api.resources.base import ApiResource
from relay.api.schemas import RawTransactionSchema, TransactionInfoSchema
from relay.chain.errors import ChainError, NodeRefused

logger = logging.getLogger(__name__)


class Version(ApiResource):
    """The relay's version."""

    @speaks(fields.String())
    def get(self) -> str:
        """Return name and version of this program."""
        return f"relay/v{self.services.version}"


class BlockNumber(ApiResource):
    """The latest block."""

    @speaks(fields.Integer())
    def get(self) -> int:
        """Return the number of the node's newest block, or of the newest indexed one while the node is away."""
        try:
            return self.services.node.head().number
        except ChainError as error:
            block = self.services.networks.block
            if block is None:
                raise
            logger.warning("answering the indexed block instead of the node's: %s", error)
            return block.number


class TransactionInfo(ApiResource):
    """What an account needs to sign a transaction."""

    @speaks(TransactionInfoSchema())
    def get(self, user: Address) -> dict[str, Any]:
        """Return gas price, balance and next nonce."""
        node = self.services.node
        return {
            "gas_price": self.services.gas_price(),
            "balance": node.balance(user),
            "nonce": node.pending_nonce(user),
        }


class Balance(ApiResource):
    """The ether of an account."""

    @speaks(Amount())
    def get(self, user: Address) -> int:
        """Return the balance of an account in wei."""
        return self.services.node.balance(user)


class Relay(ApiResource):
    """Signed transactions on their way to the node."""

    @speaks(HexField(), body=RawTransactionSchema())
    @counting(telemetry.relayed_transactions)
    def post(self, raw_transaction: str) -> bytes:
        """Hand a signed transaction to the node and return its hash."""
        assert self.services.relaying is not None, "without it there is no such route"
        try:
            return self.services.relaying.relay(raw_transaction)
        except NodeRefused as refusal:
            raise RefusedByNode(f"the node refuses the transaction: {refusal.message}") from refusal
