"""Events of other contracts than currency networks, told while they happen."""

from tests.e2e.conftest import People
from tests.support.wallet_program import WalletProgram
from tests.support.wallet_world import ETHER, Person, World, befriend

STREAM = "event.updateStream"


def test_wrapping_ether_is_told(world: World, people: People) -> None:
    (person,) = people(1)
    world.give_ether(person.address, 2 * ETHER)
    stream = person.subscribe(STREAM)
    person.do("ethWrapper.prepDeposit", world.addresses.unw_eth, 1)
    event = stream.next("Deposit")
    assert (event["tokenAddress"], event["amount"]) == (world.addresses.unw_eth, str(ETHER))
    person.do("ethWrapper.prepWithdraw", world.addresses.unw_eth, 1)
    assert stream.next("Withdrawal")["amount"] == str(ETHER)
    stream.close()


def test_taking_and_cancelling_orders_is_told(world: World, program: WalletProgram, people: People) -> None:
    (taker,) = people(1)
    maker = Person(program, world, "ethers")
    maker.settle_in()
    befriend(maker, taker, "BEER", 100, 100)
    befriend(maker, taker, "CASH", 100, 100)
    pair = world.networks["BEER"], world.networks["CASH"]
    order = maker.prepare("exchange.makeOrder", world.addresses.exchange, *pair, 4, 2)
    streams = [person.subscribe(STREAM) for person in (maker, taker)]
    taker.do("exchange.prepTakeOrder", order, 0.5)
    for stream in streams:
        assert stream.next("LogFill")["orderHash"] == order.value["hash"]
    maker.do("exchange.prepCancelOrder", order, 1)
    assert streams[0].next("LogCancel")["orderHash"] == order.value["hash"]
    for stream in streams:
        stream.close()
