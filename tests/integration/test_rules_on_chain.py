"""The rules of graph/ agree with the contract: interest, fees and whole transfers, to the last unit."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from graph.fees import fee, forwardable, imbalance, reverse_fee
from graph.interest import balance_with_interest
from graph.network import NetworkGraph, Rules
from graph.transfer import FeePayer, RuleBroken, Transfer, replay
from graph.trustline import Trustline
from relay.devnet.anvil import Anvil
from tests.support.batched_chain import GENESIS, BatchedChain, Call
from tests.support.contract_calls import Path, described, open_transfer_call, transfer_call, trustlines_after
from tests.support.random_networks import (
    LARGEST,
    NOW,
    YEAR,
    announce,
    interesting_value,
    random_network,
    seed,
    simple_paths,
    two_users,
)

NETWORKS = 600
TRANSFERS_PER_NETWORK = 4
CASES = 200
in_batches = settings(
    deadline=None,
    max_examples=25,
    # The failing case is named; making a batch of cases smaller takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

amounts = st.one_of(
    st.integers(0, LARGEST),
    st.integers(0, 1000),
    st.sampled_from([0, 1, 2, 10**18, LARGEST - 1, LARGEST]),
)
balances = st.builds(lambda amount, sign: amount * sign, amounts, st.sampled_from([1, -1]))
divisors = st.sampled_from([0, 1, 2, 3, 100, 1000, 65534, 65535]) | st.integers(0, 65535)
rates = st.sampled_from([0, 1, -1, 2000, -2000, 32767, -32768]) | st.integers(-2000, 2000)
durations = st.one_of(
    st.sampled_from([0, 1, YEAR, 50 * YEAR, 2**32 - 1, 2**33]),
    st.integers(0, 50 * YEAR),
    st.integers(0, 86_400 * 400),
)


@pytest.fixture(scope="module")
def chain(anvil_binary: str) -> Iterator[BatchedChain]:
    with Anvil(anvil_binary, timestamp=GENESIS) as anvil:
        chain = BatchedChain(anvil)
        yield chain
        chain.close()


def ask(chain: BatchedChain, function: str, cases: list[tuple[Any, ...]]) -> list[int | None]:
    """Call a function that answers one number; None where the contract reverts."""
    address = chain.network(Rules())
    answers = chain.call([Call(address, function, case) for case in cases])
    return [None if answer is None else answer[0] for answer in answers]


def or_none(function: Any, *arguments: int) -> int | None:
    try:
        result: int = function(*arguments)
    except ValueError:
        return None
    return result


@in_batches
@given(cases=st.lists(st.tuples(balances, durations, rates, rates), min_size=CASES, max_size=CASES))
def test_interest_is_the_contracts(chain: BatchedChain, cases: list[tuple[int, int, int, int]]) -> None:
    questions = [(balance, NOW, NOW + lasting, given, received) for balance, lasting, given, received in cases]
    answers = ask(chain, "testCalculateBalanceWithInterests", questions)
    for (balance, start, end, rate_given, rate_received), answer in zip(questions, answers, strict=True):
        case = (balance, rate_given, rate_received, start, end)
        assert (case, balance_with_interest(*case)) == (case, answer)


@in_batches
@given(cases=st.lists(st.tuples(amounts, divisors), min_size=CASES, max_size=CASES))
def test_both_fees_are_the_contracts(chain: BatchedChain, cases: list[tuple[int, int]]) -> None:
    for function, ours in (("testCalculateFees", fee), ("testCalculateFeesReverse", reverse_fee)):
        for case, answer in zip(cases, ask(chain, function, list(cases)), strict=True):
            assert (function, case, or_none(ours, *case)) == (function, case, answer)


@in_batches
@given(cases=st.lists(st.tuples(amounts, balances), min_size=CASES, max_size=CASES))
def test_the_imbalance_is_the_contracts(chain: BatchedChain, cases: list[tuple[int, int]]) -> None:
    for case, answer in zip(cases, ask(chain, "testImbalanceGenerated", list(cases)), strict=True):
        assert (case, imbalance(*case)) == (case, answer)


@in_batches
@given(cases=st.lists(st.tuples(amounts, balances, divisors.filter(lambda d: d != 1)), min_size=50, max_size=50))
def test_what_can_be_forwarded_is_the_most_that_the_contracts_fees_leave(
    chain: BatchedChain, cases: list[tuple[int, int, int]]
) -> None:
    for excess in (0, 1):
        onward = [min(forwardable(*case) + excess, LARGEST) for case in cases]
        imbalances = ask(
            chain, "testImbalanceGenerated", [(value, case[1]) for value, case in zip(onward, cases, strict=True)]
        )
        fees = ask(
            chain,
            "testCalculateFeesReverse",
            [(generated, case[2]) for generated, case in zip(imbalances, cases, strict=True)],
        )
        for case, value, charged in zip(cases, onward, fees, strict=True):
            assert charged is not None
            fits = value + charged <= case[0]
            assert (case, fits) == (case, excess == 0 or value == forwardable(*case))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transfer over one path, and what ``replay`` makes of it."""

    network: NetworkGraph
    path: Path
    value: int
    fee_payer: FeePayer
    outcome: Transfer | RuleBroken


