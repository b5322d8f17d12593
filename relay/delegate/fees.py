"""What users may be asked to pay for the execution of their meta-transactions. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.addresses import Address
from relay.chain.identity import ZERO_ADDRESS, MetaTransaction


@dataclass(frozen=True, slots=True)
class FeeOffer:
    """A fee that is accepted: ``gas_price`` per 10^6 gas, both in the smallest unit of ``network``.

    An offer of nothing accepts whatever a meta-transaction pays; its ``network`` is the zero address.
    """

    base_fee: int
    gas_price: int
    recipient: Address
    network: Address = ZERO_ADDRESS

    @property
    def is_free(self) -> bool:
        """Whether nothing has to be paid."""
        return self.base_fee == 0 and self.gas_price == 0

    def is_met_by(self, meta: MetaTransaction) -> bool:
        """Return whether a meta-transaction pays at least this, to whom and in what it has to.

        The zero address as recipient stands for whoever executes it.
        """
        return self.is_free or (
            meta.currency_network_of_fees == self.network
            and meta.base_fee >= self.base_fee
            and meta.gas_price >= self.gas_price
            and meta.fee_recipient in (self.recipient, ZERO_ADDRESS)
        )


def offers(configured: Sequence[FeeOffer], own: Address) -> tuple[FeeOffer, ...]:
    """Return what is accepted: that which is configured, or everything where nothing is."""
    return tuple(configured) or (FeeOffer(0, 0, own),)
