"""The gas model against what a real chain charges for real transfers."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from benchmarks.gas_world import CASH, KINDS, YEAR, GasWorld, Kind, Measurement
from relay.chain.gas import TransferCall, estimate_transfer_gas
from relay.chain.network import is_proxied, read_network
from relay.devnet.anvil import Anvil

SEED = 20_240_229  # not the seed that the constants were fitted with
TOLERANCE = 0.05


@pytest.fixture(scope="module")
def world(anvil_binary: str) -> Iterator[GasWorld]:
    # A chain of its own: these tests let decades pass.
    with Anvil(anvil_binary) as anvil:
        yield GasWorld(anvil, SEED)


def error(measured: Measurement) -> float:
    return estimate_transfer_gas(measured.call, measured.hops, measured.network) / measured.gas_used - 1


def test_a_proxy_is_recognised(world: GasWorld) -> None:
    assert {kind for kind, network in world.networks.items() if is_proxied(world.node, network)} == {
        kind for kind in KINDS if kind.proxied
    }
    for kind, network in world.networks.items():
        assert read_network(world.node, network, first_block=0).symbol == kind.terms.symbol


def test_random_transfers_cost_what_the_model_says(world: GasWorld) -> None:
    measured = list(world.measurements(12 * len(KINDS)))
    wrong = [(m.kind, len(m.hops), error(m)) for m in measured if abs(error(m)) > TOLERANCE]
    assert wrong == []
    # the sample holds what the model tells apart
    assert {m.kind for m in measured} == set(KINDS)
    assert {len(m.hops) for m in measured} == set(range(1, 9))
    assert {m.call.sender_pays for m in measured} == {True, False}
    assert {hop.fresh for m in measured for hop in m.hops} == {True, False}
    assert max(hop.interest_terms for m in measured for hop in m.hops) > 5
    assert max(len(m.call.extra_data) for m in measured) > 2000


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("sender_pays", [True, False])
@pytest.mark.parametrize("hops", [1, 2, 8, 14])
def test_a_first_and_a_later_transfer_over_a_path(
    world: GasWorld, hops: int, sender_pays: bool, proxied: bool
) -> None:
    kind = Kind(CASH, proxied=proxied)
    path = [world.user() for _ in range(hops + 1)]
    for a, b in pairwise(path):
        world.open_line(kind, a, b, (1000, 1000))
    call = TransferCall(path, 10**7, 10**9, sender_pays)
    first = world.measure(kind, call)
    world.rpc("evm_increaseTime", YEAR)
    later = world.measure(kind, call)
    assert first is not None
    assert later is not None
    assert all(hop.fresh for hop in first.hops)
    assert all(not hop.fresh and hop.interest_terms > 2 for hop in later.hops)
    assert error(first) == pytest.approx(0, abs=TOLERANCE)
    assert error(later) == pytest.approx(0, abs=TOLERANCE)


@pytest.mark.parametrize("byte", [b"\0", b"x"])
@pytest.mark.parametrize("size", [0, 1, 32, 33, 500, 2000, 5000, 20_000])
def test_extra_data_of_any_size(world: GasWorld, size: int, byte: bytes) -> None:
    kind = KINDS[0]
    a, b = world.user(), world.user()
    world.open_line(kind, a, b, (0, 0))
    measured = world.measure(kind, TransferCall((a, b), 5, 0, extra_data=byte * size))
    assert measured is not None
    assert error(measured) == pytest.approx(0, abs=TOLERANCE)


def test_a_balance_that_returns_to_zero_is_no_cheaper(world: GasWorld) -> None:
    kind = KINDS[0]
    a, b = world.user(), world.user()
    world.open_line(kind, a, b, (0, 0))
    world.measure(kind, TransferCall((a, b), 5, 0))
    back = world.measure(kind, TransferCall((b, a), 5, 0))
    again = world.measure(kind, TransferCall((a, b), 5, 0))
    assert back is not None
    assert again is not None
    assert error(back) == pytest.approx(0, abs=TOLERANCE)
    assert error(again) == pytest.approx(0, abs=TOLERANCE)
