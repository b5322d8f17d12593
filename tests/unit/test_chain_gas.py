"""The gas model's arithmetic; that it fits the chain is shown in the integration tests."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.interest import SECONDS_PER_YEAR, balance_with_interest
from relay.chain.gas import HopGas, NetworkGas, TransferCall, Work, estimate_transfer_gas, hop_gas, interest_terms

A, B, C = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
CALL = TransferCall(path=(A, B, C), value=1000, max_fee=2)
USED = HopGas(fresh=False, interest_terms=0)
NETWORK = NetworkGas(has_fees=True, prevents_mediator_interests=False)
NOTHING = Work(*[0.0] * len(Work._fields))


def gas(call: TransferCall = CALL, hop: HopGas = USED, network: NetworkGas = NETWORK) -> int:
    return estimate_transfer_gas(call, [hop] * (len(call.path) - 1), network)


def test_every_fact_that_costs_raises_the_estimate() -> None:
    plain = gas()
    assert gas(hop=HopGas(fresh=True, interest_terms=0)) - plain == 2 * 17_100
    assert gas(hop=HopGas(fresh=False, interest_terms=3)) > plain
    assert gas(network=replace(NETWORK, prevents_mediator_interests=True)) > plain
    assert gas(network=replace(NETWORK, proxied=True)) > plain
    assert gas(network=replace(NETWORK, has_fees=False)) < plain
    assert gas(replace(CALL, extra_data=b"x")) > plain
    assert gas(replace(CALL, path=(C, B, A))) > plain  # stored from the other side


def test_a_single_hop_computes_no_fee() -> None:
    single = replace(CALL, path=(A, B))
    assert gas(single) == gas(single, network=replace(NETWORK, has_fees=False))


def test_zero_bytes_of_extra_data_are_cheaper() -> None:
    zeros, others = (gas(replace(CALL, extra_data=byte * 64)) for byte in (b"\0", b"x"))
    assert others - zeros == 64 * 12


def test_much_data_pays_its_floor_price() -> None:
    call = replace(CALL, path=(A, B), extra_data=b"x" * 10_000)
    zeros = call.calldata().count(0)
    assert gas(call) == 21_000 + 10 * zeros + 40 * (len(call.calldata()) - zeros)


def test_what_the_protocol_states_needs_no_fitting() -> None:
    # 21000, 23 bytes of users' addresses and arguments that are not zero ... counted by hand for one fresh hop
    call = TransferCall(path=(A, B), value=1, max_fee=0)
    data = call.calldata()
    others = len(data) - data.count(0)
    assert (len(data), others) == (4 + 32 * 8, 4 + 1 + 1 + 1 + 1 + 20 + 20)
    estimate = estimate_transfer_gas(call, [HopGas(True, 0)], NETWORK, NOTHING)
    assert estimate == 21_000 + 16 * others + 4 * (len(data) - others) + 2 * 2_100 + 20_000 + 4 * 375 + 8 * 32


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_hops_must_join_the_path(hops: int) -> None:
    with pytest.raises(ValueError, match=f"{hops} hops do not join a path of 3 users"):
        estimate_transfer_gas(CALL, [USED] * hops, NETWORK)


def test_the_receiver_paying_is_another_function() -> None:
    assert CALL.calldata()[:4] != replace(CALL, sender_pays=False).calldata()[:4]
    assert CALL.calldata()[4:] == replace(CALL, sender_pays=False).calldata()[4:]


@pytest.mark.parametrize(
    ("balance", "rate", "years", "terms"),
    [
        (0, 1000, 1, 0),
        (1000, 0, 1, 0),
        (1000, 1000, 0, 1),
        (5, 1000, 1, 1),  # 0.5 is no term
        (1000, 1000, 1, 3),  # 100, 5, 0
        (-1000, 1000, 1, 3),
        (1000, -1000, 1, 3),
        (10**18, 2000, 50, 15),
    ],
)
def test_interest_terms_are_those_the_contract_computes(balance: int, rate: int, years: int, terms: int) -> None:
    assert interest_terms(balance, rate, years * SECONDS_PER_YEAR) == terms


@given(st.integers(-(10**18), 10**18), st.integers(-2000, 2000), st.integers(-2000, 2000), st.integers(0, 10**9))
def test_a_single_term_means_no_interest(balance: int, given_rate: int, received_rate: int, seconds: int) -> None:
    hop = hop_gas(balance, given_rate, received_rate, 5, 5 + seconds)
    grown = balance_with_interest(balance, given_rate, received_rate, 5, 5 + seconds)
    assert (hop.interest_terms <= 1) == (grown == balance)


def test_a_hop_is_fresh_until_it_had_a_balance() -> None:
    assert hop_gas(0, 100, 100, mtime=0, at=100) == HopGas(fresh=True, interest_terms=0)
    assert hop_gas(0, 100, 100, mtime=50, at=100) == HopGas(fresh=False, interest_terms=0)
    assert hop_gas(7, 0, 0, mtime=0, at=100).fresh is False


def test_a_clock_behind_the_chain_does_no_harm() -> None:
    assert hop_gas(100, 10, 10, mtime=100, at=90).interest_terms == 1
