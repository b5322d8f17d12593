"""Interest, mediation fees and sums of transfers, as lists over time."""

from tests.e2e.conftest import People
from tests.support.wallet_world import Person, World, amount, befriend, pay

YEAR = 31_536_000


def raw_balance(one: Person, other: Person, symbol: str) -> int:
    """The balance that stands in the contract, without interest since."""
    return int(one.world.network(symbol).functions.getAccount(one.address, other.address).call()[-1])


def test_interest_is_listed_for_both_sides_of_a_trustline(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["HOU"]
    befriend(one, other, "HOU", 1000, 1000)
    pay(one, other, "HOU", 100)
    world.pass_time(YEAR)
    receipt = pay(one, other, "HOU", 1)
    interest = -raw_balance(one, other, "HOU") - 1_010_000
    assert 100_000 < interest < 110_000, "a year at ten per cent, compounded"
    at = world.w3.eth.get_block(receipt["blockNumber"])["timestamp"]
    for person, partner, sign in ((one, other, -1), (other, one, 1)):
        entry = {"value": amount(sign * interest, 4), "interestRate": amount(1000, 2), "timestamp": at}
        listed = {"accruedInterests": [entry], "user": person.address, "counterparty": partner.address}
        assert person.call("information.getAccruedInterests", network) == [listed]
        assert person.call("information.getAccruedInterestsOnTrustline", network, partner.address) == listed


def test_interest_is_listed_for_a_window_of_time(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["HOU"]
    befriend(one, other, "HOU", 1000, 1000)
    pay(one, other, "HOU", 100)
    times = []
    for _ in range(3):
        world.pass_time(YEAR // 12)
        receipt = pay(one, other, "HOU", 1)
        times.append(world.w3.eth.get_block(receipt["blockNumber"])["timestamp"])

    def listed(**window: int) -> list[int]:
        options = {"timeWindowOption": window}
        (line,) = one.call("information.getAccruedInterests", network, options) or [{"accruedInterests": []}]
        return [entry["timestamp"] for entry in line["accruedInterests"]]

    assert listed() == times
    assert listed(startTime=times[1]) == times[1:]
    assert listed(endTime=times[1]) == times[:2]
    assert listed(startTime=times[1], endTime=times[1]) == [times[1]]


def test_a_mediator_sees_what_each_payment_brought(world: World, people: People) -> None:
    one, mediator, other = people(3)
    network = world.networks["CASH"]
    befriend(one, mediator, "CASH", 1000, 1000)
    befriend(mediator, other, "CASH", 1000, 1000)
    sender_pays = pay(one, other, "CASH", 100, feePayer="sender")
    receiver_pays = pay(one, other, "CASH", 100, feePayer="receiver")
    fees = mediator.call("information.getEarnedMediationFees", network)
    assert (fees["user"], fees["network"]) == (mediator.address, network)
    for fee, value, receipt in zip(fees["mediationFees"], (1002, 1000), (sender_pays, receiver_pays), strict=True):
        assert fee == {
            "value": amount(value, 4),
            "from": one.address,
            "to": other.address,
            "transactionHash": "0x" + bytes(receipt["transactionHash"]).hex(),
            "timestamp": world.w3.eth.get_block(receipt["blockNumber"])["timestamp"],
        }
    assert one.call("information.getEarnedMediationFees", network)["mediationFees"] == []
    late = {"timeWindowOption": {"startTime": world.now() + 1}}
    assert mediator.call("information.getEarnedMediationFees", network, late)["mediationFees"] == []


def test_transfers_from_one_to_another_are_summed_up(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    befriend(one, other, "BEER", 100, 100)
    pay(one, other, "BEER", 5)
    world.pass_time(10)
    since = world.now()
    pay(one, other, "BEER", 7)
    pay(other, one, "BEER", 1)
    total = one.call("information.getTotalTransferredSum", network, one.address, other.address)
    assert (total["sender"], total["receiver"], total["value"]) == (one.address, other.address, amount(12, 0))
    back = one.call("information.getTotalTransferredSum", network, other.address, one.address)
    assert back["value"] == amount(1, 0)
    window = {"timeWindowOption": {"startTime": since, "endTime": world.now() + 5}}
    recent = one.call("information.getTotalTransferredSum", network, one.address, other.address, window)
    assert (recent["value"], recent["startTime"]) == (amount(7, 0), since)


def test_debts_are_told_with_a_path_to_claim_them(world: World, people: People) -> None:
    creditor, mediator, debtor = people(3)
    network = world.networks["BEER"]
    befriend(creditor, mediator, "BEER", 100, 100)
    befriend(mediator, debtor, "BEER", 100, 100)
    call = (debtor.address, network, "CurrencyNetworkV2", "increaseDebt", [creditor.address, "0x19"])
    debtor.do("transaction.prepareContractTransaction", *call)
    (debts,) = creditor.call("relayProvider.fetchEndpoint", f"users/{creditor.address}/debts")
    assert debts["currencyNetwork"] == network
    assert debts["debts"] == [
        {
            "debtor": debtor.address,
            "value": "25",
            "maximumClaimableValue": "25",
            "claimPath": [debtor.address, mediator.address, creditor.address],
        }
    ]
