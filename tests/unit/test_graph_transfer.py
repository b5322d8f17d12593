"""The replay of a transfer along a path: what moves, and which rule a bad transfer breaks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.answers import Found
from graph.network import NetworkGraph, Rules
from graph.paths import cheapest_transfer
from graph.transfer import FeePayer, Rule, RuleBroken, Transfer, happiness, replay
from graph.trustline import Trustline
from tests.support.credit_networks import NOW, networks, unhurried

A, B, C, D = b"A", b"B", b"C", b"D"
LARGEST = 2**64 - 1
SENDER, RECEIVER = FeePayer.SENDER, FeePayer.RECEIVER


def a_chain(divisor: int = 10, *, prevents: bool = False, b_to_c: Trustline | None = None) -> NetworkGraph:
    """A to B to C to D with room for 100 on each hop and nothing owed."""
    line = Trustline(B, C, given=100, received=100, mtime=NOW)
    ends = [Trustline(*pair, given=100, received=100, mtime=NOW) for pair in ((A, B), (C, D))]
    return NetworkGraph(Rules(divisor, prevents), [*ends, b_to_c or line])


def broken_rule(
    network: NetworkGraph, path: tuple[bytes, ...], value: int, fee_payer: FeePayer, max_fees: int | None = None
) -> Rule | None:
    try:
        replay(network, path, value, fee_payer, NOW, max_fees)
    except RuleBroken as broken:
        return broken.rule
    return None


def test_when_the_sender_pays_every_hop_but_the_last_puts_its_fee_on_top() -> None:
    transfer = replay(a_chain(), (A, B, C, D), 50, SENDER, NOW)
    assert transfer.amounts == (63, 56, 50)
    assert (transfer.fees, transfer.hops, transfer.value) == (13, 3, 50)


def test_when_the_receiver_pays_every_mediator_withholds_its_fee() -> None:
    transfer = replay(a_chain(), (A, B, C, D), 50, RECEIVER, NOW)
    assert transfer.amounts == (50, 45, 40)
    assert (transfer.fees, transfer.value) == (10, 50)


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_a_direct_transfer_costs_nothing(fee_payer: FeePayer) -> None:
    assert replay(a_chain(), (A, B), 100, fee_payer, NOW).amounts == (100,)


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_what_pays_a_debt_back_is_free(fee_payer: FeePayer) -> None:
    owed = [Trustline(*pair, balance=40, given=100, received=0, mtime=NOW) for pair in ((A, B), (B, C))]
    network = NetworkGraph(Rules(10), owed)
    assert replay(network, (A, B, C), 40, fee_payer, NOW).fees == 0


@pytest.mark.parametrize(("fee_payer", "fits"), [(SENDER, 81), (RECEIVER, 100)])
def test_a_transfer_goes_up_to_the_last_unit_of_capacity_and_no_further(fee_payer: FeePayer, fits: int) -> None:
    network = a_chain()
    assert replay(network, (A, B, C, D), fits, fee_payer, NOW).amounts[0] == 100
    assert broken_rule(network, (A, B, C, D), fits + 1, fee_payer) is Rule.CAPACITY


def test_the_fees_are_the_least_limit_that_lets_a_transfer_through() -> None:
    for fee_payer, fees in ((SENDER, 13), (RECEIVER, 10)):
        assert broken_rule(a_chain(), (A, B, C, D), 50, fee_payer, fees) is None
        assert broken_rule(a_chain(), (A, B, C, D), 50, fee_payer, fees - 1) is Rule.FEES


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_nothing_passes_a_frozen_trustline_or_network(fee_payer: FeePayer) -> None:
    frozen_line = Trustline(B, C, given=100, received=100, is_frozen=True, mtime=NOW)
    assert broken_rule(a_chain(b_to_c=frozen_line), (A, B, C, D), 1, fee_payer) is Rule.FROZEN
    network = a_chain()
    network.is_frozen = True
    assert broken_rule(network, (A, B), 1, fee_payer) is Rule.FROZEN


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize(
    "path",
    [(), (A,), (A, A), (A, B, A), (A, B, A, B), (A, B, C, B), (B, A, B, C)],
    ids=lambda path: b"-".join(path).decode() or "nobody",
)
def test_what_is_no_path_is_refused(path: tuple[bytes, ...], fee_payer: FeePayer) -> None:
    assert broken_rule(a_chain(), path, 0, fee_payer) is Rule.PATH


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize("path", [(A, C), (A, B, D), (A, b"?"), (A, b"?", D)])
def test_neighbours_on_a_path_need_a_trustline(path: tuple[bytes, ...], fee_payer: FeePayer) -> None:
    assert broken_rule(a_chain(), path, 0, fee_payer) is Rule.TRUSTLINE


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize("value", [-1, LARGEST + 1])
def test_a_value_fits_an_unsigned_number_of_64_bits(value: int, fee_payer: FeePayer) -> None:
    assert broken_rule(a_chain(), (A, B), value, fee_payer) is Rule.CAPACITY


def test_no_hop_moves_more_than_64_bits_even_where_it_could() -> None:
    lines = [Trustline(*pair, balance=LARGEST, received=LARGEST, mtime=NOW) for pair in ((A, B), (B, C))]
    network = NetworkGraph(Rules(100), [*lines, Trustline(C, D, received=LARGEST, mtime=NOW)])
    assert broken_rule(network, (A, B, C), LARGEST, SENDER) is None
    # Half of the value is not owed any more, so a fee comes on top, for which there is room but no number.
    network.apply(replace(lines[0], balance=LARGEST // 2))
    assert broken_rule(network, (A, B, C), LARGEST, SENDER) is Rule.CAPACITY


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_nothing_can_be_sent_along_a_path_for_nothing(fee_payer: FeePayer) -> None:
    assert replay(a_chain(), (A, B, C, D), 0, fee_payer, NOW).amounts == (0, 0, 0)


def test_a_fee_divisor_of_one_stops_senders_and_leaves_receivers_nothing() -> None:
    network = a_chain(divisor=1)
    assert broken_rule(network, (A, B, C), 1, SENDER) is Rule.FEES
    assert replay(network, (A, B, C), 5, RECEIVER, NOW).amounts == (5, 0)


@pytest.mark.parametrize("fee_payer", FeePayer)
@pytest.mark.parametrize(("pays", "earns", "passes"), [(700, 700, True), (100, 700, True), (700, 100, False)])
def test_a_mediator_must_not_pay_more_interest_than_it_earns(
    pays: int, earns: int, passes: bool, fee_payer: FeePayer
) -> None:
    # A owes B, who mediates and owes C: B earns what it gives A and pays what it receives from C.
    lines = [
        Trustline(A, B, given=100, received=100, rate_received=earns, mtime=NOW),
        Trustline(B, C, given=100, received=100, rate_received=pays, mtime=NOW),
    ]
    for prevents in (True, False):
        network = NetworkGraph(Rules(0, prevents), lines)
        expected = Rule.MEDIATOR_INTERESTS if prevents and not passes else None
        assert broken_rule(network, (A, B, C), 10, fee_payer) is expected


@pytest.mark.parametrize(
    ("balance", "amount", "expected"),
    [(0, 10, -2000), (-5, 10, -2000), (30, 10, -1000), (30, 30, -3000), (30, 50, -3000 - 4000)],
)
def test_a_payer_loses_the_rate_given_down_to_zero_and_pays_the_rate_received_below(
    balance: int, amount: int, expected: int
) -> None:
    hop = Trustline(A, B, balance=balance, rate_given=100, rate_received=200).seen_by(A)
    assert happiness(hop, amount) == expected


@pytest.mark.parametrize("fee_payer", FeePayer)
def test_a_mediator_who_owes_nothing_afterwards_pays_no_interest_whatever_it_lost(fee_payer: FeePayer) -> None:
    lines = [
        Trustline(A, B, given=100, received=100, rate_received=100, mtime=NOW),
        Trustline(B, C, balance=10, given=100, received=100, rate_given=2000, mtime=NOW),
    ]
    network = NetworkGraph(Rules(0, prevent_mediator_interests=True), lines)
    assert broken_rule(network, (A, B, C), 10, fee_payer) is None
    assert broken_rule(network, (A, B, C), 11, fee_payer) is Rule.MEDIATOR_INTERESTS


def test_interest_is_part_of_what_can_be_moved() -> None:
    owed = Trustline(A, B, balance=1_000_000, given=2_000_000, rate_given=1000, mtime=NOW)
    network = NetworkGraph(Rules(), [owed])
    assert replay(network, (A, B), 1_105_170, SENDER, NOW + 31_536_000).amounts == (1_105_170,)
    with pytest.raises(RuleBroken) as caught:
        replay(network, (A, B), 1_105_171, SENDER, NOW + 31_536_000)
    assert caught.value.rule is Rule.CAPACITY


@unhurried
@given(data=st.data())
def test_a_transfer_that_goes_through_no_longer_does_when_it_is_tampered_with(data: st.DataObject) -> None:
    network = data.draw(networks(with_interest=True))
    value, fee_payer = data.draw(st.integers(1, 60)), data.draw(st.sampled_from(FeePayer))
    found = cheapest_transfer(network, A, B, value, NOW, fee_payer=fee_payer)
    if not isinstance(found, Found):
        return
    transfer = found.transfer
    assert replay(network, transfer.path, value, fee_payer, NOW, transfer.fees) == transfer
    tightened(network, transfer, data.draw(st.integers(0, transfer.hops - 1)))
    assert_refused(network, transfer, Rule.FEES, max_fees=transfer.fees - 1)


def tightened(network: NetworkGraph, transfer: Transfer, number: int) -> None:
    """Take from one hop, in turn, its last unit of room, its liberty and its existence; each must be missed."""
    payer, payee = transfer.path[number : number + 2]
    line, view = network.trustline(payer, payee), network.view(payer, payee, NOW)
    assert line is not None
    assert view is not None
    # The credit line that leaves one unit too little; none can be below zero, and without any it might be closed.
    too_little = transfer.amounts[number] - view.balance - 1
    if too_little > 0:
        network.apply(with_credit_for(payer, line, too_little + 1))
        assert replay(network, transfer.path, transfer.value, transfer.fee_payer, NOW) == transfer
        network.apply(with_credit_for(payer, line, too_little))
        assert_refused(network, transfer, Rule.CAPACITY)
    network.apply(replace(line, is_frozen=True))
    assert_refused(network, transfer, Rule.FROZEN)
    network.forget(line.pair)
    assert_refused(network, transfer, Rule.TRUSTLINE)
    network.apply(line)


def with_credit_for(payer: bytes, line: Trustline, credit: int) -> Trustline:
    return replace(line, received=credit) if payer == line.lower else replace(line, given=credit)


def assert_refused(network: NetworkGraph, transfer: Transfer, rule: Rule, max_fees: int | None = None) -> None:
    assert broken_rule(network, transfer.path, transfer.value, transfer.fee_payer, max_fees) is rule
