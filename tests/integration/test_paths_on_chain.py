"""What the search says of a network is so on the chain: what it finds executes, and what it denies does not exist.

Every answer of the search is turned into claims about single calls of the contract: this one goes through for
exactly these fees, and over no simple path does one go through that would be better.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from graph.answers import NO_LIMITS, Found, Limits, NotFound, Reason, Result
from graph.network import NetworkGraph
from graph.paths import cheapest_closing, cheapest_transfer, largest_transfer
from graph.transfer import FeePayer, Transfer
from graph.trustline import Trustline, User, pair_of
from relay.devnet.anvil import Anvil
from tests.support.batched_chain import GENESIS, BatchedChain, Call
from tests.support.contract_calls import Path, closing_call, described, transfer_call, trustlines_after
from tests.support.random_networks import (
    LARGEST,
    NOW,
    announce,
    interesting_value,
    random_network,
    seed,
    simple_cycles,
    simple_paths,
    two_users,
)

CASES = 1200


class Question(Protocol):
    """What the search can be asked and the chain can answer path by path."""

    @property
    def network(self) -> NetworkGraph: ...

    @property
    def limits(self) -> Limits: ...

    def answer(self) -> Result: ...

    def paths(self) -> Iterator[Path]:
        """Every path that might do, whatever its number of hops."""

    def call(self, chain: BatchedChain, path: Path, max_fees: int) -> Call:
        """The transaction over a path."""

    def trustlines_after(self, transfer: Transfer) -> list[Trustline]: ...


@dataclass(frozen=True, slots=True)
class Payment:
    """Which is the cheapest transfer of a value?"""

    network: NetworkGraph
    sender: User
    receiver: User
    value: int
    fee_payer: FeePayer
    limits: Limits

    def answer(self) -> Result:
        return cheapest_transfer(
            self.network,
            self.sender,
            self.receiver,
            self.value,
            NOW,
            fee_payer=self.fee_payer,
            limits=self.limits,
        )

    def paths(self) -> Iterator[Path]:
        return simple_paths(self.network, self.sender, self.receiver)

    def call(self, chain: BatchedChain, path: Path, max_fees: int) -> Call:
        return transfer_call(chain, self.network, path, self.value, self.fee_payer, max_fees)

    def trustlines_after(self, transfer: Transfer) -> list[Trustline]:
        return trustlines_after(transfer, self.network)


@dataclass(frozen=True, slots=True)
class Closing:
    """Which cycle closes a trustline most cheaply?"""

    network: NetworkGraph
    user: User
    other: User
    limits: Limits

    def answer(self) -> Result:
        return cheapest_closing(self.network, self.user, self.other, NOW, limits=self.limits)

    def paths(self) -> Iterator[Path]:
        view = self.network.view(self.user, self.other, NOW)
        assert view is not None
        for way_back in simple_cycles(self.network, self.user, self.other):
            yield (self.user, *way_back) if view.balance > 0 else (*reversed(way_back), self.user)

    def call(self, chain: BatchedChain, path: Path, max_fees: int) -> Call:
        return closing_call(chain, self.network, self.user, self.other, path, max_fees)

    def trustlines_after(self, transfer: Transfer) -> list[Trustline]:
        closed = pair_of(self.user, self.other)
        return [
            Trustline(*closed) if line.pair == closed else line
            for line in trustlines_after(transfer, self.network)
        ]


@dataclass(frozen=True, slots=True)
class Claim:
    """That the contract executes a call at the time ``NOW``, or that it refuses it."""

    call: Call
    goes_through: bool
    question: Question
    answer: Result


@pytest.fixture(scope="module")
def chain(anvil_binary: str) -> Iterator[BatchedChain]:
    with Anvil(anvil_binary, timestamp=GENESIS) as anvil:
        chain = BatchedChain(anvil)
        yield chain
        chain.close()


@pytest.fixture(scope="module")
def networks(chain: BatchedChain, pytestconfig: pytest.Config) -> list[NetworkGraph]:
    """Random networks, written on the chain."""
    rng = random.Random(seed())
    networks: list[NetworkGraph] = []
    while len(networks) < CASES:
        network = random_network(rng, max_users=6)
        if network.number_of_trustlines:
            networks.append(network)
    chain.write(networks)
    announce(pytestconfig, f"paths in {CASES} random networks")
    return networks


def test_the_cheapest_transfer_executes_for_its_fees_and_no_simple_path_is_better(
    chain: BatchedChain, networks: list[NetworkGraph]
) -> None:
    rng = random.Random(seed() + 1)
    questions = [
        Payment(network, *two_users(rng, network), interesting_value(rng, network), fee_payer, random_limits(rng))
        for network in networks
        for fee_payer in FeePayer
    ]
    answers = [question.answer() for question in questions]

    hold_to_chain(chain, questions, answers)

    outcomes = Counter(answer.reason if isinstance(answer, NotFound) else None for answer in answers)
    assert outcomes[None] > 200
    assert {Reason.CAPACITY, Reason.FEES, Reason.HOPS, Reason.MEDIATOR_INTERESTS} <= outcomes.keys()


def test_the_largest_transfer_executes_and_one_more_does_over_no_simple_path(
    chain: BatchedChain, networks: list[NetworkGraph]
) -> None:
    rng = random.Random(seed() + 2)
    questions: list[Payment] = []
    answers: list[Result] = []
    for network in networks:
        sender, receiver = two_users(rng, network)
        limits = Limits(max_hops=rng.choice((None, 1, 2, 3, 4)))
        largest = largest_transfer(network, sender, receiver, NOW, max_hops=limits.max_hops)
        value = largest.transfer.value if isinstance(largest, Found) else 0
        payment = Payment(network, sender, receiver, value, FeePayer.SENDER, limits)
        if isinstance(largest, Found):
            questions.append(payment)
            answers.append(largest)
        if value < LARGEST:
            questions.append(replace(payment, value=value + 1))
            answers.append(NotFound(Reason.CAPACITY))

    hold_to_chain(chain, questions, answers)

    values = [answer.transfer.value for answer in answers if isinstance(answer, Found)]
    assert len(values) > 200
    assert any(value > 2**63 for value in values)


def test_the_cheapest_closing_executes_and_where_there_is_none_every_cycle_is_refused(
    chain: BatchedChain, networks: list[NetworkGraph]
) -> None:
    rng = random.Random(seed() + 3)
    questions = []
    for network in networks:
        owing = [line for line in network.trustlines() if line.at(NOW).balance]
        for line in rng.sample(owing, min(2, len(owing))):
            user, other = rng.sample(line.pair, 2)
            questions.append(Closing(network, user, other, random_limits(rng)))
    answers = [question.answer() for question in questions]

    hold_to_chain(chain, questions, answers)

    found = [answer.transfer for answer in answers if isinstance(answer, Found)]
    assert len(found) > 50
    assert {transfer.fee_payer for transfer in found} == set(FeePayer)
    assert any(transfer.fees for transfer in found)


def random_limits(rng: random.Random) -> Limits:
    if rng.random() < 0.5:
        return NO_LIMITS
    return Limits(
        max_fees=rng.choice((None, 0, 1, rng.randint(0, 100), rng.randint(0, 10**17))),
        max_hops=rng.choice((None, 1, 2, 3, 4)),
    )


def hold_to_chain(chain: BatchedChain, questions: Sequence[Question], answers: Sequence[Result]) -> None:
    """Fail unless every answer is certain and is what the contract, path by path, says."""
    asked = list(zip(questions, answers, strict=True))
    for question, answer in asked:
        is_certain = answer.is_proven if isinstance(answer, Found) else answer.reason is not Reason.BUDGET
        assert is_certain, explained(question, answer)

    claims = [claim for question, answer in asked for claim in claims_of(chain, question, answer)]
    accepted = chain.accepts([claim.call for claim in claims], NOW)
    for claim, is_accepted in zip(claims, accepted, strict=True):
        message = f"{claim.call.function}{claim.call.arguments} executes: {is_accepted}"
        assert is_accepted == claim.goes_through, f"{message}\n{explained(claim.question, claim.answer)}"

    execute(chain, [(question, answer.transfer) for question, answer in asked if isinstance(answer, Found)])


def claims_of(chain: BatchedChain, question: Question, answer: Result) -> Iterator[Claim]:
    if isinstance(answer, NotFound):
        allowed = LARGEST if question.limits.max_fees is None else question.limits.max_fees
        for path in paths_within(question):
            yield Claim(question.call(chain, path, allowed), False, question, answer)
        return
    best = answer.transfer
    assert best.hops <= (question.limits.max_hops or best.hops)
    assert question.limits.max_fees is None or best.fees <= question.limits.max_fees
    yield Claim(question.call(chain, best.path, best.fees), True, question, answer)
    for path in paths_within(question):
        # The same fees over fewer hops would be better, too.
        less = best.fees if len(path) < len(best.path) else best.fees - 1
        if less >= 0:
            yield Claim(question.call(chain, path, less), False, question, answer)


def paths_within(question: Question) -> Iterator[Path]:
    max_hops = question.limits.max_hops
    return (path for path in question.paths() if max_hops is None or len(path) - 1 <= max_hops)


def execute(chain: BatchedChain, transfers: Sequence[tuple[Question, Transfer]]) -> None:
    """Execute transfers in blocks of the time ``NOW`` and compare every trustline of their networks."""
    waiting = list(transfers)
    while waiting:
        # Networks share no users, so a block takes one transfer of each.
        block = list({id(question.network): (question, transfer) for question, transfer in waiting}.values())
        taken = {id(question) for question, _ in block}
        waiting = [(question, transfer) for question, transfer in waiting if id(question) not in taken]
        with chain.undone():
            executed = chain.execute([q.call(chain, transfer.path, transfer.fees) for q, transfer in block], NOW)
            expected = [(q, transfer, line) for q, transfer in block for line in q.trustlines_after(transfer)]
            found = chain.trustlines([(q.network, line.pair) for q, _, line in expected])
        assert all(executed)
        for (question, transfer, line), stored in zip(expected, found, strict=True):
            assert stored == line, explained(question, Found(transfer))


def explained(question: Question, answer: Result) -> str:
    return f"{question}\n{answer}\n{described(question.network)}\nTEST_SEED={seed()}"
