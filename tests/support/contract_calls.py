"""What a transfer looks like as a call of the contract, and what it leaves behind."""

from dataclasses import replace
from itertools import pairwise

from graph.network import NetworkGraph
from graph.transfer import FeePayer, Transfer
from graph.trustline import Trustline, User, pair_of
from tests.support.batched_chain import BatchedChain, Call
from tests.support.random_networks import NOW

Path = tuple[User, ...]


def transfer_call(
    chain: BatchedChain, network: NetworkGraph, path: Path, value: int, fee_payer: FeePayer, max_fees: int
) -> Call:
    """The call by which the sender pays, as a user would make it."""
    function = "transfer" if fee_payer is FeePayer.SENDER else "transferReceiverPays"
    return Call(chain.network(network.rules), function, (value, max_fees, path, b""), path[0])


def open_transfer_call(
    chain: BatchedChain, network: NetworkGraph, path: Path, value: int, fee_payer: FeePayer, max_fees: int
) -> Call:
    """The same as anybody may call it in the contract made for tests."""
    function = "testTransferSenderPays" if fee_payer is FeePayer.SENDER else "testTransferReceiverPays"
    return Call(chain.network(network.rules), function, (value, max_fees, path))


def closing_call(
    chain: BatchedChain, network: NetworkGraph, user: User, other: User, cycle: Path, max_fees: int
) -> Call:
    """The call by which a user closes a trustline over a cycle."""
    arguments = (other, max_fees, cycle)
    return Call(chain.network(network.rules), "closeTrustlineByTriangularTransfer", arguments, user)


def trustlines_after(transfer: Transfer, network: NetworkGraph) -> list[Trustline]:
    """Every trustline of the network as it stands after a transfer in a block of the time ``NOW``."""
    expected = {line.pair: line for line in network.trustlines()}
    for (payer, payee), amount in zip(pairwise(transfer.path), transfer.amounts, strict=True):
        line = expected[pair_of(payer, payee)].at(NOW)
        change = -amount if payer == line.lower else amount
        expected[line.pair] = replace(line, balance=line.balance + change, mtime=NOW)
    return list(expected.values())


def described(network: NetworkGraph) -> str:
    """A network in full, for the message of a failing test."""
    return "\n".join([repr(network.rules), *map(repr, network.trustlines())])
