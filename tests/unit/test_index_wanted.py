"""Where it is written which networks are to be followed."""

from collections.abc import Sequence

import pytest

from relay.addresses import Address
from relay.chain.errors import NodeUnreachable
from relay.index.wanted import WantedNetworks

A, B, C = b"a" * 20, b"b" * 20, b"c" * 20


class Registry:
    def __init__(self, listed: Sequence[Address]) -> None:
        self.listed = list(listed)
        self.is_away = False
        self.times_asked = 0

    def __call__(self) -> list[Address]:
        self.times_asked += 1
        if self.is_away:
            raise NodeUnreachable("gone")
        return list(self.listed)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_configured_comes_before_what_is_registered_and_nothing_twice() -> None:
    wanted = WantedNetworks(lambda: [B, A], Registry([C, A]))
    assert wanted() == [B, A, C]


def test_a_registry_is_asked_every_few_seconds() -> None:
    registry, clock = Registry([A]), Clock()
    wanted = WantedNetworks(list, registry, clock)
    assert [wanted() for _ in range(5)] == [[A]] * 5
    assert registry.times_asked == 1
    registry.listed.append(B)
    clock.now += 6
    assert wanted() == [A, B]


def test_a_registry_that_is_away_lists_what_it_did() -> None:
    registry, clock = Registry([A]), Clock()
    wanted = WantedNetworks(list, registry, clock)
    wanted()
    registry.is_away = True
    clock.now += 6
    assert wanted() == [A]


def test_a_registry_that_was_never_reached_is_a_fault() -> None:
    registry = Registry([A])
    registry.is_away = True
    with pytest.raises(NodeUnreachable):
        WantedNetworks(list, registry)()
