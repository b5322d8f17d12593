"""The gas of a found transfer: what the API knows of it, in the terms of the chain's model."""

from dataclasses import replace

from graph.transfer import FeePayer, Transfer
from relay.api.gas import estimate_gas
from relay.api.services import PlannedTransfer
from relay.chain.gas import HopGas, NetworkGas, TransferCall, estimate_transfer_gas
from tests.support.fake_services import ADA, BO, CASH_INFO, CY, NOW, TRUSTLINES

YEAR = 31_536_000
PLANNED = PlannedTransfer(
    network=CASH_INFO,
    transfer=Transfer((ADA, BO, CY), 400, FeePayer.SENDER, (405, 400)),
    trustlines=TRUSTLINES[:2],
    at=NOW,
    extra_data=b"thanks",
)


def test_the_estimate_is_that_of_the_call_a_wallet_makes() -> None:
    call = TransferCall(path=(ADA, BO, CY), value=400, max_fee=5, sender_pays=True, extra_data=b"thanks")
    used = HopGas(fresh=False, interest_terms=1), HopGas(fresh=False, interest_terms=0)
    network = NetworkGas(has_fees=True, prevents_mediator_interests=False)
    assert estimate_gas(PLANNED) == estimate_transfer_gas(call, used, network)


def test_a_trustline_that_never_had_a_balance_costs_more() -> None:
    fresh = replace(TRUSTLINES[1], balance=0, mtime=0)
    dearer = estimate_gas(replace(PLANNED, trustlines=(TRUSTLINES[0], fresh)))
    assert dearer - estimate_gas(PLANNED) > 15_000


def test_interest_that_has_run_costs_more() -> None:
    in_debt = replace(TRUSTLINES[0], balance=-1_000_000)
    now = estimate_gas(replace(PLANNED, trustlines=(in_debt, TRUSTLINES[1])))
    later = estimate_gas(replace(PLANNED, trustlines=(in_debt, TRUSTLINES[1]), at=NOW + YEAR))
    assert later > now


def test_a_network_behind_a_proxy_or_with_stricter_rules_costs_more() -> None:
    plain = replace(CASH_INFO, fee_divisor=0)
    for stricter in (CASH_INFO, replace(plain, prevent_mediator_interests=True), replace(plain, is_proxied=True)):
        dearer = estimate_gas(replace(PLANNED, network=stricter))
        assert dearer > estimate_gas(replace(PLANNED, network=plain))