def attempt(network: NetworkGraph, path: Path, value: int, fee_payer: FeePayer) -> Attempt:
    try:
        outcome: Transfer | RuleBroken = replay(network, path, value, fee_payer, NOW)
    except RuleBroken as broken:
        outcome = broken
    return Attempt(network, path, value, fee_payer, outcome)


def random_attempts(rng: random.Random, network: NetworkGraph) -> Iterator[Attempt]:
    """Transfers over every simple path between some users of a network, with both fee payers."""
    if network.number_of_users < 2:
        return
    for _ in range(TRANSFERS_PER_NETWORK):
        sender, receiver = two_users(rng, network)
        for path in simple_paths(network, sender, receiver):
            for fee_payer in FeePayer:
                yield attempt(network, path, interesting_value(rng, network), fee_payer)


@pytest.fixture(scope="module")
def attempts(chain: BatchedChain, pytestconfig: pytest.Config) -> list[Attempt]:
    """Random networks, written on the chain, and the transfers tried in them."""
    rng = random.Random(seed())
    networks = [random_network(rng) for _ in range(NETWORKS)]
    chain.write(networks)
    attempts = [attempt for network in networks for attempt in random_attempts(rng, network)]
    passing = sum(isinstance(attempt.outcome, Transfer) for attempt in attempts)
    announce(
        pytestconfig, f"{len(attempts)} transfers over paths of {NETWORKS} networks, {passing} of them go through"
    )
    return attempts


def test_a_transfer_goes_through_on_the_chain_exactly_if_no_rule_is_broken(
    chain: BatchedChain, attempts: list[Attempt]
) -> None:
    for call in (transfer_call, open_transfer_call):
        accepted = chain.accepts([call(chain, *request(attempt, LARGEST)) for attempt in attempts], NOW)
        wrong = [
            attempt
            for attempt, is_accepted in zip(attempts, accepted, strict=True)
            if is_accepted != isinstance(attempt.outcome, Transfer)
        ]
        assert not wrong, first_of(wrong)
    broken = {attempt.outcome.rule for attempt in attempts if isinstance(attempt.outcome, RuleBroken)}
    assert {rule.value for rule in broken} == {"frozen", "capacity", "fees", "mediator_interests"}


def test_the_fees_are_the_least_that_the_chain_accepts_as_their_limit(
    chain: BatchedChain, attempts: list[Attempt]
) -> None:
    passing = [(attempt, attempt.outcome) for attempt in attempts if isinstance(attempt.outcome, Transfer)]
    exact = chain.accepts(
        [transfer_call(chain, *request(attempt, transfer.fees)) for attempt, transfer in passing], NOW
    )
    refused = [attempt for (attempt, _), is_accepted in zip(passing, exact, strict=True) if not is_accepted]
    assert not refused, first_of(refused)

    charged = [(attempt, transfer) for attempt, transfer in passing if transfer.fees]
    assert len(charged) > 100
    short = chain.accepts(
        [transfer_call(chain, *request(attempt, transfer.fees - 1)) for attempt, transfer in charged], NOW
    )
    cheaper = [attempt for (attempt, _), is_accepted in zip(charged, short, strict=True) if is_accepted]
    assert not cheaper, first_of(cheaper)


