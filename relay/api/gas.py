"""The gas of a transfer that a search found, by the model of the chain's room."""

from graph.transfer import FeePayer
from relay.api.services import PlannedTransfer
from relay.chain.gas import NetworkGas, TransferCall, estimate_transfer_gas, hop_gas


def estimate_gas(planned: PlannedTransfer) -> int:
    """Return the gas that the chain will charge for a transfer, its fees allowed exactly."""
    transfer, info = planned.transfer, planned.network
    call = TransferCall(
        path=transfer.path,
        value=transfer.value,
        max_fee=transfer.fees,
        sender_pays=transfer.fee_payer is FeePayer.SENDER,
        extra_data=planned.extra_data,
    )
    hops = [
        hop_gas(line.balance, line.rate_given, line.rate_received, line.mtime, planned.at)
        for line in planned.trustlines
    ]
    network = NetworkGas(info.fee_divisor != 0, info.prevent_mediator_interests, info.is_proxied)
    return estimate_transfer_gas(call, hops, network)
