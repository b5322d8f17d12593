"""What is copied around two users: small networks whole, of large ones what is near; the original stays as is."""

import random

from graph.network import NetworkGraph, Rules
from graph.transfer import FeePayer, replay
from graph.trustline import Trustline, pair_of
from graph.vicinity import Vicinity
from tests.support.credit_networks import NOW

A, B, C, D, E, F = b"A", b"B", b"C", b"D", b"E", b"F"


def line(user: bytes, other: bytes, *, is_frozen: bool = False) -> Trustline:
    return Trustline(*pair_of(user, other), given=100, received=100, is_frozen=is_frozen, mtime=NOW)


def large_network() -> NetworkGraph:
    """Make a network of 300 users, who joined one after the other and trust earlier ones."""
    rng = random.Random(1)
    users = [index.to_bytes(2, "big") for index in range(300)]
    network = NetworkGraph(Rules(fee_divisor=100))
    for joined, user in enumerate(users[3:], start=3):
        for other in rng.sample(users[:joined], 3):
            network.apply(line(user, other))
    return network


def test_a_small_network_is_copied_whole_but_for_frozen_trustlines_and_users_to_avoid() -> None:
    lines = [line(A, C), line(B, C), line(A, D), line(B, D), line(A, B, is_frozen=True)]
    vicinity = Vicinity(NetworkGraph(Rules(), lines), (A, C, B), NOW, avoid=[D])
    assert {kept.pair for kept in vicinity.network.trustlines()} == {(A, C), (B, C)}
    assert vicinity.is_whole


def test_of_a_large_network_the_path_and_what_lies_near_is_copied() -> None:
    network = large_network()
    users = network.users
    sender, receiver = users[200], users[250]
    path = (sender, *sorted(set(network.neighbours(sender)) & set(network.neighbours(receiver)))[:1], receiver)
    vicinity = Vicinity(network, path, NOW, size=200)

    kept = list(vicinity.network.trustlines())

    assert 200 <= len(kept) < network.number_of_trustlines
    assert all(network.trustline(*one.pair) == one for one in kept)
    assert not vicinity.is_whole


def test_of_a_large_network_what_is_known_to_matter_is_copied_alone() -> None:
    network = large_network()
    lines = sorted(one.pair for one in network.trustlines())
    hops = [lines[7], lines[99][::-1], lines[99]]
    ends = lines[7][0], lines[99][1]
    vicinity = Vicinity(network, ends, NOW, size=200, hops=hops)
    assert [one.pair for one in vicinity.network.trustlines()] == [lines[7], lines[99]]


def test_executed_transfers_change_the_copy_alone_and_can_be_undone() -> None:
    network = NetworkGraph(Rules(fee_divisor=10), [line(A, C), line(B, C)])
    before = set(network.trustlines())
    vicinity = Vicinity(network, (A, C, B), NOW)
    transfer = replay(vicinity.network, (A, C, B), 50, FeePayer.SENDER, NOW)

    vicinity.execute(transfer, NOW + 5)

    view = vicinity.network.view(A, C, NOW + 5)
    assert view is not None
    assert view.balance == -transfer.amounts[0]
    assert {changed.mtime for changed in vicinity.network.trustlines()} == {NOW + 5}
    assert set(network.trustlines()) == before
    vicinity.undo()
    assert set(vicinity.network.trustlines()) == before


def test_the_copy_of_a_network_without_a_kernel_has_none() -> None:
    network = NetworkGraph(Rules(), [line(A, C), line(B, C)], use_kernel=False)
    assert Vicinity(network, (A, C, B), NOW).network.kernel is None
