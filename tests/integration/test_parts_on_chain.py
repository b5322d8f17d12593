"""Payments in parts go through on the chain, part by part in their order, for exactly the fees quoted."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from graph.answers import Limits
from graph.network import NetworkGraph
from graph.parts import PartsFound, PartsResult, largest_payment, payment_in_parts
from graph.transfer import FeePayer
from graph.trustline import Trustline
from relay.devnet.anvil import Anvil
from tests.support.batched_chain import GENESIS, WRITES_PER_BLOCK, BatchedChain
from tests.support.contract_calls import described, transfer_call, trustlines_after
from tests.support.random_networks import (
    LARGEST,
    NOW,
    announce,
    interesting_value,
    random_network,
    seed,
    two_users,
)

CASES = 400


@dataclass(frozen=True, slots=True)
class Payment:
    """Parts found for a payment in a network."""

    network: NetworkGraph
    found: PartsFound

    def explained(self) -> str:
        return f"{self.found}\n{described(self.network)}\nTEST_SEED={seed()}"


@pytest.fixture(scope="module")
def chain(anvil_binary: str) -> Iterator[BatchedChain]:
    with Anvil(anvil_binary, timestamp=GENESIS) as anvil:
        chain = BatchedChain(anvil)
        yield chain
        chain.close()


@pytest.fixture(scope="module")
def networks(chain: BatchedChain, pytestconfig: pytest.Config) -> list[NetworkGraph]:
    """Random networks, written on the chain."""
    rng = random.Random(seed() + 7)
    networks: list[NetworkGraph] = []
    while len(networks) < CASES:
        network = random_network(rng, max_users=7)
        if network.number_of_trustlines > 3:
            networks.append(network)
    chain.write(networks)
    announce(pytestconfig, f"payments in parts in {CASES} random networks")
    return networks


def test_the_parts_of_the_largest_payment_execute_in_their_order(
    chain: BatchedChain, networks: list[NetworkGraph]
) -> None:
    rng = random.Random(seed() + 8)
    answers = []
    for network in networks:
        sender, receiver = two_users(rng, network)
        max_parts, max_hops = rng.choice((2, 4, 16)), rng.choice((None, None, 2, 3))
        answers.append(largest_payment(network, sender, receiver, NOW, max_parts=max_parts, max_hops=max_hops))

    payments = found_in(networks, answers)
    execute(chain, payments)

    assert sum(len(payment.found.parts) > 1 for payment in payments) > CASES // 10
    assert any(payment.found.fees for payment in payments)
    assert any(part.value > 2**63 for payment in payments for part in payment.found.parts)


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_the_parts_of_a_payment_execute_in_their_order(
    chain: BatchedChain, networks: list[NetworkGraph], fee_payer: FeePayer
) -> None:
    rng = random.Random(seed() + 9)
    answers = []
    for network in networks:
        sender, receiver = two_users(rng, network)
        largest = largest_payment(network, sender, receiver, NOW, max_parts=16)
        most = largest.value if isinstance(largest, PartsFound) else 1
        value = rng.choice((interesting_value(rng, network), rng.randint(1, most), most))
        limits = Limits(max_fees=rng.choice((None, None, LARGEST // 100)))
        max_parts = rng.choice((2, 4, 16))
        answers.append(
            payment_in_parts(
                network,
                sender,
                receiver,
                max(value, 1),
                NOW,
                max_parts=max_parts,
                fee_payer=fee_payer,
                limits=limits,
            )
        )

    payments = found_in(networks, answers)
    execute(chain, payments)

    assert sum(len(payment.found.parts) > 1 for payment in payments) > CASES // 20
    assert any(payment.found.fees for payment in payments if len(payment.found.parts) > 1)


def found_in(networks: Sequence[NetworkGraph], answers: Sequence[PartsResult]) -> list[Payment]:
    return [
        Payment(network, answer)
        for network, answer in zip(networks, answers, strict=True)
        if isinstance(answer, PartsFound)
    ]


def execute(chain: BatchedChain, payments: Sequence[Payment]) -> None:
    """Execute the parts of payments in blocks of the time ``NOW``, many in each: networks share no users."""
    block: list[Payment] = []
    for payment in payments:
        block.append(payment)
        if sum(len(some.found.parts) for some in block) > WRITES_PER_BLOCK:
            execute_block(chain, block)
            block = []
    if block:
        execute_block(chain, block)


def execute_block(chain: BatchedChain, payments: Sequence[Payment]) -> None:
    # One sender's transactions are executed in the order of their nonces, which is the order of the parts.
    calls = [
        transfer_call(chain, payment.network, part.path, part.value, part.fee_payer, part.fees)
        for payment in payments
        for part in payment.found.parts
    ]
    expected = [(payment, line) for payment in payments for line in lines_after(payment)]
    with chain.undone():
        executed = chain.execute(calls, NOW)
        found = chain.trustlines([(payment.network, line.pair) for payment, line in expected])
    outcomes = iter(executed)
    for payment in payments:
        went_through = [next(outcomes) for _ in payment.found.parts]
        assert all(went_through), f"{went_through}\n{payment.explained()}"
    for (payment, line), stored in zip(expected, found, strict=True):
        assert stored == line, payment.explained()


def lines_after(payment: Payment) -> list[Trustline]:
    lines = list(payment.network.trustlines())
    for part in payment.found.parts:
        lines = trustlines_after(part, NetworkGraph(payment.network.rules, lines))
    return lines
