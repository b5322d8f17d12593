"""The details of transfers, found by their transaction or by one of their events."""

import pytest

from tests.e2e.conftest import People
from tests.support.wallet_program import ClientError
from tests.support.wallet_world import World, amount, befriend, pay


@pytest.mark.parametrize(("fee_payer", "fee"), [("sender", 1002), ("receiver", 1000)])
def test_a_transfer_is_told_by_its_transaction(world: World, people: People, fee_payer: str, fee: int) -> None:
    one, mediator, other = people(3)
    befriend(one, mediator, "CASH", 1000, 1000)
    befriend(mediator, other, "CASH", 1000, 1000)
    receipt = pay(one, other, "CASH", 100, feePayer=fee_payer, paymentRequestId="0x11", remainingData="0x22")
    transaction = "0x" + bytes(receipt["transactionHash"]).hex()
    details = one.call("payment.getTransferDetails", {"txHash": transaction})
    assert details == {
        "path": [one.address, mediator.address, other.address],
        "currencyNetwork": world.networks["CASH"],
        # What the receiver gets where the sender pays the fees, what the sender gives where the receiver does.
        "value": amount(1_000_000, 4),
        "feePayer": fee_payer,
        "totalFees": amount(fee, 4),
        "feesPaid": [amount(fee, 4)],
        "extraData": details["extraData"],
        "paymentRequestId": "0x11",
        "transferId": None,
        "remainingData": "0x22",
    }


def test_a_transfer_is_told_by_any_of_its_events(world: World, people: People) -> None:
    one, other = people(2)
    befriend(one, other, "BEER", 10, 10)
    pay(one, other, "BEER", 3)
    (transfer,) = one.call("payment.get", world.networks["BEER"])
    named = {"blockHash": transfer["blockHash"], "logIndex": transfer["logIndex"]}
    details = other.call("payment.getTransferDetails", named)
    assert (details["path"], details["value"]) == ([one.address, other.address], amount(3, 0))
    assert (details["totalFees"], details["feesPaid"]) == (amount(0, 0), [])
    assert details["extraData"] == "0x"
    assert details == one.call("payment.getTransferDetails", {"txHash": transfer["transactionHash"]})


def test_an_unknown_transfer_is_not_found(people: People) -> None:
    (one,) = people(1)
    with pytest.raises(ClientError, match="Status 404"):
        one.call("payment.getTransferDetails", {"txHash": "0x" + "ab" * 32})
