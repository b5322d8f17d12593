"""The gas of a transfer, estimated without asking the node.

What a transaction is charged is partly written in the protocol (data, storage, logs: EIP-2028, 2929, 2200, 7623)
and partly the work of the contract's code. The first part is computed, the second is a linear model whose
constants were fitted by least squares to real transfers; ``benchmarks/gas_fit.py`` measures and fits them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from graph.interest import RATE_UNITS, SECONDS_PER_YEAR, TAYLOR_ORDER, applicable_rate
from relay.addresses import Address
from relay.chain import abi

TRANSACTION = 21_000
ZERO_BYTE, OTHER_BYTE = 4, 16
FLOOR_ZERO_BYTE, FLOOR_OTHER_BYTE = 10, 40
"""A transaction pays at least this for its data, however little it computes (EIP-7623, from Prague on)."""

COLD_SLOAD = 2_100
SSTORE_FIRST, SSTORE_AGAIN = 20_000, 2_900
LOG, LOG_TOPIC, LOG_BYTE = 375, 375, 8
WORD = 32

HOP_STORAGE = 2 * COLD_SLOAD
"""A trustline lies in two words: its terms, which are read, and (mtime, balance), which is read and written."""
HOP_LOG = LOG + 3 * LOG_TOPIC + LOG_BYTE * WORD
"""The BalanceUpdate of a hop."""


@dataclass(frozen=True, slots=True)
class TransferCall:
    """The arguments of ``transfer``, or of ``transferReceiverPays`` without ``sender_pays``.

    ``path`` holds the users, the sender first; ``value`` and ``max_fee`` are in the network's smallest unit.
    """

    path: Sequence[Address]
    value: int
    max_fee: int
    sender_pays: bool = True
    extra_data: bytes = b""

    def calldata(self) -> bytes:
        """Return the ABI-encoded call."""
        function = "transfer" if self.sender_pays else "transferReceiverPays"
        entry = abi.contract("CurrencyNetwork").entry("function", function)
        return abi.encode_call(entry, (self.value, self.max_fee, list(self.path), self.extra_data))


@dataclass(frozen=True, slots=True)
class NetworkGas:
    """What the gas of a transfer depends on in its network.

    ``has_fees``: its capacityImbalanceFeeDivisor is not 0. ``proxied``: it stands behind an AdministrativeProxy.
    """

    has_fees: bool
    prevents_mediator_interests: bool
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class HopGas:
    """What the gas of a transfer depends on in one hop.

    ``fresh``: the trustline never had a balance, so its second word is written for the first time.
    ``interest_terms``: how many terms of the interest's series the contract computes.
    """

    fresh: bool
    interest_terms: int


class Work(NamedTuple):
    """How much of its own work the contract does; or how much gas it takes for one of each."""

    transfer: float
    """once"""
    hop: float
    """per hop"""
    ascending_hop: float
    """per hop whose payer has the lower address: an account is stored from the lower user's view"""
    interest_term: float
    """per term of the interest series"""
    fee_hop: float
    """per hop at which a fee is computed"""
    protected_hop: float
    """per hop with preventMediatorInterests"""
    extra_word: float
    """per 32 bytes of extra data, which the contract copies and logs"""
    proxy: float
    """once, for the way through the proxy and its beacon"""


FITTED = Work(
    transfer=5831,
    hop=7360,
    ascending_hop=-746,
    interest_term=2362,
    fee_hop=313,
    protected_hop=809,
    extra_word=347,
    proxy=12706,
)


def estimate_transfer_gas(
    call: TransferCall, hops: Sequence[HopGas], network: NetworkGas, fitted: Work = FITTED
) -> int:
    """Return the gas that a transfer will be charged, if it succeeds.

    Arguments:
        call: what is called.
        hops: the facts of every hop, in the order of the path.
        network: the facts of the network.
        fitted: gas for one of each kind of work.

    Raises:
        ValueError: if there is not exactly one hop between each two users of the path.

    """
    calldata = call.calldata()
    done = work(call, hops, network)
    own = sum(amount * gas for amount, gas in zip(done, fitted, strict=True))
    return max(_data_floor(calldata), stated_gas(calldata, hops) + round(own))


def work(call: TransferCall, hops: Sequence[HopGas], network: NetworkGas) -> Work:
    """Return how much of its own work the contract does in a transfer."""
    if not hops or len(call.path) != len(hops) + 1:
        raise ValueError(f"{len(hops)} hops do not join a path of {len(call.path)} users")
    return Work(
        transfer=1,
        hop=len(hops),
        ascending_hop=sum(payer < payee for payer, payee in pairwise(call.path)),
        interest_term=sum(hop.interest_terms for hop in hops),
        fee_hop=len(hops) - 1 if network.has_fees else 0,  # one hop of a path is free
        protected_hop=len(hops) if network.prevents_mediator_interests else 0,
        extra_word=-(-len(call.extra_data) // WORD),
        proxy=1 if network.proxied else 0,
    )


def stated_gas(calldata: bytes, hops: Sequence[HopGas]) -> int:
    """Return the part of the gas that the protocol states: transaction, data, and the hops' storage and logs."""
    zeros = calldata.count(0)
    data = ZERO_BYTE * zeros + OTHER_BYTE * (len(calldata) - zeros)
    writes = sum(SSTORE_FIRST if hop.fresh else SSTORE_AGAIN for hop in hops)
    return TRANSACTION + data + writes + len(hops) * (HOP_STORAGE + HOP_LOG)


def interest_terms(balance: int, rate: int, seconds: int) -> int:
    """Return how many terms of the interest series the contract computes, the one that becomes zero included.

    Arguments:
        balance: before the interest, in the smallest unit.
        rate: the rate that applies to it, in 0.01 % per year.
        seconds: the time since the trustline's mtime.

    """
    term, growth = abs(balance), abs(rate) * seconds
    if rate == 0 or balance == 0:
        return 0
    for order in range(1, TAYLOR_ORDER + 1):
        term = term * growth // (SECONDS_PER_YEAR * RATE_UNITS * order)
        if term == 0:
            return order
    return TAYLOR_ORDER


def hop_gas(balance: int, rate_given: int, rate_received: int, mtime: int, at: int) -> HopGas:
    """Return what the gas of a hop over a trustline depends on, if the transfer is mined at ``at``.

    ``balance`` (without the interest since ``mtime``) and the rates are the trustline's, seen by either of its
    users; times are in Unix seconds.
    """
    rate = applicable_rate(balance, rate_given, rate_received)
    return HopGas(
        fresh=mtime == 0 and balance == 0, interest_terms=interest_terms(balance, rate, max(0, at - mtime))
    )


def _data_floor(calldata: bytes) -> int:
    zeros = calldata.count(0)
    return TRANSACTION + FLOOR_ZERO_BYTE * zeros + FLOOR_OTHER_BYTE * (len(calldata) - zeros)
