"""Which fees of a meta-transaction are accepted."""

from dataclasses import replace
from typing import Any

import pytest

from relay.chain.identity import ZERO_ADDRESS, MetaTransaction
from relay.delegate.fees import FeeOffer, offers

OWN, NETWORK, OTHER = (bytes([letter]) * 20 for letter in (1, 2, 3))
OFFER = FeeOffer(base_fee=5, gas_price=100, recipient=OWN, network=NETWORK)
PAID = MetaTransaction(
    identity=OTHER,
    chain_id=1,
    version=1,
    to=OTHER,
    value=0,
    data=b"",
    base_fee=5,
    gas_price=100,
    gas_limit=0,
    fee_recipient=OWN,
    currency_network_of_fees=NETWORK,
    nonce=1,
    time_limit=0,
    operation_type=0,
)


@pytest.mark.parametrize("more", [{}, {"base_fee": 6}, {"gas_price": 101}, {"fee_recipient": ZERO_ADDRESS}])
def test_what_is_offered_or_more_is_accepted(more: dict[str, Any]) -> None:
    assert OFFER.is_met_by(replace(PAID, **more))


@pytest.mark.parametrize(
    "less", [{"base_fee": 4}, {"gas_price": 99}, {"fee_recipient": OTHER}, {"currency_network_of_fees": OTHER}]
)
def test_less_or_elsewhere_is_not(less: dict[str, Any]) -> None:
    assert not OFFER.is_met_by(replace(PAID, **less))


def test_where_nothing_is_configured_everything_is_accepted() -> None:
    (free,) = offers((), OWN)
    assert free == FeeOffer(0, 0, OWN, ZERO_ADDRESS)
    assert free.is_met_by(PAID)
    assert free.is_met_by(replace(PAID, base_fee=0, gas_price=0, currency_network_of_fees=ZERO_ADDRESS))


def test_where_fees_are_configured_only_those_are_accepted() -> None:
    assert offers([OFFER], OWN) == (OFFER,)