def test_after_a_transfer_every_trustline_on_the_chain_stands_as_expected(
    chain: BatchedChain, attempts: list[Attempt]
) -> None:
    # The networks share no users, so one transfer of each can go into the same block; a few such blocks, each
    # from the same start, see several transfers of every network.
    of_network: dict[int, list[tuple[Attempt, Transfer]]] = {}
    for attempt in attempts:
        if isinstance(attempt.outcome, Transfer):
            of_network.setdefault(id(attempt.network), []).append((attempt, attempt.outcome))
    for number in range(6):
        chosen = [some[number % len(some)] for some in of_network.values()]
        with chain.undone():
            executed = chain.execute(
                [transfer_call(chain, *request(attempt, transfer.fees)) for attempt, transfer in chosen], NOW
            )
            assert all(executed)
            expected = [
                (attempt, line) for attempt, done in chosen for line in trustlines_after(done, attempt.network)
            ]
            found = chain.trustlines([(attempt.network, line.pair) for attempt, line in expected])
            for (attempt, line), stored in zip(expected, found, strict=True):
                assert stored == line, first_of([attempt])


A, B, C = (bytes([number]) * 20 for number in (0xA1, 0xB2, 0xC3))
STRANGER = b"\xd4" * 20


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize("divisor", [1, 2, 100])
def test_at_the_edges_of_the_rules_replay_and_contract_agree(
    chain: BatchedChain, divisor: int, fee_payer: FeePayer
) -> None:
    roomy = [
        Trustline(*pair, balance=balance, given=LARGEST, received=LARGEST, mtime=NOW)
        for pair, balance in (((A, B), LARGEST // 2), ((B, C), 0))
    ]
    network = NetworkGraph(Rules(divisor), roomy)
    paths = [(), (A,), (A, A), (A, B), (B, C), (C, B), (A, B, C), (C, B, A)]
    tried = [attempt(network, path, value, fee_payer) for path in paths for value in (0, 1, LARGEST - 1, LARGEST)]
    with chain.undone():
        chain.write([network])
        accepted = chain.accepts([open_transfer_call(chain, *request(one, LARGEST)) for one in tried], NOW)
    for one, is_accepted in zip(tried, accepted, strict=True):
        assert is_accepted == isinstance(one.outcome, Transfer), first_of([one])


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_nothing_passes_a_frozen_network(chain: BatchedChain, fee_payer: FeePayer) -> None:
    network = NetworkGraph(Rules(), [Trustline(A, B, given=10, received=10, mtime=NOW)])
    address = chain.network(network.rules)
    with chain.undone():
        chain.write([network])
        call = transfer_call(chain, network, (A, B), 5, fee_payer, 0)
        assert chain.accepts([call], NOW) == [True]
        assert chain.execute([Call(address, "testFreezeNetwork", (), chain.owner)]) == [True]
        assert chain.accepts([call], NOW) == [False]
    network.is_frozen = True
    assert isinstance(attempt(network, (A, B), 5, fee_payer).outcome, RuleBroken)


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize(("path", "value"), [((A, STRANGER), 0), ((A, C), 0), ((A, B, A), 5)])
def test_replay_refuses_paths_without_sense_that_the_contract_would_walk(
    chain: BatchedChain, path: Path, value: int, fee_payer: FeePayer
) -> None:
    lines = [Trustline(*pair, given=10, received=10, mtime=NOW) for pair in ((A, B), (B, C))]
    network = NetworkGraph(Rules(), lines)
    with chain.undone():
        chain.write([network])
        assert chain.accepts([transfer_call(chain, network, path, value, fee_payer, 0)], NOW) == [True]
    assert isinstance(attempt(network, path, value, fee_payer).outcome, RuleBroken)


def request(attempt: Attempt, max_fees: int) -> tuple[NetworkGraph, Path, int, FeePayer, int]:
    return (attempt.network, attempt.path, attempt.value, attempt.fee_payer, max_fees)


def first_of(attempts: list[Attempt]) -> str:
    """The first of some attempts in full."""
    if not attempts:
        return ""
    return f"{len(attempts)}, the first: {attempts[0]}\n{described(attempts[0].network)}\nTEST_SEED={seed()}"
